"""Whatever comes in: one clear sentence, nothing lost, and the next run completes."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import CAPTURE, WEEKS, CommandLine

REPLAY = ("--patient", "Patient 1", "--timezone", "Europe/Paris")


@pytest.fixture
def capture() -> dict[str, Any]:
    return copy.deepcopy(json.loads(CAPTURE.read_text()))


def frames(capture: dict[str, Any], characteristic: str = "2A18") -> list[dict[str, Any]]:
    (session,) = capture["sessions"]
    return [event for event in session if event["op"] == "notify" and event["char"] == characteristic]


def written(tmp_path: Path, capture: object) -> str:
    file = tmp_path / "capture.json"
    file.write_text(json.dumps(capture))
    return str(file)


def one_sentence(ended: subprocess.CompletedProcess[str]) -> str:
    said = ended.stderr.strip()
    assert said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    return said


def test_frames_that_cannot_be_read_are_named_and_the_rest_is_stored(
    passerelle: CommandLine, tmp_path: Path, capture: dict[str, Any]
) -> None:
    truncated, overlong, impossible = frames(capture)[:3]
    truncated["hex"] = truncated["hex"][:-2]
    overlong["hex"] += "00"
    impossible["hex"] = impossible["hex"][:10] + "0D" + impossible["hex"][12:]
    file = written(tmp_path, capture)
    answer = passerelle.json("replay", file, *REPLAY)
    assert (answer["stored"], [(one["line"], one["reason"]) for one in answer["refused"]]) == (
        8,
        [(1, "too_short"), (2, "trailing_bytes"), (3, "invalid_value")],
    )
    again = passerelle.json("replay", file, *REPLAY)
    assert (again["stored"], again["known"], len(again["refused"])) == (0, 8, 3)


def test_a_record_sent_twice_in_one_session_is_stored_once(
    passerelle: CommandLine, tmp_path: Path, capture: dict[str, Any]
) -> None:
    (session,) = capture["sessions"]
    session.insert(session.index(frames(capture)[4]), frames(capture)[4])
    answer = passerelle.json("replay", written(tmp_path, capture), *REPLAY)
    assert (answer["stored"], answer["known"]) == (11, 1)


def test_a_capture_that_ends_in_the_middle_keeps_what_came(
    passerelle: CommandLine, tmp_path: Path, capture: dict[str, Any]
) -> None:
    (session,) = capture["sessions"]
    del session[session.index(frames(capture)[7]) :]
    passerelle.run("patients", "add", "Patient 1", "--timezone", "Europe/Paris")
    ended = passerelle.run("replay", written(tmp_path, capture), *REPLAY, "--json", status=1)
    assert "kept" in one_sentence(ended)
    answer = json.loads(ended.stdout)
    assert (answer["stored"], answer["known"], answer["refused"]) == (7, 0, [])
    rows = passerelle.run("export", "--patient", "Patient 1", "--format", "csv").stdout.splitlines()
    assert len(rows) == 1 + 7


def test_records_without_a_date_are_kept_and_their_time_is_unknown(
    passerelle: CommandLine, tmp_path: Path, capture: dict[str, Any]
) -> None:
    for frame in frames(capture)[:2]:
        frame["hex"] = frame["hex"][:6] + "00000000" + frame["hex"][14:]
    answer = passerelle.json("replay", written(tmp_path, capture), *REPLAY)
    assert answer["stored"] == 11
    unknown = [one for one in passerelle.json_bundle("Patient 1") if "effectiveDateTime" not in one]
    assert [one["valueQuantity"]["value"] for one in unknown] == [88, 146]


def test_a_date_that_no_meter_can_know_is_kept_as_unknown(
    passerelle: CommandLine, tmp_path: Path, capture: dict[str, Any]
) -> None:
    frames(capture)[0]["hex"] = "0B0400" + "0F27" + "0C1F080323" + "3C0058B0F80000"  # the last day of 9999
    answer = passerelle.json("replay", written(tmp_path, capture), *REPLAY)
    assert (answer["stored"], answer["refused"]) == (11, [])
    (unknown,) = [one for one in passerelle.json_bundle("Patient 1") if "effectiveDateTime" not in one]
    assert unknown["valueQuantity"]["value"] == 88
    assert (
        passerelle.run("export", "--patient", "Patient 1", "--format", "csv").stdout.count("blood-glucose")
        == 11
    )


def test_a_frame_longer_than_any_link_carries_is_refused_alone(
    passerelle: CommandLine, tmp_path: Path, capture: dict[str, Any]
) -> None:
    frames(capture)[0]["hex"] += "00" * 600
    answer = passerelle.json("replay", written(tmp_path, capture), *REPLAY)
    assert (answer["stored"], answer["refused"]) == (10, [{"line": 1, "reason": "trailing_bytes"}])


def test_a_file_of_which_no_line_can_be_read_has_failed(passerelle: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text("time,mg_dl\nyesterday,118\n")
    arguments = ("import", str(file), "--patient", "Patient 1", "--format", "generic", "--timezone", "UTC")
    answer = passerelle.json(*arguments, status=1)
    assert (answer["stored"], [one["line"] for one in answer["refused"]]) == (0, [2])


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "{}", '{"sessions": [[{"op": 1}]]}', '{"sessions": []}', "\x00\xff"]
)
def test_a_file_that_is_no_capture_is_refused(passerelle: CommandLine, tmp_path: Path, text: str) -> None:
    file = tmp_path / "capture.json"
    file.write_text(text, encoding="utf-8")
    passerelle.run("patients", "add", "Patient 1", "--timezone", "Europe/Paris")
    one_sentence(passerelle.run("replay", str(file), *REPLAY, status=1))


def test_a_database_that_does_not_answer_is_said_without_its_password(passerelle: CommandLine) -> None:
    elsewhere = passerelle.with_environment(
        PASSERELLE_DATABASE="postgresql://u:hush-hush@127.0.0.1:9/passerelle"
    )
    begun = time.monotonic()
    said = one_sentence(elsewhere.run("patients", "list", status=1))
    assert "PASSERELLE_DATABASE" in said
    assert "hush-hush" not in said
    assert time.monotonic() - begun < 20


def test_a_process_that_is_killed_leaves_nothing_half_stored(passerelle: CommandLine) -> None:
    arguments = (
        "import",
        str(WEEKS[0]),
        "--patient",
        "Patient 2",
        "--format",
        "generic",
        "--timezone",
        "UTC",
    )
    passerelle.run("patients", "add", "Patient 2", "--timezone", "UTC")
    for milliseconds in (250, 400, 500, 600, 700):
        importing = subprocess.Popen(
            [sys.executable, "-m", "gateway", *arguments],
            env=passerelle.environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            importing.wait(milliseconds / 1000)
        except subprocess.TimeoutExpired:
            importing.kill()
            importing.wait()
        rows = passerelle.run("export", "--patient", "Patient 2", "--format", "csv").stdout.splitlines()
        assert len(rows) - 1 in {0, 1775}
    answer = passerelle.json(*arguments)
    assert answer["stored"] + answer["known"] == 1775
    assert (
        len(passerelle.run("export", "--patient", "Patient 2", "--format", "csv").stdout.splitlines()) == 1776
    )


def test_two_commands_at_once_store_each_record_once(passerelle: CommandLine) -> None:
    passerelle.run("patients", "add", "Patient 1", "--timezone", "UTC")
    command = [sys.executable, "-m", "gateway", "replay", str(CAPTURE), *REPLAY, "--json"]
    both = [
        subprocess.Popen(command, env=passerelle.environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [json.loads(one.communicate(timeout=100)[0]) for one in both]
    assert sorted(answer["stored"] for answer in answers) == [0, 11]


def test_help_is_in_the_language_of_the_person(passerelle: CommandLine) -> None:
    french = CommandLine(passerelle.home, {**passerelle.environment, "LC_ALL": "fr_FR.UTF-8"})
    page = french.run("scan", "--help").stdout
    assert "Les appareils à portée." in page
    assert "Combien de temps écouter." in page
    assert "Afficher cette aide" in page

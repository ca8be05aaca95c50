"""A person's readings, from the file or the capture to the numbers and out again, at the command line."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import statistics
import subprocess
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.journeys.conftest import CAPTURE, WEEKS, CommandLine


def test_a_captured_read_is_stored_once_whatever_the_zone(passerelle: CommandLine) -> None:
    first = passerelle.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Europe/Paris")
    again = passerelle.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Europe/Paris")
    elsewhere = passerelle.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Asia/Tokyo")
    assert (first["stored"], first["refused"]) == (11, [])
    assert (again["stored"], elsewhere["stored"]) == (0, 0)
    rows = list(
        csv.DictReader(
            io.StringIO(passerelle.run("export", "--patient", "Patient 1", "--format", "csv").stdout)
        )
    )
    assert len(rows) == 11
    assert sum(row["value"] == "LO" for row in rows) == 2


def test_another_zone_moves_the_readings_in_time_and_stores_none(passerelle: CommandLine) -> None:
    def times(zone: str) -> list[datetime]:
        passerelle.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", zone)
        bundle = passerelle.json_bundle("Patient 1")
        return sorted(datetime.fromisoformat(o["effectiveDateTime"]) for o in bundle)

    paris, tokyo = times("Europe/Paris"), times("Asia/Tokyo")
    assert paris[0].isoformat() == "2021-10-19T09:03:35+02:00"
    assert tokyo[0].isoformat() == "2021-10-19T09:03:35+09:00"
    assert paris[-1].isoformat() == "2022-05-30T15:55:27+02:00"


def test_a_sensor_week_is_imported_once_and_its_numbers_are_those_of_the_file(
    passerelle: CommandLine,
) -> None:
    week = WEEKS[0]
    arguments = (
        "import",
        str(week),
        "--patient",
        "Patient 2",
        "--format",
        "generic",
        "--timezone",
        "America/Los_Angeles",
    )
    rows = list(csv.DictReader(week.open()))
    assert passerelle.json(*arguments) == {"stored": len(rows), "known": 0, "refused": []}
    assert passerelle.json(*arguments) == {"stored": 0, "known": len(rows), "refused": []}

    last = max(datetime.fromisoformat(row["time"]) for row in rows).date()
    report = passerelle.json("report", "--patient", "Patient 2", "--days", "3")
    first = last - timedelta(days=2)
    values = [float(r["mg_dl"]) for r in rows if first <= datetime.fromisoformat(r["time"]).date() <= last]
    assert report["n"] == len(values)
    assert report["mean_mg_dl"] == pytest.approx(statistics.fmean(values))
    assert report["sd_mg_dl"] == pytest.approx(statistics.stdev(values))
    target = 100 * sum(70 <= value <= 180 for value in values) / len(values)
    assert report["time_in_range"]["target"] == pytest.approx(target)
    same = passerelle.json("report", "--patient", "Patient 2", "--from", str(first), "--to", str(last))
    assert same["time_in_range"] == report["time_in_range"]


def test_fourteen_days_that_are_half_empty_have_no_gmi(passerelle: CommandLine) -> None:
    passerelle.json(
        "import", str(WEEKS[0]), "--patient", "Patient 2", "--format", "generic", "--timezone", "UTC"
    )
    report = passerelle.json("report", "--patient", "Patient 2", "--days", "14")
    assert report["completeness_percent"] < 70
    assert report["gmi_percent"] is None
    assert passerelle.json("report", "--patient", "Patient 2", "--days", "6")["gmi_percent"] is not None


def test_a_line_that_cannot_be_read_is_named(passerelle: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "mixed.csv"
    file.write_text("time,mg_dl\n2026-03-14T08:00:00,118\nnonsense\n2026-03-14T08:05:00,121\n")
    answer = passerelle.json(
        "import", str(file), "--patient", "Patient 3", "--format", "generic", "--timezone", "UTC"
    )
    assert (answer["stored"], [line["line"] for line in answer["refused"]]) == (2, [3])


def test_an_hour_that_comes_twice_is_kept_twice_and_in_order(passerelle: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "autumn.csv"
    hour = [f"2026-10-25T02:{minute:02}:00" for minute in range(0, 60, 5)]
    times = ["2026-10-25T01:55:00", *hour, *hour, "2026-10-25T03:00:00"]
    file.write_text("time,mg_dl\n" + "".join(f"{t},{100 + i}\n" for i, t in enumerate(times)))
    answer = passerelle.json(
        "import", str(file), "--patient", "Patient 4", "--format", "generic", "--timezone", "Europe/Paris"
    )
    assert answer["stored"] == 26
    observations = passerelle.json_bundle("Patient 4")
    observations.sort(key=lambda o: datetime.fromisoformat(o["effectiveDateTime"]))
    assert [o["valueQuantity"]["value"] for o in observations] == list(range(100, 126))
    moments = [datetime.fromisoformat(o["effectiveDateTime"]) for o in observations]
    assert {later - earlier for earlier, later in itertools.pairwise(moments)} == {timedelta(minutes=5)}


def test_finger_stick_values_are_not_sensor_values(passerelle: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "meter.csv"
    file.write_text("time,mmol_l\n2026-03-14T08:00:00,6.6\n2026-03-14T12:00:00,HI\n")
    passerelle.json(
        "import",
        str(file),
        "--patient",
        "Patient 5",
        "--format",
        "generic",
        "--timezone",
        "UTC",
        "--finger-stick",
    )
    assert passerelle.json("report", "--patient", "Patient 5", "--days", "14")["n"] == 0


def test_the_exported_bundle_is_a_collection_of_everything(passerelle: CommandLine, tmp_path: Path) -> None:
    passerelle.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Europe/Paris")
    out = tmp_path / "bundle.json"
    passerelle.run("export", "--patient", "Patient 1", "--format", "fhir", "-o", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    bundle = json.loads(out.read_text())
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    assert (kinds.count("Observation"), kinds.count("Patient"), kinds.count("Device")) == (11, 1, 1)
    absent = [e["resource"] for e in bundle["entry"] if "dataAbsentReason" in e["resource"]]
    assert len(absent) == 2


def test_what_is_exported_into_no_file_of_ones_own_leaves_its_rights(
    passerelle: CommandLine, tmp_path: Path
) -> None:
    passerelle.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Europe/Paris")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    pipe.chmod(0o644)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reading:
        passerelle.run("export", "--patient", "Patient 1", "--format", "csv", "-o", str(pipe))
        assert reading.stdout is not None
        assert reading.stdout.read().count(b"\n") == 12
    assert pipe.stat().st_mode & 0o777 == 0o644


def test_a_name_nobody_has_ends_with_the_nearest_one(passerelle: CommandLine) -> None:
    passerelle.run("patients", "add", "Marguerite", "--timezone", "Europe/Paris")
    for command in (
        ["report", "--patient", "Margerite"],
        ["export", "--patient", "Margerite", "--format", "csv"],
    ):
        ended = passerelle.run(*command, status=1)
        assert "Marguerite" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_an_error_speaks_the_language_of_the_person(passerelle: CommandLine) -> None:
    french = passerelle.with_environment(LC_ALL="fr_FR.UTF-8", LANG="fr_FR.UTF-8")
    english = passerelle.run("report", "--patient", "nobody", status=1).stderr
    assert french.run("report", "--patient", "nobody", status=1).stderr != english


def test_a_zone_that_does_not_exist_is_refused(passerelle: CommandLine) -> None:
    assert (
        "Mars/Phobos" in passerelle.run("patients", "add", "x", "--timezone", "Mars/Phobos", status=1).stderr
    )


def test_wrong_use_ends_with_status_two(passerelle: CommandLine) -> None:
    passerelle.run("import", status=2)
    passerelle.run("no-such-command", status=2)
    passerelle.run("import", str(WEEKS[0]), "--patient", "x", "--format", "unheard-of", status=2)


def test_the_home_is_for_its_owner_only(passerelle: CommandLine) -> None:
    passerelle.run("patients", "list")
    assert passerelle.home.stat().st_mode & 0o777 == 0o700


def test_decode_answers_line_by_line(passerelle: CommandLine) -> None:
    good, short = "0B0400E5070A130803233C0058B0F80000", "0B0400"
    ended = passerelle.run("decode", "2A18", "-", "--json", text=f"{good}\n{short}\n", status=1)
    first, second = map(json.loads, ended.stdout.splitlines())
    assert first["ok"] is True
    assert (first["value"]["sequence_number"], first["value"]["mgdl"]) == (4, 88)
    assert (second["ok"], second["reason"]) == (False, "too_short")


def test_the_shown_times_in_range_sum_to_100(passerelle: CommandLine, tmp_path: Path) -> None:
    rows = "2026-03-14T08:00:00,60\n2026-03-14T08:05:00,120\n2026-03-14T08:10:00,200\n"  # 33.333… each
    (tmp_path / "week.csv").write_text("time,mg_dl\n" + rows)
    passerelle.json("import", str(tmp_path / "week.csv"), "--patient", "Patient 1", "--timezone", "UTC")
    told = passerelle.run("report", "--patient", "Patient 1", "--days", "1").stdout
    shown = [line.rsplit(maxsplit=2)[1] for line in told.splitlines() if "Time" in line]
    assert sum(Decimal(percent) for percent in shown) == 100


def test_a_name_that_the_terminal_cannot_write_ends_nothing(passerelle: CommandLine) -> None:
    passerelle.run("patients", "add", "Zoé")
    narrow = passerelle.with_environment(PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="fr_FR")
    assert "Zo?" in narrow.run("patients").stdout
    assert narrow.json("patients")[0]["name"] == "Zoé"


def test_an_export_that_finds_no_room_says_so(passerelle: CommandLine) -> None:
    passerelle.run("patients", "add", "Patient 1")
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "gateway", "export", "--patient", "Patient 1", "--format", "csv"],
            env=passerelle.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
            check=False,
        )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (1, 1)

"""A person's rights at the command line: all of it in one file, erased with a receipt, who looked."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from device_profiles.errors import StorageError
from gateway.sealing import SealedLink
from gateway.shelf_client import LinkClosed, open_link
from storage.cluster import place_of
from storage.embedded import EmbeddedServer
from tests.journeys.conftest import CAPTURE, WEEKS, CommandLine

SQL_NAME = 'Robert\'); DROP TABLE passerelle.reading; -- 100% {name} "名前"'

READINGS = len(WEEKS[0].read_text().splitlines()) - 1


@pytest.fixture
def held(passerelle: CommandLine) -> Iterator[EmbeddedServer]:
    """The home's server runs from command to command, as where a second one works."""
    passerelle.home.mkdir(mode=0o700)
    server = EmbeddedServer.hold(passerelle.home)
    yield server
    with suppress(OSError, StorageError):  # where the home is gone
        server.release()


@pytest.fixture
def with_readings(passerelle: CommandLine, held: EmbeddedServer) -> CommandLine:
    passerelle.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Europe/Paris")
    return passerelle


def shared(gateway: CommandLine) -> str:
    return str(gateway.json("share", "create", "--patient", "Patient 1", "--label", "Diabetes clinic")["url"])


def opened(url: str) -> list[dict]:
    (content,) = asyncio.run(open_link(SealedLink.parse(url), "Dr. Test", None))
    return [entry["resource"] for entry in json.loads(content)["entry"]]


def on_disk(home: Path) -> Iterator[tuple[str, bytes]]:
    """The files of the tables, as they lie on the disk (the write-ahead log apart)."""
    for path in (place_of(home).data / "base").rglob("*"):
        if path.is_file():
            yield path.name, path.read_bytes()


def test_everything_is_exported_checked_and_the_plain_export_is_as_before(with_readings: CommandLine) -> None:
    folder = with_readings.home.parent
    answer = with_readings.json("export", "--all", "--patient", "Patient 1", "-o", "all.zip")
    assert (answer["persons"], answer["readings"]) == (1, 11)
    checked = with_readings.json("export", "--check", "all.zip")
    assert (checked["whole"], checked["manifest_sha256"]) == (True, answer["manifest_sha256"])
    with zipfile.ZipFile(folder / "all.zip") as packed:
        raw = [json.loads(line)["raw"] for line in packed.read("raw/measurements.jsonl").splitlines()]
        assert "0b0400e5070a130803233c0058b0f80000" in raw
        damaged = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(folder / "all.zip", "w") as packed:
        for name, content in damaged.items():
            packed.writestr(name, content.replace(b"accu", b"ACCU").replace(b"Accu", b"ACCU"))
    told = with_readings.run("export", "--check", "all.zip", status=1)
    assert "readings.csv is not what was written." in told.stdout
    with_readings.run("export", "--patient", "Patient 1", "--format", "csv", "-o", "one.csv")
    assert len((folder / "one.csv").read_text().splitlines()) == 12
    for wrong in (("--all",), ("--patient", "Patient 1"), ("--format", "csv")):
        with_readings.run("export", *wrong, status=2)


def test_a_name_that_is_typed_wrong_erases_nothing(with_readings: CommandLine) -> None:
    arguments = ("erase", "--patient", "Patient 1", "--everything")
    for typed in ("patient 2\n", "", "yes\n"):
        told = with_readings.run(*arguments, text=typed, status=1)
        assert "nothing was erased" in told.stderr
    assert len(with_readings.json_bundle("Patient 1")) == 11
    told = with_readings.run(*arguments, text="Patient 1\n")
    assert "11 readings will be erased" in told.stderr
    assert "11 readings are erased. Receipt" in told.stdout
    with_readings.run("export", "--patient", "Patient 1", "--format", "csv", status=1)
    (receipt,) = with_readings.json("receipts")
    assert receipt["erased"]["readings"] == 11
    assert "Patient 1" not in json.dumps(receipt)


def test_the_shelf_is_told_first_and_the_link_opens_no_more(with_readings: CommandLine) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        url = shared(gateway)
        assert opened(url)
        gateway.json("share", "list")  # the opening comes into the log
        receipt = gateway.json("erase", "--patient", "Patient 1", "--yes")
        assert (receipt["erased"]["shares"], receipt["erased"]["log_entries"]) == (1, 1)
        with pytest.raises(LinkClosed):
            opened(url)
        assert gateway.json("share", "list") == []
        (verdict,) = gateway.json("audit", "verify")
        assert (verdict["whole"], verdict["erased"]) == (True, 1)


def test_a_shelf_that_is_down_is_told_when_it_answers(with_readings: CommandLine) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        url = shared(gateway)
    gateway.json("erase", "--patient", "Patient 1", "--everything", "--yes")
    port = int(shelf.rpartition(":")[2])
    with with_readings.serving("--role", "shelf", port=port):
        assert opened(url)  # it does not know yet
        gateway.json("share", "list")
        with pytest.raises(LinkClosed):
            opened(url)


def test_some_days_go_and_the_open_share_is_sealed_without_them(with_readings: CommandLine) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        url = shared(gateway)
        receipt = gateway.json("erase", "--patient", "Patient 1", "--to-date", "2021-12-31", "--yes")
        gone = receipt["erased"]["readings"]
        assert 0 < gone < 11
        shown = [resource for resource in opened(url) if resource["resourceType"] == "Observation"]
        assert len(shown) == 11 - gone
        assert len(gateway.json_bundle("Patient 1")) == 11 - gone


def test_an_erased_reading_does_not_come_back_by_reading_again_unless_it_is_wanted(
    with_readings: CommandLine,
) -> None:
    replay = ("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Europe/Paris")
    with_readings.json("erase", "--patient", "Patient 1", "--to-date", "2021-12-31", "--yes")
    left = len(with_readings.json_bundle("Patient 1"))
    again = with_readings.json(*replay)
    assert (again["stored"], again["known"]) == (0, left)
    assert again["erased"] == 11 - left
    assert "were erased before and left out" in with_readings.run(*replay).stderr
    assert len(with_readings.json_bundle("Patient 1")) == left
    with_readings.run("take-again", "--patient", "Patient 1")
    assert with_readings.json(*replay)["stored"] == 11 - left


@pytest.mark.embedded
def test_no_file_of_the_database_keeps_what_was_erased(
    with_readings: CommandLine, held: EmbeddedServer
) -> None:
    """By the bytes of the tables on the disk, not by what SQL says."""
    name = "Zebulon Quastenflosser"
    with_readings.json("import", str(WEEKS[0]), "--patient", name, "--finger-stick")
    with_readings.json("replay", str(CAPTURE), "--patient", name, "--timezone", "Europe/Paris")
    first = with_readings.json("readings", "list", "--patient", name)[0]["id"]
    with_readings.run("readings", "note", first, "Quastenflosser im Keller")
    traces = [
        b"Quastenflosser",
        name.casefold().encode(),
        bytes.fromhex("0b0400e5070a130803233c0058b0f80000"),
    ]
    with_readings.json("erase", "--patient", "Patient 1", "--everything", "--yes")
    held.release()  # the last command stops the server: what is in memory is on the disk
    assert all(any(trace in content for _, content in on_disk(with_readings.home)) for trace in traces)
    with_readings.json("erase", "--patient", name, "--everything", "--yes")
    found = [
        (file, trace) for file, content in on_disk(with_readings.home) for trace in traces if trace in content
    ]
    assert found == []


def test_an_erasure_that_is_killed_is_whole_or_absent(with_readings: CommandLine) -> None:
    """SIGKILL at moments spread over the command: then there is a receipt and nothing else, or all."""
    begun = time.monotonic()
    with_readings.json("erase", "--patient", "Patient 1", "--everything", "--yes")
    takes = time.monotonic() - begun
    for number in range(3):
        name = f"Person {number}"
        with_readings.json("import", str(WEEKS[0]), "--patient", name)
        erasing = subprocess.Popen(
            [sys.executable, "-m", "gateway", "erase", "--patient", name, "--yes"],
            env=with_readings.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(takes * (5 + 2 * number) / 10)
        erasing.send_signal(signal.SIGKILL)
        erasing.wait()
        left = len(with_readings.json_bundle(name))
        receipts = with_readings.json("receipts", "--patient", name)
        assert (left, len(receipts)) in {(READINGS, 0), (0, 1)}


@pytest.mark.embedded
def test_a_whole_home_goes_with_what_lies_elsewhere(with_readings: CommandLine) -> None:
    folder = place_of(with_readings.home).folder
    with_readings.run("erase", "--home", text="something\n", status=1)
    assert folder.is_dir()
    told = with_readings.run("erase", "--home", text="home\n")
    assert "11 readings are erased" in told.stdout
    assert not with_readings.home.exists()
    assert not folder.exists()


@pytest.mark.embedded
def test_a_home_whose_shelf_does_not_answer_stays_until_it_is_told(with_readings: CommandLine) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        shared(gateway)
    told = gateway.run("erase", "--home", "--yes", status=1)
    assert "1 shelves or spaces do not answer" in told.stderr
    assert gateway.home.is_dir()
    answer = gateway.json("erase", "--home", "--everything", "--yes")
    assert [receipt["erased"]["readings"] for receipt in answer["receipts"]] == [11]
    assert not gateway.home.exists()


@pytest.mark.embedded
def test_a_log_is_verified_and_its_cut_end_is_seen(with_readings: CommandLine) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        url = shared(gateway)
        for _ in range(3):
            opened(url)
        gateway.json("share", "list")
    listed = gateway.json("audit", "list", "--patient", "Patient 1")
    assert [entry["who"] for entry in listed] == ["Dr. Test"] * 3
    (verdict,) = gateway.json("audit", "verify", "--patient", "Patient 1")
    assert (verdict["whole"], verdict["entries"]) == (True, 3)
    cut(gateway, "DELETE FROM passerelle.access_log WHERE entry_id = 3")
    (verdict,) = gateway.json("audit", "verify", status=1)
    assert (verdict["whole"], verdict["first_wrong_entry"], verdict["why"]) == (False, 3, "missing")
    (accepted,) = gateway.json("audit", "verify", "--accept")
    assert accepted["whole"]
    cut(gateway, "UPDATE passerelle.access_log SET who = 'nobody' WHERE entry_id = 1")
    told = gateway.run("audit", "verify", status=1)
    assert "entry 1 was changed" in told.stdout
    head = ("--patient", "Patient 1", "--head", verdict["head"])
    gateway.run("audit", "verify", "--head", "x", status=2)
    gateway.run("audit", "verify", *head[:3], "not a head", status=1)


def cut(gateway: CommandLine, statement: str) -> None:
    """As whoever owns the database."""
    server = EmbeddedServer.hold(gateway.home)
    try:
        with psycopg.connect(server.address("owner")) as conn:
            conn.execute(statement)
    finally:
        server.release()


def test_what_a_person_says_of_a_reading_changes_the_report_and_can_be_taken_back(
    passerelle: CommandLine, held: EmbeddedServer
) -> None:
    passerelle.json("import", str(WEEKS[0]), "--patient", "Patient 2", "--timezone", "Europe/Paris")
    before = passerelle.json("report", "--patient", "Patient 2", "--days", "3650")["n"]
    ids = [row["id"] for row in passerelle.json("readings", "list", "--patient", "Patient 2", "--days", "1")]
    passerelle.run("readings", "exclude", ids[0], "--reason", "compression")
    passerelle.run("readings", "note", ids[1], "'; DROP TABLE passerelle.reading; --")
    assert passerelle.json("report", "--patient", "Patient 2", "--days", "3650")["n"] == before - 1
    told = passerelle.run("readings", "list", "--patient", "Patient 2", "--days", "1").stdout
    assert "excluded" in told
    assert "“'; DROP TABLE passerelle.reading; --”" in told
    passerelle.run("readings", "include", ids[0])
    assert passerelle.json("report", "--patient", "Patient 2", "--days", "3650")["n"] == before
    passerelle.json("patients", "add", SQL_NAME, "--timezone", "Europe/Paris")
    passerelle.run("readings", "move", ids[2], "--to", SQL_NAME)
    assert len(passerelle.json_bundle(SQL_NAME)) == 1
    told = passerelle.run("readings", "note", "f" * 32, "x", status=1)
    assert "There is no reading under this id" in told.stderr
    assert len(passerelle.json_bundle("Patient 2")) == before - 1


def test_a_rule_is_set_applied_by_whoever_serves_and_taken_back(with_readings: CommandLine) -> None:
    rule = ("--patient", "Patient 1", "--kind", "blood-glucose")
    assert with_readings.json("retention", "set", *rule, "--days", "30") == {
        "kind": "blood-glucose",
        "days": 30,
    }
    assert with_readings.json("retention", "list", "--patient", "Patient 1") == [
        {"kind": "blood-glucose", "days": 30}
    ]
    with with_readings.serving("--role", "gateway"):
        end = time.monotonic() + 20
        while not (found := with_readings.json("receipts")) and time.monotonic() < end:
            time.sleep(0.3)
    assert [(receipt["reason"], receipt["scope"]["kinds"]) for receipt in found] == [
        ("retention", ["blood-glucose"])
    ]
    assert found[0]["erased"]["readings"] + len(with_readings.json_bundle("Patient 1")) == 11
    printed = with_readings.printed.read_text()
    assert "Patient 1" not in printed
    assert "Traceback" not in printed
    with_readings.run("retention", "remove", *rule)
    with_readings.run("retention", "remove", *rule, status=1)
    with_readings.run("retention", "set", *rule[:3], "nothing", "--days", "3", status=2)


def test_any_name_has_its_rights(passerelle: CommandLine, held: EmbeddedServer) -> None:
    name = SQL_NAME
    passerelle.json("replay", str(CAPTURE), "--patient", name, "--timezone", "Europe/Paris")
    passerelle.json("export", "--all", "--patient", name, "-o", "all.zip")
    assert passerelle.json("readings", "list", "--patient", name)
    assert passerelle.json("audit", "verify", "--patient", name)[0]["whole"]
    assert passerelle.run("erase", "--patient", name, "--everything", text=f"{name}\n").returncode == 0
    assert passerelle.json("patients", "list") == []

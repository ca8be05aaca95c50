"""Everything that is kept of a person is in one file, exactly, and a file that was touched shows."""

from __future__ import annotations

import csv
import io
import json
import resource
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from device_profiles.errors import PasserelleError
from device_profiles.reading import Absent, Flag, Kind, Measurand, Quantity, RecordIdentity
from gateway import annotating, archive
from gateway.home import Home
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from gateway.sharing import collection
from storage import access_log, erasure, patients, readings, shares
from storage.annotations import ReadingKey
from storage.database import Database
from storage.devices import StoredDevice
from storage.patients import Patient
from storage.readings import RefusedFrame
from storage.shares import NewShare
from storage.shelf import Opening, Outcome
from tests.storage.samples import START, glucose, meal, new_device, segment, store


@pytest.fixture
def home(database: Database, tmp_path: Path) -> Home:
    return Home(Settings(home=tmp_path), database, HomeSecret(bytes(32)))


@pytest.fixture
async def furnished(home: Home, patient: Patient) -> Patient:
    """Someone with two devices, every kind of remark, a share that was opened, and an erased reading."""
    device, cuff = await new_device(home.database, patient), await new_device(home.database, patient)
    batch = [glucose(number, context=meal(1) if number % 3 == 0 else None) for number in range(12)]
    batch[5] = replace(batch[5], flags=Flag.DEVICE_BATTERY_LOW | Flag.TIME_FAULT)
    batch += [glucose(20, absent=Absent.ABOVE_RANGE), glucose(3, "121", raw=b"another")]
    await store(home.database, device, batch, refused=[RefusedFrame("2a18", b"\x00\xff", "too_short")])
    await store(home.database, device, batch, segment(batch, -3600))  # a better estimate
    pressure = glucose(1, "120", unit="mm[Hg]", kind=Kind.BLOOD_PRESSURE, raw=b"\x01")
    diastolic = Quantity(Measurand.DIASTOLIC, pressure.quantities[0].value, "mm[Hg]")
    await store(home.database, cuff, [replace(pressure, quantities=(*pressure.quantities, diastolic))])
    listed = await annotating.listed(home, patient.name)
    await annotating.note(home, listed.ids[1], "=HYPERLINK(1)")
    await annotating.not_mine(home, listed.ids[2])
    async with home.database.writer() as conn:
        new = NewShare(uuid4(), uuid4().bytes, b"the sealed key", "http://shelf", "clinic")
        share = await shares.create(conn, patient.patient_id, new, START)
        await access_log.record(conn, share, [Opening(1, START, "Dr. Test", Outcome.OPENED, 1)])
        key = ReadingKey(START + timedelta(minutes=50), 10, device.device_id)
        await erasure.erase_records(conn, patient.patient_id, [key])
    return patient


async def exported(home: Home, *people: Patient) -> zipfile.ZipFile:
    path = home.settings.home / "all.zip"
    await archive.write(home, list(people), path)
    return zipfile.ZipFile(path)


def lines(packed: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in packed.read(name).splitlines()]


async def test_the_bytes_are_there_as_they_were_received(home: Home, furnished: Patient) -> None:
    packed = await exported(home, furnished)
    measured = lines(packed, "raw/measurements.jsonl")
    assert len(measured) == 14
    assert [
        bytes.fromhex(row["raw"]) for row in measured if (row["sequence"], row["device_id"]) == (3, 1)
    ] == [
        b"3 119 mg/dL",
        b"another",
    ]
    assert (
        measured[0].items()
        >= {
            "recorded_at": "2026-03-02T08:00:00+00:00",
            "characteristic": "2a18",
            "kind": "blood-glucose",
            "value": "119",
            "unit": "mg/dL",
        }.items()
    )
    assert lines(packed, "raw/contexts.jsonl")[0]["raw"] == "02010001"
    (frame,) = lines(packed, "raw/refused_frames.jsonl")
    assert (frame["raw"], frame["characteristic"], frame["reason"]) == ("00ff", "2a18", "too_short")
    assert lines(packed, "raw/quantities.jsonl")[0].items() >= {"of": "diastolic", "value": "120"}.items()


async def test_the_table_has_every_reading_with_all_that_belongs_to_it(
    home: Home, furnished: Patient
) -> None:
    packed = await exported(home, furnished)
    rows = list(csv.DictReader(io.StringIO(packed.read("readings.csv").decode())))
    by_key = {(row["device_id"], row["sequence"], row["ordinal"]): row for row in rows}
    assert len(by_key) == len(rows) == 14
    assert by_key["1", "5", "0"]["status"] == "device-battery-low time-fault"
    assert by_key["1", "0", "0"]["meal"] == "before-meal"
    assert by_key["1", "20", "0"]["value"] == "HI"
    assert by_key["1", "1", "0"]["note"] == "'=HYPERLINK(1)"  # no spreadsheet runs it
    assert by_key["1", "2", "0"]["not_own"] == "yes"
    assert by_key["2", "1", "0"]["further"] == "diastolic=120mm[Hg]"
    assert by_key["1", "0", "0"]["time"] == "2026-03-02T08:00:00+01:00"
    assert {row["time_source"] for row in rows} == {"device"}


async def test_the_bundle_is_what_a_plain_export_writes(home: Home, furnished: Patient) -> None:
    packed = await exported(home, furnished)
    async with home.database.writer() as conn:
        series = await readings.series(conn, furnished.patient_id)
    plain = json.loads(collection(home.secret, furnished, series))
    found = json.loads(packed.read("observations.fhir.json"))
    assert (found["resourceType"], found["type"]) == ("Bundle", "collection")
    assert sorted(map(json.dumps, found["entry"])) == sorted(map(json.dumps, plain["entry"]))


async def test_what_was_believed_said_given_and_erased_is_there(home: Home, furnished: Patient) -> None:
    packed = await exported(home, furnished)
    assert [row["superseded_at"] is None for row in lines(packed, "clock_segments.jsonl")] == [
        False,
        True,
        True,
    ]
    assert {row["kind"] for row in lines(packed, "annotations.jsonl")} == {"note", "not-mine"}
    assert {row["author"] for row in lines(packed, "annotations.jsonl")} == {annotating.author()}
    assert lines(packed, "shares.jsonl")[0]["label"] == "clinic"
    assert lines(packed, "access_log.jsonl")[0]["who"] == "Dr. Test"
    assert lines(packed, "receipts.jsonl")[0]["erased"]["readings"] == 1
    everything = b"".join(packed.read(name) for name in packed.namelist())
    assert b"the sealed key" not in everything


async def test_the_manifest_counts_and_the_file_is_private(home: Home, furnished: Patient) -> None:
    packed = await exported(home, furnished)
    manifest = json.loads(packed.read("manifest.json"))
    rows = {entry["path"]: entry["rows"] for entry in manifest["files"]}
    assert rows["raw/measurements.jsonl"] == rows["readings.csv"] == manifest["persons"][0]["readings"] == 14
    assert rows["observations.fhir.json"] == 13
    assert {*rows, "manifest.json"} == set(packed.namelist())
    assert manifest["persons"][0]["access_log_head"].startswith("1-")
    assert (home.settings.home / "all.zip").stat().st_mode & 0o777 == 0o600
    text = packed.read("README.txt").decode()
    assert [name for name in rows if name.split("/")[-1] not in text and name != "README.txt"] == []


async def test_everybody_is_in_folders_of_their_own(home: Home, furnished: Patient) -> None:
    async with home.database.writer() as conn:
        other = await patients.add(conn, f"../'; DROP TABLE passerelle.reading; -- {uuid4()}", "Europe/Paris")
    packed = await exported(home, furnished, other)
    assert {name.split("/")[0] for name in packed.namelist()} == {
        "README.txt",
        "manifest.json",
        "person-1",
        "person-2",
    }
    assert json.loads(packed.read("person-2/person.json"))["name"] == other.name


def rewritten(path: Path, change: Callable[[str, bytes], bytes | None], more: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path) as packed:
        files = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            if (changed := change(name, content)) is not None:
                packed.writestr(name, changed)
        for name, content in more.items():
            packed.writestr(name, content)


async def test_an_untouched_file_is_whole(home: Home, furnished: Patient) -> None:
    await exported(home, furnished)
    assert archive.check(home.settings.home / "all.zip").wrong == ()


async def test_a_file_that_was_changed_taken_out_or_added_shows(home: Home, furnished: Patient) -> None:
    path = home.settings.home / "all.zip"
    changes = {
        "readings.csv": lambda name, content: (
            content.replace(b"119", b"118") if name == "readings.csv" else content
        ),
        "devices.jsonl": lambda name, content: None if name == "devices.jsonl" else content,
        "grants.jsonl": lambda name, content: content + b" " if name == "grants.jsonl" else content,
    }
    for name, change in changes.items():
        await exported(home, furnished)
        rewritten(path, change, {})
        assert archive.check(path).wrong == (name,)
    await exported(home, furnished)
    rewritten(path, lambda _, content: content, {"more.txt": b"x"})
    assert archive.check(path).wrong == ("more.txt",)


async def test_damaged_bytes_show_wherever_they_are(home: Home, furnished: Patient) -> None:
    """A date of the zip's own may be another afterwards; what is in the files may not."""
    path = home.settings.home / "all.zip"
    packed = await exported(home, furnished)
    before = {name: packed.read(name) for name in packed.namelist()}
    content = path.read_bytes()
    seen = 0
    for place in range(100, len(content), len(content) // 60):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            whole = not archive.check(path).wrong
        except archive.NotAnArchive:
            whole = False
        seen += not whole
        if whole:
            with zipfile.ZipFile(path) as damaged:
                assert {name: damaged.read(name) for name in damaged.namelist()} == before
    assert seen > 30


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(archive.NotAnArchive):
        archive.check(path)


async def test_a_cut_file_is_told(home: Home, furnished: Patient) -> None:
    path = home.settings.home / "all.zip"
    await exported(home, furnished)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(archive.NotAnArchive):
        archive.check(path)


async def test_an_export_that_fails_leaves_no_file(home: Home, furnished: Patient) -> None:
    path = home.settings.home / "all.zip"
    nobody = replace(furnished, patient_id=1 << 40)  # no such number can be asked for
    with pytest.raises(PasserelleError):
        await archive.write(home, [furnished, nobody], path)
    assert [entry.name for entry in home.settings.home.iterdir()] == []


async def test_what_is_stored_meanwhile_is_in_none_of_the_files(
    home: Home, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = await new_device(home.database, patient)
    await store(home.database, device, [glucose(1)])
    plain = archive.archive_files.everything.rows

    def rows(*arguments: Any) -> Any:
        return _stored_first(home, device, plain(*arguments))

    monkeypatch.setattr(archive.archive_files.everything, "rows", rows)
    packed = await exported(home, patient)
    assert len(lines(packed, "raw/measurements.jsonl")) == 1


async def _stored_first(home: Home, device: Any, stream: Any) -> Any:
    await store(home.database, device, [glucose(1), glucose(2)], segment([glucose(1), glucose(2)]))
    async for row in stream:
        yield row


async def test_years_need_no_more_memory_than_days(home: Home, patient: Patient) -> None:
    """Thirty thousand readings are read five thousand at a time; in one piece they take some 100 MB."""
    device = await new_device(home.database, patient)
    await sensor_readings(home, device, 0, 6_000)
    await exported(home, patient)  # what is loaded once is loaded
    await sensor_readings(home, device, 6_000, 30_000)
    before = _peak()
    packed = await exported(home, patient)
    assert _peak() - before < 30_000
    assert packed.getinfo("observations.fhir.json").file_size > 19_000_000


async def sensor_readings(home: Home, device: StoredDevice, begin: int, end: int) -> None:
    like = glucose(0, kind=Kind.INTERSTITIAL_GLUCOSE, raw=b"119")
    times = [START + timedelta(minutes=5 * number) for number in range(begin, end)]
    batch = [replace(like, identity=RecordIdentity(at, 0)) for at in times]
    async with home.database.writer() as conn, readings.writing(conn, device) as writing:
        await writing.store(batch, [*writing.history, segment(batch)])


def _peak() -> int:
    """The most memory this process ever held, in KiB (macOS tells bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak

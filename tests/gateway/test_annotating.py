"""What is said of a reading is kept with who and when, changes what follows, and can be taken back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from gateway import annotating
from gateway.annotating import Listed, NoSuchReading, SamePerson, UnusableNote
from gateway.home import Home
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from storage import annotations as remarks
from storage import daily_summary, devices, erasure, moving, outbox, patients, readings, shares
from storage.annotations import ReadingKey
from storage.database import Database
from storage.errors import UnknownPatient
from storage.patients import Patient
from storage.shares import NewShare
from tests.storage.samples import START, glucose, meal, new_device, segment, store


@pytest.fixture
def home(database: Database, tmp_path: Path) -> Home:
    return Home(Settings(home=tmp_path), database, HomeSecret(bytes(32)))


@pytest.fixture
async def other(database: Database) -> Patient:
    async with database.writer() as conn:
        return await patients.add(conn, f"other-{uuid4()}", "Europe/Paris")


async def with_readings(home: Home, patient: Patient, count: int = 3) -> Listed:
    device = await new_device(home.database, patient)
    batch = [glucose(number, str(100 + number), context=meal(1)) for number in range(count)]
    await store(home.database, device, batch, segment(batch, -3600))
    return await annotating.listed(home, patient.name)


async def counted(home: Home, patient: Patient) -> int:
    """How many readings the day's summary counts."""
    async with home.database.writer() as conn:
        days = await daily_summary.days(conn, patient.patient_id, date(2026, 1, 1), date(2026, 12, 31))
    return sum(day.readings for day in days)


async def shown(home: Home, patient: Patient) -> list[str]:
    """The values that are shown and shared."""
    async with home.database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    return [str(int(value)) for value in series.values()]


async def entries(home: Home, patient: Patient) -> list[outbox.Change]:
    async with home.database.writer() as conn:
        return [entry.change for entry in await outbox.entries_after(conn, patient.patient_id, 0)]


async def test_a_list_says_what_there_is_and_how_its_time_is_known(home: Home, patient: Patient) -> None:
    listed = await with_readings(home, patient)
    first = listed.row(0)
    assert first["id"] == listed.ids[0]
    assert (first["time"], first["time_source"]) == ("2026-03-02T08:00:00+01:00", "device")
    assert (first["value"], first["unit"], first["kind"], first["meal"]) == (
        "100",
        "mg/dL",
        "blood-glucose",
        "before-meal",
    )


async def test_a_note_is_kept_with_who_wrote_it_and_replaces_the_one_before(
    home: Home, patient: Patient
) -> None:
    listed = await with_readings(home, patient)
    for text in ("before", "after a run", "after a run"):
        await annotating.note(home, listed.ids[1], text)
    again = await annotating.listed(home, patient.name)
    assert [again.row(row)["note"] for row in range(3)] == [None, "after a run", None]
    async with home.database.writer() as conn:
        key = ReadingKey(START + timedelta(minutes=5), 1, 1)
        said = await remarks.of_reading(conn, patient.patient_id, key)
    assert [(each.value, each.withdrawn_at is None) for each in said] == [
        ("before", False),
        ("after a run", True),
    ]
    assert {each.author for each in said} == {annotating.author()}


async def test_what_is_excluded_leaves_the_day_is_told_and_comes_back(home: Home, patient: Patient) -> None:
    listed = await with_readings(home, patient)
    for _ in range(2):
        await annotating.exclude(home, listed.ids[0], "dirty fingers")
    assert (await counted(home, patient), len(await shown(home, patient))) == (2, 3)
    row = (await annotating.listed(home, patient.name)).row(0)
    assert (row["excluded"], row["reason"]) == (True, "dirty fingers")
    assert await annotating.include(home, listed.ids[0]) == 1
    assert await annotating.include(home, listed.ids[0]) == 0
    assert await counted(home, patient) == 3
    assert await entries(home, patient) == [outbox.Change.CREATED, *[outbox.Change.ANNOTATED] * 2]


async def test_what_is_not_mine_is_shown_no_more_and_stays_in_the_list(home: Home, patient: Patient) -> None:
    listed = await with_readings(home, patient)
    await annotating.not_mine(home, listed.ids[2])
    assert (await counted(home, patient), await shown(home, patient)) == (2, ["100", "101"])
    assert (await annotating.listed(home, patient.name)).row(2)["not_mine"] is True
    await annotating.include(home, listed.ids[2])
    assert await shown(home, patient) == ["100", "101", "102"]


async def test_a_live_share_is_sealed_again(home: Home, patient: Patient) -> None:
    listed = await with_readings(home, patient)
    async with home.database.writer() as conn:
        new = NewShare(uuid4(), uuid4().bytes, b"sealed", "http://shelf", live=True)
        share = await shares.create(conn, patient.patient_id, new, START)
        await shares.uploaded(conn, share, None, START)
    await annotating.exclude(home, listed.ids[0], None)
    async with home.database.writer() as conn:
        assert (await shares.find(conn, share.share_id)).stale


async def test_a_reading_is_moved_to_whom_it_belongs_at_the_time_it_had(
    home: Home, patient: Patient, other: Patient
) -> None:
    listed = await with_readings(home, patient)
    for _ in range(2):
        await annotating.move(home, listed.ids[1], other.name)
    assert (await shown(home, patient), await counted(home, patient)) == (["100", "102"], 2)
    assert (await shown(home, other), await counted(home, other)) == (["101"], 1)
    there = (await annotating.listed(home, other.name)).row(0)
    here = (await annotating.listed(home, patient.name)).row(1)
    assert here["moved_to"] == other.name
    same = ("time", "time_source", "value", "unit", "kind", "meal", "recorded_at", "sequence")
    assert [there[name] for name in same] == [here[name] for name in same]
    assert await entries(home, other) == [outbox.Change.CREATED]
    async with home.database.writer() as conn:
        assert await devices.of_patient(conn, other.patient_id) == ()  # the meter keeps its keeper


async def test_a_move_that_was_killed_after_its_first_half_is_completed_later(
    home: Home, patient: Patient, other: Patient
) -> None:
    await with_readings(home, patient)
    async with home.database.writer() as conn:
        await moving.give(conn, patient.patient_id, ReadingKey(START, 0, 1), other, "me")
    assert (await shown(home, patient), await shown(home, other)) == (["101", "102"], [])
    await annotating.job(home).work()
    assert await shown(home, other) == ["100"]
    assert await annotating.complete_moves(home, patient.patient_id) == 0


async def test_a_reading_goes_from_hand_to_hand_and_back(
    home: Home, patient: Patient, other: Patient
) -> None:
    await with_readings(home, patient, 1)
    async with home.database.writer() as conn:
        third = await patients.add(conn, f"third-{uuid4()}", "Europe/Paris")
    people = (patient, other, third)
    for giver, taker in ((0, 1), (1, 2), (2, 1), (1, 0), (0, 2)):
        listed = await annotating.listed(home, people[giver].name)
        await annotating.move(home, listed.ids[0], people[taker].name)
        await annotating.job(home).work()
        has = [await shown(home, person) for person in people]
        assert has == [["100"] if number == taker else [] for number in range(3)]


async def test_nobody_moves_to_themselves_or_to_nobody(home: Home, patient: Patient) -> None:
    listed = await with_readings(home, patient)
    with pytest.raises(SamePerson):
        await annotating.move(home, listed.ids[0], patient.name)
    with pytest.raises(UnknownPatient):
        await annotating.move(home, listed.ids[0], f"nobody-{uuid4()}")


@pytest.mark.parametrize("reading", ["", "x", "0" * 32, "f" * 32, "'; DROP TABLE passerelle.reading; --"])
async def test_an_id_that_is_none_changes_nothing(home: Home, reading: str) -> None:
    for say in (annotating.not_mine, annotating.include):
        with pytest.raises(NoSuchReading):
            await say(home, reading)
    with pytest.raises(NoSuchReading):
        await annotating.note(home, reading, "text")


async def test_the_id_of_an_erased_reading_is_none(home: Home, patient: Patient) -> None:
    listed = await with_readings(home, patient)
    async with home.database.writer() as conn:
        await erasure.erase_records(conn, patient.patient_id, [ReadingKey(START, 0, 1)])
    with pytest.raises(NoSuchReading):
        await annotating.include(home, listed.ids[0])
    with pytest.raises(NoSuchReading):
        await annotating.exclude(home, listed.ids[0], None)


@pytest.mark.parametrize("text", ["", "   ", "a\x1b[2J", "\x00", "x" * 2001])
async def test_a_note_that_cannot_be_shown_is_refused(home: Home, patient: Patient, text: str) -> None:
    listed = await with_readings(home, patient)
    with pytest.raises(UnusableNote):
        await annotating.note(home, listed.ids[0], text)


@pytest.mark.parametrize("text", ["'; DROP TABLE passerelle.reading; --", "100% {x} %(y)s", "é 🩸 日本"])
async def test_a_note_is_what_was_written(home: Home, patient: Patient, text: str) -> None:
    listed = await with_readings(home, patient)
    await annotating.note(home, listed.ids[0], text)
    assert (await annotating.listed(home, patient.name)).row(0)["note"] == text


async def test_days_are_the_persons_own(home: Home, patient: Patient) -> None:
    await with_readings(home, patient, 200)  # from 8:00 on the 2nd until past midnight
    second = await annotating.listed(home, patient.name, None, (date(2026, 3, 2), date(2026, 3, 2)))
    last = await annotating.listed(home, patient.name, 1)
    assert (len(second.series), len(last.series)) == (192, 8)
    assert datetime.fromisoformat(last.row(0)["time"]).astimezone(UTC).hour == 23

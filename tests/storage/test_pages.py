"""Pages under a grant: each reading once, in order, and nothing that the grant does not let through."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device_profiles.reading import UNKNOWN_DATE, UNKNOWN_TIME, ClockSegment, Kind, Reading, TimeSource
from storage import annotations, grants, pages, patients, readings
from storage.annotations import AnnotationKind, ReadingKey
from storage.columns import microseconds
from storage.connection import Connection
from storage.database import Database
from storage.grants import Grant
from storage.pages import GrantReader, Place, Wanted
from storage.patients import Patient
from tests.storage.samples import START, glucose, meal, new_device, segment, store

FOREVER = datetime(2100, 1, 1, tzinfo=UTC)


async def granted(database: Database, patient: Patient, **terms: object) -> bytes:
    """The token of a new grant."""
    token = sha256(uuid4().bytes).digest()
    whole: dict[str, object] = {"kinds": None, "period_start": None, "period_end": None}
    grant = Grant(
        patient.patient_id, uuid4(), "clinic", None, "care", made_at=START, ends_at=FOREVER, **whole | terms
    )  # type: ignore[arg-type]
    async with database.writer() as conn:
        await grants.create(conn, grant)
        await grants.add_token(conn, token, patient.patient_id, START, FOREVER, grant.grant_id)
    return token


async def reader(database: Database, token: bytes) -> GrantReader:
    async with database.reader() as conn:
        found = await pages.reader_of(conn, token)
    assert found is not None
    return found


async def walked(
    database: Database, token: bytes, wanted: Wanted, count: int
) -> list[tuple[int, int, int, int, int]]:
    """The keys of all pages, one after the other."""
    who = await reader(database, token)
    found: list[tuple[int, int, int, int, int]] = []
    after: Place | None = None
    while True:
        async with database.reader() as conn:
            page = await pages.page(conn, who, wanted, count, after)
        one = page.series
        found += zip(
            one.effective_time.tolist(),
            one.recorded_at.tolist(),
            one.sequence.tolist(),
            one.device_id.tolist(),
            one.ordinal.tolist(),
            strict=True,
        )
        assert len(one) <= count
        after = page.after
        if after is None:
            return found


def micros(moment: datetime) -> int:
    return int(microseconds((moment,))[0])


@st.composite
def histories(draw: st.DrawFn) -> list[list[tuple[list[Reading], ClockSegment]]]:
    """Devices, each with stretches of records that one shift places; times of stretches and devices meet."""
    devices = []
    for _ in range(draw(st.integers(1, 3))):
        stretches, sequence, minute = [], 0, 0
        for _ in range(draw(st.integers(1, 4))):
            batch = []
            for _ in range(draw(st.integers(1, 6))):
                minute += draw(st.sampled_from([0, 5, 5, 10]))
                kind = draw(st.sampled_from([Kind.BLOOD_GLUCOSE, Kind.KETONE]))
                batch.append(glucose(sequence, at=START + timedelta(minutes=minute), kind=kind))
                sequence += 1
            shift = draw(st.sampled_from([0, 300, -600, -1200, None]))
            stretches.append((batch, segment(batch, shift)))
            minute += 5
        devices.append(stretches)
    return devices


bounds = st.none() | st.integers(-30, 90).map(lambda minutes: START + timedelta(minutes=minutes))


@given(
    history=histories(),
    count=st.integers(1, 7),
    backwards=st.booleans(),
    kinds=st.sampled_from([None, (Kind.KETONE,)]),
    period=st.tuples(bounds, bounds),
    asked=st.tuples(bounds, bounds),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_pages_one_after_the_other_are_what_the_grant_lets_through(
    database: Database,
    history: list[list[tuple[list[Reading], ClockSegment]]],
    count: int,
    backwards: bool,
    kinds: tuple[Kind, ...] | None,
    period: tuple[datetime | None, datetime | None],
    asked: tuple[datetime | None, datetime | None],
) -> None:
    async with database.writer() as conn:
        patient = await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")
    for stretches in history:
        device = await new_device(database, patient)
        batch = [reading for part, _ in stretches for reading in part]
        await store(database, device, batch, *(placed for _, placed in stretches))
    token = await granted(database, patient, kinds=kinds, period_start=period[0], period_end=period[1])
    periods = (
        None if asked == (None, None) else (tuple(None if one is None else micros(one) for one in asked),)
    )
    found = await walked(database, token, Wanted(periods=periods, backwards=backwards), count)  # type: ignore[arg-type]

    async with database.writer() as conn:
        all_of_them = await readings.series(conn, patient.patient_id)
    expected = [
        (at, *key)
        for at, kind, *key in zip(
            all_of_them.effective_time.tolist(),
            all_of_them.kind.tolist(),
            all_of_them.recorded_at.tolist(),
            all_of_them.sequence.tolist(),
            all_of_them.device_id.tolist(),
            all_of_them.ordinal.tolist(),
            strict=True,
        )
        if (kinds is None or kind in kinds) and inside(at, period) and inside(at, asked)
    ]
    timed = sorted((row for row in expected if row[0] != UNKNOWN_TIME), reverse=backwards)
    assert found == timed + sorted(row for row in expected if row[0] == UNKNOWN_TIME)


def inside(at: int, period: tuple[datetime | None, datetime | None]) -> bool:
    start, end = period
    if start is None and end is None:
        return True
    if at == UNKNOWN_TIME:
        return False
    return (start is None or at >= micros(start)) and (end is None or at < micros(end))


async def test_what_is_stored_between_two_pages_neither_repeats_nor_hides_a_reading(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(number) for number in range(20)]
    await store(database, device, batch)
    token = await granted(database, patient)
    who = await reader(database, token)
    async with database.reader() as conn:
        first = await pages.page(conn, who, Wanted(), 8)
    more = [*batch, *(glucose(20 + number) for number in range(5))]
    earlier = [glucose(100 + number, at=START - timedelta(days=1, minutes=number)) for number in range(3)]
    await store(database, device, [*more, *earlier], segment([*more, *earlier]))
    rest: list[int] = []
    after = first.after
    while after is not None:
        async with database.reader() as conn:
            page = await pages.page(conn, who, Wanted(), 8, after)
        rest += page.series.sequence.tolist()
        after = page.after
    assert first.series.sequence.tolist() == list(range(19, 11, -1))
    assert rest == [*range(11, -1, -1), 100, 101, 102]


async def test_a_page_holds_what_lies_beside_its_readings_and_not_another_persons(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    await store(database, device, [glucose(number, context=meal(1)) for number in range(4)])
    token = await granted(database, patient)
    async with database.writer() as conn:
        for number, said in ((1, AnnotationKind.EXCLUDED), (2, AnnotationKind.NOT_MINE)):
            key = ReadingKey(START + timedelta(minutes=5 * number), number, device.device_id)
            await annotations.add(conn, patient.patient_id, key, said, "the patient")
    who = await reader(database, token)
    async with database.reader() as conn:
        page = await pages.page(conn, who, Wanted(backwards=False), 10)
    assert page.series.sequence.tolist() == [0, 1, 3]
    assert page.series.excluded.tolist() == [False, True, False]
    assert len(page.series.contexts) == 3


async def test_a_reading_is_found_by_its_key_within_the_grant_only(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    await store(database, device, [glucose(0), glucose(1, kind=Kind.KETONE)])
    token = await granted(database, patient, kinds=(Kind.KETONE,))
    who = await reader(database, token)
    keys = [Place(0, micros(START) + 300_000_000 * number, number, device.device_id, 0) for number in (0, 1)]
    async with database.reader() as conn:
        found = await pages.of_keys(conn, who, keys, Wanted(), 10)
        other = await pages.of_keys(
            conn, who, [keys[1]._replace(device_id=device.device_id + 1)], Wanted(), 10
        )
    assert found.series.kind.tolist() == [Kind.KETONE]
    assert len(other.series) == 0


async def test_the_readings_of_some_keys_come_in_pages_too(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    await store(database, device, [glucose(number) for number in range(5)])
    who = await reader(database, await granted(database, patient))
    keys = [Place(0, micros(START) + 300_000_000 * n, n, device.device_id, 0) for n in (3, 1, 4)]
    found, after = [], None
    for _ in range(2):
        async with database.reader() as conn:
            page = await pages.of_keys(conn, who, keys, Wanted(), 2, after)
        found += page.series.sequence.tolist()
        after = page.after
    assert found == [4, 3, 1]
    assert after is None


async def test_a_narrowed_grant_tells_of_the_devices_only_that_have_a_reading_in_it(
    database: Database, patient: Patient
) -> None:
    meter, other, silent = [await new_device(database, patient) for _ in range(3)]
    await store(database, meter, [glucose(0)])
    await store(database, other, [glucose(0, kind=Kind.KETONE, at=START + timedelta(days=400))])
    undated = [glucose(7, kind=Kind.KETONE, at=UNKNOWN_DATE)]
    await store(database, silent, undated, replace(segment(undated, None), source=TimeSource.UNKNOWN))
    for terms, expected in (
        ({}, {meter, other, silent}),
        ({"kinds": (Kind.KETONE,)}, {other, silent}),
        ({"period_end": START + timedelta(days=1)}, {meter}),
        ({"period_start": START + timedelta(days=1)}, {other}),
        ({"kinds": (Kind.BODY_WEIGHT,)}, set()),
    ):
        who = await reader(database, await granted(database, patient, **terms))
        assert set(who.devices) == {device.device_id for device in expected}


async def test_a_session_of_the_person_is_no_grant(database: Database, patient: Patient) -> None:
    token = sha256(uuid4().bytes).digest()
    async with database.writer() as conn:
        await grants.add_token(conn, token, patient.patient_id, START, FOREVER)
    async with database.reader() as conn:
        assert await pages.reader_of(conn, token) is None
        assert await pages.reader_of(conn, b"nothing") is None


@pytest.mark.parametrize("backwards", [True, False])
async def test_a_page_of_a_kind_passes_devices_that_never_measured_it(
    database: Database, patient: Patient, backwards: bool
) -> None:
    sensor, meter = await new_device(database, patient), await new_device(database, patient)
    await store(database, sensor, [glucose(number, kind=Kind.INTERSTITIAL_GLUCOSE) for number in range(200)])
    await store(database, meter, [glucose(number) for number in range(3)])
    who = await reader(database, await granted(database, patient))
    wanted = Wanted(kinds=(Kind.BLOOD_GLUCOSE,), backwards=backwards)
    async with database.reader() as conn:
        page = await pages.page(conn, who, wanted, 10)
    assert sorted(page.series.sequence.tolist()) == [0, 1, 2]
    assert page.after is None


@pytest.mark.embedded
async def test_a_page_reads_about_as_many_rows_as_it_holds_however_long_the_history(
    database: Database, patient: Patient
) -> None:
    """The role's functions hide their plans, so what they fetched is counted instead."""
    sensor, meter = await new_device(database, patient), await new_device(database, patient)
    history = [
        glucose(number, at=START + timedelta(hours=number), kind=Kind.INTERSTITIAL_GLUCOSE)
        for number in range(4000)
    ]
    await store(database, sensor, history, segment(history[:2000]), segment(history[2000:], -3600))
    await store(
        database, meter, [glucose(number, at=START + timedelta(days=number)) for number in range(160)]
    )
    token = await granted(database, patient, period_end=START + timedelta(days=150))
    middle = START + timedelta(days=90)
    for kinds, devices, until, backwards, most in (
        (None, None, None, True, 110),
        (None, None, None, False, 110),
        (None, None, middle, True, 110),
        ([int(Kind.BLOOD_GLUCOSE)], None, None, True, 60),
        (None, [meter.device_id], middle, True, 60),
        ([int(Kind.BODY_WEIGHT)], None, None, True, 0),
    ):
        async with database.owner() as conn:
            before = await fetched(conn)
            query = """SELECT * FROM passerelle.page_by_token(%s, %s::int2[], NULL, %s::int2[], '-infinity',
                %s, NULL, NULL, NULL, NULL, NULL, 50, %s)"""
            values = (token, kinds, devices, until or "infinity", backwards)
            found = await (await conn.execute(query, values)).fetchall()
            read = await fetched(conn) - before
        assert bool(found) == bool(most)
        assert sum(len(row[5]) for row in found) <= read <= most


async def fetched(conn: Connection) -> int:
    """How many rows of readings this transaction has fetched, by index or without one."""
    query = """SELECT coalesce(sum(coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0)), 0)
        FROM pg_stat_xact_user_tables WHERE schemaname = 'passerelle' AND relname LIKE 'reading\\_2%%'"""
    row = await (await conn.execute(query, ())).fetchone()
    assert row is not None
    return int(row[0])

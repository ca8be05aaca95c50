"""Readings as columns: placed in time, bounded, in order, without what is not the person's."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device_profiles.reading import (
    UNKNOWN_TIME,
    Absent,
    ClockSegment,
    Kind,
    Reading,
    TimeSource,
)
from storage import annotations, daily_summary, patients, readings
from storage.annotations import AnnotationKind, ReadingKey
from storage.database import Database
from storage.errors import UnknownPatient, UnknownReading
from storage.patients import Patient
from tests import servers
from tests.storage.samples import START, count, glucose, meal, new_device, segment, store


def key_of(reading: Reading, device_id: int, ordinal: int = 0) -> ReadingKey:
    return ReadingKey(reading.identity.recorded_at, reading.identity.sequence, device_id, ordinal)


async def test_segments_shift_readings_and_bounds_are_of_effective_time(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(10)]
    wrong = timedelta(days=400)
    early = ClockSegment(
        0, 4, START, START + timedelta(hours=1), int(wrong.total_seconds()), 60, TimeSource.DEVICE_CORRECTED
    )
    late = ClockSegment(5, 9, START, START + timedelta(hours=1), 60, 60, TimeSource.DEVICE)
    await store(database, device, batch, early, late)
    async with database.writer() as conn:
        moved = await readings.series(
            conn, patient.patient_id, start=START + wrong, end=START + wrong + timedelta(minutes=10)
        )
        rest = await readings.series(conn, patient.patient_id, end=START + timedelta(days=1))
        everything = await readings.series(conn, patient.patient_id)
    assert moved.sequence.tolist() == [0, 1]
    assert set(moved.time_source.tolist()) == {TimeSource.DEVICE_CORRECTED}
    assert rest.sequence.tolist() == [5, 6, 7, 8, 9]
    assert everything.sequence.tolist() == [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]
    assert np.all(np.diff(everything.effective_time) > 0)


async def test_readings_that_no_segment_places_come_first_and_only_without_bounds(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(4)]
    await store(database, device, batch, segment(batch[2:]))
    async with database.writer() as conn:
        everything = await readings.series(conn, patient.patient_id)
        bounded = await readings.series(conn, patient.patient_id, start=datetime(1, 1, 1, tzinfo=UTC))
    assert everything.sequence.tolist() == [0, 1, 2, 3]
    assert (everything.effective_time == UNKNOWN_TIME).tolist() == [True, True, False, False]
    assert everything.time_source[0] == TimeSource.UNKNOWN
    assert bounded.sequence.tolist() == [2, 3]


async def test_kinds_and_limit_choose(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    kinds = [Kind.BLOOD_GLUCOSE, Kind.INTERSTITIAL_GLUCOSE, Kind.KETONE]
    batch = [glucose(sequence, kind=kinds[sequence % 3], context=meal(1)) for sequence in range(9)]
    await store(database, device, batch)
    async with database.writer() as conn:
        sensor = await readings.series(conn, patient.patient_id, kinds=[Kind.INTERSTITIAL_GLUCOSE])
        newest = await readings.series(conn, patient.patient_id, limit=2)
        last = await readings.last_effective_time(conn, patient.patient_id, [Kind.BLOOD_GLUCOSE])
        never = await readings.last_effective_time(conn, patient.patient_id, [Kind.BODY_WEIGHT])
    assert sensor.sequence.tolist() == [1, 4, 7]
    assert sensor.contexts == {0: meal(1), 1: meal(1), 2: meal(1)}
    assert newest.sequence.tolist() == [7, 8]
    assert last == batch[6].identity.recorded_at
    assert never is None


async def test_the_last_time_is_the_last_in_effective_time(database: Database, patient: Patient) -> None:
    fast, slow = await new_device(database, patient), await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(5)]
    await store(database, fast, batch, segment(batch, 7200))
    await store(database, slow, batch, segment(batch, 0))
    async with database.writer() as conn:
        assert await readings.last_effective_time(conn, patient.patient_id) == batch[
            -1
        ].identity.recorded_at + timedelta(hours=2)


async def test_a_patient_without_readings_has_an_empty_series(database: Database, patient: Patient) -> None:
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id, start=START)
        assert await readings.last_effective_time(conn, patient.patient_id) is None
        with pytest.raises(UnknownPatient):
            await readings.series(conn, 1 << 30)
    assert len(series) == 0
    assert series.patient_uuid == patient.uuid


async def test_excluded_readings_are_marked_and_others_people_s_are_not_there(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(5)]
    await store(database, device, batch)
    async with database.writer() as conn:
        said = [
            await annotations.add(
                conn, patient.patient_id, key_of(batch[row], device.device_id), kind, "the patient", value
            )
            for row, kind, value in (
                (0, AnnotationKind.NOTE, "after cake"),
                (1, AnnotationKind.EXCLUDED, None),
                (2, AnnotationKind.NOT_MINE, None),
                (3, AnnotationKind.MOVED_TO, str(patient.uuid)),
            )
        ]
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
        (day,) = await daily_summary.days(conn, patient.patient_id, date(2026, 3, 2), date(2026, 3, 2))
    assert series.sequence.tolist() == [0, 1, 4]
    assert series.excluded.tolist() == [False, True, False]
    assert series.notes == {0: "after cake"}
    assert day.readings == 2
    async with database.writer() as conn:
        for annotation in said[1:]:
            await annotations.withdraw(conn, patient.patient_id, annotation)
        kept = await annotations.of_reading(conn, patient.patient_id, said[2].key)
        (day,) = await daily_summary.days(conn, patient.patient_id, date(2026, 3, 2), date(2026, 3, 2))
    assert day.readings == 5
    assert kept[0].withdrawn_at is not None


async def test_nothing_can_be_said_of_a_reading_that_is_not_there(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    async with database.writer() as conn:
        with pytest.raises(UnknownReading):
            await annotations.add(
                conn, patient.patient_id, key_of(glucose(1), device.device_id), AnnotationKind.NOTE, "x"
            )


async def test_the_day_is_the_person_s_own(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    midnight = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)  # 0:00 in Paris, on the day the clocks go forward
    times = [
        midnight - timedelta(minutes=1),
        midnight,
        midnight + timedelta(hours=22, minutes=59),
        midnight + timedelta(hours=23),
    ]
    batch = [glucose(number, str(60 + number), at=time) for number, time in enumerate(times)]
    await store(database, device, batch)
    async with database.writer() as conn:
        days = await daily_summary.days(conn, patient.patient_id, date(2026, 3, 1), date(2026, 3, 31))
    assert [(day.day.day, day.readings) for day in days] == [(28, 1), (29, 2), (30, 1)]


async def test_a_summary_counts_by_the_unit_written(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    values = ["53", "54", "69", "70", "180", "181", "250", "251"]
    batch = [glucose(number, value) for number, value in enumerate(values)]
    molar = ["2.9", "3.0", "3.8", "3.9", "10.0", "10.1", "13.9", "14.0"]
    batch += [glucose(20 + number, value, unit="mmol/L") for number, value in enumerate(molar)]
    batch += [glucose(40, absent=Absent.BELOW_RANGE), glucose(41, absent=Absent.ABOVE_RANGE)]
    batch += [glucose(42, absent=Absent.NOT_A_NUMBER), glucose(43, "40", kind=Kind.CONTROL_SOLUTION)]
    await store(database, device, batch)
    async with database.writer() as conn:
        mass, molar_day, control = await daily_summary.days(
            conn, patient.patient_id, date(2026, 3, 2), date(2026, 3, 2)
        )
    assert (mass.very_low, mass.low, mass.target, mass.high, mass.very_high) == (2, 2, 2, 2, 2)
    assert (mass.below_range, mass.above_range, mass.readings, mass.numbers) == (1, 1, 11, 8)
    assert (mass.lowest, mass.highest, mass.total) == (53, 251, 1108)
    assert (molar_day.very_low, molar_day.low, molar_day.target, molar_day.high, molar_day.very_high) == (
        1,
        2,
        2,
        2,
        1,
    )
    assert (control.kind, control.very_low, control.readings) == (Kind.CONTROL_SOLUTION, 0, 1)


async def test_a_better_clock_moves_readings_to_other_days(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(150)]
    await store(database, device, batch)
    await store(database, device, batch[-1:], segment(batch, 5 * 86_400))
    async with database.writer() as conn:
        days = await daily_summary.days(conn, patient.patient_id, date(2026, 1, 1), date(2026, 12, 31))
    assert [(day.day, day.readings) for day in days] == [(date(2026, 3, 7), 150)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.lists(
                st.tuples(st.integers(0, 40), st.sampled_from(["100", "101", "5.50"]), st.booleans()),
                max_size=30,
            ),
            st.sampled_from([-7200, 0, 3600]),
        ),
        max_size=4,
    )
)
def test_any_history_of_batches_ends_as_a_plain_model_says(
    database_home: object, histories: list[tuple[list[tuple[int, str, bool]], int]]
) -> None:
    asyncio.run(play(database_home, histories))


async def play(home: object, histories: list[tuple[list[tuple[int, str, bool]], int]]) -> None:
    async with servers.opened(home) as database:  # type: ignore[arg-type]
        async with database.writer() as conn:
            patient = await patients.add(
                conn, f"model {np.random.default_rng().integers(1 << 60)}", "Europe/Paris"
            )
        device = await new_device(database, patient)
        model: dict[int, list[str]] = {}
        with_context: set[tuple[int, str]] = set()
        for records, shift in histories:
            batch = [
                glucose(number, value, context=meal(1) if told else None) for number, value, told in records
            ]
            everything = [glucose(number) for number in {*model, *(number for number, _, _ in records)}]
            placed = [segment(everything, shift)] if everything else []
            async with database.writer() as conn, readings.writing(conn, device) as writing:
                outcome = await writing.store(batch, placed)
            new = 0
            for number, value, told in records:
                if value not in model.setdefault(number, []):
                    model[number].append(value)
                    new += 1
                if told:
                    with_context.add((number, value))
            assert (outcome.stored, outcome.known) == (new, len(records) - new)
        async with database.writer() as conn:
            series = await readings.series(conn, patient.patient_id)
            days = await daily_summary.days(conn, patient.patient_id, date(2026, 1, 1), date(2026, 12, 31))
        found: dict[int, list[str]] = {}
        rows = np.lexsort((series.ordinal, series.sequence)).tolist()
        for row in rows:
            value = Decimal(int(series.mantissa[row])).scaleb(int(series.exponent[row]))
            found.setdefault(int(series.sequence[row]), []).append(str(value))
            assert (row in series.contexts) == ((int(series.sequence[row]), str(value)) in with_context)
        assert found == model
        assert sum(day.readings for day in days) == len(series) == await count(database, "reading", patient)

"""What the store promises of columns whose keys were given by whoever had the records first."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from device_profiles.reading import Kind, Measurand, Quantity
from storage import daily_summary, devices, erasure, outbox, readings
from storage.annotations import ReadingKey
from storage.clock_segments import superseded
from storage.columns import Columns
from storage.contexts import Beside
from storage.database import Database
from storage.devices import StoredDevice
from storage.errors import ValueNotStorable
from storage.patients import Patient
from storage.readings import Stored, StoredColumns
from tests.storage.samples import columns_of, count, glucose, meal, new_device, segment, store

BATCH = [glucose(sequence, str(60 + sequence % 200)) for sequence in range(300)]


async def fed(
    database: Database, device: StoredDevice, columns: Columns, beside: Beside | None = None
) -> StoredColumns:
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        return await writing.store_columns(columns, [segment(BATCH)], beside=beside)


@pytest.mark.parametrize("size", [1, 99, 100, 300])
async def test_columns_are_stored_once(database: Database, patient: Patient, size: int) -> None:
    device = await new_device(database, patient)
    columns = columns_of(BATCH[:size])
    first, again = await fed(database, device, columns), await fed(database, device, columns)
    assert (first.told, first.new.tolist()) == (Stored(size, 0), list(range(size)))
    assert (again.told, again.new.tolist()) == (Stored(0, size), [])
    assert await count(database, "reading", patient) == size


async def test_columns_store_what_readings_store(database: Database, patient: Patient) -> None:
    one, two = [await new_device(database, patient) for _ in range(2)]
    await store(database, one, BATCH, segment(BATCH))
    await fed(database, two, columns_of(BATCH))
    async with database.writer() as conn:
        days = await daily_summary.days(conn, patient.patient_id, date(2026, 1, 1), date(2026, 12, 31))
        series = await readings.series(conn, patient.patient_id)
    of_one = [day for day in days if day.device_id == one.device_id]
    assert [replace(day, device_id=one.device_id) for day in days if day not in of_one] == of_one
    for column in (series.effective_time, series.mantissa, series.kind, series.flags, series.sample):
        assert np.array_equal(column[series.device_id == 1], column[series.device_id == 2])


async def test_a_given_key_that_is_there_is_known_whatever_its_measurement(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    await fed(database, device, columns_of(BATCH))
    other = columns_of([glucose(sequence, "401") for sequence in range(3)])
    assert (await fed(database, device, other)).told == Stored(0, 3)
    second = await fed(database, device, other.under(np.array([0, 2, 1], np.int16)))
    assert (second.told, second.new.tolist()) == (Stored(2, 1, conflicts=2), [1, 2])
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    found = zip(series.sequence.tolist(), series.ordinal.tolist(), series.mantissa.tolist(), strict=True)
    assert [each for each in found if each[0] < 3] == [
        (0, 0, 60),
        (1, 0, 61),
        (1, 2, 401),
        (2, 0, 62),
        (2, 1, 401),
    ]


async def test_a_given_key_twice_in_one_batch_is_stored_once(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    columns = columns_of([glucose(1, "100"), glucose(2), glucose(1, "200")])
    outcome = await fed(database, device, columns)
    assert (outcome.told, outcome.new.tolist()) == (Stored(2, 1), [0, 1])


async def test_segments_stay_where_none_are_given(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    await fed(database, device, columns_of(BATCH[:10]))
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        await writing.store_columns(columns_of(BATCH[10:20]))
        assert writing.history == (segment(BATCH),)
        assert await superseded(conn, patient.patient_id, device.device_id) == ()
        series = await readings.series(conn, patient.patient_id)
        (day,) = await daily_summary.days(conn, patient.patient_id, date(2026, 3, 2), date(2026, 3, 2))
    assert np.array_equal(series.effective_time, series.recorded_at)
    assert day.readings == 20


async def test_the_cursor_and_the_outbox_are_for_a_device_that_is_read_here(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    await fed(database, device, columns_of(BATCH[:10]))
    async with database.writer() as conn:
        assert (await devices.get(conn, patient.patient_id, device.device_id)).last_sequence is None
        assert await outbox.entries_after(conn, patient.patient_id, 0) == ()
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        await writing.store_columns(columns_of(BATCH[10:20]), moves_cursor=True, tells_spaces=True)
    async with database.writer() as conn:
        assert (await devices.get(conn, patient.patient_id, device.device_id)).last_sequence == 19
        (entry,) = await outbox.entries_after(conn, patient.patient_id, 0)
    assert (entry.change, entry.readings) == (outbox.Change.CREATED, 10)


async def test_contexts_and_further_quantities_come_by_row(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    further = (Quantity(Measurand.DIASTOLIC, Decimal(80), "mm[Hg]"),)
    await fed(database, device, columns_of(BATCH[:3]), Beside({1: meal(2)}, {2: further}))
    late = await fed(database, device, columns_of(BATCH[:3]), Beside({0: meal(3), 1: meal(4)}, {2: further}))
    assert late.told == Stored(0, 3, joined=1)
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    assert series.contexts == {0: meal(3), 1: meal(2)}
    assert series.quantities == {2: further}


async def test_columns_are_packed_from_lists_and_single_numbers(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    times = columns_of(BATCH[:4]).recorded_at
    packed = Columns.pack(
        [b"1", b"22", b"3", b""], recorded_at=times, sequence=range(4), mantissa=[1, 2, 3, 4], exponent=-1,
        kind=Kind.INTERSTITIAL_GLUCOSE, unit=1, absent=0,
    )  # fmt: skip
    assert (await fed(database, device, packed)).told == Stored(4, 0)
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    assert series.values().tolist() == [0.1, 0.2, 0.3, 0.4]
    assert (
        len(Columns.pack([], recorded_at=[], sequence=[], mantissa=[], exponent=0, kind=1, unit=0, absent=0))
        == 0
    )


@pytest.mark.parametrize(
    ("column", "values"),
    [("sequence", [each]) for each in (1 << 31, 1 << 70, 0.5, "1", -(1 << 31) - 1)]
    + [("exponent", [128]), ("unit", [99]), ("ordinal", [-1]), ("recorded_at", [1 << 62])],
)
def test_a_number_that_its_column_cannot_hold_is_not_packed(column: str, values: list[int]) -> None:
    names = ("recorded_at", "sequence", "mantissa", "exponent", "kind", "unit", "absent")
    Columns.pack([b""], **dict.fromkeys(names, 1))
    with pytest.raises(ValueNotStorable):
        Columns.pack([b""], **{**dict.fromkeys(names, 1), column: values})  # type: ignore[arg-type]


async def test_an_erased_record_that_comes_twice_in_a_batch_comes_back_in_no_way(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    await fed(database, device, columns_of(BATCH[:3]))
    key = ReadingKey(BATCH[1].identity.recorded_at, 1, device.device_id)
    async with database.writer() as conn:
        await erasure.erase_records(conn, patient.patient_id, [key])
    twice = columns_of([BATCH[1], BATCH[2], BATCH[1]])
    outcome = await fed(database, device, twice, Beside({0: meal(1), 2: meal(2)}))
    assert (outcome.told, outcome.erased.tolist()) == (Stored(0, 1, erased=2), [0, 2])
    assert await count(database, "reading_context", patient) == 0

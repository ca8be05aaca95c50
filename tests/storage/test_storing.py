"""What the store promises of a batch: once, whole, and in the order of the device's own keys."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from device_profiles.reading import (
    UNKNOWN_DATE,
    Absent,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
    TimeSource,
)
from storage import clock_segments, devices, outbox, readings
from storage.database import Database
from storage.errors import UnknownDevice, ValueNotStorable
from storage.new_rows import NewRows
from storage.patients import Patient
from storage.readings import RefusedFrame, Stored
from tests.storage.samples import START, columns_of, count, glucose, meal, new_device, segment, store


@pytest.mark.parametrize("size", [1, 11, 99, 100, 2500])
async def test_a_record_read_twice_is_stored_once(database: Database, patient: Patient, size: int) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(size)]
    assert await store(database, device, batch) == Stored(size, 0)
    assert await store(database, device, batch) == Stored(0, size)
    assert await count(database, "reading", patient) == size


async def test_a_record_twice_in_one_batch_is_stored_once(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    assert await store(database, device, [glucose(1), glucose(2), glucose(1)]) == Stored(2, 1)


async def test_another_time_zone_stores_nothing_new_and_moves_the_readings(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(11)]
    await store(database, device, batch, segment(batch, -3600))
    assert await store(database, device, batch, segment(batch, 4 * 3600)) == Stored(0, 11)
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
        before = await clock_segments.superseded(conn, patient.patient_id, device.device_id)
    assert series.effective_time[0] == int((START + timedelta(hours=4)).timestamp()) * 1_000_000
    assert [old for old, _ in before] == [segment(batch, -3600)]
    assert await count(database, "reading", patient) == 11


async def test_another_measurement_under_the_same_key_is_kept_under_the_next_ordinal(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    await store(database, device, [glucose(1, "100")])
    assert await store(database, device, [glucose(1, "101")]) == Stored(1, 0, conflicts=1)
    assert await store(database, device, [glucose(1, "102"), glucose(1, "100")]) == Stored(1, 1, conflicts=1)
    assert await store(database, device, [glucose(1, each) for each in ("100", "101", "102")]) == Stored(0, 3)
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    assert sorted(zip(series.ordinal.tolist(), series.mantissa.tolist(), strict=True)) == [
        (0, 100),
        (1, 101),
        (2, 102),
    ]


async def test_a_context_that_comes_late_joins_its_record(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    await store(database, device, [glucose(1), glucose(2, context=meal(1))])
    again = [glucose(1, context=meal(2)), glucose(2, context=meal(1))]
    assert await store(database, device, again) == Stored(0, 2, joined=1)
    assert await store(database, device, again) == Stored(0, 2, joined=0)
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
        entries = await outbox.entries_after(conn, patient.patient_id, 0)
    assert {row: context.meal for row, context in series.contexts.items()} == {0: 2, 1: 1}
    assert [entry.change for entry in entries] == [outbox.Change.CREATED, outbox.Change.JOINED]


async def test_every_field_of_a_context_comes_back(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    context = meal(3)
    full = type(context)(
        raw=b"\xff\x01",
        carbohydrate=2,
        carbohydrate_kg=Decimal("0.045"),
        meal=3,
        tester=1,
        health=5,
        exercise_seconds=65535,
        exercise_intensity_percent=80,
        medication=4,
        medication_value=Decimal("0.000005"),
        medication_unit="kg",
        hba1c_percent=Decimal("6.5"),
    )
    await store(database, device, [glucose(1, context=full)])
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    assert series.contexts == {0: full}


async def test_a_reading_with_several_quantities_comes_back_whole(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    quantities = (
        Quantity(Measurand.SYSTOLIC, Decimal(121), "mm[Hg]"),
        Quantity(Measurand.DIASTOLIC, Decimal("80.5"), "mm[Hg]"),
        Quantity(Measurand.PULSE_RATE, None, "/min", Absent.NOT_A_NUMBER),
    )
    pressure = Reading(Kind.BLOOD_PRESSURE, quantities, None, RecordIdentity(START, 0), b"bp")
    await store(database, device, [pressure])
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    assert series.quantities == {0: quantities[1:]}
    assert (series.mantissa[0], series.exponent[0]) == (121, 0)


async def test_low_and_high_come_back_without_a_value(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    batch = [glucose(1, absent=Absent.BELOW_RANGE), glucose(2, absent=Absent.ABOVE_RANGE), glucose(3, "5.50")]
    await store(database, device, batch)
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    assert series.absent.tolist() == [Absent.BELOW_RANGE, Absent.ABOVE_RANGE, 0]
    assert (series.mantissa[2], series.exponent[2]) == (550, -2)


@pytest.mark.parametrize("year", [1900, 1970, 1999, 2000, 2037, 2099, 2100, 9999])
async def test_odd_dates_are_stored_like_others(database: Database, patient: Patient, year: int) -> None:
    device = await new_device(database, patient)
    batch = [
        glucose(1, at=datetime(year, 1, 1, tzinfo=UTC)),
        glucose(2, at=datetime(year, 12, 31, tzinfo=UTC)),
    ]
    assert await store(database, device, batch) == Stored(2, 0)
    assert await store(database, device, batch) == Stored(0, 2)
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    assert len(series) == 2


async def test_records_without_a_date_are_told_apart_by_their_sequence(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence, at=UNKNOWN_DATE) for sequence in range(5)]
    unknown = segment(batch, None, source=TimeSource.UNKNOWN)
    assert await store(database, device, batch, unknown) == Stored(5, 0)
    async with database.writer() as conn:
        everything = await readings.series(conn, patient.patient_id)
        placed = await readings.series(conn, patient.patient_id, start=START)
    assert everything.sequence.tolist() == [0, 1, 2, 3, 4]
    assert len(placed) == 0
    assert await count(database, "daily_summary", patient) == 0


async def test_a_frame_that_cannot_be_read_is_kept_once(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    frame = RefusedFrame("2A18", b"\x00\x01", "too_short")
    other = RefusedFrame("2A34", b"\x00\x01", "too_short")
    for _ in range(2):
        await store(database, device, [glucose(1)], refused=[frame, frame, other])
    async with database.writer() as conn:
        kept = await readings.refused_frames(conn, device)
    assert sorted(kept, key=lambda each: each.characteristic) == [frame, other]


async def test_the_cursor_and_the_clock_error_move_with_the_batch(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    assert device.last_sequence is None
    batch = [glucose(7), glucose(8)]
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        await writing.store(batch, [segment(batch)], clock_error_seconds=-90)
    async with database.writer() as conn:
        found = await devices.get(conn, patient.patient_id, device.device_id)
    assert (found.last_sequence, found.clock_error_seconds) == (8, -90)
    assert found.last_synced_at is not None
    await store(database, device, [], segment(batch))
    async with database.writer() as conn:
        assert (await devices.get(conn, patient.patient_id, device.device_id)).last_sequence == 8


async def test_a_segment_that_only_reaches_further_leaves_no_trace(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(20)]
    await store(database, device, batch[5:10])
    await store(database, device, batch, segment(batch))
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        assert writing.history == (segment(batch),)
        assert await clock_segments.superseded(conn, patient.patient_id, device.device_id) == ()


async def test_all_records_of_a_device_are_there_for_the_clock(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    batch = [glucose(2, offset_minutes=60), glucose(1), glucose(3, offset_minutes=-90)]
    await store(database, device, batch)
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        records = await writing.records()
    assert records.sequence.tolist() == [1, 2, 3]
    assert records.offset_minutes.tolist() == [records.NO_OFFSET, 60, -90]
    assert records.recorded_at_us[0] == int(batch[1].identity.recorded_at.timestamp()) * 1_000_000


async def test_two_writers_of_one_device_take_turns_and_store_once(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(300)]
    outcomes = await asyncio.gather(*(store(database, device, batch) for _ in range(4)))
    assert sorted(outcome.stored for outcome in outcomes) == [0, 0, 0, 300]
    assert await count(database, "reading", patient) == 300


async def test_writers_of_many_devices_make_one_month_together(database: Database, patient: Patient) -> None:
    owned = [await new_device(database, patient) for _ in range(4)]
    batch = [glucose(number, at=datetime(2051, 5 + number % 3, 1, tzinfo=UTC)) for number in range(6)]
    outcomes = await asyncio.gather(*(store(database, device, batch) for device in owned))
    assert [outcome.stored for outcome in outcomes] == [6, 6, 6, 6]


async def test_a_key_that_another_writer_slipped_in_is_passed_over(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(200)]
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        await conn.execute("SAVEPOINT before_copy")
        # As if someone stored without the lock, after this writer looked.
        async with database.owner() as other:
            await other.execute(
                "INSERT INTO passerelle.reading SELECT %s, %s, 7, 1, 0, %s, 0, 1, 0, 0, 0, -1, -32768, 'x'",
                (batch[7].identity.recorded_at, patient.patient_id, device.device_id),
            )
        rows = NewRows(conn, writing._key, 200, lambda: iter([columns_of(batch)]), len)
        stored, _ = await rows.write()
    assert stored == 199


async def test_a_number_beyond_the_columns_stores_nothing(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    with pytest.raises(ValueNotStorable):
        await store(
            database, device, [*(glucose(sequence) for sequence in range(200)), glucose(200, "1234567890.5")]
        )
    with pytest.raises(ValueNotStorable):
        await store(database, device, [glucose(1, unit="furlong")])
    with pytest.raises(ValueNotStorable):
        await store(database, device, [glucose(1 << 40, at=START)])
    assert await count(database, "reading", patient) == 0


async def test_a_number_found_out_while_the_server_writes_leaves_the_transaction_as_it_was(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [*(glucose(sequence) for sequence in range(2500)), glucose(2500, "1234567890.5")]
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        await devices.battery(conn, device, 70)
        with pytest.raises(ValueNotStorable):
            await writing.store(batch, [segment(batch)])
        await devices.battery(conn, device, 71)
    async with database.writer() as conn:
        assert (await devices.get(conn, patient.patient_id, device.device_id)).battery_percent == 71
    assert await count(database, "reading", patient) == 0
    assert await store(database, device, batch[:-1]) == Stored(2500, 0)


async def test_what_begins_like_a_sensor_and_goes_on_otherwise_is_stored_whole(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    sensor = [
        glucose(number, kind=Kind.INTERSTITIAL_GLUCOSE, raw=number.to_bytes(4, "big"))
        for number in range(1500)
    ]
    high = [
        glucose(number, kind=Kind.INTERSTITIAL_GLUCOSE, absent=Absent.ABOVE_RANGE)
        for number in range(1500, 2200)
    ]
    more = [glucose(number, kind=Kind.INTERSTITIAL_GLUCOSE) for number in range(2200, 4000)]
    batch = [*sensor, *high, *more]
    assert await store(database, device, batch) == Stored(4000, 0)
    assert await store(database, device, batch) == Stored(0, 4000)
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    assert series.sequence.tolist() == list(range(4000))
    assert np.flatnonzero(series.absent).tolist() == list(range(1500, 2200))


async def test_a_device_that_is_not_there_cannot_be_written(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    stranger = type(device)(device.device_id + 9, device.patient_id, device.device)
    with pytest.raises(UnknownDevice):
        await store(database, stranger, [glucose(1)])


async def test_an_exception_in_the_block_undoes_everything(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(150)]

    async def interrupted() -> None:
        async with database.writer() as conn, readings.writing(conn, device) as writing:
            await writing.store(batch, [segment(batch)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await interrupted()
    for table in ("reading", "outbox", "daily_summary", "clock_segment"):
        assert await count(database, table, patient) == 0


async def test_the_outbox_has_one_entry_for_a_batch(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(300)]
    await store(database, device, batch)
    await store(database, device, batch)
    await store(database, device, batch, segment(batch, -3600))
    async with database.writer() as conn:
        entries = await outbox.entries_after(conn, patient.patient_id, 0)
        rest = await outbox.entries_after(conn, patient.patient_id, entries[0].entry_id)
    assert [(entry.change, entry.readings) for entry in entries] == [
        (outbox.Change.CREATED, 300),
        (outbox.Change.RETIMED, 0),
    ]
    assert entries[0].last_recorded_at == batch[-1].identity.recorded_at
    assert rest == entries[1:]

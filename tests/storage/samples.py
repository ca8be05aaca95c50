"""Readings, devices and segments that the tests of storage are made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from device_profiles.reading import (
    NO_FLAGS,
    Absent,
    ClockSegment,
    Context,
    Device,
    DeviceIdentity,
    DeviceTime,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
    Sample,
    TimeSource,
)
from device_profiles.wire import DateTime
from storage import devices, readings
from storage.columns import Columns, RecordKeys, microseconds
from storage.database import Database
from storage.devices import StoredDevice
from storage.patients import Patient
from storage.readings import Stored

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def glucose(
    sequence: int,
    value: str = "119",
    *,
    at: datetime | None = None,
    unit: str = "mg/dL",
    kind: Kind = Kind.BLOOD_GLUCOSE,
    raw: bytes | None = None,
    absent: Absent | None = None,
    context: Context | None = None,
    offset_minutes: int | None = None,
) -> Reading:
    recorded_at = START + timedelta(minutes=5 * sequence) if at is None else at
    number = None if absent else Decimal(value)
    base = DateTime(2026, 3, 2, 8, 0, 0)
    return Reading(
        kind=kind,
        quantities=(Quantity(Measurand.GLUCOSE, number, unit, absent),),
        device_time=DeviceTime(base, offset_minutes),
        identity=RecordIdentity(recorded_at, sequence),
        raw=f"{sequence} {value} {unit}".encode() if raw is None else raw,
        sample=Sample(1, 1) if kind is Kind.BLOOD_GLUCOSE else None,
        context=context,
        flags=NO_FLAGS,
    )


def meal(number: int) -> Context:
    return Context(raw=bytes([2, 1, 0, number]), meal=number)


def segment(
    of: Sequence[Reading], shift_seconds: int | None = 0, *, source: TimeSource = TimeSource.DEVICE
) -> ClockSegment:
    """One segment that covers all of these."""
    times = [reading.identity.recorded_at for reading in of]
    sequences = [reading.identity.sequence for reading in of]
    offset = 0 if shift_seconds is None else -shift_seconds // 60
    return ClockSegment(min(sequences), max(sequences), min(times), max(times), shift_seconds, offset, source)


async def new_device(database: Database, patient: Patient, serial: str | None = None) -> StoredDevice:
    identity = DeviceIdentity("serial", f"maker/model/{serial or uuid4()}")
    async with database.writer() as conn:
        return await devices.register(conn, patient.patient_id, Device(identity, model="model"))


async def store(
    database: Database,
    device: StoredDevice,
    batch: Sequence[Reading],
    *segments: ClockSegment,
    refused: Sequence[readings.RefusedFrame] = (),
) -> Stored:
    """Stores a batch; with one segment over all of it unless others are given."""
    placed = segments or ((segment(batch),) if batch else ())
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        return await writing.store(batch, placed, refused)


async def count(database: Database, table: str, patient: Patient) -> int:
    async with database.owner() as conn:
        query = f"SELECT count(*) FROM passerelle.{table} WHERE patient_id = %s"
        row = await (await conn.execute(query, (patient.patient_id,))).fetchone()
        assert row is not None
        return int(row[0])


def columns_of(batch: Sequence[Reading]) -> Columns:
    times = microseconds([reading.identity.recorded_at for reading in batch])
    return Columns.of(batch, RecordKeys.of(batch, times))

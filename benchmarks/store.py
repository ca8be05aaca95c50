"""Storing 4,032 readings (14 days of a sensor), against a plain binary COPY of the same rows and table.

Both write the same number of rows for a patient of their own, each in a transaction that is committed with
`fsync` on, alternating in one run. The COPY writes rows that are ready in memory and does nothing else.
`store` looks for known records, writes the rows, the clock segment, the device's cursor, the outbox and the
days' summaries.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from uuid import uuid4

from benchmarks.table import Row, print_table
from device_profiles.reading import (
    ClockSegment,
    Device,
    DeviceIdentity,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
    TimeSource,
)
from storage import devices, patients, readings
from storage.columns import COPY_COLUMNS, COPY_HEADER, COPY_TRAILER, Columns, RecordKeys, microseconds, moment
from storage.database import Database
from storage.devices import StoredDevice
from storage.embedded import erase
from storage.statements import statements

ROWS = 4032
ROUNDS = 25
START = datetime(2026, 3, 2, tzinfo=UTC)
TYPES = ("timestamptz", "int4", "int4", "int4", "int4", *["int2"] * 8, "bytea")


def sensor_readings() -> list[Reading]:
    """Two weeks, a value every five minutes."""
    return [
        Reading(
            kind=Kind.INTERSTITIAL_GLUCOSE,
            quantities=(Quantity(Measurand.GLUCOSE, Decimal(60 + row * 7 % 200), "mg/dL"),),
            device_time=None,
            identity=RecordIdentity(START + timedelta(minutes=5 * row), row),
            raw=b"\x0d\x03" + (60 + row * 7 % 200).to_bytes(2, "little") + row.to_bytes(2, "little"),
        )
        for row in range(ROWS)
    ]


def segment(all_readings: Sequence[Reading]) -> ClockSegment:
    first, last = all_readings[0].identity, all_readings[-1].identity
    return ClockSegment(0, ROWS, first.recorded_at, last.recorded_at, -3600, 60, TimeSource.DEVICE)


def table_rows(all_readings: Sequence[Reading], device: StoredDevice) -> list[tuple[Any, ...]]:
    """The rows of the table, ready to be copied."""
    columns = columns_of(all_readings)
    middle = (columns.ordinal, columns.kind, columns.exponent, columns.unit, columns.absent, columns.sample)
    numbers = zip(
        map(moment, columns.recorded_at.tolist()),
        [device.patient_id] * ROWS,
        columns.sequence.tolist(),
        columns.mantissa.tolist(),
        columns.flags.tolist(),
        [device.device_id] * ROWS,
        *(column.tolist() for column in middle),
        columns.offset_minutes.tolist(),
        columns.raw,
        strict=True,
    )
    return list(numbers)


def copied_bytes(all_readings: Sequence[Reading], device: StoredDevice) -> bytes:
    rows = columns_of(all_readings).copied(device.patient_id, device.device_id, COPY_COLUMNS)
    return COPY_HEADER + rows + COPY_TRAILER


def columns_of(all_readings: Sequence[Reading]) -> Columns:
    times = microseconds([reading.identity.recorded_at for reading in all_readings])
    return Columns.of(all_readings, RecordKeys.of(all_readings, times))


async def fresh_device(database: Database) -> StoredDevice:
    async with database.writer() as conn:
        patient = await patients.add(conn, f"bench-{uuid4()}", "Europe/Paris")
        return await devices.register(
            conn, patient.patient_id, Device(DeviceIdentity("serial", str(uuid4())))
        )


async def plain_copy(database: Database, rows: Iterable[tuple[Any, ...]]) -> float:
    begin = perf_counter()
    async with database.writer() as conn, conn.cursor().copy(statements("writing")["copy"]) as copy:
        copy.set_types(TYPES)
        for row in rows:
            await copy.write_row(row)
    return perf_counter() - begin


async def ready_copy(database: Database, buffer: bytes) -> float:
    begin = perf_counter()
    async with database.writer() as conn, conn.cursor().copy(statements("writing")["copy"]) as copy:
        await copy.write(buffer)
    return perf_counter() - begin


async def store(database: Database, all_readings: Sequence[Reading], device: StoredDevice) -> float:
    begin = perf_counter()
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        await writing.store(all_readings, [segment(all_readings)])
    return perf_counter() - begin


async def series(database: Database, device: StoredDevice) -> float:
    begin = perf_counter()
    async with database.writer() as conn:
        found = await readings.series(conn, device.patient_id, start=START, end=START + timedelta(days=14))
    assert len(found) == ROWS - 12, len(found)
    return perf_counter() - begin


async def measure(home: Path) -> list[Row]:
    all_readings = sensor_readings()
    copied, buffered, stored, again, read = [], [], [], [], []
    async with Database.open(home) as database:
        await store(database, all_readings, await fresh_device(database))  # makes the month's partition
        for round_ in range(ROUNDS + 2):
            one, two, three = [await fresh_device(database) for _ in range(3)]
            times = (
                await plain_copy(database, table_rows(all_readings, one)),
                await store(database, all_readings, two),
                await ready_copy(database, copied_bytes(all_readings, three)),
                await store(database, all_readings, two),
                await series(database, two),
            )
            if round_ >= 2:
                for series_, time in zip((copied, stored, buffered, again, read), times, strict=True):
                    series_.append(time)
    ratio = median(c / s for c, s in zip(copied, stored, strict=True))
    ready = median(c / s for c, s in zip(buffered, stored, strict=True))
    slower = median(a / s for a, s in zip(again, stored, strict=True))
    name = f"store {ROWS} readings ({shown(stored)}), rate / "
    return [
        Row(f"{name}plain binary COPY ({shown(copied)})", f"{ratio:.2f}", "≥ 0.7", ratio >= 0.7),
        Row(f"{name}COPY of bytes made beforehand ({shown(buffered)})", f"{ready:.2f}", "told only", True),
        Row(f"store them again ({shown(again)}), time / first time", f"{slower:.2f}", "≤ 1", slower <= 1),
        Row("14 days as a ReadingSeries, segments applied", shown(read), "told only", True),
    ]


def shown(times: Sequence[float]) -> str:
    return f"{median(times) * 1e3:.1f} ms"


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return asyncio.run(measure(Path(folder)))
        finally:
            erase(Path(folder))


if __name__ == "__main__":
    print_table(run())

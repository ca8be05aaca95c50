"""Storing what a device said: one transaction, under the lock of the device's row.

Known records are dropped before anything is written, so that storing again costs a look and writes nothing.
The rest goes in by binary COPY, then contexts, segments, cursor, outbox and the touched days. A kill anywhere
leaves what was before; reading and storing again gives the same end state.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from psycopg import Error as DatabaseError

from device_profiles.reading import UNKNOWN_TIME, ClockSegment, Reading
from storage import clock_segments, contexts, daily_summary, outbox
from storage.clock_segments import Change, Range, merged
from storage.columns import NO_OFFSET, Columns, microseconds, moment
from storage.connection import Connection
from storage.days import MICROSECONDS_A_DAY, day_begins, day_date, local_days
from storage.devices import StoredDevice
from storage.errors import UnknownDevice
from storage.known import KnownRecords, sort_out
from storage.statements import statements

COPY_FROM = 100
"""Rows from which a COPY beats one INSERT; below, its extra round trips cost more than they save."""

DAYS_APART = 31
"""Days without a reading between two stretches that are looked at apart."""

_SQL = statements("writing")


@dataclass(frozen=True, slots=True)
class RefusedFrame:
    """What a device sent that is no measurement: kept as received. `reason` as in MalformedMeasurement."""

    characteristic: str
    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a batch: `stored` new records, `known` ones, `conflicts` among the stored ones.

    A conflict is another measurement under the key of a known record: it is kept under the next ordinal.
    `joined`: contexts that came late for known records.
    """

    stored: int
    known: int
    conflicts: int = 0
    joined: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class RecordColumns:
    """All records of a device, in order of sequence and time: what the clock reasons on.

    `recorded_at_us`: microseconds since 1970, the device's time taken as if UTC. `offset_minutes`: the
    record's own offset, NO_OFFSET where it has none.
    """

    sequence: npt.NDArray[np.int32]
    recorded_at_us: npt.NDArray[np.int64]
    offset_minutes: npt.NDArray[np.int16]

    NO_OFFSET = NO_OFFSET

    def __len__(self) -> int:
        return len(self.sequence)


@asynccontextmanager
async def writing(conn: Connection, device: StoredDevice) -> AsyncIterator[Writing]:
    """Holds the device's row locked until the transaction ends: one writer per device.

    Raises UnknownDevice.
    """
    key = {"patient_id": device.patient_id, "device_id": device.device_id}
    async with conn.pipeline():
        locked = await conn.execute(_SQL["lock_device"], key)
        rows = await conn.execute(statements("clock_segments")["of_device"], key)
        found = await locked.fetchone()
        segments = await rows.fetchall()
    if found is None:
        raise UnknownDevice
    current = {row[0]: clock_segments.segment_of(row[2:]) for row in segments if row[1]}
    next_id = max((row[0] for row in segments), default=0) + 1
    yield Writing(conn, device, ZoneInfo(found[0]), current, next_id)


class Writing:
    """A device's row is locked; `store` may be called once. Made by `writing`."""

    def __init__(
        self,
        conn: Connection,
        device: StoredDevice,
        zone: ZoneInfo,
        current: dict[int, ClockSegment],
        next_segment: int,
    ) -> None:
        self._conn = conn
        self._device = device
        self._zone = zone
        self._current = current
        self._next_segment = next_segment
        self._key = {"patient_id": device.patient_id, "device_id": device.device_id}

    @property
    def history(self) -> tuple[ClockSegment, ...]:
        """The segments in force, in order of sequence and time."""
        return tuple(self._current.values())

    async def records(self) -> RecordColumns:
        """All records of the device that are stored."""
        async with self._conn.cursor(binary=True) as cursor:
            await cursor.execute(_SQL["records"], self._key)
            row = await cursor.fetchone()
        if row is None or row[0] is None:
            return RecordColumns(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int16))
        sequence, recorded_at, offset = row
        order = np.lexsort((recorded_at, sequence))
        return RecordColumns(sequence[order], recorded_at[order], offset[order])

    async def store(
        self,
        readings: Sequence[Reading],
        segments: Iterable[ClockSegment],
        refused: Sequence[RefusedFrame] = (),
        clock_error_seconds: int | None = None,
    ) -> Stored:
        """Stores what was read, with the complete set of segments that shall be in force for the device.

        Segments that place records otherwise than before replace the old ones, which stay as a trace. Raises
        ValueNotStorable, before anything is written.
        """
        batch = Columns.of(readings)
        known = await self._known(batch)
        sorted_out = sort_out(batch, known)
        new = batch.take(sorted_out.new, sorted_out.ordinal)
        stored = await self._insert(new)
        difference = clock_segments.change(self._current, segments)
        in_force = _in_force(self._current, difference)
        async with self._conn.pipeline():
            late = await contexts.store(self._conn, self._device, readings, batch, sorted_out)
            await self._move_cursor(batch, clock_error_seconds)
            await clock_segments.apply(
                self._conn, **self._key, next_id=self._next_segment, difference=difference
            )
            await self._keep_refused(refused)
            await outbox.add(self._conn, self._device, outbox.Change.CREATED, new.recorded_at)
            await outbox.retimed(self._conn, self._device, difference)
        joined = await contexts.joined(self._conn, self._device, late)
        await self._renew_days(new, difference, in_force)
        return Stored(stored, len(batch) - stored, int(np.count_nonzero(new.ordinal)), joined)

    async def _known(self, batch: Columns) -> KnownRecords:
        """What is stored where the batch's records are; makes the months that they need."""
        day = MICROSECONDS_A_DAY
        days = (np.unique(batch.recorded_at // day) * day).tolist()
        ranges = merged(((begin, begin) for begin in days), DAYS_APART * day)
        months = sorted({moment(begin).date().replace(day=1) for begin in days})
        found = []
        async with self._conn.pipeline():
            await self._conn.execute(_SQL["ensure_months"], {"parent": "reading", "months": months})
            for first, last in ranges:
                cursor = self._conn.cursor(binary=True)
                bounds = {"first": moment(first), "last": moment(last + day - 1)}
                await cursor.execute(_SQL["known"], {**self._key, **bounds})
                found.append(cursor)
            rows = [await cursor.fetchone() for cursor in found]
        return KnownRecords.of([row for row in rows if row is not None and row[0] is not None])

    async def _insert(self, new: Columns) -> int:
        if len(new) >= COPY_FROM:
            try:
                async with self._conn.transaction(), self._conn.cursor().copy(_SQL["copy"]) as copy:
                    await copy.write(new.copied(self._device.patient_id, self._device.device_id))
                return len(new)
            except DatabaseError as problem:
                # Someone stored the same key without this lock: the statement below passes over it. (Citus
                # says XX000 for what others call 23505.)
                if problem.sqlstate not in {"23505", "XX000"}:
                    raise
        return await self._insert_one_by_one(new) if len(new) else 0

    async def _insert_one_by_one(self, new: Columns) -> int:
        values: dict[str, Any] = {
            name: getattr(new, name).tolist() for name in Columns.__slots__ if name != "raw"
        }
        cursor = await self._conn.execute(_SQL["insert"], {**self._key, **values, "raw": list(new.raw)})
        return len(await cursor.fetchall())

    async def _move_cursor(self, batch: Columns, clock_error_seconds: int | None) -> None:
        values = {
            "last_sequence": int(batch.sequence.max()) if len(batch) else None,
            "clock_error_seconds": clock_error_seconds,
        }
        await self._conn.execute(_SQL["move_cursor"], {**self._key, **values})

    async def _keep_refused(self, refused: Sequence[RefusedFrame]) -> None:
        for frame in refused:
            digest = hashlib.sha256(f"{frame.characteristic}\0".encode() + frame.raw).digest()
            values = {"characteristic": frame.characteristic, "raw": frame.raw, "reason": frame.reason}
            await self._conn.execute(_SQL["keep_refused"], {**self._key, **values, "digest": digest})

    async def _renew_days(self, new: Columns, difference: Change, in_force: Sequence[ClockSegment]) -> None:
        """Computes the touched days again, from all readings of the device that they have now."""
        moved = (*difference.superseded.values(), *difference.added)
        touched = [found for segment in moved if (found := clock_segments.effective_range(segment))]
        times = clock_segments.place(new.recorded_at, new.sequence, in_force).effective_time
        touched += [(int(t), int(t)) for t in np.unique(times[times != UNKNOWN_TIME])]
        await renew_days(
            self._conn, self._device.patient_id, self._device.device_id, self._zone, touched, in_force
        )


async def renew_days(
    conn: Connection,
    patient_id: int,
    device_id: int,
    zone: ZoneInfo,
    touched: Iterable[Range],
    in_force: Sequence[ClockSegment],
) -> None:
    """Computes again the local days that these effective times touch. The device's row must be locked."""
    key = {"patient_id": patient_id, "device_id": device_id}
    for first, last in _day_spans(touched, zone):
        start, end = day_begins(first, zone), day_begins(last + 1, zone)
        summaries = await _summaries(conn, key, zone, in_force, (start, end))
        span: tuple[date, date] = day_date(first), day_date(last)
        await daily_summary.replace_days(conn, patient_id, device_id, span, summaries)


def _day_spans(touched: Iterable[Range], zone: ZoneInfo) -> list[Range]:
    ends = np.array(list(touched), np.int64).reshape(-1)
    days = local_days(ends, zone).reshape(-1, 2).tolist()
    return merged(((first, last) for first, last in days), DAYS_APART)


async def _summaries(
    conn: Connection, key: dict[str, int], zone: ZoneInfo, in_force: Sequence[ClockSegment], bounds: Range
) -> list[daily_summary.DaySummary]:
    """The summaries of the device's readings between two effective times (end excluded)."""
    parts: list[daily_summary.DayColumns] = []
    for first, last in clock_segments.recorded_ranges(in_force, *bounds):
        limits = {"first": moment(first), "last": moment(last)}
        async with conn.pipeline():
            cursor = conn.cursor(binary=True)
            await cursor.execute(_SQL["of_days"], {**key, **limits})
            left_out = await conn.execute(_SQL["left_out"], {**key, **limits})
            row = await cursor.fetchone()
            keys = await left_out.fetchall()
        if row is not None and row[0] is not None:
            parts.append(_placed_days(row, keys, in_force, bounds))
    if not parts:
        return []
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in daily_summary.DayColumns.__slots__
    }
    return daily_summary.summarise(daily_summary.DayColumns(**joined), zone, key["device_id"])


def _placed_days(
    row: tuple[Any, ...],
    left_out: Sequence[tuple[datetime, int, int]],
    in_force: Sequence[ClockSegment],
    bounds: Range,
) -> daily_summary.DayColumns:
    recorded_at, sequence, ordinal, kind, mantissa, exponent, unit, absent = row
    effective = clock_segments.place(recorded_at, sequence, in_force).effective_time
    kept = (effective >= bounds[0]) & (effective < bounds[1])
    for at, number, rank in left_out:
        time = int(microseconds((at,))[0])
        kept &= ~((recorded_at == time) & (sequence == number) & (ordinal == rank))
    return daily_summary.DayColumns(
        effective[kept], kind[kept], mantissa[kept], exponent[kept], unit[kept], absent[kept]
    )


def _in_force(current: dict[int, ClockSegment], difference: Change) -> tuple[ClockSegment, ...]:
    kept = {**current, **difference.extended}
    return (*(kept[number] for number in kept if number not in difference.superseded), *difference.added)

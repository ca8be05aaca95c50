"""Storing what a device said: one transaction, under the lock of the device's row.

Known records are dropped before anything is written, so that storing again costs a look and writes nothing.
The rest goes in by binary COPY, then contexts, segments, cursor, outbox and the touched days. A kill anywhere
leaves what was before; reading and storing again gives the same end state.

Two ways in, one path: `Writing.store` takes what a device said and finds out which records are new by their
bytes; `Writing.store_columns` takes columns whose keys were given by whoever had them first.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from device_profiles.reading import ClockSegment, Reading
from storage import clock_segments, contexts, outbox, shares
from storage.batches import Batch, Given, Said
from storage.clock_segments import Change, Range
from storage.columns import NO_OFFSET, Columns, RecordKeys
from storage.connection import Connection
from storage.contexts import Beside
from storage.daily_summary import DayTable
from storage.devices import StoredDevice
from storage.erased_records import erased_rows
from storage.errors import UnknownDevice
from storage.known import Asked, KnownRecords, SortedOut
from storage.new_rows import COPY_BLOCK, NewRows
from storage.statements import statements
from storage.touched_days import TouchedDays

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
    `joined`: contexts that came late for known records. `erased`: records that the person erased, left out.
    """

    stored: int
    known: int
    conflicts: int = 0
    joined: int = 0
    erased: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class StoredColumns:
    """The same of columns. `new`: the rows of the batch that were not there, in order; `erased`: those that
    were erased before and are not taken again.
    """

    told: Stored
    new: npt.NDArray[np.intp]
    erased: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Along:
    """What is written in the same transaction."""

    refused: Sequence[RefusedFrame] = ()
    clock_error_seconds: int | None = None
    moves_cursor: bool = False
    tells_spaces: bool = False
    cursor: int | None = None


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What was made while the server wrote the rows. `summaries`: None where more must be read for them."""

    touched: TouchedDays
    summaries: DayTable | None
    beside: Beside


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
        rows = await conn.execute(_SQL["segments"], key)
        found = await locked.fetchone()
        segments = await rows.fetchall()
    if found is None:
        raise UnknownDevice
    current = {row[0]: clock_segments.segment_of(row[2:]) for row in segments if row[1]}
    next_id = max((row[0] for row in segments), default=0) + 1
    yield Writing(
        conn,
        device,
        ZoneInfo(found[0]),
        current,
        next_id,
        erased_salt=found[1],
        fresh=found[2],
        last_sequence=found[3],
    )


async def refused_frames(conn: Connection, device: StoredDevice) -> tuple[RefusedFrame, ...]:
    """The frames of a device that could not be read, the oldest first."""
    key = {"patient_id": device.patient_id, "device_id": device.device_id}
    rows = await (await conn.execute(_SQL["refused"], key)).fetchall()
    return tuple(RefusedFrame(*row) for row in rows)


class Writing:
    """A device's row is locked; `store` may be called once. Made by `writing`."""

    def __init__(
        self,
        conn: Connection,
        device: StoredDevice,
        zone: ZoneInfo,
        current: dict[int, ClockSegment],
        next_segment: int,
        *,
        erased_salt: bytes | None,
        fresh: bool,
        last_sequence: int | None = None,
    ) -> None:
        self._conn = conn
        self._device = device
        self._zone = zone
        self._current = current
        self._next_segment = next_segment
        self._erased_salt = erased_salt
        self._fresh = fresh
        self.last_sequence = last_sequence
        """The cursor now: another process may have moved it since the device was looked up."""
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
        *,
        moves_cursor: bool = True,
        cursor: int | None = None,
    ) -> Stored:
        """Stores what was read, with the complete set of segments that shall be in force for the device.

        It covers every record of the device, those whose time cannot be told too. Segments that place
        records otherwise replace the old ones, which stay as a trace. `moves_cursor`: whether the next read
        may begin after the highest number of these, or with `cursor` where that is given. Raises
        ValueNotStorable, before anything is written.
        """
        along = _Along(refused, clock_error_seconds, moves_cursor, tells_spaces=True, cursor=cursor)
        return (await self._store(Said(readings), segments, along)).told

    async def store_columns(
        self,
        columns: Columns,
        segments: Iterable[ClockSegment] | None = None,
        *,
        beside: Beside | None = None,
        moves_cursor: bool = False,
        tells_spaces: bool = False,
    ) -> StoredColumns:
        """Stores records under the keys that they were given: the path of a space, without a Reading object.

        A key (`recorded_at`, `sequence`, `ordinal`) that is there, or came before in the batch, is known,
        whatever its measurement; ordinals are kept as they are. `segments`: the complete set that shall be in
        force for the device, as with `store`; None leaves those that are. `beside`: contexts and further
        quantities by row of the batch; a context of a known record joins it if it has none. The summary
        follows in the same transaction; `moves_cursor` and `tells_spaces` (the outbox) are for a device that
        is read here. Raises ValueNotStorable, before anything is written.
        """
        along = _Along(moves_cursor=moves_cursor, tells_spaces=tells_spaces)
        return await self._store(Given(columns, beside), segments, along)

    async def place_again(self, segments: Iterable[ClockSegment], *, said_by: str | None = None) -> bool:
        """Puts the complete set of segments in force for what is stored; whether that changed anything.

        What they replace stays as a trace, with who said so; days and spaces follow, no reading changes.
        """
        difference = clock_segments.change(self._current, segments)
        if not (difference.extended or difference.superseded or difference.added):
            return False
        none = RecordKeys(np.empty(0, np.int64), np.empty(0, np.int32))
        touched = self._touched(none, difference)
        async with self._conn.pipeline():
            await clock_segments.apply(self._conn, self._key, self._next_segment, difference, said_by)
            await outbox.retimed(self._conn, self._device, difference)
            await shares.mark_stale(self._conn, self._device.patient_id)
        await touched.renew(self._conn)
        return True

    async def _store(
        self, batch: Batch, segments: Iterable[ClockSegment] | None, along: _Along
    ) -> StoredColumns:
        stretches = batch.stretches()
        keys, asked, known = await self._look(batch, stretches)
        sorted_out = batch.sort_out(known)
        kept, erased = await self._without_erased(keys, sorted_out)
        new = keys if len(kept) == len(keys) else keys.take(kept)
        wanted = self._current.values() if segments is None else segments
        if len(erased):
            wanted = await self._placing_more_than(keys.take(erased), wanted, new)
        difference = clock_segments.change(self._current, wanted)
        if len(new) or difference.superseded or difference.added:
            known = await asked.marked(known)

        def parts() -> Iterator[Columns]:
            for begin in range(0, max(len(new), 1), COPY_BLOCK):
                block = slice(begin, begin + COPY_BLOCK)
                yield batch.columns(block if new is keys else kept[block], sorted_out.ordinals)

        def meanwhile(columns: Columns) -> _Prepared:
            touched = self._touched(new, difference)
            found = touched.summaries(known, columns) if touched.within(stretches) else None
            return _Prepared(touched, found, batch.beside().without(erased.tolist()))

        stored, prepared = await NewRows(self._conn, self._key, len(new), parts, meanwhile).write()
        async with self._conn.pipeline():
            records = keys, sorted_out.ordinals
            late = await contexts.store(self._conn, self._device, records, kept, prepared.beside)
            await self._keep_place(keys, difference, along)
            if along.tells_spaces:
                await outbox.add(self._conn, self._device, outbox.Change.CREATED, new.recorded_at)
                await outbox.retimed(self._conn, self._device, difference)
                if len(new) or difference.superseded or difference.added:
                    await shares.mark_stale(self._conn, self._device.patient_id)
            if prepared.summaries is not None:
                # Days of records that another segment placed before have summaries, whatever is known around.
                days, were_empty = prepared.summaries, not len(known) and not difference.superseded
                await prepared.touched.write(self._conn, days, were_empty=were_empty)
        if prepared.summaries is None:
            await prepared.touched.renew(self._conn)
        joined = await contexts.joined(self._conn, self._device, late, tells_spaces=along.tells_spaces)
        conflicts = int(np.count_nonzero(sorted_out.ordinals[kept]))
        known_before = len(keys) - stored - len(erased)
        return StoredColumns(Stored(stored, known_before, conflicts, joined, len(erased)), kept, erased)

    async def _without_erased(
        self, keys: RecordKeys, sorted_out: SortedOut
    ) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Of new rows those to store; and those that the person erased, who shall not find them back."""
        rows, salt = sorted_out.new, self._erased_salt
        if salt is None or not len(rows):
            return rows, rows[:0]
        new = keys.take(rows)
        found = await erased_rows(self._conn, self._key, salt, new.recorded_at, new.sequence)
        if not found.any():
            return rows, rows[:0]
        # One that comes twice in a batch is new once, and erased each time.
        columns = keys.recorded_at, keys.sequence, sorted_out.ordinals
        every = list(zip(*(column.tolist() for column in columns), strict=True))
        gone = {every[row] for row in rows[found].tolist()}
        erased = [row for row, key in enumerate(every) if key in gone]
        return rows[~found], np.array(erased, np.intp)

    async def _placing_more_than(
        self, erased: RecordKeys, wanted: Iterable[ClockSegment], new: RecordKeys
    ) -> list[ClockSegment]:
        """The segments but those that would only place erased records: their times are erased too."""
        current = set(self._current.values())

        def covers(segment: ClockSegment, records: RecordKeys) -> bool:
            return bool(clock_segments.covered(records.recorded_at, records.sequence, (segment,)).any())

        kept = []
        for segment in wanted:
            suspected = segment not in current and covers(segment, erased) and not covers(segment, new)
            if not suspected or await self._holds_within(segment):
                kept.append(segment)
        return kept

    async def _holds_within(self, segment: ClockSegment) -> bool:
        """Whether a record is stored that a segment covers."""
        bounds = clock_segments.bounds(segment)
        row = await (await self._conn.execute(_SQL["holds_within"], {**self._key, **bounds})).fetchone()
        return row is not None

    async def _look(self, batch: Batch, stretches: Sequence[Range]) -> tuple[RecordKeys, Asked, KnownRecords]:
        """The batch's keys, made while the server looks for what is stored around them.

        From here a statement that is refused can be taken back. A device that never stored has nothing.
        """
        async with self._conn.pipeline():
            await self._conn.execute(_SQL["save"])
            asked = await Asked.of(self._conn, self._key, () if self._fresh else stretches)
            return batch.keys, asked, await asked.answer()

    def _touched(self, new: RecordKeys, difference: Change) -> TouchedDays:
        """The days of new records, and of records that other segments place now."""
        in_force = clock_segments.in_force(self._current, difference)
        times = clock_segments.place(new.recorded_at, new.sequence, in_force).effective_time
        spans = clock_segments.moved(difference)
        return TouchedDays.of(self._key, self._zone, in_force, times, spans)

    async def _keep_place(self, keys: RecordKeys, difference: Change, along: _Along) -> None:
        """Moves the cursor, puts the segments in force, and keeps what could not be read."""
        last_sequence = along.cursor
        if last_sequence is None and along.moves_cursor and len(keys):
            last_sequence = int(keys.sequence.max())
        values = {"last_sequence": last_sequence, "clock_error_seconds": along.clock_error_seconds}
        await self._conn.execute(_SQL["move_cursor"], {**self._key, **values})
        await clock_segments.apply(self._conn, self._key, self._next_segment, difference)
        for frame in along.refused:
            digest = hashlib.sha256(f"{frame.characteristic}\0".encode() + frame.raw).digest()
            found = {"characteristic": frame.characteristic, "raw": frame.raw, "reason": frame.reason}
            await self._conn.execute(_SQL["keep_refused"], {**self._key, **found, "digest": digest})

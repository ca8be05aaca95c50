"""What is stored of a device already, and which records of a batch are new.

Of what a device says only the measurement's bytes decide whether a record is the same; of what a gateway
tells, the key that it gave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import AsyncCursor

from device_profiles.reading import Reading
from storage.clock_segments import Range
from storage.columns import RecordKeys, microsecond, moment, some
from storage.connection import Connection
from storage.statements import statements

_SQL = statements("writing")


@dataclass(frozen=True, slots=True, eq=False)
class KnownRecords:
    """All records of one device in some stretches of `recorded_at`, as columns."""

    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]
    ordinal: npt.NDArray[np.int16]
    kind: npt.NDArray[np.int16]
    mantissa: npt.NDArray[np.int32]
    exponent: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int16]
    absent: npt.NDArray[np.int16]
    raw: Sequence[bytes]
    left_out: npt.NDArray[np.bool_]
    """Excluded by a person, or said to be another's."""

    def __len__(self) -> int:
        return len(self.raw)

    def without_left_out(self) -> KnownRecords:
        """Those that count."""
        if not self.left_out.any():
            return self
        rows = np.flatnonzero(~self.left_out)
        arrays = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return KnownRecords(**arrays, raw=some(self.raw, rows))


_ARRAYS = tuple(field.name for field in fields(KnownRecords) if field.name != "raw")


async def known_records(conn: Connection, key: dict[str, int], stretches: Sequence[Range]) -> KnownRecords:
    """What is stored of a device (`key`: patient_id and device_id) in these stretches of `recorded_at`."""
    async with conn.pipeline():
        asked = await Asked.of(conn, key, stretches)
        known = await asked.answer()
    return await asked.marked(known)


@dataclass(frozen=True, slots=True)
class Asked:
    """The same question, asked in a pipeline: the server looks while its asker does something else."""

    conn: Connection
    cursors: Sequence[tuple[dict[str, Any], AsyncCursor[tuple[Any, ...]]]]

    @classmethod
    async def of(cls, conn: Connection, key: dict[str, int], stretches: Sequence[Range]) -> Asked:
        """Asks; `answer` waits."""
        cursors = []
        for first, last in stretches:
            bounds = {**key, "first": moment(first), "last": moment(last)}
            cursors.append((bounds, await conn.cursor(binary=True).execute(_SQL["known"], bounds)))
        return cls(conn, cursors)

    async def answer(self) -> KnownRecords:
        """What is stored; what people left out of it is not marked."""
        rows = [await cursor.fetchone() for _, cursor in self.cursors]
        return _joined([_known(row) for row in rows if row is not None and row[0] is not None])

    async def marked(self, known: KnownRecords) -> KnownRecords:
        """The same records, and what people left out: only a summary asks."""
        out = np.zeros(len(known), np.bool_)
        for bounds, _ in self.cursors if len(known) else ():
            rows = await (await self.conn.execute(_SQL["left_out"], bounds)).fetchall()
            for at, number, rank in rows:
                found = (known.recorded_at == microsecond(at)) & (known.sequence == number)
                out |= found & (known.ordinal == rank)
        return replace(known, left_out=out) if out.any() else known


def _known(row: tuple[Any, ...]) -> KnownRecords:
    recorded_at, numbers, codes, raw = row
    mantissa = numbers.astype(np.int32)
    sequence, ordinal = ((numbers - mantissa) >> 32).astype(np.int32), codes.astype(np.int16)
    return KnownRecords(
        recorded_at=recorded_at,
        sequence=sequence,
        ordinal=ordinal,
        kind=(codes >> 40).astype(np.int16),
        mantissa=mantissa,
        exponent=(codes >> 32).astype(np.uint8).astype(np.int16) - np.int16(128),
        unit=(codes >> 24).astype(np.uint8).astype(np.int16),
        absent=(codes >> 16).astype(np.uint8).astype(np.int16),
        raw=raw,
        left_out=np.zeros(len(raw), np.bool_),
    )


def _joined(parts: Sequence[KnownRecords]) -> KnownRecords:
    if not parts:
        return _NONE
    if len(parts) == 1:
        return parts[0]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
    return KnownRecords(**arrays, raw=[raw for part in parts for raw in part.raw])


_NONE = _known((np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64), ()))


@dataclass(frozen=True, slots=True, eq=False)
class SortedOut:
    """A batch against what is known.

    `new`: the rows to store, each record once. `ordinals`: for every row of the batch, the ordinal under
    which its record is stored, now or before.
    """

    new: npt.NDArray[np.intp]
    ordinals: npt.NDArray[np.int16]


def by_measurement(keys: RecordKeys, readings: Sequence[Reading], known: KnownRecords) -> SortedOut:
    """Same key and same measurement: known. Same key, another measurement: the next ordinal.

    For what comes from a device.
    """
    met = _met(keys, known)
    if met is not None:
        rows, places = met
        if [reading.raw for reading in some(readings, rows)] == some(known.raw, places):
            ordinals = np.zeros(len(keys), np.int16)
            ordinals[rows] = known.ordinal[places]
            return SortedOut(_others(rows, len(keys)), ordinals)
    return _one_by_one(keys, [reading.raw for reading in readings], known)


def by_key(keys: RecordKeys, ordinal: npt.NDArray[np.int16], known: KnownRecords) -> SortedOut:
    """Same key and same ordinal: known, whatever the measurement. The ordinals are those of the batch.

    For what a gateway sorted out before.
    """
    met = _met(keys, known)
    if met is not None:
        rows, places = met
        return SortedOut(_others(rows[ordinal[rows] == known.ordinal[places]], len(keys)), ordinal)
    there = set(zip(known.recorded_at.tolist(), known.sequence.tolist(), known.ordinal.tolist(), strict=True))
    new: list[int] = []
    batch = zip(keys.recorded_at.tolist(), keys.sequence.tolist(), ordinal.tolist(), strict=True)
    for row, key in enumerate(batch):
        if key not in there:
            there.add(key)
            new.append(row)
    return SortedOut(np.array(new, np.intp), ordinal)


def _met(keys: RecordKeys, known: KnownRecords) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None:
    """Which rows of a batch have the key of which known record; None where keys may occur twice.

    Told at once where the batch is in order and no two known records are of one time, as is nearly always.
    """
    if not keys.strictly_ordered() or np.any(known.recorded_at[1:] <= known.recorded_at[:-1]):
        return None
    places = np.searchsorted(known.recorded_at, keys.recorded_at)
    rows = np.flatnonzero(places < len(known))
    places = places[rows]
    same = known.recorded_at[places] == keys.recorded_at[rows]
    same &= known.sequence[places] == keys.sequence[rows]
    return rows[same], places[same]


def _others(rows: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    return np.delete(np.arange(count), rows) if len(rows) else np.arange(count)


def _one_by_one(keys: RecordKeys, raws: Sequence[bytes], known: KnownRecords) -> SortedOut:
    # One measurement may be there under several ordinals of a key, if a gateway gave them: it is the first.
    measured: defaultdict[tuple[int, int], dict[bytes, int]] = defaultdict(dict)
    following: defaultdict[tuple[int, int], int] = defaultdict(int)
    order = np.argsort(known.ordinal, kind="stable")
    stored = (column[order].tolist() for column in (known.recorded_at, known.sequence, known.ordinal))
    for time, number, ordinal, raw in zip(*stored, some(known.raw, order), strict=True):
        measured[time, number].setdefault(raw, ordinal)
        following[time, number] = ordinal + 1
    ordinals = np.zeros(len(keys), np.int16)
    new: list[int] = []
    rows = zip(keys.recorded_at.tolist(), keys.sequence.tolist(), raws, strict=True)
    for row, (time, number, raw) in enumerate(rows):
        of_key = measured[time, number]
        if raw not in of_key:
            of_key[raw] = following[time, number]
            following[time, number] += 1
            new.append(row)
        ordinals[row] = of_key[raw]
    return SortedOut(np.array(new, np.intp), ordinals)

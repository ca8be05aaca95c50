"""What is stored of a device already, and which records of a batch are new.

Of what a device says only the measurement's bytes decide whether a record is the same; of what a gateway
tells, the key that it gave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import AsyncCursor

from storage.clock_segments import Range
from storage.columns import Columns, microseconds, moment
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


async def known_records(conn: Connection, key: dict[str, int], stretches: Sequence[Range]) -> KnownRecords:
    """What is stored of a device (`key`: patient_id and device_id) in these stretches of `recorded_at`."""
    async with conn.pipeline():
        return await (await Asked.of(conn, key, stretches)).answer()


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
        """What is stored, and what people left out of it."""
        parts = []
        for bounds, row in [(bounds, await cursor.fetchone()) for bounds, cursor in self.cursors]:
            if row is not None and row[0] is not None:
                left_out = await self.conn.execute(_SQL["left_out"], bounds)
                parts.append(_known(row, await left_out.fetchall()))
        return _joined(parts)


def _known(row: tuple[Any, ...], left_out: Sequence[tuple[Any, ...]]) -> KnownRecords:
    recorded_at, sequence, ordinal = row[:3]
    out = np.zeros(len(recorded_at), np.bool_)
    for at, number, rank in left_out:
        (time,) = microseconds((at,))
        out |= (recorded_at == time) & (sequence == number) & (ordinal == rank)
    names = [field.name for field in fields(KnownRecords)]
    return KnownRecords(**dict(zip(names, (*row, out), strict=True)))


def _joined(parts: Sequence[KnownRecords]) -> KnownRecords:
    if len(parts) == 1:
        return parts[0]
    arrays = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts] or [np.empty(0, np.int64)])
        for field in fields(KnownRecords)
        if field.name != "raw"
    }
    return KnownRecords(**arrays, raw=[raw for part in parts for raw in part.raw])


@dataclass(frozen=True, slots=True, eq=False)
class SortedOut:
    """A batch against what is known.

    `new`: the rows to store, each record once. `ordinals`: for every row of the batch, the ordinal under
    which its record is stored, now or before.
    """

    new: npt.NDArray[np.intp]
    ordinals: npt.NDArray[np.int16]


def by_measurement(columns: Columns, known: KnownRecords) -> SortedOut:
    """Same key and same measurement: known. Same key, another measurement: the next ordinal.

    For what comes from a device; the batch's own ordinals are not looked at.
    """
    ordinals = np.zeros(len(columns), np.int16)
    keys = columns.keys()
    if keys.strictly_ordered() and not np.isin(keys.recorded_at, known.recorded_at).any():
        return SortedOut(np.arange(len(columns)), ordinals)  # as where a device only goes on
    measured: defaultdict[tuple[int, int], dict[bytes, int]] = defaultdict(dict)
    stored = (known.recorded_at.tolist(), known.sequence.tolist(), known.ordinal.tolist(), known.raw)
    for time, number, ordinal, raw in zip(*stored, strict=True):
        measured[time, number][raw] = ordinal
    new: list[int] = []
    rows = zip(keys.recorded_at.tolist(), keys.sequence.tolist(), columns.raw, strict=True)
    for row, (time, number, raw) in enumerate(rows):
        of_key = measured[time, number]
        if raw not in of_key:
            of_key[raw] = max(of_key.values(), default=-1) + 1
            new.append(row)
        ordinals[row] = of_key[raw]
    return SortedOut(np.array(new, np.intp), ordinals)


def by_key(columns: Columns, known: KnownRecords) -> SortedOut:
    """Same key and same ordinal: known, whatever the measurement. The ordinals are those of the batch.

    For what a gateway sorted out before.
    """
    if columns.keys().strictly_ordered() and not np.isin(columns.recorded_at, known.recorded_at).any():
        return SortedOut(np.arange(len(columns)), columns.ordinal)
    seen, batch = (
        zip(part.recorded_at.tolist(), part.sequence.tolist(), part.ordinal.tolist(), strict=True)
        for part in (known, columns)
    )
    there = set(seen)
    new: list[int] = []
    for row, key in enumerate(batch):
        if key not in there:
            there.add(key)
            new.append(row)
    return SortedOut(np.array(new, np.intp), columns.ordinal)

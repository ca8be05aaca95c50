"""The readings of a patient: storing them (`writing`) and reading them back as columns (`series`).

Only this room applies clock segments: whoever reads gets effective times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import AsyncCursor

from device_profiles.reading import (
    UNKNOWN_TIME,
    ClockSegment,
    Device,
    Kind,
    ReadingSeries,
)
from storage import clock_segments, devices
from storage.answers import AroundReadings, placed_columns, row_of_key, unpacked
from storage.clock_segments import ALL_TIMES, Range
from storage.columns import microsecond, moment
from storage.connection import Connection
from storage.days import MICROSECONDS_A_SECOND
from storage.errors import UnknownPatient
from storage.patients import Patient
from storage.statements import statements
from storage.writing import (
    RecordColumns,
    RefusedFrame,
    Stored,
    StoredColumns,
    Writing,
    refused_frames,
    writing,
)

__all__ = [
    "Page",
    "RecordColumns",
    "RefusedFrame",
    "Stored",
    "StoredColumns",
    "Writing",
    "last_effective_time",
    "page_of_device",
    "refused_frames",
    "row_of_key",
    "series",
    "series_by_token",
    "writing",
]

NEAR = 3 * 3600 * MICROSECONDS_A_SECOND
"""How far from UTC a device's clock mostly is, where we are. What is that near is asked for at once, together
with the segments; what they place from elsewhere is asked for after."""

_SQL = statements("readings")


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who reads: the suffix of the statements' names, and the parameter that says whose readings.

    `others_too`: also what was said to be another's, for the person who may take it back.
    """

    suffix: str
    whose: Mapping[str, object]
    others_too: bool = False


async def series(
    conn: Connection,
    patient_id: int,
    *,
    kinds: Iterable[Kind] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int | None = None,
    others_too: bool = False,
) -> ReadingSeries:
    """A patient's readings whose effective time is in `start..end` (end excluded), in that order.

    Without bounds the readings that no segment places come too, first. `limit` keeps the newest. What a
    person excluded is marked; what is not theirs or was moved to another is not there, unless `others_too`.
    Raises UnknownPatient.
    """
    reader = _Reader("of_patient", {"patient_id": patient_id}, others_too)
    return await _series(conn, reader, _numbers(kinds), (start, end), limit)


async def series_by_token(
    conn: Connection,
    token_hash: bytes,
    *,
    kinds: Iterable[Kind] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int | None = None,
) -> ReadingSeries:
    """The same for the role that serves HTTP: whose readings, which kinds and which period the token says.

    Raises UnknownPatient for a token that opens nothing.
    """
    return await _series(
        conn, _Reader("by_token", {"token": token_hash}), _numbers(kinds), (start, end), limit
    )


async def last_effective_time(
    conn: Connection, patient_id: int, kinds: Iterable[Kind] | None = None
) -> datetime | None:
    """When the last placed reading of these kinds was; None when there is none.

    The segments say where it can be, the latest first; a segment whose readings are of other kinds is passed.
    """
    rows = await (await conn.execute(_SQL["segments"], {"patient_id": patient_id})).fetchall()
    wanted = _numbers(kinds)
    latest: datetime | None = None
    for device_id, end, shift, *bounds in rows:
        if latest is not None and end <= latest:
            break
        names = ("first_sequence", "last_sequence", "first_recorded_at", "last_recorded_at")
        values = {"patient_id": patient_id, "device_id": device_id, "kinds": wanted, "shift": shift}
        cursor = await conn.execute(
            _SQL["last_of_segment"], {**values, **dict(zip(names, bounds, strict=True))}
        )
        row = await cursor.fetchone()
        if row is not None and (latest is None or row[0] > latest):
            latest = row[0]
    return latest


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Some readings of a device in the order of their keys, another person's too: `left_out` says which.

    `left_out`: the person said that they are not theirs, or moved them to another. Shape: (n,).
    """

    series: ReadingSeries
    left_out: npt.NDArray[np.bool_]


async def page_of_device(
    conn: Connection,
    patient_id: int,
    device_id: int,
    stretch: Range,
    *,
    after: tuple[int, int] = (-(1 << 31), -(1 << 15)),
    limit: int,
) -> Page:
    """The first readings of a device in a stretch of `recorded_at` (microseconds, ends included).

    `after`: the sequence and ordinal of a reading at the very begin of the stretch, which they follow.
    Raises UnknownPatient.
    """
    async with conn.pipeline():
        asked = await _Asked.of(conn, _Reader("of_patient", {"patient_id": patient_id}))
        patient, owned, segments = await asked.answer()
    values: dict[str, object] = {"patient_id": patient_id, "device_id": device_id, "limit": limit}
    values |= {"first": moment(stretch[0]), "last": moment(stretch[1])}
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(
            _SQL["page_of_device"], {**values, "after_sequence": after[0], "after_ordinal": after[1]}
        )
        row = await cursor.fetchone()
    found = row is not None and row[0] is not None
    columns = unpacked(*(row if row is not None and found else [np.empty(0, np.int64)] * 4))
    beside = AroundReadings()
    if found:
        times = columns["recorded_at"][[0, -1]].tolist()
        around = {"patient_id": patient_id, "first": moment(times[0]), "last": moment(times[1])}
        await _add_beside(conn, "of_patient", around, beside)
    columns |= placed_columns(columns, segments)
    left_out = np.zeros(len(columns["kind"]), np.bool_)
    if beside.left_out:
        rows = row_of_key(columns)
        left_out[[rows[key] for key in beside.left_out if key in rows]] = True
    fields: dict[str, Any] = {**columns, **beside.by_row(columns)}
    series = ReadingSeries(patient_id=patient_id, patient_uuid=patient.uuid, devices=owned, **fields)
    return Page(series, left_out)


async def _series(
    conn: Connection,
    reader: _Reader,
    kinds: list[int] | None,
    bounds: tuple[datetime | None, datetime | None],
    limit: int | None,
) -> ReadingSeries:
    start, end = (None if bound is None else microsecond(bound) for bound in bounds)
    likely = _likely(start, end)
    beside = AroundReadings()
    async with conn.pipeline():
        # What takes longest goes first: the server is at it while the rest is asked.
        first = await _Stretch.ask(conn, reader, kinds, likely)
        asked = await _Asked.of(conn, reader)
        parts = await first.answer()
        patient, owned, segments = await asked.answer()
    every = [segment for of_device in segments.values() for segment in of_device]
    stretches = [first]
    for each in clock_segments.without(clock_segments.recorded_ranges(every, start, end), likely):
        async with conn.pipeline():
            stretches.append(await _Stretch.ask(conn, reader, kinds, each))
            parts += await stretches[-1].answer()
    for stretch in stretches:
        await stretch.add_beside(beside)
    if reader.others_too:
        beside.left_out.clear()
    none = [np.empty(0, np.int64)]
    columns = unpacked(
        *(np.concatenate(column) for column in (zip(*parts, strict=True) if parts else [none] * 4))
    )
    columns |= placed_columns(columns, segments)
    chosen: dict[str, Any] = _in_order(columns, _kept(columns, beside, (start, end)), limit)
    chosen |= beside.by_row(chosen)
    return ReadingSeries(patient_id=patient.patient_id, patient_uuid=patient.uuid, devices=owned, **chosen)


def _likely(start: int | None, end: int | None) -> Range:
    """Where in `recorded_at` readings of these effective times are, unless a clock is far off."""
    first = ALL_TIMES[0] if start is None else start - NEAR
    return first, ALL_TIMES[1] if end is None else end - 1 + NEAR


def _in_order(
    columns: Mapping[str, npt.NDArray[Any]], kept: npt.NDArray[np.bool_], limit: int | None
) -> dict[str, npt.NDArray[Any]]:
    """The rows that are kept, in order of effective time and sequence; mostly they are that already."""
    time, sequence = columns["effective_time"], columns["sequence"]
    rows: npt.NDArray[np.intp] | slice = slice(None)
    later, same = time[1:] > time[:-1], time[1:] == time[:-1]
    if not np.all(later | (same & (sequence[1:] >= sequence[:-1]))):
        rows = np.lexsort((sequence, time))
    if not kept.all():
        rows = np.flatnonzero(kept) if isinstance(rows, slice) else rows[kept[rows]]
    found = {name: column[rows] for name, column in columns.items()}
    if limit is not None:
        found = {name: column[max(len(column) - limit, 0) :] for name, column in found.items()}
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who the patient is, their devices and the segments in force: asked, in a pipeline."""

    cursors: tuple[AsyncCursor[tuple[Any, ...]], ...]

    @classmethod
    async def of(cls, conn: Connection, reader: _Reader) -> _Asked:
        of_patient = "get" if reader.suffix == "of_patient" else "by_token"
        wanted = (
            statements("patients")[of_patient],
            _SQL[f"devices_{reader.suffix}"],
            statements("clock_segments")[reader.suffix],
        )
        return cls(tuple([await conn.execute(statement, reader.whose) for statement in wanted]))

    async def answer(self) -> tuple[Patient, dict[int, Device], Mapping[int, tuple[ClockSegment, ...]]]:
        person, known, placing = self.cursors
        found = await person.fetchone()
        if found is None:
            raise UnknownPatient
        names = ("scheme", "identity", "manufacturer", "model", "serial", "firmware", "profile")
        owned = {
            row[0]: devices.device_of(dict(zip(names, row[1:], strict=True)))
            for row in await known.fetchall()
        }
        return Patient(*found), owned, clock_segments.by_device(await placing.fetchall())


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The readings of a stretch of `recorded_at`: asked, in a pipeline; and what lies beside them."""

    conn: Connection
    reader: _Reader
    values: Mapping[str, object]
    found: AsyncCursor[tuple[Any, ...]]
    anything_beside: AsyncCursor[tuple[Any, ...]] | None

    @classmethod
    async def ask(
        cls, conn: Connection, reader: _Reader, kinds: list[int] | None, stretch: Range
    ) -> _Stretch:
        values = {**reader.whose, "kinds": kinds, "first": _bound(stretch[0]), "last": _bound(stretch[1])}
        own = reader.suffix == "of_patient"
        statement = "kinds_of_patient" if own and kinds is not None else f"readings_{reader.suffix}"
        found = await conn.cursor(binary=True).execute(_SQL[statement], values)
        beside = await conn.execute(_SQL["beside_of_patient"], values) if own else None
        return cls(conn, reader, values, found, beside)

    async def answer(self) -> list[tuple[npt.NDArray[np.int64], ...]]:
        """The columns, in parts."""
        return [row for row in await self.found.fetchall() if row[0] is not None]

    async def add_beside(self, beside: AroundReadings) -> None:
        """What lies beside the readings."""
        anything = None if self.anything_beside is None else await self.anything_beside.fetchone()
        if anything is None or anything[0]:
            await _add_beside(self.conn, self.reader.suffix, self.values, beside)


async def _add_beside(
    conn: Connection, suffix: str, values: Mapping[str, object], beside: AroundReadings
) -> None:
    async with conn.pipeline():
        names = ("contexts", "quantities", "annotations")
        cursors = [await conn.execute(_SQL[f"{name}_{suffix}"], values) for name in names]
        contexts, quantities, annotations = [await cursor.fetchall() for cursor in cursors]
    beside.add(contexts, quantities, annotations)


def _kept(
    columns: Mapping[str, npt.NDArray[Any]],
    beside: AroundReadings,
    bounds: tuple[int | None, int | None],
) -> npt.NDArray[np.bool_]:
    """The rows within the bounds that are the person's own."""
    start, end = bounds
    effective = columns["effective_time"]
    kept = np.ones(len(effective), np.bool_)
    if start is not None or end is not None:
        kept &= effective != UNKNOWN_TIME
    if start is not None:
        kept &= effective >= start
    if end is not None:
        kept &= effective < end
    if beside.left_out:
        rows = row_of_key(columns)
        kept[[rows[key] for key in beside.left_out if key in rows]] = False
    return kept


def _bound(time: int) -> datetime | str:
    """A moment as PostgreSQL takes it."""
    if time == ALL_TIMES[0]:
        return "-infinity"
    return "infinity" if time == ALL_TIMES[1] else moment(time)


def _numbers(kinds: Iterable[Kind] | None) -> list[int] | None:
    return None if kinds is None else [int(kind) for kind in kinds]

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
from storage.columns import microseconds, moment
from storage.connection import Connection
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
    patient, owned, segments = await _setting(conn, _Reader("of_patient", {"patient_id": patient_id}))
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
        times = columns["recorded_at"]
        await _beside_of(conn, patient_id, (int(times[0]), int(times[-1])), beside)
    columns |= placed_columns(columns, segments)
    left_out = np.zeros(len(columns["kind"]), np.bool_)
    if beside.left_out:
        rows = row_of_key(columns)
        left_out[[rows[key] for key in beside.left_out if key in rows]] = True
    fields: dict[str, Any] = {**columns, **beside.by_row(columns)}
    series = ReadingSeries(patient_id=patient_id, patient_uuid=patient.uuid, devices=owned, **fields)
    return Page(series, left_out)


async def _beside_of(conn: Connection, patient_id: int, stretch: Range, beside: AroundReadings) -> None:
    values = {"patient_id": patient_id, "first": moment(stretch[0]), "last": moment(stretch[1])}
    async with conn.pipeline():
        contexts_ = await conn.execute(_SQL["contexts_of_patient"], values)
        quantities = await conn.execute(_SQL["quantities_of_patient"], values)
        annotations = await conn.execute(_SQL["annotations_of_patient"], values)
        beside.add(await contexts_.fetchall(), await quantities.fetchall(), await annotations.fetchall())


async def _series(
    conn: Connection,
    reader: _Reader,
    kinds: list[int] | None,
    bounds: tuple[datetime | None, datetime | None],
    limit: int | None,
) -> ReadingSeries:
    patient, owned, segments = await _setting(conn, reader)
    start, end = (None if bound is None else int(microseconds((bound,))[0]) for bound in bounds)
    every = [segment for of_device in segments.values() for segment in of_device]
    beside = AroundReadings()
    parts: list[tuple[npt.NDArray[np.int64], ...]] = []
    for stretch in clock_segments.recorded_ranges(every, start, end):
        parts += await _stretch(conn, reader, kinds, stretch, beside)
    none = [np.empty(0, np.int64)]
    columns = unpacked(
        *(np.concatenate(column) for column in (zip(*parts, strict=True) if parts else [none] * 4))
    )
    placed = placed_columns(columns, segments)
    if reader.others_too:
        beside.left_out.clear()
    kept = _kept(columns, placed, beside, (start, end))
    order = kept[np.lexsort((columns["sequence"][kept], placed["effective_time"][kept]))]
    if limit is not None:
        order = order[max(len(order) - limit, 0) :]
    chosen: dict[str, Any] = {name: column[order] for name, column in {**columns, **placed}.items()}
    chosen |= beside.by_row(chosen)
    return ReadingSeries(patient_id=patient.patient_id, patient_uuid=patient.uuid, devices=owned, **chosen)


async def _setting(
    conn: Connection, reader: _Reader
) -> tuple[Patient, dict[int, Device], Mapping[int, tuple[ClockSegment, ...]]]:
    """The patient, their devices and the segments in force, in one round trip."""
    of_patient = "get" if reader.suffix == "of_patient" else "by_token"
    async with conn.pipeline():
        person = await conn.execute(statements("patients")[of_patient], reader.whose)
        known = await conn.execute(_SQL[f"devices_{reader.suffix}"], reader.whose)
        placing = await conn.execute(statements("clock_segments")[reader.suffix], reader.whose)
        found = await person.fetchone()
        device_rows = await known.fetchall()
        segment_rows = await placing.fetchall()
    if found is None:
        raise UnknownPatient
    names = ("scheme", "identity", "manufacturer", "model", "serial", "firmware", "profile")
    owned = {row[0]: devices.device_of(dict(zip(names, row[1:], strict=True))) for row in device_rows}
    return Patient(*found), owned, clock_segments.by_device(segment_rows)


async def _stretch(
    conn: Connection, reader: _Reader, kinds: list[int] | None, stretch: Range, beside: AroundReadings
) -> list[tuple[npt.NDArray[np.int64], ...]]:
    """The columns of one stretch of `recorded_at`, in parts; what lies beside goes to `beside`."""
    values = {**reader.whose, "kinds": kinds, "first": _bound(stretch[0]), "last": _bound(stretch[1])}
    async with conn.pipeline():
        cursor = conn.cursor(binary=True)
        await cursor.execute(_SQL[f"readings_{reader.suffix}"], values)
        context_rows = await conn.execute(_SQL[f"contexts_{reader.suffix}"], values)
        quantity_rows = await conn.execute(_SQL[f"quantities_{reader.suffix}"], values)
        annotation_rows = await conn.execute(_SQL[f"annotations_{reader.suffix}"], values)
        rows = [row for row in await cursor.fetchall() if row[0] is not None]
        beside.add(
            await context_rows.fetchall(), await quantity_rows.fetchall(), await annotation_rows.fetchall()
        )
    return rows


def _kept(
    columns: Mapping[str, npt.NDArray[Any]],
    placed: Mapping[str, npt.NDArray[Any]],
    beside: AroundReadings,
    bounds: tuple[int | None, int | None],
) -> npt.NDArray[np.intp]:
    """The rows within the bounds that are the person's own."""
    start, end = bounds
    effective = placed["effective_time"]
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
    return np.flatnonzero(kept)


def _bound(time: int) -> datetime | str:
    """A moment as PostgreSQL takes it."""
    if time == ALL_TIMES[0]:
        return "-infinity"
    return "infinity" if time == ALL_TIMES[1] else moment(time)


def _numbers(kinds: Iterable[Kind] | None) -> list[int] | None:
    return None if kinds is None else [int(kind) for kind in kinds]

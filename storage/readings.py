"""The readings of a patient: storing them (`writing`) and reading them back as columns (`series`).

Only this room applies clock segments: whoever reads gets effective times.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.reading import (
    UNKNOWN_TIME,
    ClockSegment,
    Context,
    Device,
    Kind,
    Quantity,
    ReadingSeries,
)
from storage import clock_segments, contexts, devices
from storage.annotations import AnnotationKind
from storage.clock_segments import ALL_TIMES, Range
from storage.columns import microseconds, moment
from storage.connection import Connection
from storage.contexts import Key
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
    "RecordColumns",
    "RefusedFrame",
    "Stored",
    "StoredColumns",
    "Writing",
    "last_effective_time",
    "refused_frames",
    "series",
    "series_by_token",
    "writing",
]

_SQL = statements("readings")

_LEFT_OUT = {AnnotationKind.NOT_MINE, AnnotationKind.MOVED_TO}


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who reads: the suffix of the statements' names, and the parameter that says whose readings."""

    suffix: str
    whose: Mapping[str, object]


async def series(
    conn: Connection,
    patient_id: int,
    *,
    kinds: Iterable[Kind] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int | None = None,
) -> ReadingSeries:
    """A patient's readings whose effective time is in `start..end` (end excluded), in that order.

    Without bounds the readings that no segment places come too, first. `limit` keeps the newest. What a
    person excluded is marked; what is not theirs or was moved to another is not there. Raises
    UnknownPatient.
    """
    reader = _Reader("of_patient", {"patient_id": patient_id})
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
    beside = _Beside()
    parts: list[tuple[npt.NDArray[np.int64], ...]] = []
    for stretch in clock_segments.recorded_ranges(every, start, end):
        part = await _stretch(conn, reader, kinds, stretch, beside)
        if part is not None:
            parts.append(part)
    none = [np.empty(0, np.int64)]
    columns = _unpacked(
        *(np.concatenate(column) for column in (zip(*parts, strict=True) if parts else [none] * 4))
    )
    placed = _placed(columns, segments)
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
    conn: Connection, reader: _Reader, kinds: list[int] | None, stretch: Range, beside: _Beside
) -> tuple[npt.NDArray[np.int64], ...] | None:
    """The columns of one stretch of `recorded_at`, or None; what lies beside goes to `beside`."""
    values = {**reader.whose, "kinds": kinds, "first": _bound(stretch[0]), "last": _bound(stretch[1])}
    async with conn.pipeline():
        cursor = conn.cursor(binary=True)
        await cursor.execute(_SQL[f"readings_{reader.suffix}"], values)
        context_rows = await conn.execute(_SQL[f"contexts_{reader.suffix}"], values)
        quantity_rows = await conn.execute(_SQL[f"quantities_{reader.suffix}"], values)
        annotation_rows = await conn.execute(_SQL[f"annotations_{reader.suffix}"], values)
        row = await cursor.fetchone()
        beside.add(
            await context_rows.fetchall(), await quantity_rows.fetchall(), await annotation_rows.fetchall()
        )
    return None if row is None or row[0] is None else row


def _unpacked(
    recorded_at: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    marks: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int64],
) -> dict[str, npt.NDArray[Any]]:
    """The columns of a ReadingSeries from those that the statements answer."""
    mantissa = numbers.astype(np.int32)
    return {
        "recorded_at": recorded_at,
        "sequence": ((numbers - mantissa) >> 32).astype(np.int32),
        "mantissa": mantissa,
        "flags": (marks >> 32).astype(np.int32),
        "device_id": (marks >> 16).astype(np.int16).astype(np.int32),
        "ordinal": marks.astype(np.int16),
        "kind": (codes >> 40).astype(np.int16),
        "exponent": (codes >> 32).astype(np.uint8).astype(np.int16) - np.int16(128),
        "unit": (codes >> 24).astype(np.uint8).astype(np.int16),
        "absent": (codes >> 16).astype(np.uint8).astype(np.int16),
        "sample": codes.astype(np.int16) - np.int16(1),
    }


class _Beside:
    """What lies beside readings, by their keys."""

    def __init__(self) -> None:
        self._contexts: dict[Key, Context] = {}
        self._quantities: dict[Key, tuple[Quantity, ...]] = {}
        self._notes: dict[Key, str] = {}
        self._excluded: set[Key] = set()
        self.left_out: set[Key] = set()

    def add(
        self,
        context_rows: Sequence[tuple[Any, ...]],
        quantity_rows: Sequence[tuple[Any, ...]],
        annotation_rows: Sequence[tuple[Any, ...]],
    ) -> None:
        self._contexts.update(contexts.contexts_of(context_rows))
        self._quantities.update(contexts.quantities_of(quantity_rows))
        for at, sequence, device_id, ordinal, kind, value in annotation_rows:
            key = (int(microseconds((at,))[0]), sequence, device_id, ordinal)
            if kind == AnnotationKind.NOTE and value is not None:
                self._notes[key] = value
            elif kind == AnnotationKind.EXCLUDED:
                self._excluded.add(key)
            elif kind in _LEFT_OUT:
                self.left_out.add(key)

    def by_row(self, columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
        """The fields of a ReadingSeries that are by row."""
        excluded = np.zeros(len(columns["kind"]), np.bool_)
        found: dict[str, Any] = {"excluded": excluded, "contexts": {}, "quantities": {}, "notes": {}}
        if self._contexts or self._quantities or self._notes or self._excluded:
            rows = row_of_key(columns)
            excluded[[rows[key] for key in self._excluded if key in rows]] = True
            for name, beside in (
                ("contexts", self._contexts),
                ("quantities", self._quantities),
                ("notes", self._notes),
            ):
                found[name] = {rows[key]: value for key, value in beside.items() if key in rows}
        return found


def row_of_key(columns: Mapping[str, npt.NDArray[Any]]) -> dict[Key, int]:
    """The row of each key."""
    names = ("recorded_at", "sequence", "device_id", "ordinal")
    keys = zip(*(columns[name].tolist() for name in names), strict=True)
    return {key: row for row, key in enumerate(keys)}


def _placed(
    columns: Mapping[str, npt.NDArray[Any]], segments: Mapping[int, tuple[ClockSegment, ...]]
) -> dict[str, npt.NDArray[Any]]:
    """Effective times and how they are known, device by device."""
    placed = clock_segments.place(columns["recorded_at"], columns["sequence"], ())
    for device_id, of_device in segments.items():
        rows = np.flatnonzero(columns["device_id"] == device_id)
        found = clock_segments.place(columns["recorded_at"][rows], columns["sequence"][rows], of_device)
        placed.effective_time[rows] = found.effective_time
        placed.utc_offset_minutes[rows] = found.utc_offset_minutes
        placed.time_source[rows] = found.time_source
    return {
        "effective_time": placed.effective_time,
        "utc_offset_minutes": placed.utc_offset_minutes,
        "time_source": placed.time_source,
    }


def _kept(
    columns: Mapping[str, npt.NDArray[Any]],
    placed: Mapping[str, npt.NDArray[Any]],
    beside: _Beside,
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

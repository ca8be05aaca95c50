"""Reading in pages under a grant, for the role that serves HTTP.

A page is in the order of (effective time, recorded_at, sequence, device, ordinal) or backwards; readings
without a time come after all others. The next page begins after the last row of this one (`Place`), so that
what is stored meanwhile neither repeats nor hides a reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNKNOWN_TIME, Device, Kind, ReadingSeries
from storage import clock_segments, devices
from storage.answers import AroundReadings, placed_columns, row_of_key, unpacked
from storage.columns import microseconds, moment
from storage.connection import Connection
from storage.contexts import Key
from storage.days import MICROSECONDS_A_DAY, MICROSECONDS_A_SECOND
from storage.statements import statements

Period = tuple[int | None, int | None]
"""Effective time from the first to before the second, in microseconds since 1970; None: not bounded."""

_SQL: Final = statements("pages")
_READINGS: Final = statements("readings")
_SEGMENTS: Final = statements("clock_segments")
_GAP: Final = 31 * MICROSECONDS_A_DAY
"""Stretches without a reading on the page that are this long are not asked for what lies beside readings."""


@dataclass(frozen=True, slots=True)
class GrantReader:
    """Who reads: what a grant's token opens, and whose. `kinds` None: every kind."""

    token_hash: bytes = field(repr=False)
    patient_id: int
    uuid: UUID
    name: str = field(repr=False)
    zone: ZoneInfo
    grant_id: UUID
    kinds: frozenset[Kind] | None
    period_start: datetime | None
    period_end: datetime | None
    devices: Mapping[int, Device] = field(repr=False)


class Place(NamedTuple):
    """A row of the order that pages have. `effective_time` is UNKNOWN_TIME for one without a time."""

    effective_time: int
    recorded_at: int
    sequence: int
    device_id: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What pages hold. None: not limited.

    `cases`: kind × 4096 + unit × 32 + sample type + 1 (0 for no sample). `periods`: apart from one another
    and in order; None lets readings without a time through too.
    """

    kinds: tuple[int, ...] | None = None
    cases: tuple[int, ...] | None = None
    devices: tuple[int, ...] | None = None
    periods: tuple[Period, ...] | None = None
    backwards: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class ReadPage:
    """Some readings, their versions as Observations by row (1 where absent), and where the next page begins.

    It holds fewer than were asked for where some turned out to be another person's. `after` None: the end.
    """

    series: ReadingSeries
    versions: Mapping[int, int]
    after: Place | None


async def reader_of(conn: Connection, token_hash: bytes) -> GrantReader | None:
    """What a grant's token opens; None for one that opens nothing, and for a session of the person."""
    row = await (await conn.execute(_SQL["grant"], {"token": token_hash})).fetchone()
    if row is None:
        return None
    patient_id, uuid, name, zone, grant_id, kinds, start, end, device_rows = row
    names = ("scheme", "identity", "manufacturer", "model", "serial", "firmware", "profile")
    owned = {one[0]: devices.device_of(dict(zip(names, one[1:], strict=True))) for one in device_rows or ()}
    given = None if kinds is None else frozenset(map(Kind, kinds))
    return GrantReader(token_hash, patient_id, uuid, name, ZoneInfo(zone), grant_id, given, start, end, owned)


async def page(
    conn: Connection, reader: GrantReader, wanted: Wanted, count: int, after: Place | None = None
) -> ReadPage:
    """The first `count` readings after a place, or from the begin."""
    found = await _rows(conn, reader, wanted, count + 1, after)
    more = len(found["kind"]) > count
    chosen = {name: column[:count] for name, column in found.items()}
    last = _place(chosen, count - 1) if more else None
    series, versions = await _dressed(conn, reader, chosen)
    return ReadPage(series, versions, last)


async def of_keys(
    conn: Connection,
    reader: GrantReader,
    keys: Iterable[Place],
    wanted: Wanted,
    count: int,
    after: Place | None = None,
) -> ReadPage:
    """The same of the readings of some keys, as far as the grant lets them through.

    Of a key `effective_time` is not looked at, and of `wanted` nothing but the order.
    """
    asked: list[tuple[Place, Any]] = []
    async with conn.pipeline():
        placing = await conn.execute(_SEGMENTS["by_token"], {"token": reader.token_hash})
        for key in keys:
            cursor = conn.cursor(binary=True)
            at = moment(key.recorded_at)
            values = {"token": reader.token_hash, "kinds": None, "first": at, "last": at}
            asked.append((key, await cursor.execute(_READINGS["readings_by_token"], values)))
        segments = clock_segments.by_device(await placing.fetchall())
        parts = []
        for key, cursor in asked:
            rows = [unpacked(*row) for row in await cursor.fetchall() if row[0] is not None]
            parts += [_taken(columns, _rows_of(columns, key)) for columns in rows]
    columns = {name: np.concatenate([part[name] for part in parts] or [_NONE[name]]) for name in _STORED}
    columns |= placed_columns(columns, segments) | {"beside": np.ones(len(columns["kind"]), np.bool_)}
    found = _in_order(columns, wanted, after)
    more = len(found["kind"]) > count
    chosen = _taken(found, slice(count))
    series, versions = await _dressed(conn, reader, chosen)
    return ReadPage(series, versions, _place(chosen, count - 1) if more else None)


def _in_order(
    columns: Mapping[str, npt.NDArray[Any]], wanted: Wanted, after: Place | None
) -> dict[str, npt.NDArray[Any]]:
    """Rows in the order of pages, those that follow a place."""
    timed = columns["effective_time"] != UNKNOWN_TIME
    first = _first(_taken(columns, timed), len(timed), backwards=wanted.backwards)
    last = _first(_taken(columns, ~timed), len(timed), backwards=False)
    found = _joined([first, last])
    places = [_place(found, row) for row in range(len(timed))]
    return _taken(found, slice(places.index(after) + 1 if after in places else 0, None))


async def _rows(
    conn: Connection, reader: GrantReader, wanted: Wanted, count: int, after: Place | None
) -> dict[str, npt.NDArray[Any]]:
    """The columns of the first `count` rows after a place, placed in time and in order."""
    values = {
        "token": reader.token_hash,
        "kinds": None if wanted.kinds is None else list(wanted.kinds),
        "cases": None if wanted.cases is None else list(wanted.cases),
        "devices": None if wanted.devices is None else list(wanted.devices),
        "backwards": wanted.backwards,
        **_after(after),
    }
    parts: list[dict[str, npt.NDArray[Any]]] = []
    missing = count
    if after is None or after.effective_time != UNKNOWN_TIME:
        for first, until in _periods(wanted, after):
            bounds = {"first": first, "until": until, "count": missing}
            rows = _first(await _read(conn, "page", values | bounds), missing, backwards=wanted.backwards)
            parts.append(rows)
            missing -= len(rows["kind"])
            if not missing:
                break
    if missing and wanted.periods is None:
        begin = values if after and after.effective_time == UNKNOWN_TIME else values | _after(None)
        parts.append(
            _first(await _read(conn, "untimed", begin | {"count": missing}), missing, backwards=False)
        )
    return _joined(parts)


def _after(place: Place | None) -> dict[str, object]:
    """A place as parameters."""
    if place is None:
        names = ("at", "recorded_at", "sequence", "device", "ordinal")
        return {f"after_{name}": None for name in names}
    at, recorded_at, sequence, device_id, ordinal = place
    return {
        "after_at": None if at == UNKNOWN_TIME else moment(at),
        "after_recorded_at": moment(recorded_at),
        "after_sequence": sequence,
        "after_device": device_id,
        "after_ordinal": ordinal,
    }


def _periods(wanted: Wanted, after: Place | None) -> list[tuple[datetime | str, datetime | str]]:
    """The periods that something after a place can be in, in the order of the pages."""
    found: list[tuple[datetime | str, datetime | str]] = []
    for first, until in wanted.periods if wanted.periods is not None else ((None, None),):
        if after is not None:
            over = (
                (first is not None and first > after.effective_time)
                if wanted.backwards
                else (until is not None and until <= after.effective_time)
            )
            if over:
                continue
        found.append(
            ("-infinity" if first is None else moment(first), "infinity" if until is None else moment(until))
        )
    return found[::-1] if wanted.backwards else found


async def _read(
    conn: Connection, statement: str, values: Mapping[str, object]
) -> dict[str, npt.NDArray[Any]]:
    """The rows that a statement answers, in no order."""
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(_SQL[statement], values)
        answered = await cursor.fetchall()
    parts = []
    for shift, offset, source, beside, *arrays in answered:
        columns = unpacked(*arrays)
        count = len(arrays[0])
        columns["effective_time"] = (
            np.full(count, UNKNOWN_TIME, np.int64)
            if shift is None
            else columns["recorded_at"] + shift * MICROSECONDS_A_SECOND
        )
        columns["utc_offset_minutes"] = np.full(count, offset, np.int16)
        columns["time_source"] = np.full(count, source, np.int16)
        columns["beside"] = np.full(count, beside, np.bool_)
        parts.append(columns)
    return _joined(parts)


_NONE: Final[Mapping[str, npt.NDArray[Any]]] = {
    **unpacked(*[np.empty(0, np.int64)] * 4),
    "effective_time": np.empty(0, np.int64),
    "utc_offset_minutes": np.empty(0, np.int16),
    "time_source": np.empty(0, np.int16),
    "beside": np.empty(0, np.bool_),
}
"""The columns of a ReadingSeries, and whether something may lie beside a row."""
_STORED: Final = tuple(unpacked(*[np.empty(0, np.int64)] * 4))


def _joined(parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    if len(parts) == 1:
        return dict(parts[0])
    return {name: np.concatenate([part[name] for part in parts] or [none]) for name, none in _NONE.items()}


def _taken(
    columns: Mapping[str, npt.NDArray[Any]], rows: npt.NDArray[Any] | slice
) -> dict[str, npt.NDArray[Any]]:
    return {name: column[rows] for name, column in columns.items()}


def _first(
    columns: Mapping[str, npt.NDArray[Any]], count: int, *, backwards: bool
) -> dict[str, npt.NDArray[Any]]:
    """The first rows in the order of pages."""
    names = ("ordinal", "device_id", "sequence", "recorded_at", "effective_time")
    order = np.lexsort([columns[name] for name in names])
    return _taken(columns, (order[::-1] if backwards else order)[:count])


def _place(columns: Mapping[str, npt.NDArray[Any]], row: int) -> Place:
    return Place(*(int(columns[name][row]) for name in Place._fields))


def _rows_of(columns: Mapping[str, npt.NDArray[Any]], key: Place) -> npt.NDArray[np.intp]:
    names = ("recorded_at", "sequence", "device_id", "ordinal")
    same = np.ones(len(columns["kind"]), np.bool_)
    for name in names:
        same &= columns[name] == getattr(key, name)
    return np.flatnonzero(same)[:1]


@dataclass(frozen=True, slots=True)
class _Around:
    """What lies beside the readings of a page."""

    beside: AroundReadings
    versions: Mapping[Key, int]


async def _around(conn: Connection, reader: GrantReader, columns: Mapping[str, npt.NDArray[Any]]) -> _Around:
    beside = AroundReadings()
    versions: dict[Key, int] = {}
    if not columns["beside"].any():
        return _Around(beside, versions)
    days = np.unique(columns["recorded_at"] // MICROSECONDS_A_DAY) * MICROSECONDS_A_DAY
    whole_days = ((day, day + MICROSECONDS_A_DAY - 1) for day in days.tolist())
    for first, last in clock_segments.merged(whole_days, _GAP):
        values = {"token": reader.token_hash, "first": moment(first), "last": moment(last)}
        async with conn.pipeline():
            names = ("contexts_by_token", "quantities_by_token", "annotations_by_token")
            asked = [await conn.execute(_READINGS[name], values) for name in names]
            told = await conn.execute(_SQL["versions"], values)
            contexts, quantities, annotations = [await cursor.fetchall() for cursor in asked]
            beside.add(contexts, quantities, annotations)
            for at, sequence, device_id, ordinal, version in await told.fetchall():
                versions[int(microseconds((at,))[0]), sequence, device_id, ordinal] = version
    return _Around(beside, versions)


def _left_out(columns: Mapping[str, npt.NDArray[Any]], around: _Around) -> npt.NDArray[np.bool_]:
    """Which rows the person said are another's, or are of a device that is not told of."""
    left_out = np.zeros(len(columns["kind"]), np.bool_)
    if around.beside.left_out:
        rows = row_of_key(columns)
        left_out[[rows[key] for key in around.beside.left_out if key in rows]] = True
    return left_out


async def _dressed(
    conn: Connection, reader: GrantReader, columns: Mapping[str, npt.NDArray[Any]]
) -> tuple[ReadingSeries, Mapping[int, int]]:
    """Rows as a series, with what lies beside them, without those that are another person's."""
    around = await _around(conn, reader, columns)
    left_out = _left_out(columns, around)
    known = np.isin(columns["device_id"], list(reader.devices))
    if left_out.any() or not known.all():
        columns = _taken(columns, np.flatnonzero(known & ~left_out))
    chosen: dict[str, Any] = {
        name: columns[name] for name in _NONE if name != "beside"
    } | around.beside.by_row(columns)
    versions: dict[int, int] = {}
    if around.versions:
        rows = row_of_key(columns)
        versions = {rows[key]: version for key, version in around.versions.items() if key in rows}
    return ReadingSeries(reader.patient_id, reader.uuid, devices=reader.devices, **chosen), versions

"""What a space is told later of readings it has: notes, exclusions, another time, a late context, not mine.

The reading itself never changes: a version that says another value is refused. Each version replaces the one
it names; one that says nothing new is the one that is there, so that telling again does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from device_profiles.errors import StorageError
from device_profiles.reading import ClockSegment, Context, Quantity, ReadingSeries
from storage import annotations as saying
from storage import erasure, observation_versions
from storage.annotations import Annotation, AnnotationKind, ReadingKey
from storage.columns import microseconds
from storage.connection import Connection
from storage.contexts import Beside, contexts_of, quantities_of
from storage.devices import StoredDevice
from storage.ingest import columns_of, key_of, placement_of
from storage.observation_versions import FIRST, Key, Version
from storage.placement import Placement, anew
from storage.statements import statements
from storage.writing import Writing, writing

_SQL = statements("ingest")

_SAID = (AnnotationKind.NOTE, AnnotationKind.EXCLUDED, AnnotationKind.NOT_MINE)


class RevisionRefused(StorageError):
    """A version that cannot be. `row`: which of those that were told."""

    sentence = "This version cannot take the place of the one that is there."

    def __init__(self, row: int) -> None:
        self.row = row
        super().__init__()


class ReadingAbsent(RevisionRefused):
    """There is no such reading."""

    sentence = "There is no such reading here."


class ReadingErased(RevisionRefused):
    """The reading was erased."""

    sentence = "This reading was erased here, and does not come back."


class VersionStale(RevisionRefused):
    """Another version is there than the one that was to be replaced."""

    sentence = "Another version of this reading is here than the one that was to be replaced."


class ReadingDiffers(RevisionRefused):
    """The version tells another measurement, or another context than the one that came first."""

    sentence = "A reading never changes: this one has another value or another context here."


@dataclass(frozen=True, slots=True)
class Told:
    """What shall be said of a reading: the version it takes the place of, and whether it is another's."""

    version: int
    in_error: bool


@dataclass(frozen=True, slots=True)
class _State:
    """What is stored of a device around the readings that are told of, by key."""

    rows: Mapping[Key, tuple[int, ...]]
    contexts: Mapping[Key, Context]
    quantities: Mapping[Key, tuple[Quantity, ...]]
    annotations: Mapping[Key, list[Annotation]]
    versions: Mapping[Key, Version]


async def revise(
    conn: Connection,
    device: StoredDevice,
    series: ReadingSeries,
    told: Sequence[Told],
    author: str,
    now: datetime,
) -> list[Version]:
    """Takes in versions of readings of one device, each reading once; the version that each has then.

    Raises RevisionRefused, after which the transaction is to be given up.
    """
    async with writing(conn, device) as held:
        state = await _state(conn, device, series)
        wanted = placement_of(series)
        moved = wanted.differs(Placement.by(wanted.recorded_at, wanted.sequence, held.history))
        keys = _keys(series)
        await _all_there(conn, device, series, keys, state)
        changes = [
            _Change.of(series, row, key, state, told[row], moved=bool(moved[row]))
            for row, key in enumerate(keys)
        ]
        await _store(held, series, wanted, changes)
    changed = [keys[change.row] for change in changes if change]
    for change in changes:
        await change.say(conn, device, series, author)
    await observation_versions.count_up(conn, device.patient_id, device.device_id, changed, now)
    return [
        _after(state.versions.get(key, FIRST), change, now) for key, change in zip(keys, changes, strict=True)
    ]


def _after(version: Version, change: _Change, now: datetime) -> Version:
    return Version(version.number + 1, now) if change else version


@dataclass(frozen=True, slots=True)
class _Change:
    """What a version changes; false where it changes nothing."""

    row: int
    context: Context | None
    moved: bool
    add: tuple[tuple[AnnotationKind, str | None], ...]
    withdraw: tuple[Annotation, ...]

    def __bool__(self) -> bool:
        return bool(self.context or self.moved or self.add or self.withdraw)

    @classmethod
    def of(
        cls, series: ReadingSeries, row: int, key: Key, state: _State, told: Told, *, moved: bool
    ) -> _Change:
        """Compares what is told with what is there. Raises ReadingDiffers, VersionStale."""
        context = series.contexts.get(row)
        if (
            _numbers(series, row) != _stored_numbers(state.rows[key])
            or series.quantities.get(row, ()) != state.quantities.get(key, ())
            or state.contexts.get(key, context) != context
        ):
            raise ReadingDiffers(row)
        add, withdraw = _saying(series, row, told, state.annotations.get(key, ()))
        joins = context if key not in state.contexts else None
        change = cls(row, joins, moved, add, withdraw)
        if change and state.versions.get(key, FIRST).number != told.version:
            raise VersionStale(row)
        return change

    async def say(self, conn: Connection, device: StoredDevice, series: ReadingSeries, author: str) -> None:
        """Writes what is said now, and takes back what no longer is."""
        for annotation in self.withdraw:
            await saying.withdraw(conn, device.patient_id, annotation)
        for kind, value in self.add:
            key = key_of(device, series, self.row)
            await saying.add(conn, device.patient_id, key, kind, author, value)


def _saying(
    series: ReadingSeries, row: int, told: Told, there: Sequence[Annotation]
) -> tuple[tuple[tuple[AnnotationKind, str | None], ...], tuple[Annotation, ...]]:
    """What is to be said that is not, and what is said that is not to be."""
    wanted: dict[AnnotationKind, str | None] = {}
    if row in series.notes:
        wanted[AnnotationKind.NOTE] = series.notes[row]
    if series.excluded[row]:
        wanted[AnnotationKind.EXCLUDED] = None
    if told.in_error:
        wanted[AnnotationKind.NOT_MINE] = None
    said = [one for one in there if one.kind in _SAID]
    kept = {one.kind: one for one in said if one.kind in wanted and wanted[one.kind] == one.value}
    add = tuple((kind, value) for kind, value in wanted.items() if kind not in kept)
    return add, tuple(one for one in said if one is not kept.get(one.kind))


async def _store(held: Writing, series: ReadingSeries, wanted: Placement, changes: Sequence[_Change]) -> None:
    """Joins late contexts and places readings otherwise; the days follow."""
    contexts = {change.row: change.context for change in changes if change.context is not None}
    moved = [change.row for change in changes if change.moved]
    if not contexts and not moved:
        return
    segments = await _moved(held, wanted, np.array(moved, np.intp)) if moved else None
    await held.store_columns(columns_of(series), segments, beside=Beside(contexts, {}))


async def _moved(held: Writing, wanted: Placement, moved: np.ndarray[Any, Any]) -> tuple[ClockSegment, ...]:
    """The segments of all records of the device, some of them in another place."""
    records = await held.records()
    every = Placement.by(records.recorded_at_us, records.sequence, held.history)
    row_of = {
        key: row
        for row, key in enumerate(zip(every.recorded_at.tolist(), every.sequence.tolist(), strict=True))
    }
    rows = np.array(
        [row_of[int(wanted.recorded_at[row]), int(wanted.sequence[row])] for row in moved.tolist()], np.intp
    )
    for name in ("shift", "utc_offset_minutes", "source"):
        getattr(every, name)[rows] = getattr(wanted, name)[moved]
    return anew(every)


async def _state(conn: Connection, device: StoredDevice, series: ReadingSeries) -> _State:
    times = sorted({key_of(device, series, row).recorded_at for row in range(len(series))})
    values = {
        "patient_id": device.patient_id,
        "device_id": device.device_id,
        "recorded_at": times,
    }
    found: dict[str, list[tuple[Any, ...]]] = {}
    for name in ("readings", "contexts", "quantities", "annotations"):
        found[name] = await (await conn.execute(_SQL[name], values)).fetchall()
    rows = {_key(row): tuple(row[3:]) for row in found["readings"]}
    annotations: dict[Key, list[Annotation]] = {}
    for row in found["annotations"]:
        at, sequence, ordinal, kind, *rest = row
        key = ReadingKey(at, sequence, device.device_id, ordinal)
        annotation_id: UUID = rest[0]
        said = Annotation(annotation_id, key, AnnotationKind(kind), rest[1], rest[2], rest[3])
        annotations.setdefault(_key(row), []).append(said)
    return _State(
        rows,
        {(key[0], key[1], key[3]): one for key, one in contexts_of(found["contexts"]).items()},
        {(key[0], key[1], key[3]): one for key, one in quantities_of(found["quantities"]).items()},
        annotations,
        await observation_versions.of_records(conn, device.patient_id, device.device_id, series.recorded_at),
    )


async def _all_there(
    conn: Connection, device: StoredDevice, series: ReadingSeries, keys: Sequence[Key], state: _State
) -> None:
    """Raises ReadingErased or ReadingAbsent for the first one that is not."""
    for row, key in enumerate(keys):
        if key not in state.rows:
            named = key_of(device, series, row)
            if await erasure.erased(conn, device.patient_id, [named]):
                raise ReadingErased(row)
            raise ReadingAbsent(row)


def _keys(series: ReadingSeries) -> list[Key]:
    columns = (series.recorded_at, series.sequence, series.ordinal)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def _key(row: Sequence[Any]) -> Key:
    return int(microseconds((row[0],))[0]), row[1], row[2]


def _numbers(series: ReadingSeries, row: int) -> tuple[object, ...]:
    columns = (series.kind, series.mantissa, series.exponent, series.unit, series.absent)
    numbers = [int(column[row]) for column in (*columns, series.sample, series.flags)]
    return _stored_numbers(tuple(numbers))


def _stored_numbers(row: tuple[int, ...]) -> tuple[object, ...]:
    """A measurement as it compares: 5.50 is 5.5."""
    kind, mantissa, exponent, unit, absent, sample, flags = row
    while mantissa and mantissa % 10 == 0:
        mantissa, exponent = mantissa // 10, exponent + 1
    value = (0, 0) if absent or not mantissa else (mantissa, exponent)
    return kind, *value, unit, absent, sample, flags

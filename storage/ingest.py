"""What a space stores of what gateways send: readings under the keys they were given, placed as told.

A record that is there already stays as it is, where it is in time too, whoever sends it again. What is told
of it later (a note, an exclusion, another time, a late context) are versions; see `storage.revisions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, Absent, ClockSegment, ReadingSeries
from storage import annotations as saying
from storage import observation_versions
from storage.annotations import AnnotationKind, ReadingKey
from storage.columns import Columns, moment
from storage.connection import Connection
from storage.contexts import Beside
from storage.devices import StoredDevice
from storage.observation_versions import FIRST, Version
from storage.placement import IN_NONE, Placement, anew, appended
from storage.writing import Writing, writing


@dataclass(frozen=True, slots=True, eq=False)
class Created:
    """What became of a batch, by row: whether it is new, and its version. `erased`: rows not taken again."""

    new: npt.NDArray[np.bool_]
    versions: list[Version]
    erased: list[int]

    @property
    def stored(self) -> int:
        """How many are new."""
        return int(np.count_nonzero(self.new))


async def create(conn: Connection, device: StoredDevice, series: ReadingSeries, author: str) -> Created:
    """Stores the readings of one device that are not there; `author`: who says what is said of them.

    Where `erased` names rows the transaction is to be given up. Raises UnknownDevice, ValueNotStorable.
    """
    async with writing(conn, device) as held:
        segments = await _segments(held, placement_of(series))
        stored = await held.store_columns(
            columns_of(series), segments, beside=Beside(series.contexts, series.quantities)
        )
    new = np.zeros(len(series), np.bool_)
    new[stored.new] = True
    erased = stored.erased.tolist()
    if not erased:
        await _annotate(conn, device, series, new, author)
    return Created(new, await _versions(conn, device, series, new), erased)


def columns_of(series: ReadingSeries) -> Columns:
    """The columns of the table. `raw` is the canonical value, as of a file: the bytes stayed at home."""
    return Columns.pack(
        _canonical(series),
        recorded_at=series.recorded_at,
        sequence=series.sequence,
        ordinal=series.ordinal,
        kind=series.kind,
        mantissa=series.mantissa,
        exponent=series.exponent,
        unit=series.unit,
        absent=series.absent,
        flags=series.flags,
        sample=series.sample,
    )


def placement_of(series: ReadingSeries) -> Placement:
    """Where a series says that its readings are in time; of readings of one key the first one says it."""
    placement = Placement.of(
        series.recorded_at,
        series.sequence,
        series.effective_time,
        series.utc_offset_minutes,
        series.time_source,
    )
    step = np.diff(series.recorded_at)
    if np.all((step > 0) | ((step == 0) & (np.diff(series.sequence) > 0))):
        return placement
    keys = np.stack((series.recorded_at, series.sequence))
    _, first, which = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    return placement.take(first[which.reshape(-1)])


async def _segments(held: Writing, wanted: Placement) -> tuple[ClockSegment, ...]:
    """The segments that place new records as wanted, and known ones where they are."""
    current = Placement.by(wanted.recorded_at, wanted.sequence, held.history)
    elsewhere = wanted.differs(current) & (current.source != IN_NONE)
    if not elsewhere.any():
        found = appended(held.history, wanted)
        if found is not None:
            return found
    records = await held.records()
    every = Placement.by(records.recorded_at_us, records.sequence, held.history)
    new = ~_among(wanted, every)
    return anew(every.joined(wanted.take(np.flatnonzero(new))))


def _among(batch: Placement, every: Placement) -> npt.NDArray[np.bool_]:
    """Which records of a batch are among others, by their keys."""
    there = set(zip(every.recorded_at.tolist(), every.sequence.tolist(), strict=True))
    keys = zip(batch.recorded_at.tolist(), batch.sequence.tolist(), strict=True)
    return np.fromiter((key in there for key in keys), np.bool_, len(batch))


async def _annotate(
    conn: Connection, device: StoredDevice, series: ReadingSeries, new: npt.NDArray[np.bool_], author: str
) -> None:
    said: list[tuple[int, AnnotationKind, str | None]] = [
        (row, AnnotationKind.NOTE, note) for row, note in series.notes.items()
    ]
    said += [(row, AnnotationKind.EXCLUDED, None) for row in np.flatnonzero(series.excluded).tolist()]
    for row, kind, value in said:
        if new[row]:
            await saying.add(conn, device.patient_id, key_of(device, series, row), kind, author, value)


def key_of(device: StoredDevice, series: ReadingSeries, row: int) -> ReadingKey:
    """The key of one row."""
    return ReadingKey(
        moment(int(series.recorded_at[row])),
        int(series.sequence[row]),
        device.device_id,
        int(series.ordinal[row]),
    )


async def _versions(
    conn: Connection, device: StoredDevice, series: ReadingSeries, new: npt.NDArray[np.bool_]
) -> list[Version]:
    if new.all():
        return [FIRST] * len(series)
    known = await observation_versions.of_records(
        conn, device.patient_id, device.device_id, series.recorded_at[~new]
    )
    if not known:
        return [FIRST] * len(series)
    keys = zip(series.recorded_at.tolist(), series.sequence.tolist(), series.ordinal.tolist(), strict=True)
    return [known.get(key, FIRST) for key in keys]


def _canonical(series: ReadingSeries) -> list[bytes]:
    """Each row's value and unit as text: few occur, often."""
    packed = series.mantissa.astype(np.int64) << 32
    packed |= (series.exponent.astype(np.int64) & 0xFF) << 16 | series.unit << 8 | series.absent
    distinct, which = np.unique(packed, return_inverse=True)
    texts = [_text(number) for number in distinct.tolist()]
    if len(texts) == 1:
        return texts * len(series)
    return [texts[place] for place in which.tolist()]


@lru_cache(maxsize=8192)
def _text(packed: int) -> bytes:
    mantissa, rest = packed >> 32, packed & 0xFFFFFFFF
    exponent, unit, absent = (rest >> 16 & 0xFF ^ 0x80) - 0x80, rest >> 8 & 0xFF, rest & 0xFF
    value = Absent(absent).name if absent else str(Decimal(mantissa).scaleb(exponent))
    return f"{value} {UNITS[unit]}".encode()

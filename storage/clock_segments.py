"""Clock segments: which shift places which of a device's records in time, and what was believed before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNKNOWN_TIME, ClockSegment, TimeSource
from storage.columns import microsecond
from storage.connection import Connection
from storage.days import MICROSECONDS_A_SECOND
from storage.statements import statements

Range = tuple[int, int]
"""First and last moment, both included, in microseconds since 1970 in UTC."""

ALL_TIMES: Range = (-(1 << 62), 1 << 62)

_SQL = statements("clock_segments")


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Where segments put records: arrays of one length. Unplaced: UNKNOWN_TIME, 0, TimeSource.UNKNOWN."""

    effective_time: npt.NDArray[np.int64]
    utc_offset_minutes: npt.NDArray[np.int16]
    time_source: npt.NDArray[np.int16]


def place(
    recorded_at: npt.NDArray[np.int64], sequence: npt.NDArray[np.int32], segments: Iterable[ClockSegment]
) -> Placed:
    """The effective times of one device's records. Times in microseconds since 1970 in UTC."""
    effective = np.full(len(recorded_at), UNKNOWN_TIME, np.int64)
    offset = np.zeros(len(recorded_at), np.int16)
    source = np.full(len(recorded_at), TimeSource.UNKNOWN, np.int16)
    for segment in segments:
        first, last = recorded_range(segment)
        rows = (recorded_at >= first) & (recorded_at <= last)
        rows &= (sequence >= segment.first_sequence) & (sequence <= segment.last_sequence)
        offset[rows] = segment.utc_offset_minutes
        source[rows] = segment.source
        if segment.shift_seconds is not None:
            effective[rows] = recorded_at[rows] + segment.shift_seconds * MICROSECONDS_A_SECOND
    return Placed(effective, offset, source)


def covered(
    recorded_at: npt.NDArray[np.int64], sequence: npt.NDArray[np.int32], segments: Iterable[ClockSegment]
) -> npt.NDArray[np.bool_]:
    """Which of one device's records some segment covers, whether it gives them a time or not."""
    found = np.zeros(len(recorded_at), np.bool_)
    for segment in segments:
        first, last = recorded_range(segment)
        rows = (recorded_at >= first) & (recorded_at <= last)
        found |= rows & (sequence >= segment.first_sequence) & (sequence <= segment.last_sequence)
    return found


def recorded_range(segment: ClockSegment) -> Range:
    """The `recorded_at` that a segment covers."""
    return microsecond(segment.first_recorded_at), microsecond(segment.last_recorded_at)


def effective_range(segment: ClockSegment) -> Range | None:
    """The effective times that a segment may give; None for one that gives none."""
    if segment.shift_seconds is None:
        return None
    shift = segment.shift_seconds * MICROSECONDS_A_SECOND
    first, last = recorded_range(segment)
    return first + shift, last + shift


def recorded_ranges(segments: Iterable[ClockSegment], start: int | None, end: int | None) -> list[Range]:
    """Where in `recorded_at` the readings are whose effective time is in `start..end` (end excluded).

    Without bounds: everywhere, since unplaced readings are asked for too.
    """
    if start is None and end is None:
        return [ALL_TIMES]
    found = []
    for segment in segments:
        if segment.shift_seconds is not None:
            shift = segment.shift_seconds * MICROSECONDS_A_SECOND
            first, last = recorded_range(segment)
            low = first if start is None else max(first, start - shift)
            high = last if end is None else min(last, end - 1 - shift)
            if low <= high:
                found.append((low, high))
    return merged(found, 31 * 86_400 * MICROSECONDS_A_SECOND)


def merged(ranges: Iterable[Range], gap: int) -> list[Range]:
    """Ranges in order, those that overlap or lie no more than `gap` apart made one."""
    result: list[Range] = []
    for first, last in sorted(ranges):
        if result and first - result[-1][1] <= gap:
            result[-1] = (result[-1][0], max(last, result[-1][1]))
        else:
            result.append((first, last))
    return result


def without(ranges: Iterable[Range], covered: Range) -> list[Range]:
    """What of ranges lies outside of one."""
    found = []
    for first, last in ranges:
        found += [(first, min(last, covered[0] - 1)), (max(first, covered[1] + 1), last)]
    return [(first, last) for first, last in found if first <= last]


async def of_patient(conn: Connection, patient_id: int) -> Mapping[int, tuple[ClockSegment, ...]]:
    """The segments in force of all devices of a patient, by device_id."""
    rows = await (await conn.execute(_SQL["of_patient"], {"patient_id": patient_id})).fetchall()
    return by_device(rows)


async def superseded(
    conn: Connection, patient_id: int, device_id: int
) -> tuple[tuple[ClockSegment, datetime], ...]:
    """What was believed of a device before, and until when; the oldest first."""
    values = {"patient_id": patient_id, "device_id": device_id}
    rows = await (await conn.execute(_SQL["superseded"], values)).fetchall()
    return tuple((segment_of(row[:-1]), row[-1].astimezone(UTC)) for row in rows)


def by_device(rows: Sequence[tuple[Any, ...]]) -> Mapping[int, tuple[ClockSegment, ...]]:
    """Rows that begin with device_id, grouped."""
    found: dict[int, list[ClockSegment]] = {}
    for device_id, *rest in rows:
        found.setdefault(device_id, []).append(segment_of(rest))
    return {device_id: tuple(segments) for device_id, segments in found.items()}


def segment_of(row: Sequence[Any]) -> ClockSegment:
    """A segment from the columns in the order of its fields."""
    first_sequence, last_sequence, first_at, last_at, shift, offset, source = row
    return ClockSegment(
        first_sequence,
        last_sequence,
        first_at.astimezone(UTC),
        last_at.astimezone(UTC),
        shift,
        offset,
        TimeSource(source),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """What a new set of segments does to the one in force.

    `extended`: by the id of a segment that only reaches further: no reading's time changes by it, so it
    leaves no trace. `superseded` ids stay in the table; `added` are new.
    """

    extended: Mapping[int, ClockSegment]
    superseded: Mapping[int, ClockSegment]
    added: tuple[ClockSegment, ...]


def change(current: Mapping[int, ClockSegment], wanted: Iterable[ClockSegment]) -> Change:
    """Compares the segments in force, by id, with those that shall be."""
    left = dict(current)
    extended: dict[int, ClockSegment] = {}
    added: list[ClockSegment] = []
    for segment in wanted:
        same = next((number for number, old in left.items() if _reaches_further(segment, old)), None)
        if same is None:
            added.append(segment)
        elif left.pop(same) != segment:
            extended[same] = segment
    return Change(extended, left, tuple(added))


def _reaches_further(new: ClockSegment, old: ClockSegment) -> bool:
    """Whether `new` covers all of `old` and places it the same way."""
    bounds = {
        "first_sequence": new.first_sequence,
        "last_sequence": new.last_sequence,
        "first_recorded_at": new.first_recorded_at,
        "last_recorded_at": new.last_recorded_at,
    }
    return (
        replace(old, **bounds) == new  # type: ignore[arg-type]
        and new.first_sequence <= old.first_sequence
        and new.last_sequence >= old.last_sequence
        and new.first_recorded_at <= old.first_recorded_at
        and new.last_recorded_at >= old.last_recorded_at
    )


def in_force(current: Mapping[int, ClockSegment], difference: Change) -> tuple[ClockSegment, ...]:
    """The segments in force after a change."""
    kept = {**current, **difference.extended}
    return (*(kept[number] for number in kept if number not in difference.superseded), *difference.added)


def moved(difference: Change) -> list[Range]:
    """The effective times that records had and have whose segment changes."""
    changed = (*difference.superseded.values(), *difference.added)
    spans = [effective_range(segment) for segment in changed]
    # A segment that reaches further may take over what was another's.
    for segment in difference.extended.values():
        first, last = recorded_range(segment)
        for old in difference.superseded.values():
            begin, end = recorded_range(old)
            if segment.shift_seconds is not None and max(first, begin) <= min(last, end):
                shift = segment.shift_seconds * MICROSECONDS_A_SECOND
                spans.append((max(first, begin) + shift, min(last, end) + shift))
    return [span for span in spans if span is not None]


async def apply(
    conn: Connection, key: Mapping[str, int], next_id: int, difference: Change, said_by: str | None = None
) -> None:
    """Writes a change to a device (`key`: patient_id and device_id), whose row must be locked.

    `next_id` is the first free segment_id. `said_by`: who said so, where a person did.
    """
    for number, segment in difference.extended.items():
        await conn.execute(_SQL["extend"], {**key, "segment_id": number, **bounds(segment)})
    if difference.superseded:
        await conn.execute(_SQL["supersede"], {**key, "segment_ids": list(difference.superseded)})
    for number, segment in enumerate(difference.added, next_id):
        values = {
            "shift_seconds": segment.shift_seconds,
            "utc_offset_minutes": segment.utc_offset_minutes,
            "source": int(segment.source),
            "said_by": said_by if segment.source is TimeSource.PERSON else None,
            "said": segment.source is TimeSource.PERSON,
        }
        await conn.execute(_SQL["add"], {**key, "segment_id": number, **bounds(segment), **values})


def bounds(segment: ClockSegment) -> dict[str, object]:
    """What a segment covers, as statements take it."""
    return {
        "first_sequence": segment.first_sequence,
        "last_sequence": segment.last_sequence,
        "first_recorded_at": segment.first_recorded_at,
        "last_recorded_at": segment.last_recorded_at,
    }

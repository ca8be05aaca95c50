"""Clock segments from times that were given: at a space, which is told when each reading was.

A gateway reasons on clocks and sends effective times; a space keeps them as segments again: consecutive
records of one shift in one segment, whose bounds touch no record that is placed otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNKNOWN_TIME, ClockSegment, TimeSource
from storage.clock_segments import recorded_range
from storage.columns import moment
from storage.days import MICROSECONDS_A_SECOND

NO_SHIFT: Final = np.iinfo(np.int64).min
"""Stands for a record that no time can be given."""
IN_NONE: Final = 0
"""Stands for the source of a record that no segment has."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Records of one device, a row each, with where they shall be in time. `shift`: seconds, or NO_SHIFT."""

    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int64]
    utc_offset_minutes: npt.NDArray[np.int16]
    source: npt.NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.sequence)

    @classmethod
    def of(
        cls,
        recorded_at: npt.NDArray[np.int64],
        sequence: npt.NDArray[np.int32],
        effective_time: npt.NDArray[np.int64],
        utc_offset_minutes: npt.NDArray[np.int16],
        source: npt.NDArray[np.int16],
    ) -> Placement:
        """From effective times, which lie whole seconds from `recorded_at`, or are UNKNOWN_TIME."""
        timed = effective_time != UNKNOWN_TIME
        # Where there is none the difference would overflow; it is not looked at.
        difference = np.where(timed, effective_time, recorded_at) - recorded_at
        shift = np.where(timed, difference // MICROSECONDS_A_SECOND, NO_SHIFT)
        return cls(recorded_at, sequence, shift, utc_offset_minutes, source)

    @classmethod
    def by(
        cls,
        recorded_at: npt.NDArray[np.int64],
        sequence: npt.NDArray[np.int32],
        segments: Iterable[ClockSegment],
    ) -> Placement:
        """Where segments put these records; a record that is in none has the source IN_NONE."""
        placed = cls(
            recorded_at,
            sequence,
            np.full(len(sequence), NO_SHIFT, np.int64),
            np.zeros(len(sequence), np.int16),
            np.full(len(sequence), IN_NONE, np.int16),
        )
        for segment in segments:
            inside = placed.inside(segment)
            placed.shift[inside] = NO_SHIFT if segment.shift_seconds is None else segment.shift_seconds
            placed.utc_offset_minutes[inside] = segment.utc_offset_minutes
            placed.source[inside] = segment.source
        return placed

    def inside(self, segment: ClockSegment) -> npt.NDArray[np.bool_]:
        """The records that lie in a segment's bounds."""
        first, last = recorded_range(segment)
        rows: npt.NDArray[np.bool_] = (self.recorded_at >= first) & (self.recorded_at <= last)
        rows &= self.sequence >= segment.first_sequence
        rows &= self.sequence <= segment.last_sequence
        return rows

    def take(self, rows: npt.NDArray[np.intp]) -> Placement:
        """Some of the rows, in this order."""
        return Placement(*(getattr(self, name)[rows] for name in self.__slots__))

    def differs(self, other: Placement) -> npt.NDArray[np.bool_]:
        """The rows that the two place otherwise."""
        differs: npt.NDArray[np.bool_] = self.shift != other.shift
        differs |= self.utc_offset_minutes != other.utc_offset_minutes
        differs |= self.source != other.source
        return differs

    def joined(self, other: Placement) -> Placement:
        """These rows, and those of another after them."""
        return Placement(
            *(np.concatenate((getattr(self, name), getattr(other, name))) for name in self.__slots__)
        )


def appended(current: Sequence[ClockSegment], wanted: Placement) -> tuple[ClockSegment, ...] | None:
    """The segments that place `wanted` too, by ones that reach further and new ones that touch no other.

    None where that does not do: then all records of the device must be looked at. Every stored record lies in
    a segment, so that what touches no segment touches no record.
    """
    differs = wanted.differs(Placement.by(wanted.recorded_at, wanted.sequence, current))
    if not differs.any():
        return tuple(current)
    segments = list(current)
    for run in _runs(wanted.take(np.flatnonzero(differs))):
        if not _take_in(segments, _segment(run)):
            return None
    if wanted.differs(Placement.by(wanted.recorded_at, wanted.sequence, segments)).any():
        return None
    return tuple(segments)


def _take_in(segments: list[ClockSegment], made: ClockSegment) -> bool:
    """Lets the last segment that can reach as far as `made`, else adds it; whether it touches no other."""
    for number in range(len(segments) - 1, -1, -1):
        if _alike(segments[number], made):
            wider = _around(segments[number], made)
            if not any(_touch(wider, one) for one in (*segments[:number], *segments[number + 1 :])):
                segments[number] = wider
                return True
    if any(_touch(made, one) for one in segments):
        return False
    segments.append(made)
    return True


def anew(every: Placement) -> tuple[ClockSegment, ...]:
    """The fewest segments found that place every record of a device so, none touching another's records.

    Records of one key must have one place.
    """
    by_time = np.lexsort((every.sequence, every.recorded_at))
    by_number = np.lexsort((every.recorded_at, every.sequence))
    orders = [every.take(by_time), every.take(by_number)]
    one, other = (_separated(order) for order in orders)
    return tuple(one if len(one) <= len(other) else other)


def _separated(ordered: Placement) -> list[ClockSegment]:
    """A segment for each run of records placed alike; one that holds others' records is cut in two."""
    found: list[ClockSegment] = []
    waiting = list(_runs(ordered))[::-1]
    while waiting:
        run = waiting.pop()
        segment = _segment(run)
        if len(run) > 1 and _holds_others(segment, ordered):
            middle = len(run) // 2
            rows = np.arange(len(run))
            waiting += [run.take(rows[middle:]), run.take(rows[:middle])]
        else:
            found.append(segment)
    return found


def _holds_others(segment: ClockSegment, every: Placement) -> bool:
    inside = every.inside(segment)
    shift = NO_SHIFT if segment.shift_seconds is None else segment.shift_seconds
    other = (every.shift != shift) | (every.utc_offset_minutes != segment.utc_offset_minutes)
    return bool(np.any(inside & (other | (every.source != segment.source))))


def _runs(placement: Placement) -> Iterable[Placement]:
    """Neighbours that are placed alike, together."""
    if not len(placement):
        return
    columns = (placement.shift, placement.utc_offset_minutes, placement.source)
    changes = np.zeros(len(placement) - 1, np.bool_)
    for column in columns:
        changes |= column[1:] != column[:-1]
    ends = [0, *(np.flatnonzero(changes) + 1).tolist(), len(placement)]
    for begin, end in pairwise(ends):
        yield placement.take(np.arange(begin, end))


def _segment(run: Placement) -> ClockSegment:
    """The segment of records that are placed alike; bounds as tight as they can be."""
    shift = int(run.shift[0])
    return ClockSegment(
        int(run.sequence.min()),
        int(run.sequence.max()),
        moment(int(run.recorded_at.min())),
        moment(int(run.recorded_at.max())),
        None if shift == NO_SHIFT else shift,
        int(run.utc_offset_minutes[0]),
        TimeSource(int(run.source[0])),
    )


def _alike(one: ClockSegment, other: ClockSegment) -> bool:
    return (one.shift_seconds, one.utc_offset_minutes, one.source) == (
        other.shift_seconds,
        other.utc_offset_minutes,
        other.source,
    )


def _around(one: ClockSegment, other: ClockSegment) -> ClockSegment:
    """The first, reaching as far as the second too."""
    return replace(
        one,
        first_sequence=min(one.first_sequence, other.first_sequence),
        last_sequence=max(one.last_sequence, other.last_sequence),
        first_recorded_at=min(one.first_recorded_at, other.first_recorded_at),
        last_recorded_at=max(one.last_recorded_at, other.last_recorded_at),
    )


def _touch(one: ClockSegment, other: ClockSegment) -> bool:
    """Whether two segments have a key in common."""
    return (
        one.first_sequence <= other.last_sequence
        and other.first_sequence <= one.last_sequence
        and one.first_recorded_at <= other.last_recorded_at
        and other.first_recorded_at <= one.last_recorded_at
    )

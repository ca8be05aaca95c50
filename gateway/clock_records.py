"""The records of one device in the order in which they were made, as far as it can be told. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from device_profiles.reading import ClockSegment, TimeSource
from storage.columns import microseconds

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

SECOND: Final = 1_000_000
CIRCLE: Final = 1 << 16
"""Sequence numbers have 16 bits (GLS §3.1.1.2): what follows 65 535 begins again."""


class Records:
    """Records with a date, a row each, in order: by number where numbers order, else by time.

    `base`: the time that the device wrote, `wall`: what it showed then, both in seconds since 1970. Where a
    meter began its numbers again, those that were placed before come first, and what is new after them.
    """

    def __init__(
        self,
        sequence: Integers,
        recorded_at: Integers,
        offset_minutes: Integers,
        rows: Any,
        history: Sequence[ClockSegment] = (),
    ) -> None:
        """`rows`: the rows that count, sorted by time and number; `history`: the segments so far."""
        numbers = sequence[rows]
        again = same_as_before(recorded_at[rows])
        # A rank starts from 0 at each time and goes up by one; numbers that do that are ranks.
        self.ranked = bool(np.all(np.where(again, np.diff(numbers, prepend=-1) == 1, numbers == 0)))
        self.numbered = not self.ranked and len(np.unique(numbers)) == len(numbers)
        """Whether a number is one record's."""
        order, self.ordered = _order(numbers, recorded_at[rows], self, history)
        self.sequence = numbers[order].astype(np.int64)
        self.recorded_at = recorded_at[rows][order].astype(np.int64)
        self.offset = offset_minutes[rows][order].astype(np.int64) * 60
        self.base = self.recorded_at // SECOND
        self.wall = self.base + self.offset
        self.second_row = again if self.ranked else np.zeros(len(rows), np.bool_)

    def __len__(self) -> int:
        return len(self.sequence)


def inside(sequence: Integers, recorded_at: Integers, segment: ClockSegment) -> Booleans:
    """Which records a segment covers."""
    found: Booleans = sequence >= segment.first_sequence
    found &= sequence <= segment.last_sequence
    first, last = microseconds((segment.first_recorded_at, segment.last_recorded_at))
    found &= (recorded_at >= first) & (recorded_at <= last)
    return found


def same_as_before(column: Integers) -> Booleans:
    """Which values are the ones before them."""
    same = np.zeros(len(column), np.bool_)
    same[1:] = column[1:] == column[:-1]
    return same


class Before:
    """Where segments put records. `source`: 0 for a record that is in none, or whose time is not told."""

    def __init__(self, sequence: Integers, recorded_at: Integers, history: Sequence[ClockSegment]) -> None:
        self.shift = np.zeros(len(sequence), np.int64)
        self.utc_offset = np.zeros(len(sequence), np.int64)
        self.source = np.zeros(len(sequence), np.int64)
        for segment in history:
            if segment.shift_seconds is not None and segment.source is not TimeSource.UNKNOWN:
                covered = inside(sequence, recorded_at, segment)
                self.shift[covered] = segment.shift_seconds
                self.utc_offset[covered] = segment.utc_offset_minutes * 60
                self.source[covered] = segment.source


def _order(
    numbers: Integers, recorded_at: Integers, records: Records, history: Sequence[ClockSegment]
) -> tuple[npt.NDArray[np.intp], bool]:
    """The rows in order; and whether numbers say so, rather than times."""
    in_time = np.arange(len(numbers))
    if records.ranked:
        return in_time, False
    before = Before(numbers, recorded_at, history)
    new = before.source == 0
    began_again = (~new).any() and new.any() and numbers[new].min() < numbers[~new].max()
    if records.numbered and not began_again:
        return _around(numbers), True
    fresh = in_time[new]
    if len(np.unique(numbers[fresh])) < len(fresh):
        return in_time, False
    told = in_time[~new]
    told = told[np.argsort(recorded_at[told] // SECOND + before.shift[told], kind="stable")]
    return np.r_[told, fresh[_around(numbers[fresh])]], True


def _around(numbers: Integers) -> npt.NDArray[np.intp]:
    """Rows by their numbers, which lie on a circle: the largest hole is between the newest and the oldest."""
    order = np.argsort(numbers, kind="stable")
    if not len(order) or numbers.max() >= CIRCLE:
        return order
    by_number = numbers[order].astype(np.int64)
    holes = np.diff(by_number, append=by_number[0] + CIRCLE)
    return np.roll(order, -(int(np.argmax(holes)) + 1))

"""What is to be stored: when its records were made is known at once, the rest is made when it is needed.

The keys are made while the server looks for what it has of that time, the columns part by part while it
writes those before; a batch that is stored again is never made into columns at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from device_profiles.reading import Reading
from storage.clock_segments import Range, merged
from storage.columns import Columns, RecordKeys, Rows, microseconds, some
from storage.contexts import Beside
from storage.days import MICROSECONDS_A_DAY
from storage.known import KnownRecords, SortedOut, by_key, by_measurement
from storage.touched_days import DAYS_APART


class Batch(Protocol):
    """Records of one device, a row each."""

    def stretches(self) -> Sequence[Range]:
        """Stretches of `recorded_at` that hold all local days of the records, whatever the zone."""

    @property
    def keys(self) -> RecordKeys:
        """What tells the records apart. Raises ValueNotStorable."""

    def sort_out(self, known: KnownRecords) -> SortedOut:
        """Which records are new, and the ordinals of all."""

    def columns(self, rows: Rows, ordinals: npt.NDArray[np.int16]) -> Columns:
        """Some of the rows as columns; `ordinals` are those of the whole batch. Raises ValueNotStorable."""

    def beside(self) -> Beside:
        """What lies beside the first quantities."""


class Said:
    """What a device said: its measurement decides whether a record is known."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = readings
        self._times = [reading.identity.recorded_at for reading in readings]

    def stretches(self) -> Sequence[Range]:
        """As in Batch."""
        ends = [min(self._times), max(self._times)] if self._times else []
        # A time in between makes another stretch only where it is far from both.
        near = not ends or ends[1] - ends[0] < timedelta(DAYS_APART)
        return around(microseconds(ends) if near else self.keys.recorded_at)

    @cached_property
    def keys(self) -> RecordKeys:
        """As in Batch."""
        return RecordKeys.of(self._readings, microseconds(self._times))

    def sort_out(self, known: KnownRecords) -> SortedOut:
        """As in Batch."""
        return by_measurement(self.keys, self._readings, known)

    def columns(self, rows: Rows, ordinals: npt.NDArray[np.int16]) -> Columns:
        """As in Batch."""
        return Columns.of(some(self._readings, rows), self.keys.take(rows)).under(ordinals[rows])

    def beside(self) -> Beside:
        """As in Batch."""
        return Beside.of(self._readings)


class Given:
    """What was told with its keys: the key decides."""

    def __init__(self, columns: Columns, beside: Beside | None) -> None:
        self._columns = columns
        self._beside = beside or Beside()

    def stretches(self) -> Sequence[Range]:
        """As in Batch."""
        return around(self._columns.recorded_at)

    @property
    def keys(self) -> RecordKeys:
        """As in Batch."""
        return self._columns.keys()

    def sort_out(self, known: KnownRecords) -> SortedOut:
        """As in Batch."""
        return by_key(self.keys, self._columns.ordinal, known)

    def columns(self, rows: Rows, ordinals: npt.NDArray[np.int16]) -> Columns:
        """As in Batch."""
        return self._columns.take(rows).under(ordinals[rows])

    def beside(self) -> Beside:
        """As in Batch."""
        return self._beside


def around(recorded_at: npt.NDArray[np.int64]) -> list[Range]:
    """Stretches around these times that hold all of their local days, whatever the zone."""
    day = MICROSECONDS_A_DAY
    days = (np.unique(recorded_at // day) * day).tolist()
    return merged(((begin - 2 * day, begin + 3 * day - 1) for begin in days), DAYS_APART * day)

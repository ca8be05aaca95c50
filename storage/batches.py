"""What is to be stored: its times are known at once, its columns are made part by part when they are needed.

A batch that is stored again is never made into columns at all, and one that is new is while the server writes
what was made before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from device_profiles.reading import Reading
from storage.columns import Columns, RecordKeys, Rows, microseconds, some
from storage.contexts import Beside
from storage.known import KnownRecords, SortedOut, by_key, by_measurement


class Batch(Protocol):
    """Records of one device, a row each."""

    recorded_at: npt.NDArray[np.int64]

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
        self.recorded_at = microseconds([reading.identity.recorded_at for reading in readings])

    @cached_property
    def keys(self) -> RecordKeys:
        """As in Batch."""
        return RecordKeys.of(self._readings, self.recorded_at)

    def sort_out(self, known: KnownRecords) -> SortedOut:
        """As in Batch."""
        return by_measurement(self.keys, [reading.raw for reading in self._readings], known)

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
        self.recorded_at = columns.recorded_at

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

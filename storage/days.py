"""Days in a person's zone, for arrays of times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

MICROSECONDS_A_SECOND = 1_000_000
MICROSECONDS_A_DAY = 86_400 * MICROSECONDS_A_SECOND

_FIRST = date(1970, 1, 1)
_EARLIEST, _LATEST = date(1, 1, 3), date(9999, 12, 29)
_EARLIEST_TIME, _LATEST_TIME = -62_135_424_000_000_000, 253_402_041_600_000_000
"""The same days: no zone leads beyond the calendar from there."""

DAYS = ((_EARLIEST - _FIRST).days, (_LATEST - _FIRST).days)
"""The days that there are, as days since 1970-01-01."""


def local_days(times: npt.NDArray[np.int64], zone: ZoneInfo) -> npt.NDArray[np.int64]:
    """The local day of each time, as days since 1970-01-01. Times in microseconds since 1970 in UTC.

    The zone is asked as for `offsets`. Days beyond the calendar become its first or last, as a whole.
    """
    days: npt.NDArray[np.int64] = np.clip((times + offsets(times, zone)) // MICROSECONDS_A_DAY, *DAYS)
    return days


def offsets(times: npt.NDArray[np.int64], zone: ZoneInfo) -> npt.NDArray[np.int64]:
    """The zone's offset at each time, in microseconds. Shape: that of `times`, or (1,) where it is one.

    The zone is asked twice per day of UTC; only where its offset changes within the day, once per reading.
    """
    if not len(times):
        return np.zeros(0, np.int64)
    utc_days = times // MICROSECONDS_A_DAY
    days = distinct(utc_days)
    at_begin = np.array([_offset(day * MICROSECONDS_A_DAY, zone) for day in days.tolist()], np.int64)
    at_end = np.array([_offset((day + 1) * MICROSECONDS_A_DAY - 1, zone) for day in days.tolist()], np.int64)
    if np.all(at_begin == at_begin[:1]) and np.all(at_end == at_begin[:1]):
        return at_begin[:1]
    row_day = np.searchsorted(days, utc_days)
    found = at_begin[row_day]
    changing = np.flatnonzero((at_begin != at_end)[row_day])
    found[changing] = [_offset(time, zone) for time in times[changing].tolist()]
    return found


def distinct(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The values that occur, in order; at once where they come in order, as times mostly do."""
    if np.any(values[1:] < values[:-1]):
        return np.unique(values)
    return values[np.flatnonzero(np.diff(values, prepend=values[:1] - 1))]


def day_begins(day: int, zone: ZoneInfo) -> int:
    """The first moment of a local day (days since 1970-01-01), in microseconds since 1970 in UTC."""
    local = datetime.combine(day_date(day), datetime.min.time(), zone)
    return int((local - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def day_date(day: int) -> date:
    """Days since 1970-01-01 as a date; days beyond the calendar become its first or last."""
    return _FIRST + timedelta(days=min(max(day, DAYS[0]), DAYS[1]))


@lru_cache(maxsize=8192)
def _offset(time: int, zone: ZoneInfo) -> int:
    """The zone's offset at a moment, in microseconds."""
    second = min(max(time, _EARLIEST_TIME), _LATEST_TIME) // MICROSECONDS_A_SECOND
    offset = datetime.fromtimestamp(second, zone).utcoffset() or timedelta(0)
    return int(offset.total_seconds()) * MICROSECONDS_A_SECOND

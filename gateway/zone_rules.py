"""The rules of a time zone over whole columns: its offset at wall times, and at moments of UTC. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - wall times have no zone
IN_UTC: Final = -1
"""In the place of a fold: times are moments, seconds since 1970 in UTC, and nothing is meant twice."""


def offsets_at_wall(zone: tzinfo, wall: Integers, fold: int) -> Integers:
    """The zone's offset from UTC, in seconds, at each wall time (seconds since 1970).

    `fold`: which of the two meanings a wall time has that occurs twice, 0 the earlier. Shape: as `wall`.
    """
    return _offsets(zone, wall, fold)


def offsets_at(zone: tzinfo, moments: Integers) -> Integers:
    """The zone's offset from UTC, in seconds, at each moment (seconds since 1970 in UTC). Shape: the same."""
    return _offsets(zone, moments, IN_UTC)


def offset_at(zone: tzinfo, moment: datetime) -> int:
    """The zone's offset from UTC at one moment, in seconds."""
    return int((moment.astimezone(zone).utcoffset() or timedelta()).total_seconds())


def _offsets(zone: tzinfo, times: Integers, fold: int) -> Integers:
    if not len(times):
        return np.zeros(0, np.int64)
    years = times.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    years = np.clip(years, 1, 9998)  # beyond, datetime ends; no zone has a rule there
    rules = [rule for year in np.unique(years).tolist() for rule in _rules(zone, year, fold)]
    begins, offsets = np.array(rules, np.int64).T
    found: Integers = offsets[np.maximum(np.searchsorted(begins, times, side="right") - 1, 0)]
    return found


@lru_cache(maxsize=2048)
def _rules(zone: tzinfo, year: int, fold: int) -> tuple[tuple[int, int], ...]:
    """When each rule of a year begins (seconds since 1970) and its offset in seconds.

    A zone tells its offset at a time and not its rules, so each day is asked, and a day with a change is
    halved until the second is found.
    """

    def offset(time: int) -> int:
        moment = EPOCH + timedelta(seconds=time)
        if fold == IN_UTC:
            return offset_at(zone, moment.replace(tzinfo=UTC))
        moment = moment.replace(tzinfo=zone, fold=fold)
        return int((moment.utcoffset() or timedelta()).total_seconds())

    begin = int((datetime(year, 1, 1) - EPOCH).total_seconds())  # noqa: DTZ001
    end = int((datetime(year, 12, 31) - EPOCH).total_seconds()) + 86_399  # noqa: DTZ001
    found = [(begin, offset(begin))]
    for day in range(begin, end, 86_400):
        low, high = day, min(day + 86_400, end)
        before, after = offset(low), offset(high)
        while before != after and high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == before else (low, middle)
        if before != after:
            found.append((high, after))
    return tuple(found)

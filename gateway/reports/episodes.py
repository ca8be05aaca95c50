"""Episodes of low and high sensor glucose.

Danne et al. 2017, Diabetes Care 40:1631; Battelino et al. 2023, Lancet Diabetes Endocrinol 11:42.

An episode begins with the first reading beyond the limit of a run that lasts fifteen minutes, and ends before
the first reading of fifteen minutes in a row that are back. Each reading stands for the sensor's interval, so
with a reading every five minutes both are three readings; the clock's difference would call three readings
14 min 59 s. A gap of more than 45 minutes ends it as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, Absent, ReadingSeries

LASTS_MINUTES: Final = 15
GAP_MINUTES: Final = 45
_MICROSECONDS_A_MINUTE: Final = 60_000_000

LIMITS: Final[Mapping[str, Mapping[str, float]]] = {
    "lt70": {"mg/dL": 70, "mmol/L": 3.9},
    "lt54": {"mg/dL": 54, "mmol/L": 3.0},
    "gt180": {"mg/dL": 180, "mmol/L": 10.0},
    "gt250": {"mg/dL": 250, "mmol/L": 13.9},
}
"""By name and by the unit written."""


@dataclass(frozen=True, slots=True)
class Episode:
    """From the first reading beyond to the end of the last one's interval; `minutes`: readings × interval."""

    start: datetime
    end: datetime
    minutes: int


def episodes(series: ReadingSeries, interval_minutes: int) -> dict[str, tuple[Episode, ...]]:
    """The episodes of each kind in sensor readings that are in order of time, by the names of `LIMITS`."""
    return {name: tuple(_episodes(series, name, interval_minutes)) for name in LIMITS}


def beyond(series: ReadingSeries, name: str) -> npt.NDArray[np.bool_]:
    """Which readings lie beyond a limit; LO is below every limit, HI above. Shape: (n,)."""
    low = name.startswith("lt")
    found: npt.NDArray[np.bool_] = series.absent == (Absent.BELOW_RANGE if low else Absent.ABOVE_RANGE)
    values = series.values()
    for unit, limit in LIMITS[name].items():
        rows = (series.unit == UNITS.index(unit)) & (series.absent == 0)
        found = found | (rows & ((values < limit) if low else (values > limit)))
    return found


def _episodes(series: ReadingSeries, name: str, interval: int) -> Iterator[Episode]:
    counts = (
        (series.absent == 0) | (series.absent == Absent.BELOW_RANGE) | (series.absent == Absent.ABOVE_RANGE)
    )
    times, out = series.effective_time[counts], beyond(series, name)[counts]
    needed = max(1, math.ceil(LASTS_MINUTES / interval))
    gaps = np.flatnonzero(np.diff(times) > GAP_MINUTES * _MICROSECONDS_A_MINUTE) + 1
    for begin, end in zip((0, *gaps.tolist()), (*gaps.tolist(), len(times)), strict=True):
        for first, last in _stretches(out[begin:end].tolist(), needed):
            start = _moment(int(times[begin + first]))
            finish = _moment(int(times[begin + last])) + timedelta(minutes=interval)
            yield Episode(start, finish, (last - first + 1) * interval)


def _stretches(out: list[bool], needed: int) -> Iterator[tuple[int, int]]:
    """First and last row of each episode in rows without a gap."""
    first: int | None = None
    last = run = back = 0
    for row, is_out in enumerate(out):
        run, back = (run + 1, 0) if is_out else (0, back + 1)
        if first is None and run >= needed:
            first = row - run + 1
        if first is not None:
            if is_out:
                last = row
            elif back >= needed:
                yield first, last
                first = None
    if first is not None:
        yield first, last


def _moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)

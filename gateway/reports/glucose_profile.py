"""The glucose profile: how the values of many days spread over the hours of one (Battelino 2019).

Percentiles by linear interpolation in blocks of fifteen minutes of the person's own clock. LO lies below
every value and HI above: where a percentile falls on one of them it has no number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from device_profiles.reading import ReadingSeries
from gateway.reports.statistics import ranked_mg_dl
from storage.days import MICROSECONDS_A_DAY, offsets

BLOCK_MINUTES: Final = 15
PERCENTS: Final = (5, 25, 50, 75, 95)


@dataclass(frozen=True, slots=True)
class ProfileBlock:
    """One block of the day; `minute`: its first, of the day. Values in mg/dL, None for LO or HI."""

    minute: int
    n: int
    p05: float | None
    p25: float | None
    p50: float | None
    p75: float | None
    p95: float | None


def glucose_profile(series: ReadingSeries, zone: ZoneInfo) -> tuple[ProfileBlock, ...]:
    """The blocks that have readings, in order of the day."""
    values = ranked_mg_dl(series)
    rows = ~np.isnan(values)
    if not rows.any():
        return ()
    times = series.effective_time[rows]
    blocks = (times + offsets(times, zone)) % MICROSECONDS_A_DAY // (BLOCK_MINUTES * 60_000_000)
    order = np.argsort(blocks, kind="stable")
    blocks, values = blocks[order], values[rows][order]
    begins = np.flatnonzero(np.diff(blocks, prepend=-1))
    return tuple(
        ProfileBlock(int(blocks[begin]) * BLOCK_MINUTES, len(part), *_percentiles(part))
        for begin, part in zip(begins.tolist(), np.split(values, begins[1:]), strict=True)
    )


def _percentiles(values: npt.NDArray[np.float64]) -> list[float | None]:
    values = np.sort(values)
    places = np.array(PERCENTS) / 100 * (len(values) - 1)
    below = np.floor(places).astype(np.int64)
    above = np.ceil(places).astype(np.int64)
    low, high, share = values[below], values[above], places - below
    with np.errstate(invalid="ignore"):
        between = np.where(share == 0, low, low + (high - low) * share)
    return [float(value) if np.isfinite(value) else None for value in between]

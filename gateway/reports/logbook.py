"""The finger-stick logbook: a row for each day, a column for each moment of it. Pure.

The meter's own meal mark decides first; where it noted none, the time of day does. The hours are a convention
of ours, said beside the drawing: they sort measurements into columns and change no value. Finger-stick values
of a few chosen moments are "measurements", never time, and no mean of the day (Battelino 2019 for what only a
sensor can say).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from device_profiles.reading import Kind, ReadingSeries
from gateway.reports.statistics import glucose, mg_dl, ranked_mg_dl
from storage.days import MICROSECONDS_A_DAY, offsets

ENOUGH_FOR_A_MEDIAN: Final = 5
"""Below this a median of a moment says less than the points."""


class Moment(StrEnum):
    """A column of the logbook, in the order of the day."""

    NIGHT = "night"
    BEFORE_BREAKFAST = "before-breakfast"
    AFTER_BREAKFAST = "after-breakfast"
    BEFORE_LUNCH = "before-lunch"
    AFTER_LUNCH = "after-lunch"
    BEFORE_DINNER = "before-dinner"
    AFTER_DINNER = "after-dinner"
    BEDTIME = "bedtime"


MOMENTS: Final = tuple(Moment)

BEGINS: Final[Mapping[Moment, int]] = {
    Moment.NIGHT: 0,
    Moment.BEFORE_BREAKFAST: 5,
    Moment.AFTER_BREAKFAST: 9,
    Moment.BEFORE_LUNCH: 11,
    Moment.AFTER_LUNCH: 13,
    Moment.BEFORE_DINNER: 17,
    Moment.AFTER_DINNER: 20,
    Moment.BEDTIME: 22,
}
"""The hour with which each moment begins where the meter noted no meal."""

BEFORE_MEAL, AFTER_MEAL, FASTING, BEDTIME = 1, 2, 3, 5
"""Meals as a meter notes them (GLS §3.2.1.5)."""

_LUNCH_BEFORE: Final = 10
_LUNCH_AFTER: Final = 12
_DINNER_BEFORE: Final = 16
_DINNER_AFTER: Final = 18
_MORNING: Final = 4
"""From when on a mark of a meal means the next of the three meals; before it, it is still the night."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One measurement in its cell; `row`: its place in the series that was asked."""

    day: date
    moment: Moment
    row: int


@dataclass(frozen=True, slots=True)
class MomentSummary:
    """What the measurements of one moment say; the median in mg/dL from ENOUGH_FOR_A_MEDIAN of them.

    LO lies below every value and HI above: a median on one of them has no number.
    """

    moment: Moment
    n: int
    median_mg_dl: float | None


def moment_of(hour: int, meal: int | None) -> Moment:
    """The moment of a measurement at an hour of the person's clock (0–23) with the meter's meal mark."""
    if meal == FASTING:
        return Moment.BEFORE_BREAKFAST
    if meal == BEDTIME:
        return Moment.BEDTIME
    if meal in {BEFORE_MEAL, AFTER_MEAL} and hour >= _MORNING:
        return _around_a_meal(hour, after=meal == AFTER_MEAL)
    return next(moment for moment in reversed(MOMENTS) if hour >= BEGINS[moment])


def _around_a_meal(hour: int, *, after: bool) -> Moment:
    lunch, dinner = (_LUNCH_AFTER, _DINNER_AFTER) if after else (_LUNCH_BEFORE, _DINNER_BEFORE)
    if hour < lunch:
        return Moment.AFTER_BREAKFAST if after else Moment.BEFORE_BREAKFAST
    if hour < dinner:
        return Moment.AFTER_LUNCH if after else Moment.BEFORE_LUNCH
    return Moment.AFTER_DINNER if after else Moment.BEFORE_DINNER


def entries(series: ReadingSeries, zone: ZoneInfo) -> tuple[Entry, ...]:
    """Where each finger-stick measurement stands, in order of the rows of the series."""
    times = series.effective_time
    local = times + offsets(times, zone)
    days, within = local // MICROSECONDS_A_DAY, local % MICROSECONDS_A_DAY
    hours = (within // 3_600_000_000).tolist()
    epoch = date(1970, 1, 1)
    return tuple(
        Entry(
            epoch + timedelta(days=day),
            moment_of(hour, series.contexts[row].meal if row in series.contexts else None),
            row,
        )
        for row, (day, hour) in enumerate(zip(days.tolist(), hours, strict=True))
    )


@dataclass(frozen=True, slots=True)
class FingerSticks:
    """What is known of the finger-stick measurements of a period; `n` counts LO and HI too."""

    n: int
    mean_mg_dl: float | None
    moments: tuple[MomentSummary, ...]

    @classmethod
    def of(cls, series: ReadingSeries, zone: ZoneInfo) -> FingerSticks:
        """Of readings in order of time; control solutions, ketones and what was set aside do not count."""
        sticks = glucose(series, Kind.BLOOD_GLUCOSE)
        values = mg_dl(sticks)
        ranked = ranked_mg_dl(sticks)
        places: dict[Moment, list[int]] = {moment: [] for moment in MOMENTS}
        for entry in entries(sticks, zone):
            places[entry.moment].append(entry.row)
        return cls(
            n=len(sticks),
            mean_mg_dl=float(values.mean()) if values.size else None,
            moments=tuple(
                MomentSummary(moment, len(rows), _median(ranked[rows])) for moment, rows in places.items()
            ),
        )


def _median(values: npt.NDArray[np.float64]) -> float | None:
    if len(values) < ENOUGH_FOR_A_MEDIAN:
        return None
    ordered = np.sort(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float((low + high) / 2) if np.isfinite(low) and np.isfinite(high) else None

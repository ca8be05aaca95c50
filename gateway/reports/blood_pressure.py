"""Home blood pressure by the rule of three of the Haute Autorité de santé (2016, hypertension). Pure.

Three measurements in the morning and three in the evening, for three days: the mean of those eighteen stands
against 135/85 mmHg. Fewer are shown with their number, which says how far the mean is to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from device_profiles.reading import UNITS, Kind, Measurand, ReadingSeries
from storage.days import MICROSECONDS_A_DAY, offsets

DAYS: Final = 3
EXPECTED: Final = 18
SYSTOLIC_LIMIT: Final = 135.0
DIASTOLIC_LIMIT: Final = 85.0
MMHG_PER_KPA: Final = 7.50062
"""1 mmHg = 133.322 Pa (SI brochure, 9th edition, table 8)."""

_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class HomeBloodPressure:
    """The last three days in a row that have measurements. Means in mmHg; `n` of EXPECTED."""

    first: date
    last: date
    n: int
    systolic: float
    diastolic: float

    @property
    def above(self) -> bool:
        """Whether one of the two means reaches its limit."""
        return self.systolic >= SYSTOLIC_LIMIT or self.diastolic >= DIASTOLIC_LIMIT

    @classmethod
    def of(cls, series: ReadingSeries, zone: ZoneInfo) -> HomeBloodPressure | None:
        """Of a person's readings, in order of time; None without three days in a row."""
        pairs: dict[int, list[tuple[float, float]]] = {}
        local_days = (series.effective_time + offsets(series.effective_time, zone)) // MICROSECONDS_A_DAY
        wanted = (series.kind == Kind.BLOOD_PRESSURE) & (series.absent == 0) & ~series.excluded
        values = series.values()
        for row in np.flatnonzero(wanted).tolist():
            diastolic = _diastolic(series, row)
            if diastolic is not None:
                factor = _to_mmhg(UNITS[int(series.unit[row])])
                pairs.setdefault(int(local_days[row]), []).append((float(values[row]) * factor, diastolic))
        for day in sorted(pairs, reverse=True):
            days = [day - back for back in range(DAYS)]
            if all(each in pairs for each in days):
                found = [pair for each in days for pair in pairs[each]]
                systolic, lower = (sum(side) / len(found) for side in zip(*found, strict=True))
                first, last = (_EPOCH + timedelta(days=each) for each in (days[-1], day))
                return cls(first, last, len(found), systolic, lower)
        return None


def _diastolic(series: ReadingSeries, row: int) -> float | None:
    for quantity in series.quantities.get(row, ()):
        if quantity.of is Measurand.DIASTOLIC and quantity.value is not None:
            return float(quantity.value) * _to_mmhg(quantity.unit)
    return None


def _to_mmhg(unit: str) -> float:
    return MMHG_PER_KPA if unit == "kPa" else 1.0

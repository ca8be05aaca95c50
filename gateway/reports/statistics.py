"""The statistics of sensor glucose, as the consensus defines them.

Battelino et al. 2019, Diabetes Care 42:1593 (ranges, sufficiency); Bergenstal et al. 2018, Diabetes Care
41:2275 (GMI). Finger-stick values never enter here: a time in range of a few chosen moments means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, Absent, Kind, ReadingSeries
from gateway.reports.period import Period
from gateway.reports.targets import LIMITS, Situation

MG_DL_PER_MMOL_L = 18.0182
"""One constant for the whole house: molar mass of glucose 180.182 g/mol, divided by 10."""

SUFFICIENT_PERCENT = 70.0
"""Of the expected readings of a period; below it no GMI (Battelino 2019)."""

RANGE_NAMES = ("very_low", "low", "target", "high", "very_high")

Floats = npt.NDArray[np.float64]
Ranges = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GlucoseStatistics:
    """What is known of one period; None where the readings do not suffice. Percents are unrounded.

    `n` counts every reading, LO and HI included; they count in the ranges, not in the mean.
    `time_in_range` has the names of `RANGE_NAMES` and sums to 100.
    """

    n: int
    low_count: int
    high_count: int
    completeness_percent: float
    mean_mg_dl: float | None
    sd_mg_dl: float | None
    cv_percent: float | None
    gmi_percent: float | None
    time_in_range: dict[str, float | None]


def glucose(series: ReadingSeries, kind: Kind) -> ReadingSeries:
    """The rows of one kind that count: with a value, or LO or HI; not excluded by the person."""
    told = np.isin(series.absent, (0, Absent.BELOW_RANGE, Absent.ABOVE_RANGE))
    return select(series, (series.kind == kind) & told & ~series.excluded)


def select(series: ReadingSeries, rows: npt.NDArray[np.bool_]) -> ReadingSeries:
    """The rows where `rows` (shape (n,)) is true, with what belongs to them."""
    places = np.flatnonzero(rows)
    moved = {int(old): new for new, old in enumerate(places)}
    columns = {name: getattr(series, name)[places] for name in _COLUMNS}
    return ReadingSeries(
        patient_id=series.patient_id,
        patient_uuid=series.patient_uuid,
        contexts={moved[row]: context for row, context in series.contexts.items() if row in moved},
        quantities={moved[row]: more for row, more in series.quantities.items() if row in moved},
        notes={moved[row]: note for row, note in series.notes.items() if row in moved},
        devices=series.devices,
        **columns,
    )


_COLUMNS = tuple(
    name
    for name in ReadingSeries.__dataclass_fields__
    if name not in {"patient_id", "patient_uuid", "contexts", "quantities", "notes", "devices"}
)


def ranges(series: ReadingSeries, situation: Situation = Situation.STANDARD) -> Ranges:
    """The range of each reading as an index into `RANGE_NAMES`, -1 where it has no value. Shape: (n,)."""
    values = series.values()
    classes = np.full(len(series), -1, dtype=np.int64)
    for unit, limits in LIMITS[situation].items():
        rows = (series.unit == UNITS.index(unit)) & (series.absent == 0)
        written = values[rows]
        classes[rows] = (
            (written >= limits.very_low).astype(np.int64)
            + (written >= limits.low)
            + (written > limits.high)
            + (written > limits.very_high)
        )
    classes[series.absent == Absent.BELOW_RANGE] = 0
    classes[series.absent == Absent.ABOVE_RANGE] = 4
    return classes


def mg_dl(series: ReadingSeries) -> Floats:
    """The values in mg/dL, those that are absent left out. Shape: (number of values,)."""
    values = series.values()
    factor = np.where(series.unit == UNITS.index("mmol/L"), MG_DL_PER_MMOL_L, 1.0)
    known: Floats = (values * factor)[series.absent == 0]
    return known


def ranked_mg_dl(series: ReadingSeries) -> Floats:
    """mg/dL, −∞ for LO, +∞ for HI, NaN for what has no rank. Shape: (n,)."""
    values: Floats = series.values() * np.where(series.unit == UNITS.index("mmol/L"), MG_DL_PER_MMOL_L, 1.0)
    values[series.absent == Absent.BELOW_RANGE] = -np.inf
    values[series.absent == Absent.ABOVE_RANGE] = np.inf
    return values


def nominal_interval_minutes(series: ReadingSeries) -> int:
    """The sensor's own interval: the median distance of its readings in whole minutes, else 5."""
    if len(series) < 2:
        return 5
    return max(1, round(float(np.median(np.diff(np.sort(series.effective_time)))) / 60e6))


def completeness_percent(series: ReadingSeries, period: Period) -> float:
    """How much of the readings that the sensor would give in the whole period are there."""
    expected = period.minutes / nominal_interval_minutes(series)
    return min(100.0, 100.0 * len(series) / expected)


def gmi_percent(mean: float) -> float:
    """Glucose management indicator from the mean in mg/dL (Bergenstal 2018)."""
    return 3.31 + 0.02392 * mean


def summarise(
    series: ReadingSeries, period: Period, situation: Situation = Situation.STANDARD
) -> GlucoseStatistics:
    """The statistics of sensor readings that all lie within `period`, in the ranges of a situation."""
    sensor = glucose(series, Kind.INTERSTITIAL_GLUCOSE)
    classes = ranges(sensor, situation)
    counted = int(np.count_nonzero(classes >= 0))
    values = mg_dl(sensor)
    mean = float(values.mean()) if values.size else None
    sd = float(values.std(ddof=1)) if values.size > 1 else None
    completeness = completeness_percent(sensor, period)
    return GlucoseStatistics(
        n=counted,
        low_count=int(np.count_nonzero(sensor.absent == Absent.BELOW_RANGE)),
        high_count=int(np.count_nonzero(sensor.absent == Absent.ABOVE_RANGE)),
        completeness_percent=completeness,
        mean_mg_dl=mean,
        sd_mg_dl=sd,
        cv_percent=100.0 * sd / mean if sd is not None and mean else None,
        gmi_percent=gmi_percent(mean) if mean is not None and completeness >= SUFFICIENT_PERCENT else None,
        time_in_range={
            name: 100.0 * int(np.count_nonzero(classes == place)) / counted if counted else None
            for place, name in enumerate(RANGE_NAMES)
        },
    )

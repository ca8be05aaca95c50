"""The day in the person's zone, per device, kind and unit: computed from all its readings, never added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, Absent, Kind
from storage.connection import Connection
from storage.days import day_date, local_days
from storage.statements import statements

BOUNDS: Mapping[str, tuple[float, float, float, float]] = {
    "mg/dL": (54, 70, 180, 250),
    "mmol/L": (3.0, 3.9, 10.0, 13.9),
}
"""very low < a ≤ low < b ≤ target ≤ c < high ≤ d < very high, in the unit written (Battelino 2019)."""

CLASSED = (Kind.BLOOD_GLUCOSE, Kind.INTERSTITIAL_GLUCOSE)
"""The kinds that are counted by range; others have zeros there."""

_SQL = statements("daily_summary")


@dataclass(frozen=True, slots=True)
class DaySummary:
    """One day of one device, kind and unit. Readings that a person excluded are not in it.

    `below_range` (LO) counts in `very_low` too, `above_range` (HI) in `very_high`; neither is in `numbers`,
    of which `total`, `squares` (sum of squares), `lowest` and `highest` are.
    """

    day: date
    kind: Kind
    unit: str
    device_id: int
    readings: int
    below_range: int
    above_range: int
    very_low: int
    low: int
    target: int
    high: int
    very_high: int
    numbers: int
    total: float
    squares: float
    lowest: float | None = None
    highest: float | None = None


_COUNTED = (
    "readings",
    "below_range",
    "above_range",
    "very_low",
    "low",
    "target",
    "high",
    "very_high",
    "numbers",
    "total",
    "squares",
)


@dataclass(frozen=True, slots=True, eq=False)
class DayColumns:
    """What a summary is made of: placed readings, a row each."""

    effective_time: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int16]
    mantissa: npt.NDArray[np.int32]
    exponent: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int16]
    absent: npt.NDArray[np.int16]

    def values(self) -> npt.NDArray[np.float64]:
        """The numbers, correctly rounded (39 tenths are 3.9, not 39 × 0.1); NaN where there is none."""
        power = np.power(10.0, np.abs(self.exponent))
        values = np.where(self.exponent < 0, self.mantissa / power, self.mantissa * power)
        return np.where(self.absent == 0, values, np.nan)


def summarise(columns: DayColumns, zone: ZoneInfo, device_id: int) -> list[DaySummary]:
    """The summaries of all days that occur, in order of day, kind and unit."""
    days = local_days(columns.effective_time, zone)
    # One number for day, kind and unit, since numbers are sorted much faster than triples.
    keys = (days << 32) + (columns.kind.astype(np.int64) << 16) + columns.unit
    groups, row_group = np.unique(keys, return_inverse=True)
    count = len(groups)
    values = columns.values()
    low, high = columns.absent == Absent.BELOW_RANGE, columns.absent == Absent.ABOVE_RANGE
    classes = _classes(columns, values, low, high)
    per_class = np.zeros((count, 6), np.int64)
    np.add.at(per_class, (row_group, classes), 1)
    numbers = ~np.isnan(values)
    group, value = row_group[numbers], values[numbers]
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lowest, group, value)
    np.maximum.at(highest, group, value)
    columns_of_days = (
        np.bincount(row_group, minlength=count),
        np.bincount(row_group[low], minlength=count),
        np.bincount(row_group[high], minlength=count),
        *per_class.T[1:],
        np.bincount(group, minlength=count),
        np.bincount(group, value, count),
        np.bincount(group, value * value, count),
    )
    found = []
    for index, key in enumerate(groups.tolist()):
        day, kind, unit = key >> 32, key >> 16 & 0xFFFF, key & 0xFFFF
        counted = dict(zip(_COUNTED, (column[index].item() for column in columns_of_days), strict=True))
        if counted["numbers"]:
            counted |= {"lowest": lowest[index].item(), "highest": highest[index].item()}
        found.append(DaySummary(day_date(day), Kind(kind), UNITS[unit], device_id, **counted))
    return found


def _classes(
    columns: DayColumns,
    values: npt.NDArray[np.float64],
    low: npt.NDArray[np.bool_],
    high: npt.NDArray[np.bool_],
) -> npt.NDArray[np.intp]:
    """1 very low … 5 very high, 0 for a row that is in no range."""
    classes = np.zeros(len(values), np.intp)
    glucose = np.isin(columns.kind, CLASSED)
    for unit, (a, b, c, d) in BOUNDS.items():
        rows = glucose & (columns.unit == UNITS.index(unit))
        value = values[rows]
        found = 1 + (value >= a).astype(np.intp) + (value >= b) + (value > c) + (value > d)
        classes[rows] = np.where(np.isnan(value), 0, found)
        classes[rows & low] = 1
        classes[rows & high] = 5
    return classes


async def replace_days(
    conn: Connection,
    patient_id: int,
    device_id: int,
    span: tuple[date, date],
    summaries: Sequence[DaySummary],
) -> None:
    """Puts summaries in the place of all that a device has between two days (included)."""
    key = {"patient_id": patient_id, "device_id": device_id}
    await conn.execute(_SQL["drop"], {**key, "first": span[0], "last": span[1]})
    kept = [day for day in summaries if span[0] <= day.day <= span[1]]
    if kept:
        columns = {
            name: [getattr(day, name) for day in kept]
            for name in DaySummary.__slots__
            if name not in {"kind", "unit", "device_id"}
        }
        kinds = [int(day.kind) for day in kept]
        units = [UNITS.index(day.unit) for day in kept]
        await conn.execute(_SQL["insert"], {**key, **columns, "kind": kinds, "unit": units})


async def days(conn: Connection, patient_id: int, first: date, last: date) -> tuple[DaySummary, ...]:
    """A patient's days, both included, in order of day, kind, unit and device."""
    values = {"patient_id": patient_id, "first": first, "last": last}
    return await _days(conn, "days", values)


async def days_by_token(
    conn: Connection, token_hash: bytes, first: date, last: date
) -> tuple[DaySummary, ...]:
    """The same for the role that serves HTTP; of a grant with a period, the days wholly within it."""
    return await _days(conn, "by_token", {"token": token_hash, "first": first, "last": last})


async def _days(conn: Connection, statement: str, values: Mapping[str, object]) -> tuple[DaySummary, ...]:
    rows = await (await conn.execute(_SQL[statement], values)).fetchall()
    return tuple(DaySummary(row[0], Kind(row[1]), UNITS[row[2]], *row[3:]) for row in rows)

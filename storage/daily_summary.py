"""The day in the person's zone, per device, kind and unit: computed from all its readings, never added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, Absent, Kind
from storage.connection import Connection
from storage.days import local_days
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
    lowest: float | None
    highest: float | None


@dataclass(frozen=True, slots=True, eq=False)
class DayColumns:
    """What a summary is made of: placed readings, a row each."""

    effective_time: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int16]
    mantissa: npt.NDArray[np.int32]
    exponent: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int16]
    absent: npt.NDArray[np.int16]

    def take(self, rows: npt.NDArray[np.intp]) -> DayColumns:
        """Some of the rows, in this order."""
        return DayColumns(*(getattr(self, name)[rows] for name in self.__slots__))

    def values(self) -> npt.NDArray[np.float64]:
        """The numbers, correctly rounded (39 tenths are 3.9, not 39 × 0.1); NaN where there is none."""
        power = np.power(10.0, np.abs(self.exponent))
        values = np.where(self.exponent < 0, self.mantissa / power, self.mantissa * power)
        return np.where(self.absent == 0, values, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class DayTable:
    """Summaries of one device as columns, in order of day (days since 1970-01-01), kind and unit.

    `counted`: the other columns of DaySummary in their order; NaN where there is no lowest and no highest.
    """

    day: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int16]
    counted: Sequence[npt.NDArray[Any]]

    def between(self, first: int, last: int) -> DayTable:
        """The days of a stretch, both included."""
        rows = slice(*np.searchsorted(self.day, (first, last + 1)))
        return DayTable(
            self.day[rows], self.kind[rows], self.unit[rows], [column[rows] for column in self.counted]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Many patients over some days: columns, in them a row for each patient, kind and unit, in that order.

    All as in DaySummary, over all days and devices; NaN where there is no lowest and no highest. A patient
    without a reading in those days has no row.
    """

    patient_id: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int16]
    readings: npt.NDArray[np.int64]
    below_range: npt.NDArray[np.int64]
    above_range: npt.NDArray[np.int64]
    very_low: npt.NDArray[np.int64]
    low: npt.NDArray[np.int64]
    target: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64]
    very_high: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    total: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    lowest: npt.NDArray[np.float64]
    highest: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)


def summarise(columns: DayColumns, zone: ZoneInfo) -> DayTable:
    """The summaries of all days that occur."""
    days = local_days(columns.effective_time, zone)
    # One number for day, kind and unit; then every group is a run of rows.
    keys = (days << 32) + (columns.kind.astype(np.int64) << 16) + columns.unit
    if np.any(keys[1:] < keys[:-1]):
        order = np.argsort(keys, kind="stable")
        keys, columns = keys[order], columns.take(order)
    values = columns.values()
    begins = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    if not len(begins):
        return DayTable(days, columns.kind, columns.unit, [days] * 9 + [values] * 4)
    low, high = (columns.absent == reason for reason in (Absent.BELOW_RANGE, Absent.ABOVE_RANGE))
    classes = _classes(columns.kind, columns.unit, values, low, high)
    numbers = ~np.isnan(values)
    counted = (low, high, *(classes == each for each in range(1, 6)), numbers)
    found = np.where(numbers, values, 0.0)
    of_day = keys[begins]
    return DayTable(
        of_day >> 32,
        (of_day >> 16 & 0xFFFF).astype(np.int16),
        (of_day & 0xFFFF).astype(np.int16),
        (
            np.diff(begins, append=len(keys)),
            *(np.add.reduceat(each, begins, dtype=np.int64) for each in counted),
            *(np.add.reduceat(each, begins) for each in (found, found * found)),
            np.fmin.reduceat(values, begins),
            np.fmax.reduceat(values, begins),
        ),
    )


def _classes(
    kind: npt.NDArray[np.int16],
    unit: npt.NDArray[np.int16],
    values: npt.NDArray[np.float64],
    low: npt.NDArray[np.bool_],
    high: npt.NDArray[np.bool_],
) -> npt.NDArray[np.int8]:
    """1 very low … 5 very high, 0 for a row that is in no range."""
    classes = np.zeros(len(values), np.int8)
    glucose = (kind == CLASSED[0]) | (kind == CLASSED[1])
    for name, (a, b, c, d) in BOUNDS.items():
        of_unit = glucose & (unit == UNITS.index(name))
        if of_unit.any():
            found = 1 + (values >= a).astype(np.int8) + (values >= b) + (values > c) + (values > d)
            classes = np.where(of_unit & ~np.isnan(values), found, classes)
            classes[of_unit & low] = 1
            classes[of_unit & high] = 5
    return classes


async def drop(conn: Connection, patient_id: int, device_id: int, span: tuple[date, date]) -> None:
    """Throws away what a device has between two days (included)."""
    values = {"patient_id": patient_id, "device_id": device_id, "first": span[0], "last": span[1]}
    await conn.execute(_SQL["drop"], values)


async def add(conn: Connection, patient_id: int, device_id: int, table: DayTable) -> None:
    """Writes summaries of days that have none."""
    if len(table.day):
        values: dict[str, Any] = dict(zip(DaySummary.__slots__[4:], table.counted, strict=True))
        values |= {"day": table.day, "kind": table.kind, "unit": table.unit}
        await conn.execute(_SQL["insert"], {"patient_id": patient_id, "device_id": device_id, **values})


async def days(conn: Connection, patient_id: int, first: date, last: date) -> tuple[DaySummary, ...]:
    """A patient's days, both included, in order of day, kind, unit and device."""
    values = {"patient_id": patient_id, "first": first, "last": last}
    return await _days(conn, "days", values)


async def days_by_token(
    conn: Connection, token_hash: bytes, first: date, last: date
) -> tuple[DaySummary, ...]:
    """The same for the role that serves HTTP; of a grant with a period, the days wholly within it."""
    return await _days(conn, "by_token", {"token": token_hash, "first": first, "last": last})


async def cohort(conn: Connection, patient_ids: Sequence[int], first: date, last: date) -> Cohort:
    """What many patients have between two days (included), from their days' summaries alone."""
    values = {"patient_ids": np.array(patient_ids, np.int32), "first": first, "last": last}
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(_SQL["cohort"], values)
        row = await cursor.fetchone()
    if row is None or row[0] is None:
        columns: list[Any] = [np.empty(0, np.int64)] * len(Cohort.__slots__)
        return Cohort(*columns)
    order = np.lexsort((row[2], row[1], row[0]))
    return Cohort(*(column[order] for column in row))


async def _days(conn: Connection, statement: str, values: Mapping[str, object]) -> tuple[DaySummary, ...]:
    async with conn.cursor(binary=True) as cursor:
        rows = await (await cursor.execute(_SQL[statement], values)).fetchall()
    return tuple(DaySummary(row[0], Kind(row[1]), UNITS[row[2]], *row[3:]) for row in rows)

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

    def values(self) -> npt.NDArray[np.float64]:
        """The numbers, correctly rounded (39 tenths are 3.9, not 39 × 0.1); NaN where there is none."""
        power = np.power(10.0, np.abs(self.exponent))
        values = np.where(self.exponent < 0, self.mantissa / power, self.mantissa * power)
        return np.where(self.absent == 0, values, np.nan)


def summarise(columns: DayColumns, zone: ZoneInfo, device_id: int) -> list[DaySummary]:
    """The summaries of all days that occur, in order of day, kind and unit."""
    if not len(columns.kind):
        return []
    days = local_days(columns.effective_time, zone)
    # One number for day, kind and unit; then every group is a run of rows.
    keys = (days << 32) + (columns.kind.astype(np.int64) << 16) + columns.unit
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], columns.values()[order]
    begins = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
    low, high = (columns.absent[order] == reason for reason in (Absent.BELOW_RANGE, Absent.ABOVE_RANGE))
    classes = _classes(columns.kind[order], columns.unit[order], values, low, high)
    numbers = ~np.isnan(values)
    counted = (np.ones(len(keys), np.bool_), low, high, *(classes == each for each in range(1, 6)), numbers)
    found = np.where(numbers, values, 0.0)
    table = (
        *(np.add.reduceat(each, begins, dtype=np.int64).tolist() for each in counted),
        *(np.add.reduceat(each, begins).tolist() for each in (found, found * found)),
        np.minimum.reduceat(np.where(numbers, values, np.inf), begins).tolist(),
        np.maximum.reduceat(np.where(numbers, values, -np.inf), begins).tolist(),
    )
    return [_summary(key, device_id, *row) for key, *row in zip(keys[begins].tolist(), *table, strict=True)]


def _summary(key: int, device_id: int, *row: Any) -> DaySummary:
    counted = dict(zip(DaySummary.__slots__[4:], row, strict=True))
    if not counted["numbers"]:
        counted |= {"lowest": None, "highest": None}
    kind, unit = key >> 16 & 0xFFFF, key & 0xFFFF
    return DaySummary(day_date(key >> 32), Kind(kind), UNITS[unit], device_id, **counted)


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


async def add(conn: Connection, patient_id: int, summaries: Sequence[DaySummary]) -> None:
    """Writes summaries of days that have none."""
    if summaries:
        columns: dict[str, Any] = {
            name: [getattr(summary, name) for summary in summaries] for name in DaySummary.__slots__
        }
        columns["kind"] = [int(kind) for kind in columns["kind"]]
        columns["unit"] = [UNITS.index(unit) for unit in columns["unit"]]
        await conn.execute(_SQL["insert"], {"patient_id": patient_id, **columns})


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

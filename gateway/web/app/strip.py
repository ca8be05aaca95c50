"""The drawing of one day: where each value stands between midnight and midnight, and the band of the target.

Places are in percent of the drawing's width and height, so that it is as wide as the screen and its letters
stay as large as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from device_profiles.reading import Kind
from gateway.web.app.values import MASS, Reader, Shown

LOWEST: Final = 40.0
HIGHEST: Final = 250.0
"""The least scale, in mg/dL; what goes beyond stretches it up to LARGEST."""
LARGEST: Final = 400.0
LEFT: Final = 11.0
RIGHT: Final = 98.0
TOP: Final = 8.0
BOTTOM: Final = 90.0
GAP: Final = timedelta(minutes=45)
"""Between two values of a sensor: beyond, the curve is interrupted."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A value at its place."""

    x: float
    y: float
    shown: Shown


@dataclass(frozen=True, slots=True)
class Label:
    """A word beside a line."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Strip:
    """What is drawn."""

    day: date
    marks: tuple[Mark, ...]
    """Finger-sticks."""
    curves: tuple[str, ...]
    """A sensor's: paths in a field of 100 × 100."""
    band: tuple[float, float]
    """Top and height of the target."""
    values: tuple[Label, ...]
    hours: tuple[Label, ...]


def bounds_of(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When a day begins and ends in a zone: 23 or 25 hours apart where the clock changes."""
    return (
        datetime.combine(day, time.min, zone),
        datetime.combine(day + timedelta(days=1), time.min, zone),
    )


def strip_of(readings: Sequence[Shown], day: date, reader: Reader, written: str = MASS) -> Strip:
    """The drawing of a day's glucose readings, in order of time. `written`: the unit of the limits."""
    start, end = bounds_of(day, reader.zone)
    whole = end.timestamp() - start.timestamp()
    there = [shown for shown in readings if shown.at and shown.milligrams is not None and not shown.excluded]
    highest = max([HIGHEST, *(min(shown.milligrams or 0, LARGEST) for shown in there)])

    def x(at: datetime) -> float:
        share = (at.timestamp() - start.timestamp()) / whole
        return round(LEFT + share * (RIGHT - LEFT), 2)

    def y(milligrams: float) -> float:
        share = (min(max(milligrams, LOWEST), highest) - LOWEST) / (highest - LOWEST)
        return round(BOTTOM - share * (BOTTOM - TOP), 2)

    low, high = reader.target(written)
    marks = [Mark(x(each.at), y(each.milligrams or 0), each) for each in there if each.at]
    sensor = [mark for mark in marks if mark.shown.kind is Kind.INTERSTITIAL_GLUCOSE]
    unit = reader.unit_of(written)
    return Strip(
        day=day,
        marks=tuple(mark for mark in marks if mark.shown.kind is Kind.BLOOD_GLUCOSE or mark.shown.uncertain),
        curves=tuple(_curves(sensor)),
        band=(y(high), round(y(low) - y(high), 2)),
        values=tuple(Label(y(limit), reader.amount(limit, unit)) for limit in (low, high)),
        hours=tuple(Label(x(start.replace(hour=hour)), f"{hour} h") for hour in (0, 6, 12, 18)),
    )


def _curves(marks: Sequence[Mark]) -> list[str]:
    """One path for each stretch without a gap, and without a time that is only a guess."""
    paths: list[str] = []
    before: Shown | None = None
    for mark in marks:
        if mark.shown.uncertain:
            before = None
            continue
        at, last = mark.shown.at, before.at if before else None
        begins = at is None or last is None or at - last > GAP
        if begins:
            paths.append(f"M{mark.x} {mark.y}")
        else:
            paths[-1] += f"L{mark.x} {mark.y}"
        before = mark.shown
    return paths

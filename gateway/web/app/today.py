"""Today: the last value in large figures, the day, and what was read when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

from device_profiles.reading import UNITS, Kind, ReadingSeries
from gateway.web.app.device_list import devices_shown
from gateway.web.app.pages import OwnPage, PersonPage
from gateway.web.app.strip import Strip, bounds_of, strip_of
from gateway.web.app.values import GLUCOSE, MASS, Reader, Shown
from storage import household, readings
from storage.connection import Connection

router = APIRouter()

OTHERS: Final = tuple(kind for kind in Kind if kind not in {*GLUCOSE, Kind.CONTROL_SOLUTION})
OTHERS_DAYS: Final = 30
"""A weight or a blood pressure that is older is found among the readings."""


@dataclass(frozen=True, slots=True)
class Day:
    """What the first page shows of the glucose: the last value, and its day."""

    last: Shown | None
    said: str
    """When that was, in words."""
    strip: Strip | None
    readings: tuple[Shown, ...]
    """Of the day, the newest first."""
    target: str
    is_today: bool


@router.get("/")
async def today(page: OwnPage) -> Response:
    """The first page."""
    async with page.home.database.writer() as connection:
        reader = await reader_of(page, connection)
        day = await _day(connection, page, reader)
        others = await _others(connection, page, reader)
    devices = await devices_shown(page)
    return page.render("today.html", day=day, others=others, devices=devices)


async def reader_of(page: PersonPage, connection: Connection) -> Reader:
    """How the person of a page reads their values."""
    settings = await household.settings_of(connection, page.person.patient_id)
    return Reader(page.words, page.zone, page.unit, settings)


async def _day(connection: Connection, page: PersonPage, reader: Reader) -> Day | None:
    """The last day that has glucose readings; None where there are none at all."""
    patient_id = page.person.patient_id
    last_at = await readings.last_effective_time(connection, patient_id, GLUCOSE)
    if last_at is None:
        series = await readings.series(connection, patient_id, kinds=GLUCOSE, limit=1)
        return _undated(series, page, reader) if len(series) else None
    day = last_at.astimezone(page.zone).date()
    start, end = bounds_of(day, page.zone)
    series = await readings.series(connection, patient_id, kinds=GLUCOSE, start=start, end=end)
    shown = [reader.shown(series, row) for row in range(len(series))]
    counted = [each for each in shown if not each.excluded]
    written = _written(series)
    last = counted[-1] if counted else None
    return Day(
        last=last,
        said=_said(last, page),
        strip=strip_of(counted, day, reader, written),
        readings=tuple(reversed(counted)),
        target=reader.target_in_words(written),
        is_today=day == page.now.date(),
    )


def _undated(series: ReadingSeries, page: PersonPage, reader: Reader) -> Day:
    """Readings of which no time is known: the last of them by their numbers."""
    last = reader.shown(series, len(series) - 1)
    target = reader.target_in_words(_written(series))
    return Day(last, _said(last, page), None, (last,), target, is_today=False)


def _written(series: ReadingSeries) -> str:
    """The unit that the devices of a day wrote: the target's limits are those of that unit."""
    return UNITS[int(series.unit[-1])] if len(series) else MASS


def _said(last: Shown | None, page: PersonPage) -> str:
    if last is None or last.at is None:
        return ""
    if timedelta() <= page.now - last.at < timedelta(hours=1):
        said = page.words.ago(last.at, page.now, page.zone)
        return page.t("{ago}, at {time}", ago=said, time=page.words.clock(last.at))
    return page.words.moment(last.at, page.now)


@dataclass(frozen=True, slots=True)
class Other:
    """The last value of another kind."""

    shown: Shown
    said: str


async def _others(connection: Connection, page: PersonPage, reader: Reader) -> tuple[Other, ...]:
    """The last value of each other kind, of the last weeks."""
    start: datetime = page.now - timedelta(days=OTHERS_DAYS)
    series = await readings.series(connection, page.person.patient_id, kinds=OTHERS, start=start)
    last: dict[Kind, Shown] = {}
    for row in range(len(series)):
        if not series.excluded[row]:
            last[Kind(int(series.kind[row]))] = reader.shown(series, row)
    return tuple(Other(shown, _said(shown, page)) for _, shown in sorted(last.items()))

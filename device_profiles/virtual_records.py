"""Records for a virtual meter: stored frames, and plausible ones made up from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import NamedTuple

from device_profiles.services.glucose import GlucoseMeasurement, GlucoseMeasurementContext
from device_profiles.wire import DateTime, Number, Special


class Record(NamedTuple):
    """One stored record as its frames: the measurement, and the context where there is one."""

    sequence: int
    measurement: bytes
    context: bytes | None = None
    characteristic: int | None = None
    """Where its measurement belongs; None: to the first source of the device."""
    following: tuple[bytes, ...] = ()
    """The rest of a measurement that comes in several values."""


class _Moment(NamedTuple):
    """A usual moment of a finger-stick: minutes of the day, the meter's meal mark, mg/dL and their spread."""

    minutes: int
    meal: int
    usual: int
    spread: int
    chance: float
    carbohydrate: int | None = None
    """The kind of meal of its context (GLS §3.2.1.4)."""


_BEFORE, _AFTER, _FASTING, _BEDTIME = 1, 2, 3, 5
_DAY = (
    _Moment(7 * 60, _FASTING, 118, 26, 0.95),
    _Moment(9 * 60 + 15, _AFTER, 168, 42, 0.35, 1),
    _Moment(12 * 60 + 10, _BEFORE, 112, 30, 0.8),
    _Moment(14 * 60 + 20, _AFTER, 160, 45, 0.4, 2),
    _Moment(19 * 60, _BEFORE, 121, 34, 0.85),
    _Moment(21 * 60 + 5, _AFTER, 172, 48, 0.3, 3),
    _Moment(22 * 60 + 45, _BEDTIME, 138, 36, 0.6),
)
_LOWEST, _HIGHEST = 20, 600
"""mg/dL: what a usual meter shows as a number."""


def generated_records(
    count: int, *, first_sequence: int = 1, start: DateTime, seed: int = 0, time_offset_min: int | None = 0
) -> list[Record]:
    """`count` finger-sticks from the day of `start` on, the same for the same arguments.

    Some have a context (meal, carbohydrate, insulin), a few are LO or HI, one in sixty is a control
    solution. Raises ValueError for a start without a date or sequence numbers beyond 65 535.
    """
    midnight = start._replace(hours=0, minutes=0, seconds=0).as_if_utc()
    if midnight is None or first_sequence + count > 0x1_0000:
        raise ValueError("records need a date to start from, and sequence numbers up to 65 535")
    random = Random(seed)  # noqa: S311 - plausible, not secret
    moments = _moments(midnight, random)
    return [
        _record(sequence, *next(moments), random, time_offset_min)
        for sequence in range(first_sequence, first_sequence + count)
    ]


def _moments(day: datetime, random: Random) -> Iterator[tuple[datetime, _Moment]]:
    while True:
        for moment in _DAY:
            if random.random() < moment.chance:
                minutes = moment.minutes + random.randint(-25, 25)
                yield day + timedelta(minutes=minutes, seconds=random.randint(0, 59)), moment
        day += timedelta(days=1)


def _record(
    sequence: int, at: datetime, moment: _Moment, random: Random, time_offset_min: int | None
) -> Record:
    control = random.random() < 1 / 60
    concentration, status = _result(110 if control else moment.usual, 4 if control else moment.spread, random)
    context = None if control or random.random() < 0.45 else _context(sequence, moment, random)
    measurement = GlucoseMeasurement.of(
        sequence,
        DateTime.of(at),
        time_offset_min=time_offset_min,
        concentration=concentration,
        type=10 if control else 1,
        sample_location=4 if control else 1,
        status=status,
        context_follows=context is not None,
    )
    return Record(sequence, measurement.encode(), None if context is None else context.encode())


def _result(usual: int, spread: int, random: Random) -> tuple[Number, int]:
    """Concentration in kg/L and sensor status; values lean to the high side, as they do."""
    shift = random.gauss(0, 1)
    value = round(usual + spread * shift * (1.5 if shift > 0 else 0.9))
    if random.random() < 0.006:
        value = random.choice((_LOWEST - 1, _HIGHEST + 1))
    if value < _LOWEST:
        return Special.NEGATIVE_INFINITY, 1 << 6
    if value > _HIGHEST:
        return Special.POSITIVE_INFINITY, 1 << 5
    return Decimal(value).scaleb(-5), 0


def _context(sequence: int, moment: _Moment, random: Random) -> GlucoseMeasurementContext:
    eaten = moment.carbohydrate is not None and random.random() < 0.7
    injected = moment.meal == _BEFORE and random.random() < 0.5
    return GlucoseMeasurementContext.of(
        sequence,
        carbohydrate=(moment.carbohydrate or 0, Decimal(random.randrange(20, 95, 5)).scaleb(-3))
        if eaten
        else None,
        meal=moment.meal,
        tester_health=(1, 5) if random.random() < 0.2 else None,
        medication=(1, Decimal(random.randrange(20, 120, 10)).scaleb(-6)) if injected else None,
        medication_unit="L",
    )

"""Plausible measurements of the devices that are no finger-stick meters, made up from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Final

from device_profiles.profile import DeviceProfile
from device_profiles.services import blood_pressure
from device_profiles.services.blood_pressure import BloodPressureMeasurement
from device_profiles.virtual_records import Record, generated_records
from device_profiles.wire import DateTime

Making = Callable[[Random, datetime, int], Record]
"""One record, from what is random, the time the device shows and the record's number, counted from 0."""


def generated(profile: DeviceProfile, count: int, *, start: DateTime, seed: int = 0) -> list[Record]:
    """`count` records of such a device from `start` on, the same for the same arguments.

    Raises ValueError for a start without a date.
    """
    making = _MADE.get(profile.measurement)
    if making is None:
        return generated_records(count, start=start, seed=seed)
    begun = start.as_if_utc()
    if begun is None:
        raise ValueError("records need a date to start from")
    random = Random(seed)  # noqa: S311 - plausible, not secret
    return [making(random, begun + number * _APART, number) for number in range(count)]


_APART: Final = timedelta(hours=11, minutes=53, seconds=7)
"""Between two measurements: now in the morning, now in the evening, never twice at one time."""


def _cuff(random: Random, at: datetime, number: int) -> Record:
    systolic = round(random.gauss(128, 11))
    diastolic = min(systolic - 20, round(random.gauss(79, 7)))
    measured = BloodPressureMeasurement.of(
        Decimal(systolic),
        Decimal(diastolic),
        Decimal(diastolic + (systolic - diastolic) // 3),
        timestamp=DateTime.of(at),
        pulse_rate=Decimal(round(random.gauss(68, 8))),
        user_id=1,
        status=0x0004 if random.random() < 0.05 else 0,
    )
    return Record(number, measured.encode())


_MADE: Final[Mapping[int, Making]] = MappingProxyType({blood_pressure.MEASUREMENT: _cuff})
"""By the characteristic of the measurements."""

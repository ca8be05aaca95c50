"""Plausible measurements of the devices that are no finger-stick meters, made up from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Final, NamedTuple

from device_profiles.profile import DeviceProfile
from device_profiles.services import (
    blood_pressure,
    health_thermometer,
    heart_rate,
    pulse_oximeter,
    weight_scale,
)
from device_profiles.services import body_composition as composition
from device_profiles.services import continuous_glucose as cgm
from device_profiles.services.blood_pressure import BloodPressureMeasurement
from device_profiles.services.body_composition import BodyCompositionMeasurement
from device_profiles.services.continuous_glucose import ContinuousGlucoseMeasurement, SessionStartTime
from device_profiles.services.health_thermometer import TemperatureMeasurement
from device_profiles.services.heart_rate import HeartRateMeasurement
from device_profiles.services.pulse_oximeter import SpotCheckMeasurement
from device_profiles.services.weight_scale import WeightMeasurement
from device_profiles.virtual_records import Record, generated_records
from device_profiles.wire import DateTime, crc16

Making = Callable[[Random, datetime, int], Record]
"""One record, from what is random, the time the device shows, and its number, counted from 0."""


class _Made(NamedTuple):
    making: Making
    apart: timedelta


FINGER_STICKS_APART: Final = timedelta(hours=24) / 5
APART: Final = timedelta(hours=11, minutes=53, seconds=7)
"""Between two measurements: now in the morning, now in the evening, never twice at one time."""
SENSOR_MINUTES: Final = 5


def generated(profile: DeviceProfile, count: int, *, start: DateTime, seed: int = 0) -> list[Record]:
    """`count` records of such a device from `start` on, the same for the same arguments.

    A sensor's session begins at `start`. Raises ValueError for a start without a date.
    """
    made = _MADE.get(profile.measurement)
    if made is None:
        return generated_records(count, start=start, seed=seed)
    begun = start.as_if_utc()
    if begun is None:
        raise ValueError("records need a date to start from")
    random = Random(seed)  # noqa: S311 - plausible, not secret
    return [made.making(random, begun + number * made.apart, number) for number in range(count)]


def spanned(profile: DeviceProfile, count: int) -> timedelta:
    """How long so many records of such a device take."""
    made = _MADE.get(profile.measurement)
    return count * (FINGER_STICKS_APART if made is None else made.apart)


def session_values(start: DateTime, utc_offset_minutes: int) -> Mapping[int, bytes]:
    """What a sensor says of a session that began at `start`, by a clock so far from UTC; DST in the zone."""
    body = SessionStartTime(start, utc_offset_minutes // 15, 0).encode()
    return {cgm.SESSION_START_TIME: body + crc16(body).to_bytes(2, "little")}


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


_HEIGHT: Final = Decimal("1.72")


def _scale(random: Random, at: datetime, number: int) -> Record:
    """Weighings, every third one with what the scale computed of the body, in two values."""
    steps = round(random.gauss(14_460, 60))
    if number % 3 != 2:
        weight = steps * weight_scale.KILOGRAM_STEP
        bmi = (weight / _HEIGHT**2).quantize(weight_scale.BMI_STEP)
        measured = WeightMeasurement.of(
            weight, timestamp=DateTime.of(at), user_id=1, bmi_and_height=(bmi, _HEIGHT)
        )
        return Record(number, measured.encode())
    fat = round(random.gauss(247, 6))
    first = BodyCompositionMeasurement(0x1006, fat, timestamp=DateTime.of(at), user_id=1)
    lean = steps * (1000 - fat) // 1000
    second = BodyCompositionMeasurement(
        0x0748,
        fat,
        basal_metabolism_kj=6_900 + random.randrange(-90, 90),
        fat_free_mass_steps=lean,
        body_water_mass_steps=lean * 73 // 100,
        impedance_steps=round(random.gauss(4_900, 60)),
        weight_steps=steps,
    )
    return Record(
        number, first.encode(), characteristic=composition.MEASUREMENT, following=(second.encode(),)
    )


def _thermometer(random: Random, at: datetime, number: int) -> Record:
    fever = random.random() < 0.2
    tenths = round(random.gauss(386 if fever else 367, 3))
    measured = TemperatureMeasurement.of(Decimal(tenths).scaleb(-1), timestamp=DateTime.of(at), type=6)
    return Record(number, measured.encode())


def _oximeter(random: Random, at: datetime, number: int) -> Record:
    measured = SpotCheckMeasurement(
        0x03,
        Decimal(min(100, round(random.gauss(96.5, 1.3)))),
        Decimal(round(random.gauss(70, 8))),
        timestamp=DateTime.of(at),
        measurement_status=1 << 8 | 1 << 9,
    )
    return Record(number, measured.encode())


def _belt(random: Random, at: datetime, number: int) -> Record:
    del at  # a belt has no clock
    beats = round(random.gauss(72, 3))
    intervals = (61_440 // beats,)
    return Record(number, HeartRateMeasurement(0x16, beats, rr_intervals=intervals).encode())


def _sensor(random: Random, at: datetime, number: int) -> Record:
    """A day's waves around 130 mg/dL; the minute counts from the begin of the session."""
    minutes = number * SENSOR_MINUTES
    day = math.sin(2 * math.pi * (at.hour + at.minute / 60 - 5) / 8)
    value = max(45, round(130 + 38 * day + random.gauss(0, 6)))
    measured = ContinuousGlucoseMeasurement(
        0x03, Decimal(value), minutes, trend=Decimal(round(6 * math.cos(day))).scaleb(-1), quality=Decimal(97)
    )
    body = bytearray(measured.encode())
    body[0] += 2
    return Record(minutes, bytes(body) + crc16(bytes(body)).to_bytes(2, "little"))


_MADE: Final[Mapping[int, _Made]] = MappingProxyType(
    {
        blood_pressure.MEASUREMENT: _Made(_cuff, APART),
        weight_scale.MEASUREMENT: _Made(_scale, APART),
        health_thermometer.MEASUREMENT: _Made(_thermometer, APART),
        pulse_oximeter.SPOT_CHECK: _Made(_oximeter, APART),
        heart_rate.MEASUREMENT: _Made(_belt, timedelta(seconds=1)),
        cgm.MEASUREMENT: _Made(_sensor, timedelta(minutes=SENSOR_MINUTES)),
    }
)
"""By the characteristic of the measurements."""

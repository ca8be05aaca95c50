"""A device profile: how to recognise a device, what it offers, and what it does otherwise than the standard.

A profile is a value, not a class to inherit from: a new device is a `DeviceProfile`, or another one's
`but(...)` with what differs, and the source of what is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from device_profiles.reading import (
    NO_FLAGS,
    UNKNOWN_DATE,
    Absent,
    Context,
    DeviceTime,
    Flag,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
    Sample,
)
from device_profiles.services import battery, current_time, device_information, glucose
from device_profiles.services.current_time import CurrentTime
from device_profiles.services.glucose import GlucoseMeasurement, GlucoseMeasurementContext
from device_profiles.wire import DateTime, Number, Special

KnownBy = Literal["standard", "captured", "public code", "data sheet"]


class Advertisement(NamedTuple):
    """What a device calls into the air. UUIDs are 16-bit; manufacturer data by company identifier."""

    name: str | None
    services: tuple[int, ...] = ()
    manufacturer_data: Mapping[int, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Match:
    """How a device is recognised. What is given must hold; a company identifier only where one is sent."""

    names: tuple[str, ...] = ()
    """Regular expressions for the whole name; one of them."""
    services: tuple[int, ...] = ()
    """Advertised services; all of them."""
    manufacturer_id: int | None = None
    """Company identifier of the manufacturer data (Assigned Numbers §7.1)."""

    def specificity(self, advertisement: Advertisement) -> int:
        """How many of the criteria the advertisement meets; 0 where it contradicts one."""
        companies = advertisement.manufacturer_data
        named = any(re.fullmatch(name, advertisement.name or "") for name in self.names)
        served = bool(self.services) and set(self.services) <= set(advertisement.services)
        made = self.manufacturer_id is not None and self.manufacturer_id in companies
        if (self.names and not named) or (self.services and not served):
            return 0
        if self.manufacturer_id is not None and companies and not made:
            return 0
        return named + served + made


@dataclass(frozen=True, slots=True)
class RecordAccess:
    """How stored records are fetched."""

    measurement: int = glucose.MEASUREMENT
    context: int = glucose.MEASUREMENT_CONTEXT
    control_point: int = glucose.RECORD_ACCESS_CONTROL_POINT
    incremental: bool = True
    """Whether asking from a sequence number on is answered rightly; else all is read each time."""


@dataclass(frozen=True, slots=True)
class KetoneMark:
    """How a meter marks a ketone result that it writes as if it were glucose."""

    meal: int
    """The meal code of its context."""
    exponent: int
    """mmol/L = the mg/dL written × 10^exponent."""


STANDARD_OFFER: Final[Mapping[int, tuple[int, ...]]] = MappingProxyType(
    {
        glucose.SERVICE: (
            glucose.MEASUREMENT,
            glucose.MEASUREMENT_CONTEXT,
            glucose.FEATURE,
            glucose.RECORD_ACCESS_CONTROL_POINT,
        ),
        current_time.SERVICE: (current_time.CURRENT_TIME,),
        device_information.SERVICE: (
            device_information.MANUFACTURER_NAME,
            device_information.MODEL_NUMBER,
            device_information.SERIAL_NUMBER,
            device_information.FIRMWARE_REVISION,
            device_information.SYSTEM_ID,
        ),
        battery.SERVICE: (battery.BATTERY_LEVEL,),
    }
)
"""What a meter of the Glucose Profile has, with its optional services."""

_ABSENT: Final[Mapping[Special, Absent]] = {
    Special.NAN: Absent.NOT_A_NUMBER,
    Special.NRES: Absent.NOT_AT_RESOLUTION,
    Special.POSITIVE_INFINITY: Absent.ABOVE_RANGE,
    Special.NEGATIVE_INFINITY: Absent.BELOW_RANGE,
    Special.RESERVED: Absent.RESERVED,
}
_UNITS: Final[Mapping[str, tuple[str, int]]] = {"kg/L": ("mg/dL", 5), "mol/L": ("mmol/L", 3)}
_INTERSTITIAL_FLUID: Final = 9
_MEASURED_IN: Final = range(1970, 2200)


@dataclass(frozen=True)
class DeviceProfile:
    """One kind of device. All fields are data; the methods read what such a device sends."""

    name: str
    title: str
    manufacturer: str | None
    known_by: KnownBy
    source: str
    match: Match
    offer: Mapping[int, tuple[int, ...]] = field(default_factory=lambda: STANDARD_OFFER, hash=False)
    """Its services and their characteristics."""
    clock: int | None = current_time.CURRENT_TIME
    """The characteristic that shows its clock: 0x2A2B or 0x2A08."""
    records: RecordAccess = field(default_factory=RecordAccess)
    control_types: tuple[int, ...] = (10,)
    """Sample types of a control solution (GLS §3.1.1.5)."""
    control_locations: tuple[int, ...] = (4,)
    """Sample locations of a control solution."""
    ketone: KetoneMark | None = None
    virtual_name: str = "Virtual meter"
    """The name that a virtual device of this kind advertises; it matches."""

    def but(self, **differences: Any) -> DeviceProfile:
        """The same device with these fields otherwise."""
        return replace(self, **differences)

    @property
    def services(self) -> tuple[int, ...]:
        """The services it offers."""
        return tuple(self.offer)

    def clock_time(self, raw: bytes) -> DateTime:
        """The time in a value of the clock's characteristic. Raises MalformedMeasurement."""
        if self.clock == current_time.CURRENT_TIME:
            return CurrentTime.decode(raw).time
        return DateTime.decode(raw)

    def reading(self, raw: bytes) -> Reading:
        """Read a measurement as this device means it. Raises MalformedMeasurement."""
        measurement = GlucoseMeasurement.decode(raw)
        base = measurement.base_time
        flags = NO_FLAGS if measurement.status is None else Flag(measurement.status)
        octet = measurement.type_sample_location
        return Reading(
            kind=self._kind(measurement),
            quantities=(_glucose(measurement.concentration, measurement.unit, flags),),
            device_time=DeviceTime(base, measurement.time_offset_min),
            identity=RecordIdentity(_recorded_at(base), measurement.sequence_number),
            raw=bytes(raw),
            sample=None if octet is None else Sample(octet & 0x0F, octet >> 4),
            flags=flags,
        )

    def _kind(self, measurement: GlucoseMeasurement) -> Kind:
        if measurement.type in self.control_types or measurement.sample_location in self.control_locations:
            return Kind.CONTROL_SOLUTION
        if measurement.type == _INTERSTITIAL_FLUID:
            return Kind.INTERSTITIAL_GLUCOSE
        return Kind.BLOOD_GLUCOSE

    def context(self, raw: bytes) -> tuple[int, Context]:
        """The sequence number a context belongs to, and the context. Raises MalformedMeasurement."""
        context = GlucoseMeasurementContext.decode(raw)
        return context.sequence_number, Context(
            raw=bytes(raw),
            carbohydrate=context.carb_id,
            carbohydrate_kg=_exact(context.carb_kg),
            meal=context.meal,
            tester=context.tester,
            health=context.health,
            exercise_seconds=context.exercise_duration_s,
            exercise_intensity_percent=context.exercise_intensity_pct,
            medication=context.medication_id,
            medication_value=_exact(context.medication),
            medication_unit=None if context.medication is None else context.medication_unit,
            hba1c_percent=_exact(context.hba1c_pct),
        )

    def joined(self, reading: Reading, context: Context) -> Reading:
        """The reading with its context, which may say that it is of ketones."""
        mark = self.ketone
        if mark is None or context.meal != mark.meal or reading.kind != Kind.BLOOD_GLUCOSE:
            return replace(reading, context=context)
        written = reading.quantities[0]
        value = None if written.value is None else written.value.scaleb(mark.exponent)
        ketone = Quantity(Measurand.KETONE, value, "mmol/L", written.absent)
        return replace(reading, context=context, kind=Kind.KETONE, quantities=(ketone,))


def _recorded_at(base: DateTime) -> datetime:
    """The time as written, as if UTC; a date that no meter can have measured on is as unknown as none."""
    written = base.as_if_utc()
    return UNKNOWN_DATE if written is None or written.year not in _MEASURED_IN else written


def _exact(number: Number | None) -> Decimal | None:
    return None if isinstance(number, Special) else number


def _glucose(concentration: Number | None, written_unit: str, flags: Flag) -> Quantity:
    """Glucose in the unit written; without a number the status may say that it was out of range."""
    unit, shift = _UNITS[written_unit]
    if isinstance(concentration, Decimal):
        return Quantity(Measurand.GLUCOSE, concentration.scaleb(shift), unit)
    absent = Absent.NOT_A_NUMBER if concentration is None else _ABSENT[concentration]
    if absent in {Absent.NOT_A_NUMBER, Absent.NOT_AT_RESOLUTION}:
        if Flag.RESULT_TOO_LOW in flags:
            absent = Absent.BELOW_RANGE
        elif Flag.RESULT_TOO_HIGH in flags:
            absent = Absent.ABOVE_RANGE
    return Quantity(Measurand.GLUCOSE, None, unit, absent)

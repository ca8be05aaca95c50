"""Finger-stick meters: 0x2A18 and 0x2A34 (GLS 1.0.1), with what some meters mean otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from device_profiles.meanings.meaning import Heard, InOneValue, recorded_at, why_absent
from device_profiles.reading import (
    NO_FLAGS,
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
from device_profiles.services.glucose import GlucoseMeasurement, GlucoseMeasurementContext
from device_profiles.wire import Number, Special

_UNITS: Final[Mapping[str, tuple[str, int]]] = {"kg/L": ("mg/dL", 5), "mol/L": ("mmol/L", 3)}
_INTERSTITIAL_FLUID: Final = 9


@dataclass(frozen=True, slots=True)
class KetoneMark:
    """How a meter marks a ketone result that it writes as if it were glucose."""

    meal: int
    """The meal code of its context."""
    exponent: int
    """mmol/L = the mg/dL written × 10^exponent."""


@dataclass(frozen=True)
class GlucoseMeaning(InOneValue):
    """What a meter's records mean."""

    control_types: tuple[int, ...] = (10,)
    """Sample types of a control solution (GLS §3.1.1.5)."""
    control_locations: tuple[int, ...] = (4,)
    """Sample locations of a control solution."""
    ketone: KetoneMark | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Ketones only of a meter that marks them."""
        marked = () if self.ketone is None else (Kind.KETONE,)
        return (Kind.BLOOD_GLUCOSE, *marked, Kind.CONTROL_SOLUTION)

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The one reading of a record. Raises MalformedMeasurement."""
        del heard  # a meter of this service always writes its time
        return (self.reading(raw),)

    def reading(self, raw: bytes) -> Reading:
        """Read a record. Raises MalformedMeasurement."""
        measurement = GlucoseMeasurement.decode(raw)
        base = measurement.base_time
        flags = NO_FLAGS if measurement.status is None else Flag(measurement.status)
        octet = measurement.type_sample_location
        return Reading(
            kind=self._kind(measurement),
            quantities=(_glucose(measurement.concentration, measurement.unit, flags),),
            device_time=DeviceTime(base, measurement.time_offset_min),
            identity=RecordIdentity(recorded_at(base), measurement.sequence_number),
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

    def joined(self, reading: Reading, context: Context) -> Reading:
        """The reading with its context, which may say that it is of ketones."""
        mark = self.ketone
        if mark is None or context.meal != mark.meal or reading.kind != Kind.BLOOD_GLUCOSE:
            return replace(reading, context=context)
        written = reading.quantities[0]
        value = None if written.value is None else written.value.scaleb(mark.exponent)
        ketone = Quantity(Measurand.KETONE, value, "mmol/L", written.absent)
        return replace(reading, context=context, kind=Kind.KETONE, quantities=(ketone,))


def context_of(raw: bytes) -> tuple[int, Context]:
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


def _exact(number: Number | None) -> Decimal | None:
    return None if isinstance(number, Special) else number


def _glucose(concentration: Number | None, written_unit: str, flags: Flag) -> Quantity:
    """Glucose in the unit written; without a number the status may say that it was out of range."""
    unit, shift = _UNITS[written_unit]
    if isinstance(concentration, Decimal):
        return Quantity(Measurand.GLUCOSE, concentration.scaleb(shift), unit)
    absent = Absent.NOT_A_NUMBER if concentration is None else why_absent(concentration)
    if absent in {Absent.NOT_A_NUMBER, Absent.NOT_AT_RESOLUTION}:
        if Flag.RESULT_TOO_LOW in flags:
            absent = Absent.BELOW_RANGE
        elif Flag.RESULT_TOO_HIGH in flags:
            absent = Absent.ABOVE_RANGE
    return Quantity(Measurand.GLUCOSE, None, unit, absent)

"""Pulse oximeters: 0x2A5E and 0x2A5F (PLXS 1.0.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from device_profiles.flags import OximeterFlag
from device_profiles.meanings.meaning import Heard, InOneValue, quantity, when
from device_profiles.reading import (
    UNKNOWN_DATE,
    DeviceTime,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
)
from device_profiles.services.pulse_oximeter import ContinuousMeasurement, SpotCheckMeasurement
from device_profiles.wire import Number

_FIRST_STATUS_BIT: Final = 5
"""The bits below are reserved (PLXS §3.1.1.5)."""
_STATUS_BITS: Final = 11
_KEPT: Final = (1 << 31) - 1
"""What is stored as flags; the reserved bits beyond are in `raw`."""


@dataclass(frozen=True)
class SpotCheckMeaning(InOneValue):
    """A measurement that was taken and kept is one reading."""

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.OXYGEN_SATURATION,)

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The one reading of a value. Raises MalformedMeasurement."""
        measured = SpotCheckMeasurement.decode(raw)
        written, recorded_at = when(measured.timestamp, heard)
        if written is not None and not measured.clock_is_set:
            recorded_at = UNKNOWN_DATE
        return (_reading(measured, RecordIdentity(recorded_at, 0), written, raw),)


@dataclass(frozen=True)
class ContinuousMeaning(InOneValue):
    """What comes every second while the oximeter is worn: each value is one reading, of when it came.

    The values that answer faster or slower to a change stay in `raw`.
    """

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.OXYGEN_SATURATION,)

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The one reading of a value. Raises MalformedMeasurement."""
        measured = ContinuousMeasurement.decode(raw)
        _, recorded_at = when(None, heard)
        return (_reading(measured, RecordIdentity(recorded_at, 0), None, raw),)


def _reading(
    measured: SpotCheckMeasurement | ContinuousMeasurement,
    identity: RecordIdentity,
    written: DeviceTime | None,
    raw: bytes,
) -> Reading:
    return Reading(
        kind=Kind.OXYGEN_SATURATION,
        quantities=(
            quantity(Measurand.OXYGEN_SATURATION, measured.oxygen_saturation, "%"),
            quantity(Measurand.PULSE_RATE, measured.pulse_rate, "/min"),
            *_amplitude(measured.pulse_amplitude_index),
        ),
        device_time=written,
        identity=identity,
        raw=bytes(raw),
        flags=_flags(measured.measurement_status or 0, measured.device_sensor_status or 0),
    )


def _amplitude(index: Number | None) -> tuple[Quantity, ...]:
    return () if index is None else (quantity(Measurand.PULSE_AMPLITUDE, index, "%"),)


def _flags(status: int, sensor: int) -> OximeterFlag:
    return OximeterFlag((status >> _FIRST_STATUS_BIT | sensor << _STATUS_BITS) & _KEPT)

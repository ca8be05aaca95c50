"""Blood pressure cuffs: 0x2A35 (BLS 1.1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from device_profiles.flags import CuffFlag
from device_profiles.meanings.meaning import Heard, InOneValue, quantity, user, when
from device_profiles.reading import Kind, Measurand, Reading, RecordIdentity
from device_profiles.services.blood_pressure import BloodPressureMeasurement

_UNITS: Final = {"mmHg": "mm[Hg]", "kPa": "kPa"}


@dataclass(frozen=True)
class BloodPressureMeaning(InOneValue):
    """A measurement is one reading: the three pressures in the unit written, the pulse where there is one."""

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.BLOOD_PRESSURE,)

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The one reading of a value. Raises MalformedMeasurement."""
        measured = BloodPressureMeasurement.decode(raw)
        unit = _UNITS[measured.unit]
        pressures = (
            quantity(Measurand.SYSTOLIC, measured.systolic, unit),
            quantity(Measurand.DIASTOLIC, measured.diastolic, unit),
            quantity(Measurand.MEAN_ARTERIAL, measured.mean_arterial, unit),
        )
        pulse = measured.pulse_rate
        rate = () if pulse is None else (quantity(Measurand.PULSE_RATE, pulse, "/min"),)
        written, recorded_at = when(measured.timestamp, heard)
        return (
            Reading(
                kind=Kind.BLOOD_PRESSURE,
                quantities=(*pressures, *rate, *user(measured.user_id)),
                device_time=written,
                identity=RecordIdentity(recorded_at, 0),
                raw=bytes(raw),
                flags=CuffFlag(measured.status or 0),
            ),
        )

"""Thermometers: 0x2A1C (HTS 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from device_profiles.meanings.meaning import Heard, InOneValue, quantity, when
from device_profiles.reading import Kind, Measurand, Reading, RecordIdentity, Sample
from device_profiles.services.health_thermometer import TEMPERATURE_TYPE, TemperatureMeasurement

_UNITS: Final = {"C": "Cel", "F": "[degF]"}
_PLACES: Final = range(1, 16)


@dataclass(frozen=True)
class TemperatureMeaning(InOneValue):
    """A temperature is one reading; where it was measured is the location of its sample."""

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.BODY_TEMPERATURE,)

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The one reading of a value. Raises MalformedMeasurement."""
        measured = TemperatureMeasurement.decode(raw)
        place = measured.type
        if place is None and len(always := heard.values.get(TEMPERATURE_TYPE, b"")) == 1:
            place = always[0]
        written, recorded_at = when(measured.timestamp, heard)
        return (
            Reading(
                kind=Kind.BODY_TEMPERATURE,
                quantities=(
                    quantity(Measurand.BODY_TEMPERATURE, measured.temperature, _UNITS[measured.unit]),
                ),
                device_time=written,
                identity=RecordIdentity(recorded_at, 0),
                raw=bytes(raw),
                sample=Sample(0, place) if place is not None and place in _PLACES else None,
            ),
        )

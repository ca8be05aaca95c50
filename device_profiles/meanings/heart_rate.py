"""Heart rate sensors: 0x2A37 (HRS 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final

from device_profiles.flags import HeartRateFlag
from device_profiles.meanings.meaning import Heard, InOneValue, when
from device_profiles.reading import Kind, Measurand, Quantity, Reading, RecordIdentity, Sample
from device_profiles.services.heart_rate import BODY_SENSOR_LOCATION, HeartRateMeasurement

_PLACES: Final = range(16)


@dataclass(frozen=True)
class HeartRateMeaning(InOneValue):
    """Each value is one reading, of when it came: the sensor has no clock.

    The intervals between beats stay in `raw`, where they are exact.
    """

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.HEART_RATE,)

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The one reading of a value. Raises MalformedMeasurement."""
        measured = HeartRateMeasurement.decode(raw)
        energy = measured.energy_kj
        spent = () if energy is None else (Quantity(Measurand.ENERGY_EXPENDED, Decimal(energy), "kJ"),)
        worn = heard.values.get(BODY_SENSOR_LOCATION, b"")
        _, recorded_at = when(None, heard)
        return (
            Reading(
                kind=Kind.HEART_RATE,
                quantities=(
                    Quantity(Measurand.PULSE_RATE, Decimal(measured.beats_per_minute), "/min"),
                    *spent,
                ),
                device_time=None,
                identity=RecordIdentity(recorded_at, 0),
                raw=bytes(raw),
                sample=Sample(0, worn[0]) if len(worn) == 1 and worn[0] in _PLACES else None,
                flags=HeartRateFlag(measured.contact is False),
            ),
        )

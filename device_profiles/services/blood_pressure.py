"""The Blood Pressure Service 0x1810 (BLS 1.1.1): its characteristics as on the wire, nothing interpreted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from device_profiles.layout import MOMENT, SFLOAT16, UINT8, UINT16, Field, Layout, present
from device_profiles.wire import DateTime, Number, Reader, Writer, plain

SERVICE: Final = 0x1810
MEASUREMENT: Final = 0x2A35
INTERMEDIATE_CUFF_PRESSURE: Final = 0x2A36
FEATURE: Final = 0x2A49

_KILOPASCAL, _TIMESTAMP, _PULSE, _USER, _STATUS = (1 << bit for bit in range(5))
_FURTHER: Final = (
    Field("timestamp", MOMENT, _TIMESTAMP),
    Field("pulse_rate", SFLOAT16, _PULSE),
    Field("user_id", UINT8, _USER),
    Field("status", UINT16, _STATUS),
)
_MEASUREMENT: Final = Layout(
    UINT8,
    Field("systolic", SFLOAT16),
    Field("diastolic", SFLOAT16),
    Field("mean_arterial", SFLOAT16),
    *_FURTHER,
)
_CUFF: Final = Layout(
    UINT8,
    Field("cuff_pressure", SFLOAT16),
    Field("unused_1", UINT16),
    Field("unused_2", UINT16),
    *_FURTHER,
)


# BLS §3.1 Blood Pressure Measurement
@dataclass(frozen=True, slots=True)
class BloodPressureMeasurement:
    """One measurement of a cuff. What the flags leave out is None."""

    flags: int
    """§3.1.1.1, as written: reserved bits are kept."""
    systolic: Number
    """In `unit`, as the other two."""
    diastolic: Number
    mean_arterial: Number
    timestamp: DateTime | None = None
    """The cuff's clock; 0 in year, month or day: not known."""
    pulse_rate: Number | None = None
    """Beats per minute."""
    user_id: int | None = None
    """Which person of the cuff; 255 not known."""
    status: int | None = None
    """Bit 0 moved, 1 cuff too loose, 2 irregular pulse, 3–4 pulse out of range, 5 position."""

    @classmethod
    def of(
        cls,
        systolic: Number,
        diastolic: Number,
        mean_arterial: Number,
        *,
        kilopascal: bool = False,
        timestamp: DateTime | None = None,
        pulse_rate: Number | None = None,
        user_id: int | None = None,
        status: int | None = None,
    ) -> Self:
        """Make a measurement of its meaning; the flags follow."""
        further = {"timestamp": timestamp, "pulse_rate": pulse_rate, "user_id": user_id, "status": status}
        flags = _MEASUREMENT.flags_for(further) | _KILOPASCAL * kilopascal
        return cls(flags, systolic, diastolic, mean_arterial, timestamp, pulse_rate, user_id, status)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        return cls(*_MEASUREMENT.read(raw))

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        return _MEASUREMENT.write(self.flags, self)

    @property
    def unit(self) -> str:
        """`mmHg` or `kPa`."""
        return _unit(self.flags)

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return {
            "unit": self.unit,
            "systolic": plain(self.systolic),
            "diastolic": plain(self.diastolic),
            "map": plain(self.mean_arterial),
            **_further(self),
        }


# BLS §3.2 Intermediate Cuff Pressure
@dataclass(frozen=True, slots=True)
class IntermediateCuffPressure:
    """The pressure in the cuff while it measures: the place of the other two pressures is not used."""

    flags: int
    cuff_pressure: Number
    unused_1: int
    """As written; NaN is what a cuff should write."""
    unused_2: int
    timestamp: DateTime | None = None
    pulse_rate: Number | None = None
    user_id: int | None = None
    status: int | None = None

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        return cls(*_CUFF.read(raw))

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        return _CUFF.write(self.flags, self)

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return {"unit": _unit(self.flags), "cuff": plain(self.cuff_pressure), **_further(self)}


# BLS §3.3 Blood Pressure Feature
@dataclass(frozen=True, slots=True)
class BloodPressureFeature:
    """What a cuff can detect: bits 0–5 of status, bit 6 more than one bond; reserved bits are kept."""

    features: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        feature = cls(reader.uint16())
        reader.end()
        return feature

    def encode(self) -> bytes:
        """Write the two bytes."""
        return Writer().uint16(self.features).done()

    def to_json(self) -> dict[str, object]:
        """`features` as a number."""
        return {"features": self.features}


def _unit(flags: int) -> str:
    return "kPa" if flags & _KILOPASCAL else "mmHg"


def _further(measured: BloodPressureMeasurement | IntermediateCuffPressure) -> dict[str, object]:
    return present(
        {
            "timestamp": measured.timestamp and measured.timestamp.isoformat(),
            "pulse": None if measured.pulse_rate is None else plain(measured.pulse_rate),
            "user_id": measured.user_id,
            "status": measured.status,
        }
    )

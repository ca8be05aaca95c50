"""The Health Thermometer Service 0x1809 (HTS 1.0): its characteristics as on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from device_profiles.layout import FLOAT32, MOMENT, UINT8, Field, Layout, present
from device_profiles.wire import DateTime, Number, Reader, Writer, plain

SERVICE: Final = 0x1809
MEASUREMENT: Final = 0x2A1C
TEMPERATURE_TYPE: Final = 0x2A1D
INTERMEDIATE_TEMPERATURE: Final = 0x2A1E
MEASUREMENT_INTERVAL: Final = 0x2A21

_FAHRENHEIT, _TIMESTAMP, _TYPE = (1 << bit for bit in range(3))
_MEASUREMENT: Final = Layout(
    UINT8,
    Field("temperature", FLOAT32),
    Field("timestamp", MOMENT, _TIMESTAMP),
    Field("type", UINT8, _TYPE),
)


# HTS §3.1 Temperature Measurement, and §3.3 Intermediate Temperature, which has the same fields
@dataclass(frozen=True, slots=True)
class TemperatureMeasurement:
    """One temperature. What the flags leave out is None."""

    flags: int
    """§3.1.1.1, as written: reserved bits are kept."""
    temperature: Number
    """In `unit`."""
    timestamp: DateTime | None = None
    type: int | None = None
    """Where: 1 armpit, 2 body, 3 ear, 4 finger, 5 gut, 6 mouth, 7 rectum, 8 toe, 9 eardrum (§3.2.1)."""

    @classmethod
    def of(
        cls,
        temperature: Number,
        *,
        fahrenheit: bool = False,
        timestamp: DateTime | None = None,
        type: int | None = None,  # noqa: A002 - the specification's name
    ) -> Self:
        """Make a measurement of its meaning; the flags follow."""
        flags = _MEASUREMENT.flags_for({"timestamp": timestamp, "type": type}) | _FAHRENHEIT * fahrenheit
        return cls(flags, temperature, timestamp, type)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        return cls(*_MEASUREMENT.read(raw))

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        return _MEASUREMENT.write(self.flags, self)

    @property
    def unit(self) -> str:
        """`C` or `F`."""
        return "F" if self.flags & _FAHRENHEIT else "C"

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return {
            "unit": self.unit,
            "temperature": plain(self.temperature),
            **present({"timestamp": self.timestamp and self.timestamp.isoformat(), "type": self.type}),
        }


# HTS §3.2 Temperature Type
@dataclass(frozen=True, slots=True)
class TemperatureType:
    """Where a thermometer measures, when it is always the same place."""

    type: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        value = cls(reader.uint8())
        reader.end()
        return value

    def encode(self) -> bytes:
        """Write the byte."""
        return Writer().uint8(self.type).done()

    def to_json(self) -> dict[str, object]:
        """`type` as a number."""
        return {"type": self.type}


# HTS §3.4 Measurement Interval
@dataclass(frozen=True, slots=True)
class MeasurementInterval:
    """Seconds between two measurements; 0: none by itself."""

    interval_s: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        value = cls(reader.uint16())
        reader.end()
        return value

    def encode(self) -> bytes:
        """Write the two bytes."""
        return Writer().uint16(self.interval_s).done()

    def to_json(self) -> dict[str, object]:
        """`interval_s` as a number."""
        return {"interval_s": self.interval_s}

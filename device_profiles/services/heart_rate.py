"""The Heart Rate Service 0x180D (HRS 1.0): its characteristics as on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, whatever its name
from typing import Final, Self

from device_profiles.errors import MalformedMeasurement
from device_profiles.layout import UINT8, UINT16, Field, Layout, present
from device_profiles.wire import Reader, Writer

SERVICE: Final = 0x180D
MEASUREMENT: Final = 0x2A37
BODY_SENSOR_LOCATION: Final = 0x2A38
CONTROL_POINT: Final = 0x2A39

_WIDE, _CONTACT, _CONTACT_SUPPORTED, _ENERGY, _INTERVALS = (1 << bit for bit in range(5))
_NARROW_LAYOUT: Final = Layout(UINT8, Field("beats_per_minute", UINT8), Field("energy_kj", UINT16, _ENERGY))
_WIDE_LAYOUT: Final = Layout(UINT8, Field("beats_per_minute", UINT16), Field("energy_kj", UINT16, _ENERGY))
_LONGEST: Final = 512
"""Bytes of an attribute value at most (Core, Vol 3 Part F §3.2.9)."""
_INTERVAL_STRUCTS: Final = tuple(Struct(f"<{count}H") for count in range(_LONGEST // 2))


# HRS §3.1 Heart Rate Measurement
@dataclass(frozen=True, slots=True)
class HeartRateMeasurement:
    """The heart's rate, and the times between its beats since the last notification."""

    flags: int
    """§3.1.1.1, as written: reserved bits are kept."""
    beats_per_minute: int
    energy_kj: int | None = None
    """Kilojoules since it was reset."""
    rr_intervals: tuple[int, ...] = ()
    """1/1 024 seconds, the oldest first; may be empty although the flags announce them."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        if not raw:
            raise MalformedMeasurement("too_short")
        layout = _WIDE_LAYOUT if raw[0] & _WIDE else _NARROW_LAYOUT
        values, size = layout.read_front(raw)
        following = len(raw) - size
        if following and not raw[0] & _INTERVALS:
            raise MalformedMeasurement("trailing_bytes")
        if following & 1:
            raise MalformedMeasurement("too_short")
        if following >= _LONGEST:
            raise MalformedMeasurement("trailing_bytes")
        values.append(_INTERVAL_STRUCTS[following >> 1].unpack_from(raw, size))
        return cls(*values)

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        if self.rr_intervals and not self.flags & _INTERVALS:
            raise ValueError("the flags announce other fields than are there")
        layout = _WIDE_LAYOUT if self.flags & _WIDE else _NARROW_LAYOUT
        try:
            return layout.write(self.flags, self) + _INTERVAL_STRUCTS[len(self.rr_intervals)].pack(
                *self.rr_intervals
            )
        except (StructError, IndexError) as beyond:
            raise ValueError(str(beyond)) from beyond

    @property
    def contact(self) -> bool | None:
        """Whether the sensor touches the skin; None where it cannot tell."""
        return bool(self.flags & _CONTACT) if self.flags & _CONTACT_SUPPORTED else None

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name; the intervals as written and in milliseconds."""
        intervals = self.rr_intervals if self.flags & _INTERVALS else None
        return present(
            {
                "hr": self.beats_per_minute,
                "contact": self.contact,
                "energy_kJ": self.energy_kj,
                "rr_1024": None if intervals is None else list(intervals),
                "rr_ms": None if intervals is None else [each * 1000 / 1024 for each in intervals],
            }
        )


# HRS §3.2 Body Sensor Location
@dataclass(frozen=True, slots=True)
class BodySensorLocation:
    """0 other, 1 chest, 2 wrist, 3 finger, 4 hand, 5 ear lobe, 6 foot."""

    location: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        value = cls(reader.uint8())
        reader.end()
        return value

    def encode(self) -> bytes:
        """Write the byte."""
        return Writer().uint8(self.location).done()

    def to_json(self) -> dict[str, object]:
        """`location` as a number."""
        return {"location": self.location}

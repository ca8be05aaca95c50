"""The Current Time Service 0x1805 (CTS 1.1): what time a device shows, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from device_profiles.wire import DateTime, Reader, Writer

SERVICE: Final = 0x1805
CURRENT_TIME: Final = 0x2A2B
LOCAL_TIME_INFORMATION: Final = 0x2A0F
REFERENCE_TIME_INFORMATION: Final = 0x2A14
DATE_TIME: Final = 0x2A08
"""Of no service in particular: meters without this service show their clock in it."""


# CTS §3.1 Current Time
@dataclass(frozen=True, slots=True)
class CurrentTime:
    """The device's clock."""

    time: DateTime
    dow: int = 0
    """Day of the week: 1 Monday … 7 Sunday, 0 not known."""
    fractions256: int = 0
    """1/256 seconds."""
    reason: int = 0
    """Why it was last adjusted: bit 0 by hand, 1 by reference, 2 time zone, 3 daylight saving."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        current = cls(reader.date_time(), reader.uint8(), reader.uint8(), reader.uint8())
        reader.end()
        return current

    def encode(self) -> bytes:
        """Write the ten bytes."""
        writer = Writer().date_time(self.time)
        return writer.uint8(self.dow).uint8(self.fractions256).uint8(self.reason).done()

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return {
            "time": self.time.isoformat(),
            "dow": self.dow,
            "fractions256": self.fractions256,
            "reason": self.reason,
        }


# CTS §3.2 Local Time Information
@dataclass(frozen=True, slots=True)
class LocalTimeInformation:
    """Where the device's clock stands to UTC."""

    time_zone: int
    """Quarters of an hour from UTC without daylight saving, −48…56; −128 not known."""
    dst_offset: int
    """0 standard, 2 half an hour, 4 an hour, 8 two hours of daylight saving; 255 not known."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        local = cls(reader.int8(), reader.uint8())
        reader.end()
        return local

    def encode(self) -> bytes:
        """Write the two bytes."""
        return Writer().int8(self.time_zone).uint8(self.dst_offset).done()

    @property
    def utc_offset_minutes(self) -> int | None:
        """Minutes from UTC, daylight saving included; None where either part is not known."""
        if self.time_zone == -128 or self.dst_offset not in {0, 2, 4, 8}:
            return None
        return 15 * (self.time_zone + self.dst_offset)

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return {"time_zone": self.time_zone, "dst_offset": self.dst_offset}


# CTS §3.3 Reference Time Information
@dataclass(frozen=True, slots=True)
class ReferenceTimeInformation:
    """How the device's clock was last set from a reference."""

    source: int
    """1 network time, 2 GPS, 3 radio, 4 by hand, 5 atomic clock, 6 cellular network; 0 not known."""
    accuracy: int
    """1/8 seconds; 254 further away, 255 not known."""
    days: int
    """Since the last update; 255 for longer."""
    hours: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        reference = cls(reader.uint8(), reader.uint8(), reader.uint8(), reader.uint8())
        reader.end()
        return reference

    def encode(self) -> bytes:
        """Write the four bytes."""
        return Writer().uint8(self.source).uint8(self.accuracy).uint8(self.days).uint8(self.hours).done()

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return {"source": self.source, "accuracy": self.accuracy, "days": self.days, "hours": self.hours}

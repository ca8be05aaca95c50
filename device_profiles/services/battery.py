"""The Battery Service 0x180F (BAS 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from device_profiles.errors import MalformedMeasurement
from device_profiles.wire import Reader, Writer

SERVICE: Final = 0x180F
BATTERY_LEVEL: Final = 0x2A19


# BAS §3.1 Battery Level
@dataclass(frozen=True, slots=True)
class BatteryLevel:
    """What is left, 0…100 percent."""

    percent: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        level = cls(reader.uint8())
        reader.end()
        if level.percent > 100:
            raise MalformedMeasurement("invalid_value")
        return level

    def encode(self) -> bytes:
        """Write the byte."""
        return Writer().uint8(self.percent).done()

    def to_json(self) -> dict[str, object]:
        """`percent` as a number."""
        return {"percent": self.percent}

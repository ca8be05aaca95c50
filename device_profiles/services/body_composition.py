"""The Body Composition Service 0x181B (BCS 1.0): its characteristics as on the wire.

A measurement may come in two packets: those after the first repeat the flags' rule, not the fields. A frame
whose body fat is no percentage is not this characteristic, whatever its number says (openScale#392).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from device_profiles.errors import MalformedMeasurement
from device_profiles.layout import MOMENT, UINT8, UINT16, Field, Layout, present
from device_profiles.services.weight_scale import (
    INCH_STEP,
    KILOGRAM_STEP,
    METRE_STEP,
    POUND_STEP,
    UNSUCCESSFUL,
)
from device_profiles.wire import DateTime, Reader, Writer, plain

SERVICE: Final = 0x181B
FEATURE: Final = 0x2A9B
MEASUREMENT: Final = 0x2A9C

TENTH: Final = Decimal("0.1")
_HUNDRED_PERCENT: Final = 1000

_IMPERIAL: Final = 1
_MULTIPLE_PACKET: Final = 1 << 12
_MEASUREMENT: Final = Layout(
    UINT16,
    Field("body_fat_steps", UINT16),
    Field("timestamp", MOMENT, 1 << 1),
    Field("user_id", UINT8, 1 << 2),
    Field("basal_metabolism_kj", UINT16, 1 << 3),
    Field("muscle_steps", UINT16, 1 << 4),
    Field("muscle_mass_steps", UINT16, 1 << 5),
    Field("fat_free_mass_steps", UINT16, 1 << 6),
    Field("soft_lean_mass_steps", UINT16, 1 << 7),
    Field("body_water_mass_steps", UINT16, 1 << 8),
    Field("impedance_steps", UINT16, 1 << 9),
    Field("weight_steps", UINT16, 1 << 10),
    Field("height_steps", UINT16, 1 << 11),
)
_MASSES: Final = ("muscle_mass", "fat_free_mass", "soft_lean_mass", "body_water_mass", "weight")


# BCS §3.2 Body Composition Measurement
@dataclass(frozen=True, slots=True)
class BodyCompositionMeasurement:
    """What a scale computed of a body. Numbers as written, in steps; the properties give them their size."""

    flags: int
    """§3.2.1.1, as written: reserved bits are kept."""
    body_fat_steps: int
    """0.1 % each; 0xFFFF: the measurement did not succeed."""
    timestamp: DateTime | None = None
    user_id: int | None = None
    basal_metabolism_kj: int | None = None
    muscle_steps: int | None = None
    """0.1 % each."""
    muscle_mass_steps: int | None = None
    """0.005 kg or 0.01 lb each, as the masses that follow."""
    fat_free_mass_steps: int | None = None
    soft_lean_mass_steps: int | None = None
    body_water_mass_steps: int | None = None
    impedance_steps: int | None = None
    """0.1 Ω each."""
    weight_steps: int | None = None
    height_steps: int | None = None
    """0.001 m or 0.1 in each."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        fat = int.from_bytes(raw[2:4], "little")
        if _HUNDRED_PERCENT < fat != UNSUCCESSFUL:
            raise MalformedMeasurement("vendor_format")
        return cls(*_MEASUREMENT.read(raw))

    @staticmethod
    def size(flags: int) -> int:
        """How many bytes a value with these flags takes."""
        return _MEASUREMENT.size(flags)

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        return _MEASUREMENT.write(self.flags, self)

    @property
    def unit(self) -> str:
        """`kg` or `lb`; heights are in metres or inches with it."""
        return "lb" if self.flags & _IMPERIAL else "kg"

    @property
    def more_follows(self) -> bool:
        """Whether the rest of this measurement comes in another packet."""
        return bool(self.flags & _MULTIPLE_PACKET)

    @property
    def body_fat_percent(self) -> Decimal | None:
        """None where the measurement did not succeed."""
        return None if self.body_fat_steps == UNSUCCESSFUL else self.body_fat_steps * TENTH

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured though everything was written: a foot in a sock is all zeros."""
        measured = (
            self.body_fat_steps,
            self.muscle_steps,
            self.muscle_mass_steps,
            self.fat_free_mass_steps,
            self.soft_lean_mass_steps,
            self.body_water_mass_steps,
            self.impedance_steps,
        )
        return not any(measured)

    def mass(self, name: str) -> Decimal | None:
        """`muscle_mass`, `fat_free_mass`, `soft_lean_mass`, `body_water_mass` or `weight`, in `unit`."""
        written: int | None = getattr(self, f"{name}_steps")
        if written is None or written == UNSUCCESSFUL:
            return None
        return written * (POUND_STEP if self.flags & _IMPERIAL else KILOGRAM_STEP)

    @property
    def height(self) -> Decimal | None:
        """Metres, or inches where the unit is `lb`."""
        if self.height_steps is None:
            return None
        return self.height_steps * (INCH_STEP if self.flags & _IMPERIAL else METRE_STEP)

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        fat = self.body_fat_percent
        numbers = {
            "muscle_pct": None if self.muscle_steps is None else self.muscle_steps * TENTH,
            **{name: self.mass(name) for name in _MASSES},
            "impedance_ohm": None if self.impedance_steps is None else self.impedance_steps * TENTH,
            "height": self.height,
        }
        return {
            "unit": self.unit,
            "body_fat_pct": "measurement unsuccessful" if fat is None else plain(fat),
            **present(
                {
                    "timestamp": self.timestamp and self.timestamp.isoformat(),
                    "user_id": self.user_id,
                    "basal_metabolism_kJ": self.basal_metabolism_kj,
                    **{name: None if value is None else plain(value) for name, value in numbers.items()},
                }
            ),
            "more_follows": self.more_follows,
        }


# BCS §3.1 Body Composition Feature
@dataclass(frozen=True, slots=True)
class BodyCompositionFeature:
    """Bit 0 timestamps, 1 several users, 2–10 what is computed, 11–17 resolution of masses and heights."""

    features: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        feature = cls(reader.uint32())
        reader.end()
        return feature

    def encode(self) -> bytes:
        """Write the four bytes."""
        return Writer().uint32(self.features).done()

    def to_json(self) -> dict[str, object]:
        """`features` as a number."""
        return {"features": self.features}

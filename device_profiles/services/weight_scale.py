"""The Weight Scale Service 0x181D (WSS 1.0.1): its characteristics as on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from device_profiles.layout import MOMENT, UINT8, UINT16, Field, Layout, present
from device_profiles.wire import DateTime, Reader, Writer, plain

SERVICE: Final = 0x181D
MEASUREMENT: Final = 0x2A9D
FEATURE: Final = 0x2A9E

UNSUCCESSFUL: Final = 0xFFFF
"""A weight that could not be measured (§3.2.1.2)."""
KILOGRAM_STEP, POUND_STEP = Decimal("0.005"), Decimal("0.01")
METRE_STEP, INCH_STEP = Decimal("0.001"), Decimal("0.1")
BMI_STEP: Final = Decimal("0.1")

_POUND, _TIMESTAMP, _USER, _BMI_AND_HEIGHT = (1 << bit for bit in range(4))
_MEASUREMENT: Final = Layout(
    UINT8,
    Field("weight_steps", UINT16),
    Field("timestamp", MOMENT, _TIMESTAMP),
    Field("user_id", UINT8, _USER),
    Field("bmi_steps", UINT16, _BMI_AND_HEIGHT),
    Field("height_steps", UINT16, _BMI_AND_HEIGHT),
)


# WSS §3.2 Weight Measurement
@dataclass(frozen=True, slots=True)
class WeightMeasurement:
    """One weighing. Numbers as written, in steps; the properties give them their size."""

    flags: int
    """§3.2.1.1, as written: reserved bits are kept."""
    weight_steps: int
    """0.005 kg or 0.01 lb each; 0xFFFF: the measurement did not succeed."""
    timestamp: DateTime | None = None
    user_id: int | None = None
    """Which person of the scale; 255 not known."""
    bmi_steps: int | None = None
    """0.1 kg/m² each; computed by the scale."""
    height_steps: int | None = None
    """0.001 m or 0.1 in each; what the person told the scale."""

    @classmethod
    def of(
        cls,
        weight: Decimal,
        *,
        pounds: bool = False,
        timestamp: DateTime | None = None,
        user_id: int | None = None,
        bmi_and_height: tuple[Decimal, Decimal] | None = None,
    ) -> Self:
        """Make a measurement of its meaning; the flags follow. Raises ValueError between two steps."""
        bmi, height = bmi_and_height or (None, None)
        further = {
            "timestamp": timestamp,
            "user_id": user_id,
            "bmi_steps": None if bmi is None else steps(bmi, BMI_STEP),
            "height_steps": None if height is None else steps(height, INCH_STEP if pounds else METRE_STEP),
        }
        flags = _MEASUREMENT.flags_for(further) | _POUND * pounds
        return cls(flags, steps(weight, POUND_STEP if pounds else KILOGRAM_STEP), **further)  # type: ignore[arg-type]

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        return cls(*_MEASUREMENT.read(raw))

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        return _MEASUREMENT.write(self.flags, self)

    @property
    def unit(self) -> str:
        """`kg` or `lb`; heights are in metres or inches with it."""
        return "lb" if self.flags & _POUND else "kg"

    @property
    def weight(self) -> Decimal | None:
        """In `unit`, exact; None where the measurement did not succeed."""
        if self.weight_steps == UNSUCCESSFUL:
            return None
        return self.weight_steps * (POUND_STEP if self.flags & _POUND else KILOGRAM_STEP)

    @property
    def body_mass_index(self) -> Decimal | None:
        """kg/m², as the scale computed it."""
        return None if self.bmi_steps is None else self.bmi_steps * BMI_STEP

    @property
    def height(self) -> Decimal | None:
        """Metres, or inches where the unit is `lb`."""
        if self.height_steps is None:
            return None
        return self.height_steps * (INCH_STEP if self.flags & _POUND else METRE_STEP)

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        weight, bmi, height = self.weight, self.body_mass_index, self.height
        return {
            "unit": self.unit,
            "weight": "measurement unsuccessful" if weight is None else plain(weight),
            **present(
                {
                    "timestamp": self.timestamp and self.timestamp.isoformat(),
                    "user_id": self.user_id,
                    "bmi": None if bmi is None else plain(bmi),
                    "height": None if height is None else plain(height),
                }
            ),
        }


# WSS §3.1 Weight Scale Feature
@dataclass(frozen=True, slots=True)
class WeightScaleFeature:
    """Bit 0 timestamps, 1 several users, 2 BMI, 3–6 resolution of the weight, 7–9 of the height."""

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


def steps(value: Decimal, step: Decimal) -> int:
    """How many steps a value is. Raises ValueError where it lies between two."""
    count = value / step
    if count != count.to_integral_value():
        raise ValueError(f"{value} is no multiple of {step}")
    return int(count)

"""Scales: 0x2A9D (WSS 1.0.1) and 0x2A9C (BCS 1.0)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Final

from device_profiles.meanings.meaning import Heard, InOneValue, user, when
from device_profiles.reading import Absent, Kind, Measurand, Quantity, Reading, RecordIdentity
from device_profiles.services.body_composition import BodyCompositionMeasurement
from device_profiles.services.weight_scale import WeightMeasurement

_MASS_UNITS: Final = {"kg": "kg", "lb": "[lb_av]"}
_HEIGHT_UNITS: Final = {"kg": "m", "lb": "[in_i]"}
_MASSES: Final = {
    "muscle_mass": Measurand.MUSCLE_MASS,
    "fat_free_mass": Measurand.FAT_FREE_MASS,
    "soft_lean_mass": Measurand.SOFT_LEAN_MASS,
    "body_water_mass": Measurand.BODY_WATER_MASS,
}
_MORE_FOLLOWS: Final = 0x10
"""In the second octet of the flags (BCS §3.2.1.1, bit 12)."""
_TENTH: Final = Decimal("0.1")


@dataclass(frozen=True)
class WeightMeaning(InOneValue):
    """A weighing is one reading, in the unit written, with what the scale computed of it."""

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.BODY_WEIGHT,)

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The one reading of a value. Raises MalformedMeasurement."""
        measured = WeightMeasurement.decode(raw)
        unit, height_unit = _MASS_UNITS[measured.unit], _HEIGHT_UNITS[measured.unit]
        written, recorded_at = when(measured.timestamp, heard)
        return (
            Reading(
                kind=Kind.BODY_WEIGHT,
                quantities=(
                    _measured(Measurand.BODY_WEIGHT, measured.weight, unit),
                    *_told(Measurand.BODY_MASS_INDEX, measured.body_mass_index, "kg/m2"),
                    *_told(Measurand.BODY_HEIGHT, measured.height, height_unit),
                    *user(measured.user_id),
                ),
                device_time=written,
                identity=RecordIdentity(recorded_at, 0),
                raw=bytes(raw),
            ),
        )


@dataclass(frozen=True)
class BodyCompositionMeaning:
    """What a scale computed of a body is one reading, whether it comes in one value or in two.

    A foot in a sock conducts nothing, and the scale writes zeros: these are no values.
    """

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.BODY_COMPOSITION,)

    def continues(self, raw: bytes) -> bool:
        """Whether the rest is still to come: of two values the second may say again that there are two."""
        front = _fitting(raw)
        return bool(front and len(raw) == front and raw[1] & _MORE_FOLLOWS)

    def parts(self, raw: bytes) -> tuple[bytes, ...]:
        """The value itself."""
        return (raw,)

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The one reading of a value, or of two that were put together. Raises MalformedMeasurement."""
        front = _fitting(raw)
        first = BodyCompositionMeasurement.decode(raw[: front or len(raw)])
        values = [first]
        if front is not None and len(raw) > front:
            values.append(BodyCompositionMeasurement.decode(raw[front:]))
        written, recorded_at = when(next((one.timestamp for one in values if one.timestamp), None), heard)
        users = [one.user_id for one in values if one.user_id is not None]
        found = [quantity for one in values for quantity in _further(one)]
        return (
            Reading(
                kind=Kind.BODY_COMPOSITION,
                quantities=(_fat(values), *_once(found), *user(users[0] if users else None)),
                device_time=written,
                identity=RecordIdentity(recorded_at, 0),
                raw=bytes(raw),
            ),
        )


def _fitting(raw: bytes) -> int | None:
    """How many bytes the first value takes, by its flags; None where there are fewer."""
    if len(raw) < 2:
        return None
    size = BodyCompositionMeasurement.size(int.from_bytes(raw[:2], "little"))
    return size if size <= len(raw) else None


def _fat(values: list[BodyCompositionMeasurement]) -> Quantity:
    empty = all(one.is_empty for one in values)
    return _measured(Measurand.BODY_FAT, None if empty else values[0].body_fat_percent, "%")


def _further(measured: BodyCompositionMeasurement) -> list[Quantity]:
    unit, height_unit = _MASS_UNITS[measured.unit], _HEIGHT_UNITS[measured.unit]
    empty = measured.is_empty
    steps = (
        (Measurand.BODY_MUSCLE, measured.muscle_steps, "%"),
        (Measurand.IMPEDANCE, measured.impedance_steps, "Ohm"),
    )
    found: list[Quantity] = []
    for of, written, in_unit in steps:
        if written is not None:
            found.append(_measured(of, None if empty else written * _TENTH, in_unit))
    for name, of in _MASSES.items():
        if getattr(measured, f"{name}_steps") is not None:
            found.append(_measured(of, None if empty else measured.mass(name), unit))
    if measured.basal_metabolism_kj is not None:
        found.append(Quantity(Measurand.BASAL_METABOLISM, Decimal(measured.basal_metabolism_kj), "kJ"))
    if measured.weight_steps is not None:
        found.append(_measured(Measurand.BODY_WEIGHT, measured.mass("weight"), unit))
    return [*found, *_told(Measurand.BODY_HEIGHT, measured.height, height_unit)]


def _once(quantities: list[Quantity]) -> list[Quantity]:
    """Each measurand once: what two values both say, as the first says it."""
    return list({one.of: one for one in reversed(quantities)}.values())[::-1]


def _measured(of: Measurand, value: Decimal | None, unit: str) -> Quantity:
    return Quantity(of, value, unit, Absent.NOT_A_NUMBER if value is None else None)


def _told(of: Measurand, value: Decimal | None, unit: str) -> tuple[Quantity, ...]:
    """What the scale may leave out."""
    return () if value is None else (Quantity(of, value, unit),)

"""What a doctor aimed at for somebody, as it was written, and the ranges that follow from it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Final

from device_profiles.errors import PasserelleError
from gateway.home import Home
from gateway.reports.targets import LIMITS, Limits, Situation
from storage import household, shares
from storage.household import PersonSettings
from storage.patients import Patient

MG_PER_MMOL: Final = Decimal("18.0182")
"""mg/dL in one mmol/L of glucose."""

POSSIBLE: Final = {"mg/dL": (Decimal(20), Decimal(600)), "mmol/L": (Decimal(1), Decimal(34))}
"""What meters can show: a target beyond that is a slip of the comma."""


class UnusableTarget(PasserelleError):
    """A target that is no number, or one that no meter shows."""

    sentence = "A target is a number between {lowest} and {highest}. Look at what the doctor wrote."


class TargetsCrossed(PasserelleError):
    """A lower target that is not below its upper one."""

    sentence = "The lower target is not below the upper one. Look at what the doctor wrote."


async def aim_at(home: Home, person: Patient, wanted: PersonSettings) -> None:
    """The situation and the targets that a doctor gave. Raises `TargetsCrossed`."""
    for lower, upper in ((wanted.low, wanted.high), (wanted.before_low, wanted.before_high)):
        if lower is not None and upper is not None and lower >= upper:
            raise TargetsCrossed
    async with home.database.writer() as connection:
        known = await household.settings_of(connection, person.patient_id)
        await household.choose(connection, person.patient_id, replace(wanted, relation=known.relation))
        await shares.mark_stale(connection, person.patient_id)


def written_unit(unit: str) -> str:
    """The unit in which a target is kept that was read in this one: g/L is mg/dL with another comma."""
    return "mmol/L" if unit == "mmol/L" else "mg/dL"


def target_of(text: str, unit: str) -> Decimal | None:
    """A target as somebody typed it in their unit (`0,70` g/L), in `written_unit`; None for an empty field.

    Raises `UnusableTarget`.
    """
    typed = text.replace("\u202f", "").replace("\u00a0", "").replace(" ", "").replace(",", ".")
    if not typed:
        return None
    lowest, highest = POSSIBLE[written_unit(unit)]
    shift = 2 if unit == "g/L" else 0
    try:
        value = Decimal(typed).scaleb(shift)
        possible = lowest <= value <= highest
    except InvalidOperation:
        possible = False
    if not possible:
        raise UnusableTarget(lowest=shown(lowest.scaleb(-shift)), highest=shown(highest.scaleb(-shift)))
    return value.normalize() + 0


def rewritten(value: Decimal | None, written: str | None, unit: str) -> Decimal | None:
    """A target that stands in one unit, in another; the same number where the unit is the same."""
    found = in_unit(value, written, unit)
    return value if found is None or written in (None, unit) else Decimal(str(found))


def shown(value: Decimal) -> str:
    """A number without an exponent."""
    return format(value.normalize(), "f")


def situation_of(settings: PersonSettings) -> Situation:
    """Whose goals of the consensus are theirs; the standard ones where nothing else was chosen."""
    try:
        return Situation(settings.situation or Situation.STANDARD)
    except ValueError:
        return Situation.STANDARD


def limits_of(settings: PersonSettings, unit: str) -> Limits:
    """The limits of somebody's ranges in mg/dL or mmol/L: the doctor's, else those of their situation."""
    limits = LIMITS[situation_of(settings)][unit]
    low, high = (in_unit(value, settings.unit, unit) for value in (settings.low, settings.high))
    if low is not None:
        limits = replace(limits, low=low, very_low=min(limits.very_low, low))
    if high is not None:
        limits = replace(limits, high=high, very_high=max(limits.very_high, high))
    return limits


def in_unit(value: Decimal | None, written: str | None, unit: str) -> float | None:
    """A target in mg/dL or mmol/L, as it was written where that is the same."""
    if value is None:
        return None
    if written in (None, unit):
        return float(value)
    return float(round(value / MG_PER_MMOL, 1) if unit == "mmol/L" else round(value * MG_PER_MMOL))

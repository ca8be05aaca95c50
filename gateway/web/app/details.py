"""What stands beside a value: its further numbers, its place among the meals, how its time is known."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from device_profiles.reading import UNKNOWN_TIME, Kind, Measurand, ReadingSeries, TimeSource
from gateway.web.app.values import WRITTEN
from gateway.web.app.words import Words

_HIDDEN: Final = ("USER_INDEX", "SENSOR_QUALITY", "IMPEDANCE")
"""What a device says for software: nothing that its person measured."""

_UNITS: Final = {"kg/m2": "kg/m²", "[in_i]": "in", "1": "", "Ohm": "Ω"}


def beside(series: ReadingSeries, row: int, words: Words) -> list[tuple[str, str]]:
    """The further numbers of a reading, each with its name."""
    pressure = int(series.kind[row]) == Kind.BLOOD_PRESSURE
    told = []
    for quantity in series.quantities.get(row, ()):
        own = pressure and quantity.of is Measurand.DIASTOLIC  # it stands beside the systolic one
        if quantity.value is not None and not own and quantity.of.name not in _HIDDEN:
            unit = WRITTEN.get(quantity.unit, (_UNITS.get(quantity.unit, quantity.unit), 0))[0]
            told.append((measurand(quantity.of, words), f"{number(quantity.value, words)} {unit}".strip()))
    return told


def number(value: Decimal, words: Words) -> str:
    """A number with the decimals that its device wrote, at most two."""
    exponent = value.normalize().as_tuple().exponent
    return words.number(float(value), min(max(-exponent, 0), 2) if isinstance(exponent, int) else 0)


def measurand(of: Measurand, words: Words) -> str:
    """One number of a reading, beside its value."""
    names = {
        "MEAN_ARTERIAL": words.t("mean pressure"),
        "PULSE_RATE": words.t("pulse"),
        "BODY_WEIGHT": words.t("weight"),
        "BODY_HEIGHT": words.t("height"),
        "BODY_MASS_INDEX": words.t("body mass index"),
        "BODY_FAT": words.t("fat"),
        "BODY_MUSCLE": words.t("muscle"),
        "MUSCLE_MASS": words.t("muscle mass"),
        "FAT_FREE_MASS": words.t("lean mass"),
        "SOFT_LEAN_MASS": words.t("soft lean mass"),
        "BODY_WATER_MASS": words.t("water"),
        "BASAL_METABOLISM": words.t("energy at rest"),
        "PULSE_AMPLITUDE": words.t("pulse strength"),
        "GLUCOSE_TREND": words.t("trend"),
        "ENERGY_EXPENDED": words.t("energy spent"),
    }
    return names.get(of.name) or of.name.lower().replace("_", " ")


def short_doubt(series: ReadingSeries, row: int, words: Words) -> str:
    """A word beside a time that is not simply the device's; empty for one that is."""
    if int(series.effective_time[row]) == UNKNOWN_TIME:
        return words.t("time unknown")
    match int(series.time_source[row]):
        case TimeSource.DEVICE_CORRECTED:
            return words.t("time corrected")
        case TimeSource.ORDERED:
            return words.t("time uncertain")
        case TimeSource.PERSON:
            return words.t("time as you said")
    return ""


def why_doubtful(series: ReadingSeries, row: int, words: Words) -> str:
    """How the time is known, in a sentence."""
    if int(series.effective_time[row]) == UNKNOWN_TIME:
        return words.t("The device did not know what time it was.")
    match int(series.time_source[row]):
        case TimeSource.DEVICE_CORRECTED:
            return words.t("The clock of the device was wrong, by as much as was seen when it was read.")
        case TimeSource.ORDERED:
            return words.t("The clock of the device was changed: only the order of the readings is sure.")
        case TimeSource.PERSON:
            return words.t("Somebody here said when it was.")
    return words.t("By the clock of the device.")


def meal_name(meal: str | None, words: Words) -> str:
    """A moment among the meals, as annotating names it; empty for none."""
    names = {
        "before-meal": words.t("before a meal"),
        "after-meal": words.t("after a meal"),
        "fasting": words.t("fasting"),
        "casual": words.t("between meals"),
        "bedtime": words.t("at bedtime"),
    }
    return names.get(meal or "", "")


def meal_in_full(meal: str | None, which: str | None, words: Words) -> str:
    """The same with the meal's name where it was said: `before lunch`."""
    names = {
        ("before-meal", "breakfast"): words.t("before breakfast"),
        ("before-meal", "lunch"): words.t("before lunch"),
        ("before-meal", "dinner"): words.t("before dinner"),
        ("before-meal", "snack"): words.t("before a snack"),
        ("after-meal", "breakfast"): words.t("after breakfast"),
        ("after-meal", "lunch"): words.t("after lunch"),
        ("after-meal", "dinner"): words.t("after dinner"),
        ("after-meal", "snack"): words.t("after a snack"),
    }
    return names.get((meal or "", which or "")) or meal_name(meal, words)

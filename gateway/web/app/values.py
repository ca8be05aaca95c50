"""A reading as a person reads it: the number in their unit, what it means in words, how its time is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from device_profiles.reading import (
    UNITS,
    UNKNOWN_TIME,
    Absent,
    Kind,
    Measurand,
    Quantity,
    ReadingSeries,
    TimeSource,
)
from gateway.aims import limits_of
from gateway.reports.targets import Limits
from gateway.web.app.words import Words
from storage.household import PersonSettings

MG_PER_MMOL: Final = 18.0182
GLUCOSE: Final = (Kind.BLOOD_GLUCOSE, Kind.INTERSTITIAL_GLUCOSE)
MOLAR: Final = "mmol/L"
MASS: Final = "mg/dL"
PER_MG: Final = {"g/L": 0.01, MASS: 1.0, MOLAR: 1 / MG_PER_MMOL}
DECIMALS: Final = {"g/L": 2, MASS: 0, MOLAR: 1}

WRITTEN: Final[Mapping[str, tuple[str, int]]] = {
    "mm[Hg]": ("mmHg", 0),
    "kPa": ("kPa", 1),
    "kg": ("kg", 1),
    "[lb_av]": ("lb", 1),
    "Cel": ("°C", 1),
    "[degF]": ("°F", 1),
    "%": ("%", 0),
    "/min": ("/min", 0),
    MOLAR: (MOLAR, 1),
    MASS: (MASS, 0),
}
"""How the other units are written, with their decimals."""


@dataclass(frozen=True, slots=True)
class Tone:
    """A range: its name in the style sheet, its sign beside the colour, and in words."""

    name: str
    sign: str
    words: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One reading, as it is shown."""

    row: int
    kind: Kind
    name: str
    """What was measured, in words."""
    text: str
    unit: str
    """Empty where there is no number."""
    tone: Tone | None
    """None where nothing is aimed at."""
    milligrams: float | None
    """Of glucose, for a drawing; the ends of the scale for LO and HI."""
    at: datetime | None
    """On the person's clock; None where nobody knows."""
    doubt: str | None
    """Why the time is not sure, in words."""
    uncertain: bool
    """Only the order is sure: drawn as a guess, and in no curve."""
    excluded: bool
    device_id: int

    @property
    def full(self) -> str:
        """The number with its unit."""
        return f"{self.text} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Reader:
    """How one person reads their values."""

    words: Words
    zone: ZoneInfo
    unit: str | None
    """Of glucose; None: as the device wrote it."""
    settings: PersonSettings

    def shown(self, series: ReadingSeries, row: int) -> Shown:
        """A row of a series."""
        kind = Kind(int(series.kind[row]))
        source = TimeSource(int(series.time_source[row]))
        microseconds = int(series.effective_time[row])
        at = None if microseconds == UNKNOWN_TIME else moment_of(microseconds).astimezone(self.zone)
        text, unit, tone, milligrams = (
            self._glucose(series, row) if kind in GLUCOSE else (*self._other(series, row), None, None)
        )
        return Shown(
            row=row,
            kind=kind,
            name=name_of(kind, self.words),
            text=text,
            unit=unit,
            tone=tone,
            milligrams=milligrams,
            at=at,
            doubt=doubt_of(source, self.words),
            uncertain=source is TimeSource.ORDERED,
            excluded=bool(series.excluded[row]),
            device_id=int(series.device_id[row]),
        )

    def amount(self, milligrams: float, unit: str) -> str:
        """A number of mg/dL in a unit of glucose, without its name."""
        return self.words.number(milligrams * PER_MG[unit], DECIMALS[unit])

    def unit_of(self, written: str) -> str:
        """The unit in which glucose is shown that a device wrote in another."""
        return self.unit if self.unit in PER_MG else written

    def target(self, written: str) -> tuple[float, float]:
        """The ends of the target in mg/dL, of values that are written in this unit."""
        limits = limits_of(self.settings, written)
        factor = MG_PER_MMOL if written == MOLAR else 1
        return limits.low * factor, limits.high * factor

    def target_in_words(self, written: str) -> str:
        """The target as it is read: 0,70–1,80 g/L."""
        unit = self.unit_of(written)
        if unit == written:  # as it was given, and not there and back again
            limits = limits_of(self.settings, written)
            low, high = (self.words.number(end, DECIMALS[unit]) for end in (limits.low, limits.high))
        else:
            low, high = (self.amount(end, unit) for end in self.target(written))
        return f"{low}–{high} {unit}"

    def _glucose(self, series: ReadingSeries, row: int) -> tuple[str, str, Tone | None, float | None]:
        written = UNITS[int(series.unit[row])]
        match int(series.absent[row]):
            case 0:
                value = float(series.mantissa[row]) * 10.0 ** int(series.exponent[row])
            case Absent.BELOW_RANGE:
                return "LO", "", self._tone("very-low", beyond=True), 0.0
            case Absent.ABOVE_RANGE:
                return "HI", "", self._tone("very-high", beyond=True), 1000.0
            case _:
                return "–", "", None, None
        milligrams = value * MG_PER_MMOL if written == MOLAR else value
        unit = self.unit_of(written)
        text = self.words.number(value, DECIMALS[unit]) if unit == written else self.amount(milligrams, unit)
        return text, unit, self._tone(range_of(value, limits_of(self.settings, written))), milligrams

    def _tone(self, name: str, *, beyond: bool = False) -> Tone:
        t = self.words.t
        said = {
            "very-low": t("Very low"),
            "low": t("Below the target"),
            "target": t("In the target"),
            "high": t("Above the target"),
            "very-high": t("Very high"),
        }[name]
        if beyond:
            said = {
                "very-low": t("LO: below what the device can measure"),
                "very-high": t("HI: above what the device can measure"),
            }[name]
        signs = {"very-low": "▼▼", "low": "▼", "target": "●", "high": "▲", "very-high": "▲▲"}
        return Tone(name, signs[name], said)

    def _other(self, series: ReadingSeries, row: int) -> tuple[str, str]:
        written = UNITS[int(series.unit[row])]
        unit, decimals = WRITTEN.get(written, (written, 1))
        if int(series.absent[row]):
            return "–", ""
        value = float(series.mantissa[row]) * 10.0 ** int(series.exponent[row])
        text = self.words.number(value, decimals)
        lower = _quantity(series.quantities.get(row, ()), Measurand.DIASTOLIC)
        if lower is not None and lower.value is not None:
            text += f"/{self.words.number(float(lower.value), decimals)}"
        return text, unit


def moment_of(microseconds: int) -> datetime:
    """A moment of a series."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)


def range_of(value: float, limits: Limits) -> str:
    """The range of a value in the unit that it was written in."""
    if value < limits.low:
        return "very-low" if value < limits.very_low else "low"
    if value > limits.high:
        return "very-high" if value > limits.very_high else "high"
    return "target"


def doubt_of(source: TimeSource, words: Words) -> str | None:
    """What is said of a time that the device's clock alone does not tell."""
    match source:
        case TimeSource.ORDERED:
            return words.t("time not sure: the clock of the device was changed")
        case TimeSource.UNKNOWN:
            return words.t("time not known: the device had none")
        case TimeSource.DEVICE_CORRECTED:
            return words.t("time corrected: the clock of the device was wrong")
        case TimeSource.PERSON:
            return words.t("time as you said")
    return None


def name_of(kind: Kind, words: Words) -> str:
    """What was measured."""
    t = words.t
    names = {
        Kind.BLOOD_GLUCOSE: t("Glucose, finger-stick"),
        Kind.INTERSTITIAL_GLUCOSE: t("Glucose, sensor"),
        Kind.KETONE: t("Ketones"),
        Kind.CONTROL_SOLUTION: t("Test with a control solution"),
        Kind.BLOOD_PRESSURE: t("Blood pressure"),
        Kind.BODY_WEIGHT: t("Weight"),
        Kind.BODY_COMPOSITION: t("Body composition"),
        Kind.BODY_TEMPERATURE: t("Temperature"),
        Kind.OXYGEN_SATURATION: t("Oxygen in the blood"),
        Kind.HEART_RATE: t("Heart rate"),
    }
    return names[kind]


def _quantity(quantities: tuple[Quantity, ...], of: Measurand) -> Quantity | None:
    return next((quantity for quantity in quantities if quantity.of is of), None)

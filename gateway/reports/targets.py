"""What is aimed at, by the person's situation: the limits of the ranges, and the goals for time in them.

Battelino et al. 2019, Diabetes Care 42:1593, tables 3 and 4 and figure 1. The consensus gives no percentages
for type 2 and gestational diabetes in pregnancy: there the ranges have no goals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal


class Situation(StrEnum):
    """Whose targets."""

    STANDARD = "standard"
    OLDER = "older"
    """Older people, and those at high risk."""
    PREGNANCY_TYPE_1 = "pregnancy-type-1"
    PREGNANCY_OTHER = "pregnancy-other"
    """Type 2 and gestational diabetes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Very low < `very_low` ≤ low < `low` ≤ target ≤ `high` < high ≤ `very_high` < very high."""

    very_low: float
    low: float
    high: float
    very_high: float


RangeName = Literal["very_low", "low", "target", "high", "very_high"]


@dataclass(frozen=True, slots=True)
class Goal:
    """How much of the time in some ranges together: at least so many percent, or less than so many."""

    ranges: tuple[RangeName, ...]
    percent: float
    at_least: bool = False

    def met(self, time_in_range: Mapping[str, float | None]) -> bool | None:
        """Whether these percentages meet it; None where there are none."""
        shares = [time_in_range[name] for name in self.ranges]
        known = [share for share in shares if share is not None]
        if len(known) < len(shares):
            return None
        return sum(known) > self.percent if self.at_least else sum(known) < self.percent


_EVERYDAY: Final = {"mg/dL": Limits(54, 70, 180, 250), "mmol/L": Limits(3.0, 3.9, 10.0, 13.9)}
_PREGNANCY: Final = {"mg/dL": Limits(54, 63, 140, 250), "mmol/L": Limits(3.0, 3.5, 7.8, 13.9)}

LIMITS: Final[Mapping[Situation, Mapping[str, Limits]]] = {
    Situation.STANDARD: _EVERYDAY,
    Situation.OLDER: _EVERYDAY,
    Situation.PREGNANCY_TYPE_1: _PREGNANCY,
    Situation.PREGNANCY_OTHER: _PREGNANCY,
}
"""By the unit written: converted first, 10.0 mmol/L would stand above 180 mg/dL."""

GOALS: Final[Mapping[Situation, tuple[Goal, ...]]] = {
    Situation.STANDARD: (
        Goal(("target",), 70, at_least=True),
        Goal(("very_low", "low"), 4),
        Goal(("very_low",), 1),
        Goal(("high", "very_high"), 25),
        Goal(("very_high",), 5),
    ),
    Situation.OLDER: (
        Goal(("target",), 50, at_least=True),
        Goal(("very_low", "low"), 1),
        Goal(("very_high",), 10),
    ),
    Situation.PREGNANCY_TYPE_1: (
        Goal(("target",), 70, at_least=True),
        Goal(("very_low", "low"), 4),
        Goal(("very_low",), 1),
        Goal(("high", "very_high"), 25),
    ),
    Situation.PREGNANCY_OTHER: (),
}

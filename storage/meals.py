"""What a person says of a reading's place among their meals: it stands before what the meter was told.

The reading and its context stay as they were received; who reads a series gets the context with this in it,
so that pages, reports, links and spaces say the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

from device_profiles.reading import Context

MOMENTS: Final = {"before-meal": 1, "after-meal": 2, "fasting": 3, "casual": 4, "bedtime": 5}
"""The moments that 0x2A34 knows, with their numbers there (GLS 3.2.1.4)."""

MEALS: Final = ("breakfast", "lunch", "dinner", "snack")

NO_MOMENT: Final = "none"
"""The mark of the meter is wrong, and no other one is right."""


@dataclass(frozen=True, slots=True)
class MealMark:
    """A mark as it is said: which moment (None: none at all), and of which meal where that was said too."""

    moment: str | None
    meal: str | None = None

    @classmethod
    def of(cls, said: str) -> Self | None:
        """From the annotation's value; None for one that this program does not know."""
        moment, _, meal = said.partition("/")
        if moment == NO_MOMENT:
            return cls(None)
        known = moment in MOMENTS and (not meal or meal in MEALS)
        return cls(moment, meal or None) if known else None

    @property
    def value(self) -> str:
        """As the annotation keeps it: `before-meal/lunch`."""
        return "/".join(filter(None, (self.moment or NO_MOMENT, self.meal)))


def marked(context: Context | None, said: str) -> Context | None:
    """A context with the mark that the person gave in place of the meter's."""
    mark = MealMark.of(said)
    if mark is None:
        return context
    number = None if mark.moment is None else MOMENTS[mark.moment]
    if context is None:
        return None if number is None else Context(raw=b"", meal=number)
    return replace(context, meal=number)

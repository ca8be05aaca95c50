"""Dialects: what one space expects, as a table over the same mapping."""

from __future__ import annotations

from dataclasses import dataclass

from device_profiles.reading import Context, Kind
from fhir_mapping.codes import Coding, Row, Rows
from fhir_mapping.errors import NotInDialect


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """How a dialect says when a measurement was taken: one extension, by meal number or after exercise."""

    url: str
    by_meal: dict[int, Coding]
    after_exercise: Coding

    def of(self, context: Context) -> Coding | None:
        """The moment that a context tells; None where it tells none. The meal's mark goes first."""
        if (moment := self.by_meal.get(context.meal or 0)) is not None:
            return moment
        return self.after_exercise if context.exercise_seconds else None


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """A dialect of FHIR. `moments`: None where the whole context is written, as components.

    `observations`: how many a transaction may have, None for any number. `takes_changes`: whether what was
    created there can be replaced or deleted. `knows_person`: whether the receiver has the person already, so
    that no Patient is sent.
    """

    name: str
    rows: Rows
    moments: Moments | None = None
    takes_unknown_time: bool = True
    observations: int | None = None
    takes_changes: bool = True
    knows_person: bool = False

    def row(self, kind: Kind, sample_type: int | None, unit: str) -> Row:
        """What a reading is called. Raises NotInDialect."""
        row = self.rows.get((kind, sample_type, unit), self.rows.get((kind, None, unit)))
        if row is None:
            raise NotInDialect(kind=kind.slug, unit=unit, dialect=self.name)
        return row

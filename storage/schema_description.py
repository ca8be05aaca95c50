"""What a schema is made of beside its rows, and which steps make the same one elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from storage.connection import Connection
from storage.errors import BackupNewer, BackupOfAnotherEdition
from storage.migrate import Engine, Migration, migrations, steps_applied
from storage.table_streams import Besides, Table, besides

SCHEMAS = ("passerelle", "shelf")

_BASES = {"passerelle": "base", "shelf": "shelf"}


@dataclass(frozen=True, slots=True)
class SchemaDescription:
    """One schema: its steps with their checksums, its tables' columns, and what lies besides rows."""

    steps: Mapping[int, str]
    tables: Mapping[str, tuple[tuple[str, str], ...]]
    besides: Besides

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """As `Description.to_json` wrote it."""
        months = {name: [date.fromisoformat(m) for m in each] for name, each in told["months"].items()}
        return cls(
            {int(number): checksum for number, checksum in told["steps"].items()},
            {name: tuple((c, t) for c, t in columns) for name, columns in told["tables"].items()},
            Besides(told["sequences"], months),
        )


async def described(conn: Connection, schema: str, tables: Mapping[str, Table]) -> SchemaDescription:
    """What the moment of a connection's snapshot sees of a schema."""
    return SchemaDescription(
        await steps_applied(conn, schema),
        {name: table.columns for name, table in tables.items()},
        await besides(conn, schema, tables),
    )


def known_steps(schemas: Mapping[str, SchemaDescription]) -> None:
    """Every step of these schemas is one of ours. Raises BackupNewer or BackupOfAnotherEdition."""
    for schema, told in schemas.items():
        engines = tuple(Engine) if schema == "passerelle" else ()
        known = {step.number: step.checksum for step in migrations(_BASES[schema], *engines)}
        if not told.steps.keys() <= known.keys():
            raise BackupNewer
        if any(known[number] != checksum for number, checksum in told.steps.items()):
            raise BackupOfAnotherEdition


def steps_to(schema: str, told: SchemaDescription) -> list[Migration]:
    """The steps that make our own engine's tables as they were there, perhaps on another engine."""
    base = [step for step in migrations(_BASES[schema]) if step.number in told.steps]
    last = max(told.steps, default=0)
    own = migrations(Engine.PLAIN) if schema == "passerelle" else ()
    return sorted([*base, *(step for step in own if step.number <= last)], key=lambda step: step.number)

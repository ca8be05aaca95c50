"""Receipts of what was erased: what was to go, when, how many of each, and a hash; nothing of the content.

A receipt outlives what it tells of, the person too: their number here says nobody's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

from psycopg.rows import dict_row

from device_profiles.reading import Kind
from storage.connection import Connection
from storage.statements import statements

_SQL = statements("erasure")


class Reason(IntEnum):
    """Why something was erased. Stored: add, never renumber."""

    ASKED = 1
    """The person, or who keeps their home."""
    RETENTION = 2
    """A rule of the person's: their time was over."""
    GATEWAY = 3
    """A gateway deleted it at this space."""

    @property
    def slug(self) -> str:
        """The name that people and files use."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to go of a person: of a device or all, of some kinds or all, of some days or always.

    Days are the person's own, both included. `everything`: the person too.
    """

    device_id: int | None = None
    kinds: tuple[Kind, ...] | None = None
    first: date | None = None
    last: date | None = None
    everything: bool = False

    @property
    def by_key(self) -> bool:
        """Whether the readings must be looked at one by one."""
        return not (self.kinds is None and self.first is None and self.last is None)

    @property
    def whole(self) -> bool:
        """Whether it is all that the person has."""
        return self.device_id is None and not self.by_key


@dataclass(frozen=True, slots=True)
class AtSpace:
    """A space that holds what was erased. `told_at` None: it has not confirmed yet.

    `not_told`: it never will, since it was disconnected; the person has to ask it.
    """

    space_id: UUID
    url: str
    readings: int
    told_at: datetime | None
    not_told: bool

    @property
    def waits(self) -> bool:
        """Whether it is still to be told."""
        return self.told_at is None and not self.not_told


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was erased. `digest`: SHA-256, over the salted hashes of the erased keys.

    `log_until`, `log_head`: the entries of the access log up to this one have no content any more, and the
    last value of its chain then.
    """

    patient_id: int
    erasure_id: UUID
    reason: Reason
    scope: Scope
    erased_at: datetime
    readings: int
    quantities: int
    contexts: int
    annotations: int
    refused_frames: int
    clock_segments: int
    outbox_entries: int
    shares: int
    grants: int
    tokens: int
    log_entries: int
    log_until: int | None
    log_head: bytes | None
    digest: bytes
    spaces: tuple[AtSpace, ...] = ()


COUNTED: Final = (
    "readings",
    "quantities",
    "contexts",
    "annotations",
    "refused_frames",
    "clock_segments",
    "outbox_entries",
    "shares",
    "grants",
    "tokens",
    "log_entries",
)
"""What a receipt counts."""


async def list_all(conn: Connection, patient_id: int | None = None) -> tuple[Receipt, ...]:
    """The receipts of a patient, or all there are, the oldest first."""
    statement = "receipts" if patient_id is None else "receipts_of_patient"
    return await _receipts(conn, statement, {"patient_id": patient_id})


async def get(conn: Connection, key: Mapping[str, object]) -> Receipt:
    """One receipt, by `patient_id` and `erasure_id`."""
    (receipt,) = await _receipts(conn, "receipt", key)
    return receipt


async def _receipts(conn: Connection, statement: str, values: Mapping[str, object]) -> tuple[Receipt, ...]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL[statement], values)
        rows = await cursor.fetchall()
    found = []
    for row in rows:
        key = {"patient_id": row["patient_id"], "erasure_id": row["erasure_id"]}
        reached = await (await conn.execute(_SQL["at_spaces"], key)).fetchall()
        kinds = row.pop("kinds")
        scope = Scope(
            device_id=row.pop("device_id"),
            kinds=None if kinds is None else tuple(Kind(kind) for kind in kinds),
            first=row.pop("first_day"),
            last=row.pop("last_day"),
            everything=row.pop("everything"),
        )
        row["reason"] = Reason(row["reason"])
        found.append(Receipt(**row, scope=scope, spaces=tuple(AtSpace(*each) for each in reached)))
    return tuple(found)

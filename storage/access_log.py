"""Who looked at a patient's readings, for the patient to read.

Append-only. Each entry's `chain` is the SHA-256 of the one before it and of the entry's salted digest, so
that a changed or missing entry shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from storage.connection import Connection
from storage.shares import Share
from storage.shelf import Opening, Outcome
from storage.statements import statements

LAST = (1 << 63) - 1

_SQL = statements("access_log")


class Way(IntEnum):
    """How someone came to look. Stored: add, never renumber; 2 stands in the SQL too."""

    LINK = 1
    GRANT = 2


@dataclass(frozen=True, slots=True)
class Access:
    """One entry: who looked (as they said, for a link), at what, when, and whether they saw it."""

    entry_id: int
    at: datetime
    way: Way
    outcome: Outcome
    share_id: UUID | None
    grant_id: UUID | None
    who: str | None
    organisation: str | None
    purpose: str | None
    what: str | None
    files: int | None


async def record(conn: Connection, share: Share, openings: Iterable[Opening]) -> int:
    """Takes over what the shelf saw of a share; how many entries were new. Again adds nothing.

    The share's cursor moves along.
    """
    added = 0
    last = share.openings_cursor
    for opening in openings:
        values = {
            "patient_id": share.patient_id,
            "at": opening.opened_at,
            "way": int(Way.LINK),
            "outcome": int(opening.outcome),
            "share_id": share.share_id,
            "opening": opening.number,
            "who": opening.recipient,
            "files": opening.files,
        }
        row = await (await conn.execute(_SQL["append"], values)).fetchone()
        added += row is not None and row[0] is not None
        last = max(last, opening.number)
    values = {"patient_id": share.patient_id, "share_id": share.share_id, "cursor": last}
    await conn.execute(statements("shares")["pulled"], values)
    return added


async def of_patient(
    conn: Connection, patient_id: int, *, before: int = LAST, limit: int = 100
) -> tuple[Access, ...]:
    """A patient's entries, the newest first; `before` an entry_id, to go on."""
    values = {"patient_id": patient_id, "before": before, "limit": limit}
    return await _entries(conn, "of_patient", values)


async def of_share(conn: Connection, share: Share, limit: int = 1000) -> tuple[Access, ...]:
    """The entries of one share, the newest first."""
    values = {"patient_id": share.patient_id, "share_id": share.share_id, "limit": limit}
    return await _entries(conn, "of_share", values)


async def by_token(
    conn: Connection, token_hash: bytes, *, before: int = LAST, limit: int = 100
) -> tuple[Access, ...]:
    """The entries of the person whose session this is, for the role that serves HTTP."""
    return await _entries(conn, "by_token", {"token": token_hash, "before": before, "limit": limit})


async def record_by_token(conn: Connection, token_hash: bytes, outcome: Outcome, what: str) -> None:
    """Writes down that the bearer of a grant looked, for the role that serves HTTP."""
    values = {"token": token_hash, "outcome": int(outcome), "what": what}
    await conn.execute(_SQL["record_by_token"], values)


async def broken_at(conn: Connection, patient_id: int) -> int | None:
    """The first entry_id that does not follow from the one before it; None when the chain is whole."""
    row = await (await conn.execute(_SQL["broken_at"], {"patient_id": patient_id})).fetchone()
    return None if row is None else int(row[0])


async def _entries(conn: Connection, statement: str, values: Mapping[str, object]) -> tuple[Access, ...]:
    rows = await (await conn.execute(_SQL[statement], values)).fetchall()
    return tuple(
        Access(entry, at, Way(way), Outcome(outcome), *rest) for entry, at, way, outcome, *rest in rows
    )

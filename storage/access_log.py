"""Who looked at a patient's readings, for the patient to read.

Append-only. Each entry's `chain` is the SHA-256 of the one before it and of the entry's salted digest, so
that a changed or missing entry shows. Erasing takes an entry's content and salt and leaves its digest, so
that the chain stays whole; the receipt says up to which entry. That entries are missing at the end a chain
cannot show: for that a head (how many there were, and the last value) has to be known from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from storage.connection import Connection
from storage.errors import MalformedHead
from storage.shares import Share
from storage.shelf import Opening, Outcome
from storage.statements import statements

LAST = (1 << 63) - 1

_SQL = statements("access_log")


class Way(IntEnum):
    """How someone came to look. Stored: add, never renumber; 2 stands in the SQL too."""

    ERASED = 0
    """Nothing is known of it any more but that it was."""
    LINK = 1
    GRANT = 2


@dataclass(frozen=True, slots=True)
class Access:
    """One entry: who looked (as they said, for a link), at what, when, and whether they saw it.

    Of an erased entry only its number is left: `outcome` is None, and `at` says nothing.
    """

    entry_id: int
    at: datetime
    way: Way
    outcome: Outcome | None
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


async def record_by_token(conn: Connection, token_hash: bytes, outcome: Outcome, what: str) -> bool:
    """Writes down that the bearer of a grant looked, for the role that serves HTTP; whether it was.

    A person's own session has no entry, nor has a token that opens nothing, or nothing any more.
    """
    values = {"token": token_hash, "outcome": int(outcome), "what": what}
    row = await (await conn.execute(_SQL["record_by_token"], values)).fetchone()
    return row is not None and row[0] is not None


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log ended: how many entries it had, and the chain's last value."""

    entries: int
    chain: bytes

    @classmethod
    def parse(cls, text: str) -> Head:
        """The way back from `str`. Raises MalformedHead."""
        count, _, chain = text.strip().partition("-")
        try:
            head = cls(int(count), bytes.fromhex(chain))
        except ValueError:
            raise MalformedHead from None
        if head.entries < 0 or len(head.chain) != (32 if head.entries else 0):
            raise MalformedHead
        return head

    def __str__(self) -> str:
        return f"{self.entries}-{self.chain.hex()}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at a log found. `erased`: how many entries have no content any more.

    `wrong_at`: the first entry that is missing, changed or out of order, and `why`; None when it is whole.
    """

    patient_id: int
    head: Head
    erased: int
    wrong_at: int | None = None
    why: str | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.wrong_at is None


async def verify(conn: Connection, patient_id: int, known: Iterable[Head] = ()) -> Verdict:
    """Looks at every entry of a patient, and whether heads that were seen before are still in the chain."""
    row = await (await conn.execute(_SQL["verify"], {"patient_id": patient_id})).fetchone()
    count, erased, last, chain, wrong_at, why = row or (0, 0, None, None, None, None)
    head = Head(last or 0, chain or b"")
    if wrong_at is not None:
        return Verdict(patient_id, head, erased, wrong_at, why)
    for seen in sorted(known, key=lambda each: each.entries):
        if seen.entries > count:
            return Verdict(patient_id, head, erased, count + 1, "missing")
        if seen.entries and await _chain_at(conn, patient_id, seen.entries) != seen.chain:
            return Verdict(patient_id, head, erased, seen.entries, "does not follow")
    return Verdict(patient_id, head, erased)


async def whose(conn: Connection) -> tuple[int, ...]:
    """The numbers of the patients who have entries, of those too who were erased."""
    return tuple(row[0] for row in await (await conn.execute(_SQL["whose"])).fetchall())


async def _chain_at(conn: Connection, patient_id: int, entry_id: int) -> bytes | None:
    values = {"patient_id": patient_id, "entry_id": entry_id}
    row = await (await conn.execute(_SQL["chain_at"], values)).fetchone()
    return None if row is None else row[0]


async def _entries(conn: Connection, statement: str, values: Mapping[str, object]) -> tuple[Access, ...]:
    rows = await (await conn.execute(_SQL[statement], values)).fetchall()
    return tuple(
        Access(entry, at, Way(way), Outcome(outcome) if outcome else None, *rest)
        for entry, at, way, outcome, *rest in rows
    )

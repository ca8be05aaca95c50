"""The spaces that a person feeds: where, with which secret (sealed by the home), how far each was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from psycopg.rows import dict_row

from storage import outbox
from storage.clock_segments import Range, merged
from storage.columns import microseconds
from storage.errors import UnknownPatient, UnknownSpace
from storage.outbox import Change, Entry
from storage.statements import statements

if TYPE_CHECKING:
    from storage.connection import Connection

ENTRIES: Final = 5000
"""Entries of the outbox that are opened together: a year of a sensor that is read every two hours."""

_NEAR: Final = 86_400_000_000
"""Microseconds: stretches no further apart are walked as one, and what lies between is found told."""

_SQL = statements("spaces")


@dataclass(frozen=True, slots=True)
class Space:
    """A space as a person feeds it.

    `sealed_secret`: how it is entered, encrypted under the home's key; None after the end. `told_entry_id`:
    all entries of the outbox up to this one are told. `not_before`, `attempts`, `problem`, `problem_words`:
    how the last tries failed. `batch`: how many readings it took at once, None where that is not learned.
    """

    patient_id: int
    space_id: UUID
    patient_uuid: UUID
    patient_name: str
    timezone: str
    url: str
    dialect: str
    sealed_secret: bytes | None
    told_entry_id: int
    not_before: datetime | None
    attempts: int
    connected_at: datetime
    disconnected_at: datetime | None
    last_told_at: datetime | None
    problem: str | None
    problem_words: str | None
    batch: int | None

    @property
    def key(self) -> dict[str, object]:
        """What tells it from the others."""
        return {"patient_id": self.patient_id, "space_id": self.space_id}


@dataclass(frozen=True, slots=True)
class Pending:
    """What a space is to be told: stretches of `recorded_at` by device, and whether it is to erase something.

    `last_entry_id`: with this all entries up to that one are told.
    """

    last_entry_id: int
    stretches: Mapping[int, tuple[Range, ...]]
    erases: bool


async def space_id_at(conn: Connection, patient_id: int, url: str) -> UUID:
    """The number under which a person's space at this address is kept, or will be kept.

    A space of before keeps its number: what it was told then is still there. Until the transaction ends
    nobody else connects this person. Raises UnknownPatient.
    """
    if await (await conn.execute(_SQL["lock_patient"], {"patient_id": patient_id})).fetchone() is None:
        raise UnknownPatient
    known = [space.space_id for space in await of_patient(conn, patient_id) if space.url == url]
    return known[-1] if known else uuid4()


async def connect(
    conn: Connection,
    patient_id: int,
    space_id: UUID,
    *,
    url: str,
    dialect: str,
    sealed_secret: bytes,
    now: datetime,
) -> Space:
    """A person feeds this space from now on, from the start of their history."""
    values = {"patient_id": patient_id, "space_id": space_id, "url": url, "dialect": dialect}
    await conn.execute(_SQL["connect"], {**values, "sealed_secret": sealed_secret, "now": now})
    return await get(conn, patient_id, space_id)


async def get(conn: Connection, patient_id: int, space_id: UUID) -> Space:
    """One space. Raises UnknownSpace."""
    found = await _spaces(conn, "get", {"patient_id": patient_id, "space_id": space_id})
    if not found:
        raise UnknownSpace
    return found[0]


async def find(conn: Connection, patient_id: int, url: str) -> Space:
    """The space that a person feeds at this address. Raises UnknownSpace."""
    for space in await of_patient(conn, patient_id):
        if space.url == url and space.disconnected_at is None:
            return space
    raise UnknownSpace


async def of_patient(conn: Connection, patient_id: int) -> tuple[Space, ...]:
    """A person's spaces in the order they were connected, those of before too."""
    return await _spaces(conn, "of_patient", {"patient_id": patient_id})


async def every(conn: Connection) -> tuple[Space, ...]:
    """Everybody's spaces."""
    return await _spaces(conn, "every", {})


async def due(conn: Connection, now: datetime, longest_wait: timedelta) -> tuple[Space, ...]:
    """The spaces that are to be told something and may be asked now.

    One that may not be asked for longer than `longest_wait` may be: this machine's clock was set back.
    """
    return await _spaces(conn, "due", {"now": now, "beyond": now + longest_wait})


async def disconnect(conn: Connection, space: Space, now: datetime) -> None:
    """A space is fed no more, and its secret is forgotten; what it was told stays known."""
    await conn.execute(_SQL["disconnect"], {**space.key, "now": now})


async def failed(
    conn: Connection,
    space: Space,
    problem: str,
    words: str | None,
    not_before: datetime,
    batch: int | None = None,
) -> None:
    """A try failed. `problem`: the name of an error; `words`: the space's own."""
    values = {"problem": problem, "words": words, "not_before": not_before, "batch": batch}
    await conn.execute(_SQL["failed"], {**space.key, **values})


async def answered(conn: Connection, space: Space, now: datetime, batch: int) -> None:
    """The space took something: with this many at once."""
    await conn.execute(_SQL["answered"], {**space.key, "now": now, "batch": batch})


async def advance(conn: Connection, space: Space, entry_id: int) -> None:
    """All entries up to this one are told, if nobody moved the cursor since `space` was read."""
    values = {"entry_id": entry_id, "from_entry_id": space.told_entry_id, "connected_at": space.connected_at}
    await conn.execute(_SQL["advance"], {**space.key, **values})


async def pending(conn: Connection, space: Space) -> Pending:
    """What a space is still to be told, entries that lie over one another made one.

    Entries are numbered when they are made and seen when they are committed, so that a lower number may be
    seen after a higher one. Whoever makes one holds a device's row: all are held while the end is read.
    """
    person = {"patient_id": space.patient_id}
    await conn.execute(_SQL["lock_patient"], person)  # a new device is made under it
    await conn.execute(_SQL["hold_devices"], person)
    row = await (await conn.execute(_SQL["last_entry"], person)).fetchone()
    end = int(row[0]) if row else 0
    found = await outbox.entries_after(conn, space.patient_id, space.told_entry_id, ENTRIES)
    entries = [entry for entry in found if entry.entry_id <= end]
    last = entries[-1].entry_id if entries else space.told_entry_id
    erases = any(entry.change is Change.ERASED for entry in entries)
    return Pending(last, _stretches(entries), erases)


def _stretches(entries: list[Entry]) -> Mapping[int, tuple[Range, ...]]:
    """Where to look, by device; devices in the order of their first entry."""
    found: dict[int, list[Range]] = {}
    for entry in entries:
        if entry.change is not Change.ERASED:
            first, last = microseconds((entry.first_recorded_at, entry.last_recorded_at)).tolist()
            found.setdefault(entry.device_id, []).append((first, last))
    return {device_id: tuple(merged(ranges, _NEAR)) for device_id, ranges in found.items()}


async def _spaces(conn: Connection, statement: str, values: Mapping[str, Any]) -> tuple[Space, ...]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL[statement], values)
        rows = await cursor.fetchall()
    return tuple(Space(patient_uuid=row.pop("uuid"), patient_name=row.pop("name"), **row) for row in rows)

"""Numbers about the whole house, for who watches over it: counts and ages, nobody's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage.connection import Connection
from storage.statements import statements

_SQL = statements("measures")


@dataclass(frozen=True, slots=True)
class OutboxWaiting:
    """What connected spaces are still to be told, and since when the oldest of it waits (0: nothing does)."""

    entries: int
    oldest_seconds: float


async def outbox(conn: Connection, now: datetime) -> OutboxWaiting:
    """How much of the outbox waits, over all people and spaces."""
    row = await (await conn.execute(_SQL["outbox_waiting"])).fetchone()
    entries, oldest = row or (0, None)
    return OutboxWaiting(entries, 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds()))

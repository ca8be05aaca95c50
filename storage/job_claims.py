"""Claims of jobs: what may run once at a time, in however many processes.

A claim lasts a while and is renewed by its holder as long as it works; a holder that dies loses it with the
end of that while. The times are the callers' clocks (Citus takes none of its own in an UPDATE), so that a
claim's life has to be longer than the clocks of machines differ. A time that lies further ahead than twice
that life is of a clock that was set back since, and is passed over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from storage.connection import Connection
from storage.statements import statements

HOUSE = 0
"""The patient number of jobs that are nobody's."""

_SQL = statements("job_claims")


async def claim(
    conn: Connection,
    job: str,
    by: str,
    now: datetime,
    life: timedelta,
    patient_id: int = HOUSE,
    *,
    every: timedelta = timedelta(0),
) -> bool:
    """Takes a job for a while, unless another holds it, or it was done within `every`."""
    values = {"patient_id": patient_id, "job": job, "by": by, "now": now, "until": now + life}
    limits = {"due": now - every, "beyond": now + 2 * life}
    return await (await conn.execute(_SQL["claim"], values | limits)).fetchone() is not None


async def renew(
    conn: Connection, job: str, by: str, now: datetime, life: timedelta, patient_id: int = HOUSE
) -> bool:
    """Keeps a job for a while from now; False when it was lost: its time was over, or another has it."""
    values = {"patient_id": patient_id, "job": job, "by": by, "now": now, "until": now + life}
    return await (await conn.execute(_SQL["renew"], values)).fetchone() is not None


async def release(
    conn: Connection, job: str, by: str, now: datetime, patient_id: int = HOUSE, *, done: bool = True
) -> None:
    """Gives a job back, done or for another to do. Nothing happens if another holds it by now."""
    values = {"patient_id": patient_id, "job": job, "by": by, "now": now}
    await conn.execute(_SQL["release" if done else "give_up"], values)


async def holder(conn: Connection, job: str, patient_id: int = HOUSE) -> str | None:
    """Who took a job last; they may have given it back."""
    row = await (await conn.execute(_SQL["holder"], {"patient_id": patient_id, "job": job})).fetchone()
    return None if row is None else str(row[0])

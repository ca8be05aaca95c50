"""Claims of jobs: what may run once at a time, in however many processes."""

from __future__ import annotations

from datetime import datetime, timedelta

from storage.connection import Connection
from storage.statements import statements

HOUSE = 0
"""The patient number of jobs that are nobody's."""

_SQL = statements("job_claims")


async def claim(
    conn: Connection, job: str, by: str, now: datetime, life: timedelta, patient_id: int = HOUSE
) -> bool:
    """Takes a job for a while, unless another holds it. A holder that dies loses it after `life`."""
    values = {"patient_id": patient_id, "job": job, "by": by, "now": now, "until": now + life}
    return await (await conn.execute(_SQL["claim"], values)).fetchone() is not None


async def release(conn: Connection, job: str, by: str, now: datetime, patient_id: int = HOUSE) -> None:
    """Gives a job back, done. Nothing happens if another holds it by now."""
    values = {"patient_id": patient_id, "job": job, "by": by, "now": now}
    await conn.execute(_SQL["release"], values)

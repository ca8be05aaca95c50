"""How long a person keeps which kind of readings. What is over is erased, with a receipt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from device_profiles.reading import Kind
from storage import erasure, patients
from storage.connection import Connection
from storage.errors import UnknownRule
from storage.receipts import Reason, Receipt, Scope
from storage.statements import statements

_SQL = statements("retention")


@dataclass(frozen=True, slots=True)
class Rule:
    """A person keeps a kind for so many whole days, by their own clock."""

    patient_id: int
    kind: Kind
    days: int
    made_at: datetime


async def keep_for(conn: Connection, patient_id: int, kind: Kind, days: int, now: datetime) -> Rule:
    """From now on a kind is kept for so many days (at least 1)."""
    values = {"patient_id": patient_id, "kind": int(kind), "days": days, "now": now}
    await conn.execute(_SQL["set"], values)
    return Rule(patient_id, kind, days, now)


async def keep_for_good(conn: Connection, patient_id: int, kind: Kind) -> None:
    """Nothing of a kind is erased by itself any more. Raises UnknownRule."""
    values = {"patient_id": patient_id, "kind": int(kind)}
    if await (await conn.execute(_SQL["remove"], values)).fetchone() is None:
        raise UnknownRule


async def rules(conn: Connection, patient_id: int | None = None) -> tuple[Rule, ...]:
    """The rules of a patient, or everybody's."""
    statement = "all" if patient_id is None else "of_patient"
    rows = await (await conn.execute(_SQL[statement], {"patient_id": patient_id})).fetchall()
    return tuple(Rule(number, Kind(kind), days, made_at) for number, kind, days, made_at in rows)


async def erase_what_is_over(conn: Connection, rule: Rule, now: datetime) -> Receipt | None:
    """Erases what a rule's days have passed for: local days that ended `rule.days` whole days ago.

    None where there was nothing, which needs no receipt.
    """
    patient = await patients.get(conn, rule.patient_id)
    last = now.astimezone(patient.zone).date() - timedelta(days=rule.days + 1)
    scope = Scope(kinds=(rule.kind,), last=last)
    found = await erasure.count(conn, patient, scope, Reason.RETENTION)
    if not any(found.values()):
        return None
    return await erasure.erase(conn, patient, scope, now, Reason.RETENTION)


async def drop_empty_months(conn: Connection, before: datetime) -> int:
    """Gives back the months that ended before and that nobody has a reading in; how many there were."""
    row = await (await conn.execute(_SQL["drop_empty_months"], {"before": before})).fetchone()
    return int(row[0]) if row else 0

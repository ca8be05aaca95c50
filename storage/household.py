"""Who belongs to a home beside their name: what each has chosen, and who acts for whom.

A guardian is named by UUID, as in a reading that was moved: no rule of the database spans two people, since
they may lie on two machines. Who acted before stays, as a trace.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from psycopg.rows import class_row

from storage.connection import Connection
from storage.errors import UnknownPatient
from storage.patients import Patient, check_zone
from storage.statements import statements

_SQL = statements("household")


@dataclass(frozen=True, slots=True)
class PersonSettings:
    """What a person has chosen beside language, unit and zone. None: nothing.

    `relation`: what they are to whom keeps this home. `situation`: whose goals of the consensus are theirs.
    The others are targets that a doctor gave, as they were written, in `unit` (mg/dL or mmol/L): the range,
    before meals, after meals.
    """

    relation: str | None = None
    situation: str | None = None
    unit: str | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    before_low: Decimal | None = None
    before_high: Decimal | None = None
    after_high: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Guardian:
    """Somebody who acts for a person, or who did until `ended_at`."""

    uuid: UUID
    since: datetime
    ended_at: datetime | None


async def settings_of(conn: Connection, patient_id: int) -> PersonSettings:
    """What a person has chosen; nothing where they never chose."""
    async with conn.cursor(row_factory=class_row(PersonSettings)) as cursor:
        await cursor.execute(_SQL["settings"], {"patient_id": patient_id})
        return await cursor.fetchone() or PersonSettings()


async def choose(conn: Connection, patient_id: int, settings: PersonSettings) -> None:
    """A person chooses; it takes the place of what they chose before."""
    values = {name: getattr(settings, name) for name in settings.__slots__}
    await conn.execute(_SQL["set_settings"], {"patient_id": patient_id, **values})


async def read_in(conn: Connection, patient: Patient, language: str | None, unit: str | None) -> None:
    """In which language and unit a person reads. Raises UnknownPatient."""
    values = {"patient_id": patient.patient_id, "language": language, "unit": unit}
    if await (await conn.execute(_SQL["set_language_and_unit"], values)).fetchone() is None:
        raise UnknownPatient


async def live_in(conn: Connection, patient_id: int, timezone: str) -> tuple[int, ...]:
    """From now on a person's days are counted by this zone; the devices whose days are to be counted again.

    The rows of the person and of the devices are held until the transaction ends. Raises UnknownZone,
    UnknownPatient.
    """
    check_zone(timezone)
    held = await conn.execute(_SQL["lock_patient"], {"patient_id": patient_id})
    if await held.fetchone() is None:
        raise UnknownPatient
    rows = await (await conn.execute(_SQL["lock_devices"], {"patient_id": patient_id})).fetchall()
    await conn.execute(_SQL["set_zone"], {"patient_id": patient_id, "timezone": timezone})
    return tuple(row[0] for row in rows)


async def guardians(conn: Connection, patient_id: int) -> tuple[Guardian, ...]:
    """Who acts for a person, and who did, in the order they began."""
    rows = await (await conn.execute(_SQL["guardians"], {"patient_id": patient_id})).fetchall()
    return tuple(
        Guardian(uuid, since.astimezone(UTC), ended and ended.astimezone(UTC)) for uuid, since, ended in rows
    )


async def add_guardian(conn: Connection, patient_id: int, guardian: UUID, now: datetime) -> None:
    """Somebody acts for a person from now on. Idempotent. Raises UnknownPatient."""
    held = await conn.execute(_SQL["lock_patient"], {"patient_id": patient_id})
    if await held.fetchone() is None:
        raise UnknownPatient
    if any(known.uuid == guardian and known.ended_at is None for known in await guardians(conn, patient_id)):
        return
    values = {"patient_id": patient_id, "guardian": guardian, "now": now}
    await conn.execute(_SQL["add_guardian"], values)


async def end_guardian(conn: Connection, patient_id: int, guardian: UUID | None, now: datetime) -> int:
    """Somebody acts for a person no more; nobody does where none is named. How many that were."""
    values = {"patient_id": patient_id, "guardian": guardian, "now": now}
    return len(await (await conn.execute(_SQL["end_guardian"], values)).fetchall())


async def forget_guardian(conn: Connection, patient_id: int, guardian: UUID) -> None:
    """No trace stays of somebody who was erased."""
    await conn.execute(_SQL["forget_guardian"], {"patient_id": patient_id, "guardian": guardian})


async def erase(conn: Connection, patient_id: int) -> None:
    """A person who is erased leaves no choices, and nobody who acted for them."""
    for statement in ("erase_settings", "erase_guardians"):
        await conn.execute(_SQL[statement], {"patient_id": patient_id})

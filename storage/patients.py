"""Patients of this home: one UUID for life, and a name that is only a label."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from psycopg.rows import class_row

from storage.connection import Connection
from storage.errors import PatientExists, UnknownPatient, UnknownZone
from storage.names import label_of
from storage.statements import statements

_SQL = statements("patients")


@dataclass(frozen=True, slots=True)
class Patient:
    """A person whose readings are kept. `patient_id` is this database's own; `uuid` goes everywhere."""

    patient_id: int
    uuid: UUID
    name: str
    timezone: str
    language: str | None = None
    unit: str | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The person's own time zone, by which their days are counted."""
        return ZoneInfo(self.timezone)


async def add(
    conn: Connection, name: str, timezone: str, *, language: str | None = None, unit: str | None = None
) -> Patient:
    """A new patient. Raises UnusableName, UnknownZone, or PatientExists for a name that is taken."""
    check_zone(timezone)
    label = label_of(name)
    await conn.execute(_SQL["lock_label"], {"label": label})
    if await _labelled(conn, label) is not None:
        raise PatientExists
    return await _insert(conn, name, label, timezone, language, unit)


async def find(conn: Connection, name: str) -> Patient:
    """The patient of that name. Raises UnknownPatient, which knows the nearest name."""
    label = label_of(name)
    patient = await _labelled(conn, label)
    if patient is None:
        names = {label_of(known.name): known.name for known in await list_all(conn)}
        nearest = difflib.get_close_matches(label, names, n=1, cutoff=0.0)
        raise UnknownPatient(names[nearest[0]] if nearest else None)
    return patient


async def find_or_add(conn: Connection, name: str, timezone: str) -> Patient:
    """The patient of that name, made if there is none: however many ask at once, one is made."""
    label = label_of(name)
    patient = await _labelled(conn, label)
    if patient is None:
        check_zone(timezone)
        await conn.execute(_SQL["lock_label"], {"label": label})
        patient = await _labelled(conn, label) or await _insert(conn, name, label, timezone, None, None)
    return patient


async def get(conn: Connection, patient_id: int) -> Patient:
    """A patient by number. Raises UnknownPatient."""
    async with conn.cursor(row_factory=class_row(Patient)) as cursor:
        await cursor.execute(_SQL["get"], {"patient_id": patient_id})
        patient = await cursor.fetchone()
    if patient is None:
        raise UnknownPatient
    return patient


async def list_all(conn: Connection) -> tuple[Patient, ...]:
    """All patients, in the order of their names."""
    async with conn.cursor(row_factory=class_row(Patient)) as cursor:
        await cursor.execute(_SQL["list_all"])
        return tuple(await cursor.fetchall())


async def _labelled(conn: Connection, label: str) -> Patient | None:
    async with conn.cursor(row_factory=class_row(Patient)) as cursor:
        await cursor.execute(_SQL["labelled"], {"label": label})
        return await cursor.fetchone()


async def _insert(
    conn: Connection, name: str, label: str, timezone: str, language: str | None, unit: str | None
) -> Patient:
    row = await (await conn.execute(_SQL["next_number"])).fetchone()
    patient = Patient(row[0] if row else 0, uuid4(), " ".join(name.split()), timezone, language, unit)
    values = {
        "patient_id": patient.patient_id,
        "uuid": patient.uuid,
        "name": patient.name,
        "label": label,
        "timezone": timezone,
        "language": language,
        "unit": unit,
    }
    await conn.execute(_SQL["insert"], values)
    return patient


def check_zone(timezone: str) -> None:
    """That there is such a zone. Raises UnknownZone."""
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(zone=timezone) from None

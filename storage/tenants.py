"""Tenants of a space: whose patients are kept apart from whose, how many there may be, and codes to get in.

A tenant is a practice, a hospital, a region: who answers for the persons in it. The same UUID in two tenants
is two patients. A code lets one gateway register in a tenant; only its hash is kept.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

from psycopg.rows import class_row

from storage.connection import Connection
from storage.errors import PatientOfAnother, PatientQuota, TenantExists, UnknownTenant
from storage.names import label_of
from storage.statements import statements

DEFAULT: Final = "default"
"""The tenant of a space with one: made when first used."""

_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: no I, L, O, U, which are misread."""
_CODE_LETTERS: Final = 12
"""60 bits, for a code that holds for days and is asked at an address that counts wrong guesses."""

_SQL = statements("tenants")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant. `most_readings` is a bound for each patient; None: no bound."""

    tenant_id: UUID
    name: str
    most_patients: int | None
    most_readings: int | None
    patients: int
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Admission:
    """What a code was for: a tenant, and one person only where `patient` names one."""

    tenant_id: UUID
    patient: UUID | None


@dataclass(frozen=True, slots=True)
class SpacePatient:
    """A patient as a gateway feeds them. `readings`: how many came so far."""

    patient_id: int
    uuid: UUID
    timezone: str
    readings: int


async def add(
    conn: Connection,
    name: str,
    now: datetime,
    *,
    most_patients: int | None = None,
    most_readings: int | None = None,
) -> Tenant:
    """A new tenant. Raises UnusableName, TenantExists."""
    label = label_of(name)
    await conn.execute(_SQL["lock_label"], {"label": label})
    if await _labelled(conn, label) is not None:
        raise TenantExists
    tenant = Tenant(uuid4(), " ".join(name.split()), most_patients, most_readings, 0, now)
    values = {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "label": label,
        "most_patients": most_patients,
        "most_readings": most_readings,
        "now": now,
    }
    await conn.execute(_SQL["insert"], values)
    return tenant


async def find(conn: Connection, name: str, now: datetime) -> Tenant:
    """The tenant of that name; the one called `default` is made if it is not there. Raises UnknownTenant."""
    label = label_of(name)
    tenant = await _labelled(conn, label)
    if tenant is None and label == DEFAULT:
        await conn.execute(_SQL["lock_label"], {"label": label})
        tenant = await _labelled(conn, label) or await add(conn, DEFAULT, now)
    if tenant is None:
        raise UnknownTenant
    return tenant


async def list_all(conn: Connection) -> tuple[Tenant, ...]:
    """All tenants, by name."""
    async with conn.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(_SQL["list_all"])
        return tuple(await cursor.fetchall())


async def new_code(
    conn: Connection, tenant: Tenant, now: datetime, ends_at: datetime, patient: UUID | None = None
) -> str:
    """A code by which one gateway may register until `ends_at`; it is told here and kept nowhere."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LETTERS))
    values = {
        "code_hash": _code_hash(letters),
        "tenant_id": tenant.tenant_id,
        "patient": patient,
        "now": now,
        "ends_at": ends_at,
    }
    await conn.execute(_SQL["add_code"], values)
    return "-".join(letters[start : start + 4] for start in range(0, _CODE_LETTERS, 4))


async def use_code(conn: Connection, code: str, now: datetime) -> Admission | None:
    """What a code is for, from now on used; None for one that is unknown, was used, or is over."""
    values = {"code_hash": _code_hash(code), "now": now}
    row = await (await conn.execute(_SQL["use_code"], values)).fetchone()
    return None if row is None else Admission(*row)


async def patient_of(
    conn: Connection, tenant_id: UUID, gateway_id: UUID, uuid: UUID, *, joins: bool = False
) -> SpacePatient | None:
    """The patient of that UUID, whom this gateway feeds; None where the tenant has none.

    `joins`: the gateway may feed a patient whom another brought. Raises PatientOfAnother.
    """
    values = {"tenant_id": tenant_id, "gateway_id": gateway_id, "uuid": uuid}
    found = await (await conn.execute(_SQL["patient"], values)).fetchone()
    if found is None:
        return None
    if joins:
        await conn.execute(_SQL["link"], {**values, "patient_id": found[0]})
    patient = await linked(conn, tenant_id, gateway_id, found[0])
    if patient is None:
        raise PatientOfAnother
    return patient


async def linked(conn: Connection, tenant_id: UUID, gateway_id: UUID, patient_id: int) -> SpacePatient | None:
    """The patient of that number, if this gateway feeds them."""
    values = {"tenant_id": tenant_id, "gateway_id": gateway_id, "patient_id": patient_id}
    async with conn.cursor(row_factory=class_row(SpacePatient)) as cursor:
        await cursor.execute(_SQL["linked"], values)
        return await cursor.fetchone()


async def add_patient(
    conn: Connection, tenant_id: UUID, gateway_id: UUID, uuid: UUID, name: str | None, timezone: str
) -> tuple[SpacePatient, bool]:
    """A new patient, fed by this gateway; whether they are new, or were brought at the same moment.

    Raises PatientQuota; PatientOfAnother where it was another gateway that brought them.
    """
    number = await (await conn.execute(statements("patients")["next_number"])).fetchone()
    patient = SpacePatient(number[0] if number else 0, uuid, timezone, 0)
    values = {
        "tenant_id": tenant_id,
        "gateway_id": gateway_id,
        "patient_id": patient.patient_id,
        "uuid": uuid,
        "name": name or str(uuid),
        "label": f"{tenant_id}/{uuid}",
        "timezone": timezone,
    }
    if await (await conn.execute(_SQL["claim_patient"], values)).fetchone() is None:
        known = await patient_of(conn, tenant_id, gateway_id, uuid)
        if known is None:
            raise PatientOfAnother
        return known, False
    if await (await conn.execute(_SQL["one_more_patient"], values)).fetchone() is None:
        raise PatientQuota
    for statement in ("insert_patient", "keep_patient", "link"):
        await conn.execute(_SQL[statement], values)
    return patient, True


async def count_readings(
    conn: Connection, tenant_id: UUID, patient_id: int, more: int
) -> tuple[int, int | None]:
    """Counts new readings of a patient: how many there are now, and may be (None: no bound)."""
    async with conn.pipeline():
        counted = await conn.execute(_SQL["count_readings"], {"patient_id": patient_id, "more": more})
        bound = await conn.execute(_SQL["most_readings"], {"tenant_id": tenant_id})
        row, most = await counted.fetchone(), await bound.fetchone()
    return (int(row[0]) if row else 0), (most[0] if most else None)


async def id_secret(conn: Connection) -> bytes:
    """The secret of this space's FHIR ids, made when first asked for: the same for all its processes."""
    row = await (await conn.execute(_SQL["secret"])).fetchone()
    if row is None:
        await conn.execute(_SQL["keep_secret"], {"secret": secrets.token_bytes(32)})
        row = await (await conn.execute(_SQL["secret"])).fetchone()
    return bytes(row[0]) if row else b""


async def _labelled(conn: Connection, label: str) -> Tenant | None:
    async with conn.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(_SQL["labelled"], {"label": label})
        return await cursor.fetchone()


def _code_hash(code: str) -> bytes:
    """Of the code as typed: case, hyphens, spaces and letters that are misread do not count."""
    letters = code.upper().translate(str.maketrans("OIL", "011", "- \t"))
    return sha256(letters.encode("utf-8", "replace")).digest()

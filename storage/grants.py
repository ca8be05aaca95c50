"""Grants and tokens: who may read which kinds of which period, until when. Only hashes of tokens are stored.

What a token opens is decided in the database, by the functions that the role serving HTTP may call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from device_profiles.reading import Kind
from storage.connection import Connection
from storage.errors import GrantOver, UnknownGrant
from storage.statements import statements

_SQL = statements("grants")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a patient gave: `kinds` None for all; the period is of effective time, half-open."""

    patient_id: int
    grant_id: UUID
    grantee: str
    organisation: str | None
    purpose: str
    kinds: tuple[Kind, ...] | None
    period_start: datetime | None
    period_end: datetime | None
    ends_at: datetime
    made_at: datetime
    revoked_at: datetime | None = None
    gateway_id: UUID | None = None
    """The gateway that made it here; None where the space's own home did."""


async def create(conn: Connection, grant: Grant) -> Grant:
    """Keeps a new grant."""
    values: dict[str, Any] = {name: getattr(grant, name) for name in Grant.__slots__}
    values["kinds"] = None if grant.kinds is None else [int(kind) for kind in grant.kinds]
    await conn.execute(_SQL["create"], values)
    return grant


async def of_patient(conn: Connection, patient_id: int) -> tuple[Grant, ...]:
    """A patient's grants, the newest first, ended ones too."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["of_patient"], {"patient_id": patient_id})
        rows = await cursor.fetchall()
    for row in rows:
        row["kinds"] = None if row["kinds"] is None else tuple(Kind(kind) for kind in row["kinds"])
    return tuple(Grant(**row) for row in rows)


async def revoke(conn: Connection, patient_id: int, grant_id: UUID, now: datetime) -> None:
    """Ends a grant, and with it every token of it. Idempotent. Raises UnknownGrant."""
    values = {"patient_id": patient_id, "grant_id": grant_id, "now": now}
    if await (await conn.execute(_SQL["revoke"], values)).fetchone() is None:
        raise UnknownGrant


async def live_of_gateway(conn: Connection, gateway_id: UUID, now: datetime) -> int:
    """How many grants that a gateway made still open something."""
    values = {"gateway_id": gateway_id, "now": now}
    row = await (await conn.execute(_SQL["live_of_gateway"], values)).fetchone()
    return int(row[0]) if row else 0


async def revoke_of_gateway(conn: Connection, gateway_id: UUID, now: datetime) -> None:
    """Ends every grant that a gateway made. Idempotent."""
    await conn.execute(_SQL["revoke_of_gateway"], {"gateway_id": gateway_id, "now": now})


async def patients_of_uuid(conn: Connection, text: str) -> tuple[int, ...]:
    """The patients of this space that a UUID is, one for each tenant; none for what is no UUID."""
    try:
        uuid = UUID(text)
    except ValueError:
        return ()
    rows = await (await conn.execute(_SQL["of_uuid"], {"uuid": uuid})).fetchall()
    return tuple(row[0] for row in rows)


async def narrow(
    conn: Connection,
    patient_id: int,
    grant_id: UUID,
    now: datetime,
    *,
    kinds: Iterable[Kind] | None = None,
    period_start: datetime | None = None,
    period_end: datetime | None = None,
    ends_at: datetime | None = None,
) -> None:
    """Takes back a part of a grant, at once and for its tokens too: it never opens more than before.

    None leaves a bound as it is. Raises UnknownGrant, GrantOver.
    """
    key = {"patient_id": patient_id, "grant_id": grant_id}
    row = await (await conn.execute(_SQL["lock"], {**key, "now": now})).fetchone()
    if row is None:
        raise UnknownGrant
    if row[1]:
        raise GrantOver
    wanted = None if kinds is None else {int(kind) for kind in kinds}
    left = row[0] if wanted is None else sorted(wanted if row[0] is None else wanted.intersection(row[0]))
    bounds = {"kinds": left, "period_start": period_start, "period_end": period_end, "ends_at": ends_at}
    await conn.execute(_SQL["narrow"], key | bounds)


async def of_token(conn: Connection, patient_id: int, token_hash: bytes) -> UUID | None:
    """The grant that a token was handed out as; None where there is no such token of this patient."""
    values = {"patient_id": patient_id, "token_hash": token_hash}
    row = await (await conn.execute(_SQL["of_token"], values)).fetchone()
    return None if row is None else row[0]


async def add_token(
    conn: Connection,
    token_hash: bytes,
    patient_id: int,
    now: datetime,
    ends_at: datetime,
    grant_id: UUID | None = None,
) -> None:
    """Lets a token in: a session of the person, or, with `grant_id`, what the grant was handed out as."""
    values = {
        "token_hash": token_hash,
        "patient_id": patient_id,
        "grant_id": grant_id,
        "now": now,
        "ends_at": ends_at,
    }
    await conn.execute(_SQL["add_token"], values)


async def revoke_token(conn: Connection, token_hash: bytes, now: datetime) -> None:
    """A token opens nothing from now on. Idempotent."""
    await conn.execute(_SQL["revoke_token"], {"token_hash": token_hash, "now": now})

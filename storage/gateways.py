"""Gateways that feed this space: registered by a code, known by a secret, let in by tokens of an hour.

Only hashes of secrets and tokens are kept. A revoked gateway's tokens open nothing from that moment.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

from psycopg.rows import class_row

from storage.connection import Connection
from storage.errors import UnknownGateway
from storage.statements import statements
from storage.tenants import Admission

TOKEN_LIFE: Final = timedelta(hours=1)
CODES_KEPT: Final = timedelta(days=1)
"""How long a code is kept that is over without having been used."""

_SQL = statements("gateways")


@dataclass(frozen=True, slots=True)
class Bearer:
    """The gateway that shows a token. `patient_uuid`: the only person it may feed, whoever else does."""

    gateway_id: UUID
    tenant_id: UUID
    patient_uuid: UUID | None


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway as its operator sees it."""

    gateway_id: UUID
    tenant_id: UUID
    name: str
    software: str
    registered_at: datetime
    revoked_at: datetime | None
    patient_uuid: UUID | None


async def register(
    conn: Connection, admission: Admission, name: str, software: str, now: datetime
) -> tuple[UUID, str]:
    """A new gateway: its id, and its secret, which is told here and kept nowhere."""
    gateway_id, secret = uuid4(), secrets.token_urlsafe(32)
    values = {
        "gateway_id": gateway_id,
        "tenant_id": admission.tenant_id,
        "patient": admission.patient,
        "secret_hash": _hash(secret),
        "name": name,
        "software": software,
        "now": now,
    }
    await conn.execute(_SQL["insert"], values)
    return gateway_id, secret


async def new_token(conn: Connection, gateway_id: UUID, secret: str, now: datetime) -> str | None:
    """A token for who knows the secret; None for who does not, for an unknown and a revoked gateway alike."""
    row = await (await conn.execute(_SQL["secret_hash"], {"gateway_id": gateway_id})).fetchone()
    # An unknown gateway is compared too, so that the time tells nothing.
    known = bytes(row[0]) if row else bytes(32)
    if not hmac.compare_digest(known, _hash(secret)) or row is None:
        return None
    token = secrets.token_urlsafe(32)
    values = {"token_hash": _hash(token), "gateway_id": gateway_id, "ends_at": now + TOKEN_LIFE}
    await conn.execute(_SQL["add_token"], values)
    return token


async def bearer(conn: Connection, token: str) -> Bearer | None:
    """Who holds a token; None for one that opens nothing. Found by its hash: no comparison tells anything."""
    async with conn.cursor(row_factory=class_row(Bearer)) as cursor:
        await cursor.execute(_SQL["by_token"], {"token": _hash(token)})
        return await cursor.fetchone()


async def revoke(conn: Connection, gateway_id: UUID, now: datetime) -> None:
    """A registration ends, and all its tokens at once. Idempotent. Raises UnknownGateway."""
    values = {"gateway_id": gateway_id, "now": now}
    if await (await conn.execute(_SQL["revoke"], values)).fetchone() is None:
        raise UnknownGateway


async def list_all(conn: Connection) -> tuple[Gateway, ...]:
    """All gateways, the newest first; those that ended too."""
    async with conn.cursor(row_factory=class_row(Gateway)) as cursor:
        await cursor.execute(_SQL["list_all"])
        return tuple(await cursor.fetchall())


async def sweep(conn: Connection, now: datetime) -> int:
    """Throws away tokens that are over, at most a thousand: how many went; and codes of no use any more."""
    await conn.execute(_SQL["sweep_codes"], {"before": now - CODES_KEPT})
    return len(await (await conn.execute(_SQL["sweep_tokens"], {"now": now})).fetchall())


def _hash(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "replace")).digest()

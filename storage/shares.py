"""What a patient shares by sealed link, on the gateway's side. Secrets lie here wrapped by the home's key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import dict_row

from device_profiles.reading import Kind
from storage.connection import Connection
from storage.errors import UnknownShare
from storage.statements import statements

_SQL = statements("shares")


@dataclass(frozen=True, slots=True)
class NewShare:
    """What a patient decides when they share.

    `kinds` None: every kind. The period is of effective time, half-open, None where it is not bounded.
    `sealed_secret`: the link's id and key, encrypted under the home's key by `gateway.sealing`; storage never
    sees them. `link_hash`: SHA-256 of the link's id, by which the shelf knows it.
    """

    share_id: UUID
    link_hash: bytes
    sealed_secret: bytes
    shelf_url: str
    label: str | None = None
    kinds: tuple[Kind, ...] | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    live: bool = True
    expires_at: datetime | None = None
    has_passcode: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """A share as it stands. `uploaded_at` None: the shelf does not have it yet.

    `data_until`: the last effective time that was sealed. `stale`: there is something newer to seal.
    `openings_cursor`: the last opening that was pulled from the shelf.
    """

    patient_id: int
    share_id: UUID
    link_hash: bytes
    sealed_secret: bytes
    shelf_url: str
    label: str | None
    kinds: tuple[Kind, ...] | None
    period_start: datetime | None
    period_end: datetime | None
    live: bool
    expires_at: datetime | None
    has_passcode: bool
    created_at: datetime
    uploaded_at: datetime | None
    data_until: datetime | None
    revoked_at: datetime | None
    revocation_told_at: datetime | None
    stale: bool
    openings_cursor: int

    @property
    def erased(self) -> bool:
        """Whether only its end is left of it, which the shelf has yet to be told."""
        return not self.sealed_secret

    def active(self, now: datetime) -> bool:
        """Whether the link can still be opened."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


async def create(conn: Connection, patient_id: int, new: NewShare, now: datetime) -> Share:
    """Keeps a new share, to be sealed and uploaded."""
    values = {
        "patient_id": patient_id,
        "share_id": new.share_id,
        "link_hash": new.link_hash,
        "sealed_secret": new.sealed_secret,
        "shelf_url": new.shelf_url,
        "label": new.label,
        "kinds": None if new.kinds is None else [int(kind) for kind in new.kinds],
        "period_start": new.period_start,
        "period_end": new.period_end,
        "live": new.live,
        "expires_at": new.expires_at,
        "has_passcode": new.has_passcode,
        "now": now,
    }
    (share,) = await _shares(conn, "create", values)
    return share


async def find(conn: Connection, share_id: UUID) -> Share:
    """A share by its id, of any patient of this home. Raises UnknownShare."""
    return _one(await _shares(conn, "find", {"share_id": share_id}))


async def of_patient(conn: Connection, patient_id: int) -> tuple[Share, ...]:
    """A patient's shares, the newest first, ended ones too."""
    return await _shares(conn, "of_patient", {"patient_id": patient_id})


async def waiting(conn: Connection, now: datetime) -> tuple[Share, ...]:
    """What the shelf has to be told: shares to seal (again), and revocations; the oldest first."""
    return await _shares(conn, "waiting", {"now": now})


async def mark_stale(conn: Connection, patient_id: int) -> None:
    """After a sync: the patient's live shares are to be sealed again."""
    await conn.execute(_SQL["mark_stale"], {"patient_id": patient_id})


async def uploaded(conn: Connection, share: Share, data_until: datetime | None, now: datetime) -> Share:
    """The shelf has the share's files, with data until then. Raises UnknownShare."""
    values = {"data_until": data_until, "now": now}
    return _one(await _shares(conn, "uploaded", {**_key(share), **values}))


async def revoke(conn: Connection, share: Share, now: datetime) -> Share:
    """The patient ends a share. The shelf is still to be told. Idempotent. Raises UnknownShare."""
    return _one(await _shares(conn, "revoke", {**_key(share), "now": now}))


async def revocation_told(conn: Connection, share: Share, now: datetime) -> Share:
    """The shelf knows that the share is revoked. Raises UnknownShare."""
    return _one(await _shares(conn, "revocation_told", {**_key(share), "now": now}))


def _key(share: Share) -> dict[str, object]:
    return {"patient_id": share.patient_id, "share_id": share.share_id}


def _one(shares: Sequence[Share]) -> Share:
    if not shares:
        raise UnknownShare
    return shares[0]


async def _shares(conn: Connection, statement: str, values: dict[str, object]) -> tuple[Share, ...]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL[statement], values)
        rows = await cursor.fetchall()
    for row in rows:
        row["kinds"] = None if row["kinds"] is None else tuple(Kind(kind) for kind in row["kinds"])
    return tuple(Share(**row) for row in rows)

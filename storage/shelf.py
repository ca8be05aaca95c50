"""The shelf's own database: sealed links, their files, who opened them, and how many passcodes were tried.

Nothing here is readable: a link is known by the SHA-256 of the secret in its manifest's address, a file by
its ciphertext. Functions take a connection of `Database.shelf()`: one transaction per `async with`. Times are
aware datetimes; `now` is the caller's clock, so that a test can move it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from psycopg.rows import class_row

from storage.connection import Connection
from storage.errors import UnknownLink
from storage.statements import statements

LOCATION_LIFE = timedelta(hours=1)
"""The longest life of a file's address (SMART Health Links: 'SHALL be short-lived', at most one hour)."""

PASSCODE_ATTEMPTS = 10
"""Wrong passcodes that a link bears in its whole life, unless its maker says otherwise."""

RECIPIENT_MAX = 120
"""Characters that are kept of who a visitor says they are."""

_SQL = statements("shelf")


class Outcome(IntEnum):
    """How an opening ended. Stored: add, never renumber."""

    OPENED = 1
    WRONG_PASSCODE = 2
    NO_ATTEMPTS_LEFT = 3
    ENDED = 4
    """The link had expired or was revoked."""


@dataclass(frozen=True, slots=True)
class Uploader:
    """A gateway that may put links on this shelf, known by the SHA-256 of its token."""

    uploader_hash: bytes
    label: str
    enrolled_at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """A link as the shelf knows it. `flags` as in the payload (`L`, `P`, `U`, in alphabetical order)."""

    link_hash: bytes
    flags: str
    passcode_hash: str | None
    attempts_left: int | None
    created_at: datetime
    changed_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file of a link: a compact JWE, as bytes."""

    content_type: str
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class ShelvedFile:
    """A sealed file as it lies on the shelf; `number` counts from 0 within its link."""

    number: int
    content_type: str
    ciphertext: bytes
    sealed_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """A passcode may be looked at: against `passcode_hash`, with `attempts_left` after this one."""

    passcode_hash: str
    attempts_left: int


@dataclass(frozen=True, slots=True)
class Opening:
    """One request for a link's manifest. `number` counts from 1 within the link, without holes."""

    number: int
    opened_at: datetime
    recipient: str
    outcome: Outcome
    files: int


async def enrol(conn: Connection, uploader_hash: bytes, label: str, now: datetime) -> None:
    """Lets the holder of a token put links here. Idempotent."""
    await conn.execute(_SQL["enrol"], {"uploader_hash": uploader_hash, "label": label, "now": now})


async def uploader(conn: Connection, uploader_hash: bytes) -> Uploader | None:
    """Who a token belongs to; None for a token that is unknown or was turned away."""
    async with conn.cursor(row_factory=class_row(Uploader)) as cursor:
        await cursor.execute(_SQL["uploader"], {"uploader_hash": uploader_hash})
        return await cursor.fetchone()


async def turn_away(conn: Connection, uploader_hash: bytes, now: datetime) -> None:
    """An uploader's token stops working. Its links stay."""
    await conn.execute(_SQL["turn_away"], {"uploader_hash": uploader_hash, "now": now})


async def create_link(
    conn: Connection,
    uploader_hash: bytes,
    link_hash: bytes,
    now: datetime,
    *,
    flags: str = "",
    expires_at: datetime | None = None,
    passcode_hash: str | None = None,
    attempts: int = PASSCODE_ATTEMPTS,
) -> Link:
    """A new link without files. The same link again, by the same uploader, is answered as it is.

    `passcode_hash` is what the caller's password hash function printed. Raises UnknownLink when the link is
    another uploader's.
    """
    values = {
        "link_hash": link_hash,
        "uploader_hash": uploader_hash,
        "flags": flags,
        "passcode_hash": passcode_hash,
        "attempts": None if passcode_hash is None else attempts,
        "expires_at": expires_at,
        "now": now,
    }
    await conn.execute(_SQL["create_link"], values)
    return await own_link(conn, uploader_hash, link_hash)


async def own_link(conn: Connection, uploader_hash: bytes, link_hash: bytes) -> Link:
    """An uploader's own link, alive or not, locked until the transaction ends. Raises UnknownLink."""
    async with conn.cursor(row_factory=class_row(Link)) as cursor:
        await cursor.execute(_SQL["own_link"], {"uploader_hash": uploader_hash, "link_hash": link_hash})
        link = await cursor.fetchone()
    if link is None:
        raise UnknownLink
    return link


async def put_files(
    conn: Connection, uploader_hash: bytes, link_hash: bytes, files: Sequence[SealedFile], now: datetime
) -> None:
    """Puts these files in the place of the link's files, all at once: a reader sees the old or the new ones.

    Raises UnknownLink, also for a link that was revoked.
    """
    link = await own_link(conn, uploader_hash, link_hash)
    if link.revoked_at is not None:
        raise UnknownLink
    await conn.execute(_SQL["drop_files"], {"link_hash": link_hash})
    for number, file in enumerate(files):
        values = {
            "content_type": file.content_type,
            "ciphertext": file.ciphertext,
            "number": number,
            "now": now,
        }
        await conn.execute(_SQL["put_file"], {"link_hash": link_hash, **values})
    await conn.execute(_SQL["touch_link"], {"link_hash": link_hash, "now": now})


async def set_expiry(
    conn: Connection, uploader_hash: bytes, link_hash: bytes, expires_at: datetime | None, now: datetime
) -> None:
    """Moves the end of a link; None lets it live until it is revoked. Raises UnknownLink."""
    values = {"link_hash": link_hash, "uploader_hash": uploader_hash, "expires_at": expires_at, "now": now}
    cursor = await conn.execute(_SQL["set_expiry"], values)
    if await cursor.fetchone() is None:
        raise UnknownLink


async def revoke_link(conn: Connection, uploader_hash: bytes, link_hash: bytes, now: datetime) -> None:
    """Ends a link and throws its files away. Idempotent. Raises UnknownLink."""
    values = {"link_hash": link_hash, "uploader_hash": uploader_hash, "now": now}
    cursor = await conn.execute(_SQL["revoke_link"], values)
    if await cursor.fetchone() is None:
        raise UnknownLink
    await conn.execute(_SQL["drop_files"], {"link_hash": link_hash})


async def active_link(conn: Connection, link_hash: bytes, now: datetime) -> Link | None:
    """The link if it can be opened now; None when it is unknown, has expired or was revoked."""
    async with conn.cursor(row_factory=class_row(Link)) as cursor:
        await cursor.execute(_SQL["active_link"], {"link_hash": link_hash, "now": now})
        return await cursor.fetchone()


async def files(conn: Connection, link_hash: bytes) -> tuple[ShelvedFile, ...]:
    """The link's files in order. Ask `active_link` first."""
    async with conn.cursor(row_factory=class_row(ShelvedFile)) as cursor:
        await cursor.execute(_SQL["files"], {"link_hash": link_hash})
        return tuple(await cursor.fetchall())


async def debit_attempt(conn: Connection, link_hash: bytes, now: datetime) -> Attempt | None:
    """Takes one attempt off the link and hands out the hash to compare with; None when none is left.

    End this transaction before the slow comparison, and call `refund_attempt` in another one if the passcode
    was right: however many guesses come at once, no more than the link's attempts are ever compared.
    """
    async with conn.cursor(row_factory=class_row(Attempt)) as cursor:
        await cursor.execute(_SQL["debit_attempt"], {"link_hash": link_hash, "now": now})
        return await cursor.fetchone()


async def refund_attempt(conn: Connection, link_hash: bytes) -> None:
    """Gives back the attempt of a right passcode. Call it once per `debit_attempt`."""
    await conn.execute(_SQL["refund_attempt"], {"link_hash": link_hash})


async def create_location(
    conn: Connection, location_hash: bytes, link_hash: bytes, number: int, now: datetime, life: timedelta
) -> datetime:
    """An address for one file, found by the SHA-256 of its secret. Its end is answered.

    Raises ValueError when `life` is over LOCATION_LIFE.
    """
    if not timedelta(0) < life <= LOCATION_LIFE:
        raise ValueError("the address of a file lives at most an hour")
    values = {
        "location_hash": location_hash,
        "link_hash": link_hash,
        "number": number,
        "expires_at": now + life,
    }
    await conn.execute(_SQL["create_location"], values)
    return now + life


async def file_at(conn: Connection, location_hash: bytes, now: datetime) -> ShelvedFile | None:
    """The file at an address; None when the address or its link is over."""
    async with conn.cursor(row_factory=class_row(ShelvedFile)) as cursor:
        await cursor.execute(_SQL["file_at"], {"location_hash": location_hash, "now": now})
        return await cursor.fetchone()


async def record_opening(
    conn: Connection, link_hash: bytes, recipient: str, outcome: Outcome, files: int, now: datetime
) -> int | None:
    """Keeps that a link was asked for, by whom they say they are, and how it ended.

    Answers the opening's number, or None for a link that does not exist: nobody could read it.
    """
    values = {"link_hash": link_hash, "recipient": recipient, "outcome": outcome, "files": files, "now": now}
    row = await (await conn.execute(_SQL["record_opening"], values)).fetchone()
    return None if row is None else int(row[0])


async def openings_after(
    conn: Connection, uploader_hash: bytes, link_hash: bytes, cursor: int, limit: int = 1000
) -> tuple[Opening, ...]:
    """The openings of an uploader's own link whose number is above `cursor` (0 for all), in order.

    Another uploader's link answers nothing.
    """
    values = {"link_hash": link_hash, "uploader_hash": uploader_hash, "cursor": cursor, "limit": limit}
    rows = await (await conn.execute(_SQL["openings_after"], values)).fetchall()
    return tuple(
        Opening(number, at, who, Outcome(outcome), count) for number, at, who, outcome, count in rows
    )


async def sweep(conn: Connection, now: datetime) -> int:
    """Throws away addresses and files that are over; the number of files thrown away. Openings stay."""
    await conn.execute(_SQL["sweep_locations"], {"now": now})
    return len(await (await conn.execute(_SQL["sweep_files"], {"now": now})).fetchall())

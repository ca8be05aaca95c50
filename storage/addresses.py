"""Where each role's database is: a connection string per role, as set, or of the home's own server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from storage.cluster import ROOT_PARENT
from storage.embedded import EmbeddedServer
from storage.errors import DatabaseAddressUnusable


@dataclass(frozen=True, slots=True)
class Addresses:
    """A connection string per role. `shelf_owner` migrates the shelf's database."""

    owner: str
    writer: str
    reader: str
    shelf: str
    shelf_owner: str


@asynccontextmanager
async def held(
    home: Path,
    dsn: str | None,
    *,
    writer: str | None = None,
    reader: str | None = None,
    shelf: str | None = None,
    root_parent: Path = ROOT_PARENT,
) -> AsyncIterator[Addresses]:
    """The addresses while the block lasts; the home's own server runs for it where no other is named."""
    server = await asyncio.to_thread(EmbeddedServer.hold, home, root_parent) if dsn is None else None
    try:
        yield addresses_of(server, dsn, writer, reader, shelf)
    finally:
        if server is not None:
            await asyncio.to_thread(server.release)


def addresses_of(
    server: EmbeddedServer | None, dsn: str | None, writer: str | None, reader: str | None, shelf: str | None
) -> Addresses:
    """Those of the home's own server, else those that were named; a role without one has the owner's."""
    if server is not None:
        own_shelf = server.shelf_owner_address() if shelf is None else shelf
        return Addresses(
            owner=server.address("owner"),
            writer=writer or server.address("writer"),
            reader=reader or server.address("reader"),
            shelf=shelf or server.address("shelf"),
            shelf_owner=own_shelf,
        )
    owner = dsn or shelf or ""
    return Addresses(owner, writer or owner, reader or owner, shelf or owner, shelf or owner)


def user_of(address: str) -> str | None:
    """The role that an address names. Raises DatabaseAddressUnusable."""
    try:
        return conninfo_to_dict(address).get("user")  # type: ignore[return-value]
    except psycopg.ProgrammingError:
        raise DatabaseAddressUnusable from None

"""A shelf's own side: its database opened, and the tokens by which gateways are known to it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from gateway import settings as configuration
from gateway.home import open_database
from gateway.sealing import create_private_file, token_hash
from gateway.settings import Settings
from storage import shelf
from storage.database import Database

OWN_GATEWAY = "the gateway of this home"


def gateway_token(settings: Settings) -> str:
    """What this gateway shows a shelf: the token it was given, else the one of a shelf in the same home."""
    if settings.shelf_token is not None:
        return settings.shelf_token.get_secret_value()
    return _home_token(settings.home)


@asynccontextmanager
async def opened_shelf() -> AsyncIterator[tuple[Settings, Database]]:
    """The shelf of this process's settings; the gateway of the same home is known to it."""
    settings = configuration.load()
    configuration.prepare_home(settings.home)
    async with open_database(settings, space=False) as database:
        async with database.shelf() as connection:
            own = token_hash(_home_token(settings.home))
            await shelf.enrol(connection, own, OWN_GATEWAY, datetime.now(UTC))
        yield settings, database


async def new_token(database: Database, label: str) -> str:
    """Enrol a gateway; its token is shown once and kept nowhere."""
    token = secrets.token_urlsafe(32)
    async with database.shelf() as connection:
        await shelf.enrol(connection, token_hash(token), label, datetime.now(UTC))
    return token


def _home_token(home: Path) -> str:
    """The token of this home in a file that only its owner reads, made if it is absent."""
    path = home / "shelf-token"
    if not path.exists():
        create_private_file(path, secrets.token_urlsafe(32).encode())
    return path.read_text()

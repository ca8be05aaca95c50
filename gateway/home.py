"""A person's Passerelle, opened: the settings, the database and the home's secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr

from gateway import settings as configuration
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from storage.database import Database
from storage.errors import UnknownZone
from storage.pools import PoolLimits


@dataclass(frozen=True, slots=True)
class Home:
    """What every command works with."""

    settings: Settings
    database: Database
    secret: HomeSecret


@asynccontextmanager
async def opened(settings: Settings | None = None) -> AsyncIterator[Home]:
    """Open the home of these settings, else this process's; the database is started and left as needed."""
    settings = settings or configuration.load()
    configuration.prepare_home(settings.home)
    secret = HomeSecret.load(settings.home)
    async with open_database(settings) as database:
        yield Home(settings, database, secret)


def open_database(settings: Settings, *, space: bool = True) -> AbstractAsyncContextManager[Database]:
    """The database of these settings; with `space` false only the shelf's."""
    return Database.open(
        settings.home,
        revealed(settings.database),
        writer=revealed(settings.database_writer),
        reader=revealed(settings.database_reader),
        shelf=revealed(settings.database_shelf),
        space=space,
        limits=PoolLimits(settings.pool_size, settings.pool_waiting, settings.pool_wait),
    )


def revealed(secret: SecretStr | None) -> str | None:
    """A setting that may hold a password, where it is needed."""
    return secret.get_secret_value() if secret else None


def zone_named(name: str | None) -> ZoneInfo:
    """The zone of that name, the system's where no name is given. Raises `UnknownZone`."""
    if name is None:
        from tzlocal import get_localzone

        return get_localzone()
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownZone(zone=name) from None

"""A space as a process: HTTPS beyond this machine, its database, and the jobs of its house."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from device_profiles.errors import PasserelleError
from gateway import settings as configuration
from gateway.claimed import Claims, Job, keep_running
from gateway.home import Home, open_database
from gateway.sealing import HomeSecret
from gateway.serve import address_of, is_loopback
from gateway.settings import Settings
from storage import gateways
from storage.database import Database

if TYPE_CHECKING:
    from fastapi import FastAPI

TOKENS_EVERY: Final = timedelta(minutes=10)
"""Tokens that are over stay no longer than this."""


class SpaceNeedsHttps(PasserelleError):
    """A space would be reached from other machines in clear."""

    sentence = (
        "Health data goes over HTTPS only. Give --certificate and --key, or put a server that speaks HTTPS "
        "in front and name its address in PASSERELLE_PUBLIC_URL."
    )


class CertificateUnusable(PasserelleError):
    """A certificate or its key cannot be read, or they do not belong together."""

    sentence = "The certificate or its key cannot be used: both are files in PEM, and belong to one another."


def secured(tls: tuple[Path, Path] | None) -> ssl.SSLContext | None:
    """How HTTPS is spoken with a certificate and its key. Raises CertificateUnusable."""
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key with a passphrase would ask at the terminal: a server has none.
        context.load_cert_chain(*tls, password=lambda: b"")
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise CertificateUnusable from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def space_address(host: str, port: int, *, secure: bool) -> str:
    """Where the world reaches a space that listens there. Raises SpaceNeedsHttps."""
    public = configuration.load().public_url
    behind_https = public is not None and public.startswith("https:")
    if not (secure or behind_https or is_loopback(host)):
        raise SpaceNeedsHttps
    if public is not None and not (behind_https or is_loopback(urlsplit(public).hostname or "")):
        raise SpaceNeedsHttps  # a server in front that speaks HTTP tells the world's tokens in clear
    if public is not None:
        return public
    own = address_of(host, port) or f"http://localhost:{port}"
    return own.replace("http:", "https:", 1) if secure else own


@asynccontextmanager
async def opened_space(
    address: str, *, sweep_until: asyncio.Event
) -> AsyncIterator[tuple[FastAPI, Settings]]:
    """The application of this process's space, its database open, with what it runs beside."""
    from gateway.api.health import Watch  # noqa: PLC0415 (commands that open a space's database need no web)
    from gateway.api.pressure import Pressure  # noqa: PLC0415
    from gateway.api.space import SpaceSettings, create_space_app, ids_of  # noqa: PLC0415

    async with opened_database() as (settings, database):
        pressure = Pressure.of(settings.ingest_at_once, settings.gateway_rate)
        watched = Watch.of(database, settings)
        app = create_space_app(
            database, SpaceSettings(address, pressure, watch=watched), await ids_of(database)
        )
        working = asyncio.create_task(
            keep_running(
                _jobs(settings, database), Claims(database), sweep_until, stop_seconds=settings.stop_seconds
            )
        )
        try:
            yield app, settings
        finally:
            if not sweep_until.is_set():
                working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working


@asynccontextmanager
async def opened_database() -> AsyncIterator[tuple[Settings, Database]]:
    """The settings and the database of this process's space."""
    settings = configuration.load()
    configuration.prepare_home(settings.home)
    async with open_database(settings) as database:
        yield settings, database


async def throw_away_old_tokens(database: Database) -> None:
    """Throws away all tokens that are over, some in each transaction."""
    now, went = datetime.now(UTC), 1
    while went:
        async with database.writer() as conn:
            went = await gateways.sweep(conn, now)


def _jobs(settings: Settings, database: Database) -> tuple[Job, ...]:
    """What the processes of a space do beside, each in one of them at a time."""
    from gateway import auditing, packing, retaining  # noqa: PLC0415 (commands that open a space's database need neither)

    home = Home(settings, database, HomeSecret.load(settings.home))
    daily = (retaining.job(home), auditing.job(home), packing.job(home))
    return (Job("tokens", TOKENS_EVERY, lambda: throw_away_old_tokens(database)), *daily)

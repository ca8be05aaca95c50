"""What who watches over a server asks: is it alive, is it ready, what has it counted.

Strangers learn one word. `/metrics` is for who shows `PASSERELLE_METRICS_TOKEN`; where none is set, for who
asks from this machine, unless a server in front of this one makes the whole world ask from this machine.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response

from device_profiles.errors import StorageError
from gateway import metrics
from gateway.api import problems
from gateway.api.guard import Guard
from gateway.api.pressure import address_of, is_loopback
from gateway.api.problems import not_found
from gateway.settings import Settings
from storage.database import Database
from storage.errors import DatabaseBusy

HEALTH_SECONDS: Final = 3.0
"""A database that takes longer for a word is not ready."""

KNOWN_SECONDS: Final = 1.0
"""What was found holds this long, so that asking often costs the database nothing."""

_FORWARDED: Final = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
)
_BODY_MAX: Final = 1024


@dataclass(slots=True)
class Watch:
    """What is watched, and who may read the numbers.

    `shelf`: only the shelf's database is there. `metrics_token`: who shows it may read. `published`: a server
    stands in front of this one, so that to ask from this machine proves nothing.
    """

    database: Database
    shelf: bool = False
    metrics_token: str | None = field(default=None, repr=False)
    published: bool = False
    _ready: bool = field(default=False, init=False)
    _until: float = field(default=0.0, init=False)

    @classmethod
    def of(cls, database: Database, settings: Settings, *, shelf: bool = False) -> Watch:
        """As the settings of this process want it."""
        token = settings.metrics_token
        revealed = None if token is None else token.get_secret_value()
        return cls(database, shelf, revealed, published=settings.public_url is not None)

    async def ready(self) -> bool:
        """Whether the database answers, as found within the last second."""
        if time.monotonic() >= self._until:
            self._ready = await self._answers()
            self._until = time.monotonic() + KNOWN_SECONDS
        return self._ready

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                async with self.database.shelf() if self.shelf else self.database.writer() as conn:
                    await conn.execute("SELECT 1")
        except DatabaseBusy:
            return True  # it answers others; were it called away now, all of them would come to the next one
        except (StorageError, TimeoutError):
            return False
        return True

    def may_read(self, request: Request) -> bool:
        """Whether the numbers are for who asks."""
        if self.metrics_token is not None:
            scheme, _, shown = request.headers.get("authorization", "").partition(" ")
            return scheme.lower() == "bearer" and hmac.compare_digest(
                shown.strip().encode(), self.metrics_token.encode()
            )
        forwarded = any(name in request.headers for name in _FORWARDED)
        return not self.published and not forwarded and is_loopback(address_of(request))


def watch(app: FastAPI, watched: Watch) -> None:
    """Add `/health`, `/health/live`, `/health/ready` and `/metrics` to an application."""
    app.state.watch = watched
    app.include_router(router)


router = APIRouter()


@router.get("/health/live")
async def live() -> dict[str, str]:
    """That this process answers, whatever its database does: who sees no answer starts it anew."""
    return {"status": "ok"}


@router.get("/health")
@router.get("/health/ready")
async def ready(request: Request) -> dict[str, str]:
    """Whether requests may be sent here."""
    if not await request.app.state.watch.ready():
        raise problems.come_again("database", after=5)
    return {"status": "ok"}


@router.get("/metrics")
async def counted(request: Request) -> Response:
    """The numbers, for who may read them; for all others there is nothing here."""
    watched: Watch = request.app.state.watch
    if not watched.may_read(request):
        raise not_found()
    text = await metrics.scraped(watched.database, shelf=watched.shelf)
    return Response(text, HTTPStatus.OK, media_type=metrics.MEDIA_TYPE)


def create_health_app(watched: Watch) -> FastAPI:
    """An application that is watched, and does nothing else."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    problems.install(app)
    watch(app, watched)
    app.add_middleware(Guard, limit_of=lambda _: _BODY_MAX, open_to_all=lambda _: False, https=False)
    return app

"""A space as gateways meet it: a real server on a loopback port, a real database, a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import httpx
import uvicorn

from gateway.api.pressure import Pressure
from gateway.api.space import SpaceSettings, create_space_app, ids_of
from storage import tenants
from storage.database import Database
from tests import servers

T = TypeVar("T")


class RunningSpace:
    """The space's address, its database, and its clock, which a test may move."""

    def __init__(self, home: Path, pressure: Pressure | None = None) -> None:
        self._home = home
        self.pressure = pressure or Pressure.of(4, 1000)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.ahead = timedelta(0)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the space did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(setattr, self._server, "should_exit", True)
        self._thread.join(30)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with servers.opened(self._home) as self.database:
            self.ids = await ids_of(self.database)
            settings = SpaceSettings(self.url, self.pressure, now=self.now)
            app = create_space_app(self.database, settings, self.ids)
            config = uvicorn.Config(app, access_log=False, log_config=None, lifespan="off")
            self._server = uvicorn.Server(config)
            self._loop.call_later(0, self._ready.set)
            await self._server.serve(sockets=[self._socket])

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do something with the space's database."""

        async def done() -> T:
            return await work(self.database)

        return self.wait_for(done())

    def tenant(self, name: str | None = None, **bounds: int) -> str:
        """A new tenant's name."""
        name = name or f"tenant {uuid4()}"

        async def made(database: Database) -> str:
            async with database.writer() as conn:
                return (await tenants.add(conn, name, self.now(), **bounds)).name

        return self.run(made)

    def code(self, tenant: str | None = None, patient: UUID | None = None, days: float = 7) -> str:
        """A code for a tenant, a new one unless it is named."""
        tenant = tenant or self.tenant()

        async def made(database: Database) -> str:
            async with database.writer() as conn:
                found = await tenants.find(conn, tenant, self.now())
                ends_at = self.now() + timedelta(days=days)
                return await tenants.new_code(conn, found, self.now(), ends_at, patient)

        return self.run(made)

    def register(self, code: str | None = None) -> FeedingGateway:
        """A gateway that registered by a code, with its token."""
        asked = {"code": code or self.code(), "name": "a laptop", "software": "passerelle test"}
        answer = httpx.post(f"{self.url}/gateways", json=asked)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        return FeedingGateway(self, told["client_id"], told["client_secret"]).authenticated()


@dataclass
class FeedingGateway:
    """A gateway that is known to a space."""

    space: RunningSpace
    client_id: str
    secret: str
    token: str = ""

    def authenticated(self) -> Self:
        """With a new token."""
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(f"{self.space.url}/token", data=form, auth=(self.client_id, self.secret))
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]
        return self

    def request(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        *,
        json: object = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Ask something with the token."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if content is not None:
            sent.setdefault("Content-Type", "application/fhir+json")
        return httpx.request(
            method, f"{self.space.url}{path}", content=content, json=json, headers=sent, timeout=60
        )

    def feed(self, bundle: bytes) -> httpx.Response:
        """Send a transaction."""
        return self.request("POST", "/fhir", bundle)

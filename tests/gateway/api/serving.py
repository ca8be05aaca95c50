"""A shelf as people meet it: a real server on a loopback port, a real database, a thread of its own."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import uvicorn

from gateway.api.shelf import ShelfSettings, create_shelf_app
from gateway.sealing import (
    SealedLink,
    hash_passcode,
    manifest_url,
    new_key,
    new_manifest_id,
    seal,
    token_hash,
)
from gateway.shelf_client import ShelfClient
from storage import shelf
from storage.database import Database

T = TypeVar("T")


class RunningShelf:
    """The shelf's address, its database, and its clock, which a test may move."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.ahead = timedelta(0)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the shelf did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(setattr, self._server, "should_exit", True)
        self._thread.join(30)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with Database.open(self._home) as self.database:
            app = create_shelf_app(self.database, ShelfSettings(self.url, now=self.now))
            config = uvicorn.Config(app, access_log=False, log_config=None, lifespan="off")
            self._server = uvicorn.Server(config)
            self._loop.call_later(0, self._ready.set)
            await self._server.serve(sockets=[self._socket])

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's own loop: a browser's test has another one under way."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do something with the shelf's database."""

        async def done() -> T:
            return await work(self.database)

        return self.wait_for(done())

    def enrol(self) -> str:
        """A new gateway's token."""
        token = secrets.token_urlsafe(32)

        async def enrolled(database: Database) -> None:
            async with database.shelf() as conn:
                await shelf.enrol(conn, token_hash(token), "a gateway", self.now())

        self.run(enrolled)
        return token


@dataclass(frozen=True)
class Shared:
    """A link that lies on a shelf, and the gateway that put it there."""

    link: SealedLink
    link_hash: bytes
    token: str
    running: RunningShelf

    @property
    def url(self) -> str:
        """What a person opens."""
        return self.link.url(self.running.url)

    def call(self, work: Callable[[ShelfClient], Coroutine[Any, Any, T]]) -> T:
        """Do something as the gateway."""

        async def done() -> T:
            async with ShelfClient(self.running.url, self.token) as client:
                return await work(client)

        return self.running.wait_for(done())

    def put(self, *contents: bytes, passcode: str | None = None) -> None:
        """Seal and upload what the link carries."""
        sealed = [seal(content, self.link.key) for content in contents]
        kept = None if passcode is None else hash_passcode(passcode)
        self.call(
            lambda client: client.put(
                self.link_hash,
                sealed,
                flags=self.link.flags,
                expires_at=self.link.expires_at,
                passcode_hash=kept,
            )
        )


def share(
    running: RunningShelf,
    *contents: bytes,
    label: str = "Readings of a test",
    passcode: str | None = None,
    expires_in: timedelta | None = timedelta(days=30),
    live: bool = True,
) -> Shared:
    """Put a new link on a shelf, as a gateway does."""
    manifest_id = new_manifest_id()
    link = SealedLink(
        manifest_url(running.url, manifest_id),
        new_key(),
        label,
        None if expires_in is None else running.now() + expires_in,
        passcode is not None,
        live,
    )
    shared = Shared(link, token_hash(manifest_id), running.enrol(), running)
    shared.put(*contents, passcode=passcode)
    return shared

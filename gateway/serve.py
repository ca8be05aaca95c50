"""The roles as processes: the shelf over HTTP, the gateway's jobs beside it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from device_profiles.errors import PasserelleError
from gateway.home import Home
from storage import shelf
from storage.database import Database
from storage.errors import NotOnWindowsYet

if TYPE_CHECKING:
    from gateway.watching import Station

logger = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""The head of a request is one packet or two: who takes longer holds a connection for nothing."""

KEEP_SECONDS = 15
"""A connection without a request is kept this long: gateways that feed often need not shake hands again."""

CONNECTIONS = 4096
"""Connections of a process at most; the next one is answered 503 by the server itself."""

STOP_SECONDS = 20
"""What is under way when a server is stopped has this long to end, unless the settings say otherwise."""

JOBS_SECONDS = 5
"""A job that runs when its gateway is stopped has this long to end: a person waits, and may repeat it."""

PAGE_STOP_SECONDS = 3
"""A page that follows what happens never ends its request by itself; all others take less."""

SWEEP_SECONDS = 600
"""Ciphertext of a link that is over stays no longer than this."""


class Role(StrEnum):
    """What a process of `passerelle serve` is."""

    GATEWAY = "gateway"
    SHELF = "shelf"
    SPACE = "space"


class PortInUse(PasserelleError):
    """Another program listens there."""

    sentence = (
        "Port {port} is used by another program. Choose another with --port, or stop the other program."
    )


class AddressUnusable(PasserelleError):
    """No listening on that address of this machine."""

    sentence = "This machine cannot listen on {host}. Choose another address with --host."


class PageBeyondHere(PasserelleError):
    """A person's page that others could reach."""

    sentence = (
        "Your own page is for this machine only: leave out --host. "
        "To show your readings to somebody, share them: passerelle share create"
    )


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `PortInUse`, `AddressUnusable`."""
    listening: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        if listening is not None:
            listening.close()
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            raise PortInUse(port=port) from None
        raise AddressUnusable(host=host) from None
    return listening


def address_of(host: str, port: int) -> str | None:
    """The web address of a server that listens there; None where it listens on every address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        return None
    return f"http://[{address}]:{port}" if address.version == 6 else f"http://{address}:{port}"


def free_port(wanted: int) -> int:
    """The wanted port of this machine's loopback, another where it is taken."""
    for port in (wanted, 0):
        with contextlib.suppress(PortInUse), listening_socket("127.0.0.1", port) as probe:
            return int(probe.getsockname()[1])
    raise PortInUse(port=wanted)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(uvicorn.Server):
    """A server that leaves the signals to us, so that all of a process ends together."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


class _Protocol(H11Protocol):
    """HTTP on one connection, which has HEAD_SECONDS to send the head of each request."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._end_head()
        elif self._head is None:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self.timeout_keep_alive_handler)

    def _end_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


async def serve_app(
    app: Callable[..., Any],
    listening: socket.socket,
    stop: asyncio.Event,
    stop_seconds: int = STOP_SECONDS,
    secure: ssl.SSLContext | None = None,
) -> None:
    """Answer HTTP on `listening` until `stop`; what is under way then has `stop_seconds` to end.

    `secure`: speak HTTPS. Nothing of a request is logged here: a path can open a link.
    """
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        lifespan="off",
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_SECONDS,
        timeout_graceful_shutdown=stop_seconds,
    )
    if secure is not None:
        config.load()
        config.ssl = secure
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await stop.wait()
    server.should_exit = True
    await serving


def stop_on_signals() -> asyncio.Event:
    """An event that Ctrl-C, a polite kill and a terminal that is closed set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    return stop


def stop_at_eof(stop: asyncio.Event) -> None:
    """Set `stop` when standard input ends: whoever started this process is gone."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        # Not through sys.stdin: this thread waits still when Python ends, and would hold its lock.
        while os.read(0, 1):
            pass
        loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=wait, daemon=True).start()


def _environment_of(home: Path) -> dict[str, str]:
    """This process's environment with nothing in it that names another database, shelf or home."""
    elsewhere = ("PASSERELLE_DATABASE", "PASSERELLE_SHELF", "PASSERELLE_PUBLIC")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}
    return kept | {"PASSERELLE_HOME": str(home)}


@asynccontextmanager
async def shelf_process(
    host: str, port: int, *, home: Path | None = None, quiet: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A shelf in a process of its own, ended with the block; it ends with this process however that dies.

    `home`: another home than this process's, with the database that belongs to it.
    """
    if sys.platform == "win32":
        raise NotOnWindowsYet  # its processes cannot be waited for in the loop that the database needs
    command = ("serve", "--role", Role.SHELF, "--host", host, "--port", str(port), "--until-eof")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "gateway", *command),  # -P: nobody's `gateway` in the folder where it is typed
        stdin=asyncio.subprocess.PIPE,
        env=os.environ if home is None else _environment_of(home),
        stdout=asyncio.subprocess.DEVNULL if quiet else None,
        start_new_session=True,  # Ctrl-C is for the process that started it, which ends it
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS + 5)
        if process.returncode is None:
            process.kill()


async def sweep_shelf(database: Database, stop: asyncio.Event) -> None:
    """Throw away what nobody can open any more on a shelf, now and every ten minutes, until `stop`."""
    while True:
        try:
            async with database.shelf() as connection:
                await shelf.sweep(connection, datetime.now(UTC))
        except PasserelleError as error:
            logger.warning("sweep of the shelf: %s", type(error).__name__)
        try:
            await asyncio.wait_for(stop.wait(), SWEEP_SECONDS)
        except TimeoutError:
            continue
        return


async def serve_gateway(home: Home, station: Station, stop: asyncio.Event) -> None:
    """Watch for meters and run the gateway's jobs until `stop`; what runs then has JOBS_SECONDS to end."""
    from gateway.jobs import scheduled  # noqa: PLC0415 (only this role needs the scheduler)

    with scheduled(home, station.events) as scheduler:
        running = _Running(scheduler)
        watching = asyncio.create_task(station.watch(stop))
        await stop.wait()
        scheduler.pause()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(running.none.wait(), JOBS_SECONDS)
        await watching


class _Running:
    """How many jobs of a scheduler run."""

    def __init__(self, scheduler: Any) -> None:
        from apscheduler.events import (  # noqa: PLC0415 (only this role needs the scheduler)
            EVENT_JOB_ERROR,
            EVENT_JOB_EXECUTED,
            EVENT_JOB_SUBMITTED,
        )

        self._begins = EVENT_JOB_SUBMITTED
        self.none = asyncio.Event()
        self.none.set()
        self._count = 0
        scheduler.add_listener(self._heard, EVENT_JOB_SUBMITTED | EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)

    def _heard(self, event: Any) -> None:
        self._count += 1 if event.code == self._begins else -1
        if self._count > 0:
            self.none.clear()
        else:
            self.none.set()

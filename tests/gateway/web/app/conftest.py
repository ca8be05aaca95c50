"""The person's page as it runs: a real server and database, meters on a virtual radio, Chromium."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest

from device_profiles.devices import glucose_meter
from device_profiles.services.device_information import DeviceInformation
from device_profiles.virtual_device import VirtualDevice, generated_records
from device_profiles.wire import DateTime
from gateway.ble.virtual_radio import served_virtual_radio
from gateway.events import Events
from gateway.home import Home, opened
from gateway.opening import announced
from gateway.serve import serve_app
from gateway.settings import Settings
from gateway.watching import Station
from gateway.web.app import create_page_app
from gateway.web.app.sessions import Sessions
from storage import patients
from storage.database import Database
from storage.embedded import EmbeddedServer, erase
from storage.patients import Patient
from tests.gateway.web.conftest import Visit

T = TypeVar("T")

TABLES = """
SELECT string_agg(format('passerelle.%I', table_name), ', ') FROM information_schema.tables
WHERE table_schema = 'passerelle' AND table_type = 'BASE TABLE' AND table_name <> 'migration'
"""


def new_meter(records: int = 5, *, serial: str = "SN-1", **changed: Any) -> VirtualDevice:
    """A standard meter whose last record is some minutes old."""
    start = datetime.now().astimezone() - timedelta(days=records / 5)
    return VirtualDevice(
        glucose_meter.PROFILE,
        tuple(generated_records(records, start=DateTime.of(start))),
        information=DeviceInformation("Acme", "One", serial, firmware="1.0"),
        clock=lambda: datetime.now().astimezone(),
        **changed,
    )


class RunningPage:
    """The page's server, in a thread and a loop of its own, on an empty database."""

    def __init__(self, home: Path, meters: Sequence[VirtualDevice]) -> None:
        self.folder = home
        self.meters = meters
        self.shown: queue.Queue[str] = queue.Queue()
        """The passkeys that meters showed, as digits."""
        self.sessions = Sessions()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(128)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the page did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            air = served_virtual_radio(self.meters, 0, on_passkey=lambda _, digits: self.shown.put(digits))
            port = await stack.enter_async_context(air)
            settings = Settings(home=self.folder, ble=f"bumble:tcp-client:127.0.0.1:{port}")
            self.home: Home = await stack.enter_async_context(opened(settings))
            self.database: Database = self.home.database
            await self._empty()
            self.announcement = stack.enter_context(announced(self.folder, self.url))
            self.station = Station(self.home, Events())
            self.app = create_page_app(self.home, self.station, self.announcement, sessions=self.sessions)
            self._loop.call_later(0, self._ready.set)
            await serve_app(self.app, self._socket, self._stop, 1)

    async def _empty(self) -> None:
        async with self.database.owner() as conn:
            row = await (await conn.execute(TABLES)).fetchone()
            assert row is not None
            await conn.execute(f"TRUNCATE {row[0]}")

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's own loop: a browser's test has another one under way."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def add_person(
        self, name: str = "Léa", zone: str = "Europe/Paris", language: str | None = None
    ) -> Patient:
        """Somebody whose readings are kept here."""

        async def add() -> Patient:
            async with self.database.writer() as conn:
                return await patients.add(conn, name, zone, language=language)

        return self.wait_for(add())

    def address(self, path: str = "/") -> str:
        return self.url + path

    def new_address(self) -> str:
        """What the program opens for its user, good once."""
        return f"{self.url}/open?code={self.sessions.new_code()}"


@pytest.fixture(scope="package")
def page_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose database server runs for all tests of the page; each begins with empty tables."""
    home = tmp_path_factory.mktemp("page")
    home.chmod(0o700)
    server = EmbeddedServer.hold(home)
    try:
        yield home
    finally:
        server.release()
        erase(home)


@pytest.fixture
def meters() -> Sequence[VirtualDevice]:
    """The meters that are near; a test module has its own by a fixture of this name."""
    return (new_meter(),)


@pytest.fixture
def page(page_home: Path, meters: Sequence[VirtualDevice]) -> Iterator[RunningPage]:
    """The page, served, with nobody in it yet."""
    with RunningPage(page_home, meters) as running:
        yield running


@pytest.fixture
def opened_page(page: RunningPage, visit: Callable[..., Visit]) -> Callable[..., Visit]:
    """Opens the page in a browser as the program does, at a path: `opened_page("/devices", width=390)`."""

    def open_at(path: str = "/", **how: Any) -> Visit:
        made = visit(page.new_address(), **({"locale": "fr-FR"} | how))
        if path != "/":
            made.page.goto(page.address(path))
        return made

    return open_at

"""The person's page as it runs: a real server and database, meters on a virtual radio, Chromium."""

from __future__ import annotations

import asyncio
import queue
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
from playwright.sync_api import Page

from device_profiles.devices import glucose_meter
from device_profiles.services.device_information import DeviceInformation
from device_profiles.virtual_device import Record, VirtualDevice, generated_records
from device_profiles.wire import DateTime
from gateway.ble.limits import LIMITS
from gateway.ble.radio import Radio, open_radio
from gateway.ble.virtual_radio import virtual_radio
from gateway.events import Events
from gateway.home import Home, opened
from gateway.known_devices import pair_device, sync_device
from gateway.opening import announced
from gateway.serve import serve_app
from gateway.settings import Settings
from gateway.watch_limits import WATCH_LIMITS
from gateway.watching import Station
from gateway.web.app import create_page_app
from gateway.web.app.sessions import Sessions
from storage import patients
from storage.database import Database
from storage.devices import StoredDevice
from storage.embedded import EmbeddedServer, erase
from storage.patients import Patient
from tests.gateway.web.app.records import ZONE
from tests.gateway.web.conftest import Visit

T = TypeVar("T")

WATCHFUL = replace(WATCH_LIMITS, silence=0.3, least_gap=0.1, pause=0.2, longest_pause=0.4)
"""As the real ones; a meter that is woken is read at once, without five seconds of silence before."""

PROMPT = replace(LIMITS, scan=2.0)
"""On this air whoever is going to be heard is heard at once; a person may take their time all the same."""

TABLES = """
SELECT string_agg(format('passerelle.%I', table_name), ', ') FROM information_schema.tables
WHERE table_schema = 'passerelle' AND table_type = 'BASE TABLE' AND table_name <> 'migration'
"""


def new_meter(records: int | Sequence[Record] = 5, *, serial: str = "SN-1", **changed: Any) -> VirtualDevice:
    """A standard meter whose last record is some minutes old, or with these records."""
    if isinstance(records, int):
        start = datetime.now(ZONE) - timedelta(days=records / 5)
        records = tuple(generated_records(records, start=DateTime.of(start)))
    return VirtualDevice(
        glucose_meter.PROFILE,
        records,
        information=DeviceInformation("Acme", "One", serial, firmware="1.0"),
        clock=changed.pop("clock", lambda: datetime.now(ZONE)),
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
            radio = virtual_radio(self.meters, on_passkey=lambda _, digits: self.shown.put(digits))
            self.air = await stack.enter_async_context(radio)
            self.home: Home = await stack.enter_async_context(opened(Settings(home=self.folder)))
            self.database: Database = self.home.database
            await self._empty()
            self.announcement = stack.enter_context(announced(self.folder, self.url))
            self.station = Station(self.home, Events(), limits=WATCHFUL, opening=self._open_radio)
            self.app = create_page_app(self.home, self.station, self.announcement, sessions=self.sessions)
            self._loop.call_later(0, self._ready.set)
            await asyncio.gather(
                self.station.watch(self._stop), serve_app(self.app, self._socket, self._stop, 1)
            )

    def _open_radio(self) -> AbstractAsyncContextManager[Radio]:
        return open_radio(self.air.transport(), self.folder, PROMPT, wait_seconds=0, yields=True)

    def add_meter(self, patient: Patient, number: int = 0) -> StoredDevice:
        """A meter that is near becomes somebody's, and is read, as the wizard does it; then it sleeps."""

        async def pair() -> StoredDevice:
            peripheral = self.air.peripherals[number]
            async with self.station.radio() as radio:
                found = await radio.find(lambda other: other.address == peripheral.address)
                device = await pair_device(self.home, radio, found, patient, self._read_display)
                await sync_device(self.home, radio, patient, device)
                await peripheral.sleep()  # before the watcher listens again: it would read it once more
            return device

        return self.wait_for(pair())

    async def _read_display(self) -> str:
        return await asyncio.to_thread(self.shown.get, timeout=10)

    def measure(self, record: Record, number: int = 0) -> None:
        """A finger-stick: the meter keeps it, and advertises."""

        async def add() -> None:
            peripheral = self.air.peripherals[number]
            peripheral.virtual.add(record)
            await peripheral.wake(30)

        self.wait_for(add())

    async def _empty(self) -> None:
        (self.folder / "bonds.json").unlink(missing_ok=True)  # the meters of this test know nobody yet
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

    def people(self) -> Sequence[Patient]:
        """Everybody who is kept here."""

        async def listed() -> Sequence[Patient]:
            async with self.database.writer() as conn:
                return await patients.list_all(conn)

        return self.wait_for(listed())

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


AXE = Path(__file__).parents[3] / "node" / "node_modules" / "axe-core" / "axe.min.js"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def judged() -> Callable[[Page], list[str]]:
    """What axe finds wrong with a page as it is now: WCAG 2.2 A and AA, and what it calls good practice."""
    if not AXE.exists():
        pytest.skip("axe-core is missing: make test sets it up (npm)")
    source = AXE.read_text()

    def judge(page: Page) -> list[str]:
        page.evaluate(source)  # not as a script of the page: its policy lets none in but ours
        found = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", WCAG)
        return [
            f"{each['id']}: {node['html']} {node['failureSummary']}"
            for each in found["violations"]
            for node in each["nodes"]
        ]

    return judge

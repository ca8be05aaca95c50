"""For the virtual machine only (`make test-bluez`): elsewhere nothing here is collected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.home import Home, opened
from gateway.settings import Settings
from storage import patients
from tests.bluez.bench import Air, Bench, BluetoothDaemon, running_air

IN_THE_MACHINE = Path("/out/command").exists()
collect_ignore_glob = [] if IN_THE_MACHINE else ["test_*.py"]


@pytest.fixture(scope="session")
async def bluetoothd() -> AsyncIterator[BluetoothDaemon]:
    daemon = BluetoothDaemon()
    await daemon.start()
    yield daemon
    await daemon.stop()


@pytest.fixture(scope="session")
async def air(bluetoothd: BluetoothDaemon) -> AsyncIterator[Air]:
    async with running_air(Path("/run/air.sock")) as running:
        yield running


@pytest.fixture(scope="session")
async def home(database_home: Path) -> AsyncIterator[Home]:
    """A real home, with PostgreSQL in the machine."""
    async with opened(Settings(home=database_home, ble=None)) as home:
        yield home


@pytest.fixture
async def at(home: Home, air: Air, bluetoothd: BluetoothDaemon) -> Bench:
    """A new person with a meter as new, and an adapter that has just been plugged in."""
    async with home.database.writer() as connection:
        patient = await patients.add(connection, f"person {uuid4()}", "Europe/Paris")
    bench = Bench(home, patient, air, bluetoothd)
    await bench.begin()
    return bench

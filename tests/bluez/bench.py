"""A gateway, a real `bluetoothd` and the air behind the kernel: what the Linux tests work with."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bleak.backends.bluezdbus.manager import get_global_bluez_manager
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError
from dbus_fast import Variant

from gateway.ble.bluez import PROPERTIES, call, system_bus
from gateway.ble.limits import Limits
from gateway.ble.radio import Found, Radio, open_radio
from gateway.home import Home
from gateway.known_devices import known_devices, pair_device, sync_device
from gateway.sync import SyncOutcome
from storage.devices import StoredDevice
from storage.patients import Patient

METER = "C0:FF:EE:00:00:01"
ADAPTER = "/org/bluez/hci0"
DAEMONS = (Path("/usr/libexec/bluetooth/bluetoothd"), Path("/usr/lib/bluetooth/bluetoothd"))
LOG = Path("/out/bluetoothd.log")
PATIENCE = 60
"""Seconds for what takes a moment on a real computer: this one is emulated, and its host is busy."""

SLOW = Limits(operation=20.0, asked=30.0, silence=20.0, context=5.0, listen_again=10.0, connect=40.0)
"""For the tests in which what is waited for comes: no limit is to end it, however slow the machine."""

SHORT = Limits(scan=6.0, connect=8.0, encrypt=2.0, listen_again=6.0, pair=8.0, operation=8.0, asked=30.0)
"""For the tests in which what is waited for never comes."""


class BluetoothDaemon:
    """`bluetoothd`, which a test may stop."""

    _process: asyncio.subprocess.Process | None = None

    def __init__(self) -> None:
        self._program = next(path for path in DAEMONS if path.exists())
        self._log = LOG.open("ab")

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            self._program, "-n", stdout=self._log, stderr=self._log
        )

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()


class Air:
    """The program `tests.bluez.air`, by its commands."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def __call__(self, *command: object) -> Any:
        reader, writer = await asyncio.open_unix_connection(self._socket)
        try:
            writer.write(json.dumps(command).encode() + b"\n")
            answer = await reader.readline()
            assert answer, f"the air failed at {command}"
            return json.loads(answer)
        finally:
            writer.close()


@asynccontextmanager
async def running_air(socket: Path) -> AsyncIterator[Air]:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bluez.air", str(socket), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await program.stdout.readline() == b"air: ready\n"
        yield Air(socket)
    finally:
        program.terminate()
        await program.wait()


class Bench:
    """A person with a meter, a computer and a store."""

    def __init__(self, home: Home, patient: Patient, air: Air, bluetoothd: BluetoothDaemon) -> None:
        self.home, self.patient, self.air, self.bluetoothd = home, patient, air, bluetoothd

    async def begin(self) -> None:
        """Another meter, a new adapter, and no bond on either side."""
        await self.air("renew", self.patient.name)
        _forget_all_bonds()
        await self.air("plug")
        await self.power(on=True)

    async def power(self, *, on: bool) -> None:
        """Switch the adapter, once it is there; bleak has heard of it when this returns."""
        async with asyncio.timeout(PATIENCE):
            while not await self._switched(on):  # noqa: ASYNC110 - nothing tells when it may be
                await asyncio.sleep(0.2)
        await self.wait_for_adapter(there=on)

    @staticmethod
    async def _switched(on: bool) -> bool:
        try:
            async with system_bus() as bus:
                switch = ("org.bluez.Adapter1", "Powered", Variant("b", on))
                await call(bus, ADAPTER, PROPERTIES, "Set", "ssv", *switch)
        except BleakDBusError:
            return False
        return True

    async def wait_for_adapter(self, *, there: bool) -> None:
        """Until bleak knows that the adapter is on, or is gone; it tells nobody when."""
        async with asyncio.timeout(PATIENCE):
            while await self._bleak_has_an_adapter() is not there:  # noqa: ASYNC110 - as it says
                await asyncio.sleep(0.1)

    @staticmethod
    async def _bleak_has_an_adapter() -> bool:
        try:
            (await get_global_bluez_manager()).get_default_adapter()
        except (BleakBluetoothNotAvailableError, BleakDBusError):
            return False
        return True

    @asynccontextmanager
    async def radio(self, limits: Limits = SLOW) -> AsyncIterator[Radio]:
        """The gateway's radio: this computer's own."""
        async with open_radio(None, self.home.settings.home, limits) as radio:
            yield radio

    async def find(self, radio: Radio) -> Found:
        return await radio.find(lambda found: found.address == METER, PATIENCE)

    async def read_display(self) -> str:
        """A person types what the meter shows."""
        return await self.air("passkey")

    async def misread_display(self) -> int:
        """A person types something else."""
        return (int(await self.air("passkey")) + 1) % 1_000_000

    async def pair(self, passkey: Any = None, limits: Limits = SLOW) -> StoredDevice:
        """Pair as `passerelle pair` does: over two links, then kept."""
        async with self.radio(limits) as radio:
            found = await self.find(radio)
            return await pair_device(self.home, radio, found, self.patient, passkey or self.read_display)

    async def sync(self, device: StoredDevice, limits: Limits = SLOW, *, full: bool = False) -> SyncOutcome:
        """Sync as `passerelle sync` does."""
        async with self.radio(limits) as radio:
            return await sync_device(self.home, radio, self.patient, device, full=full)

    async def known(self) -> StoredDevice:
        """The meter as it is kept now."""
        ((_, device),) = [
            known
            for known in await known_devices(self.home)
            if known[0].patient_id == self.patient.patient_id
        ]
        return device

    async def count(self) -> int:
        """How many readings of this person the store holds."""
        async with self.home.database.writer() as connection:
            query = "SELECT count(*) FROM passerelle.reading WHERE patient_id = %s"
            rows = await (await connection.execute(query, (self.patient.patient_id,))).fetchall()
        return int(rows[0][0])


def _forget_all_bonds() -> None:
    """Those of the computer: `bluetoothd` reads them when an adapter comes."""
    for known in Path("/var/lib/bluetooth").glob("*"):
        shutil.rmtree(known)

"""How it stands with Bluetooth, asked over a real D-Bus daemon of the test's own, with its real policies.

Who answers as `org.bluez` there is a stand-in: the real bluetoothd needs a kernel's radio, and has it in
`tests/bluez`.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusBool, DBusStr
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_property

from gateway.ble.standing import Service, Standing, look

CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_destination="*"/><allow receive_sender="*"/>{policy}</policy></busconfig>
"""
DENIED = '<deny send_destination="org.bluez" send_interface="org.freedesktop.DBus.ObjectManager"/>'

pytestmark = pytest.mark.skipif(
    not shutil.which("dbus-daemon"), reason="needs dbus-daemon (apt: dbus-daemon)"
)


class Adapter(ServiceInterface):
    """A stand-in for one adapter."""

    def __init__(self, powered: bool) -> None:
        super().__init__("org.bluez.Adapter1")
        self._powered = powered

    @dbus_property(access=PropertyAccess.READ, name="Powered")
    def powered(self) -> DBusBool:
        return self._powered


class Paired(ServiceInterface):
    """A stand-in for one paired device."""

    def __init__(self) -> None:
        super().__init__("org.bluez.Device1")

    @dbus_property(access=PropertyAccess.READ, name="Paired")
    def paired(self) -> DBusBool:
        return True

    @dbus_property(access=PropertyAccess.READ, name="Address")
    def address(self) -> DBusStr:
        return "C0:FF:EE:00:00:01"


@asynccontextmanager
async def bus(folder: Path, monkeypatch: pytest.MonkeyPatch, policy: str = "") -> AsyncIterator[str]:
    """A system bus of our own while the block lasts; gives its address."""
    address = f"unix:path={folder / 'bus'}"
    configuration = folder / "bus.conf"
    configuration.write_text(CONFIGURATION.format(socket=folder / "bus", policy=policy))
    daemon = await asyncio.create_subprocess_exec(
        "dbus-daemon",
        f"--config-file={configuration}",
        "--nofork",
        "--print-address",
        stdout=asyncio.subprocess.PIPE,
    )
    assert daemon.stdout is not None
    await daemon.stdout.readline()  # it says its address when it listens
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    try:
        yield address
    finally:
        daemon.terminate()
        await daemon.wait()


@asynccontextmanager
async def bluez(address: str, *adapters: bool) -> AsyncIterator[None]:
    """Somebody on that bus who answers as BlueZ does: adapters that are on or off, and a paired device."""
    connected = await MessageBus(bus_address=address).connect()
    for number, powered in enumerate(adapters):
        connected.export(f"/org/bluez/hci{number}", Adapter(powered))
    connected.export("/org/bluez/hci0/dev_C0", Paired())
    await connected.request_name("org.bluez")
    try:
        yield
    finally:
        connected.disconnect()


async def test_adapters_and_paired_devices_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bus(tmp_path, monkeypatch) as address, bluez(address, True, False):
        assert await look() == Standing(Service.ANSWERS, 2, 1, frozenset({"C0:FF:EE:00:00:01"}))


async def test_a_bluetoothd_that_does_not_run_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bus(tmp_path, monkeypatch):
        assert (await look()).service is Service.NOT_RUNNING


async def test_who_may_not_speak_to_bluetoothd_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bus(tmp_path, monkeypatch, DENIED) as address, bluez(address, True):
        assert (await look()).service is Service.NOT_ALLOWED


async def test_a_system_without_a_bus_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    assert (await look()).service is Service.NO_BUS

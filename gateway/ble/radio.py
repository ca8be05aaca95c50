"""The radio: who is near, and a link to one of them. One process of a home holds it at a time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from device_profiles import catalogue
from device_profiles.errors import DeviceError
from device_profiles.profile import Advertisement, DeviceProfile
from device_profiles.text import one_line
from gateway.ble import standing
from gateway.ble.connection import Connection, within
from gateway.ble.errors import (
    BondLost,
    NotInRange,
    RadioAbsent,
    RadioNotAllowed,
    RadioServiceStopped,
    RadioUnavailable,
    ServiceMissing,
)
from gateway.ble.limits import LIMITS, Limits
from gateway.ble.linking import Link
from gateway.ble.pairing import PasskeySource, passkey_entry
from gateway.ble.radio_lock import Lease, held
from gateway.ble.standing import Service

if TYPE_CHECKING:
    from bumble.transport.common import Transport

    from gateway.ble.bumble_host import BumbleHost

BUMBLE: Final = "bumble:"
BASE_UUID: Final = "-0000-1000-8000-00805f9b34fb"


_WITHOUT_ADAPTERS: Final[dict[Service, type[RadioUnavailable]]] = {
    Service.NO_BUS: RadioServiceStopped,
    Service.NOT_RUNNING: RadioServiceStopped,
    Service.NOT_ALLOWED: RadioNotAllowed,
}


@dataclass(frozen=True, slots=True)
class Found:
    """A device that was heard."""

    address: str
    """How this computer addresses it: not who it is (macOS hides addresses, others change them)."""
    name: str | None
    profile: DeviceProfile | None
    """What it is; None where the catalogue does not know."""
    signal_dbm: int
    advertisement: Advertisement
    device: BLEDevice


class Radio:
    """An open radio; made by `open_radio`."""

    def __init__(self, host: BumbleHost | None, limits: Limits = LIMITS, lease: Lease | None = None) -> None:
        self.limits = limits
        self._lease = lease
        self._host = host
        self._scanner: dict[str, Any] = {}
        self._client: dict[str, Any] = {}
        if host is not None:
            from gateway.ble.bumble_backend import BumbleClient, BumbleScanner  # noqa: PLC0415 - as below

            self._scanner = {"backend": BumbleScanner, "host": host}
            self._client = {"backend": BumbleClient, "host": host}

    @property
    def asks_for_passkey(self) -> bool:
        """Whether a PasskeySource is asked when pairing; else the system itself asks (Windows, macOS)."""
        return self._host is not None or sys.platform == "linux"

    @property
    def wanted(self) -> bool:
        """Whether another process waits for this radio."""
        return self._lease is not None and self._lease.wanted()

    @property
    def gone(self) -> bool:
        """Whether it is certain that this radio answers no more: a new one is opened instead."""
        return self._host is not None and self._host.ended.done()

    async def discover(self, seconds: float) -> list[Found]:
        """Everything that is heard in so many seconds, the nearest first. Raises RadioUnavailable."""
        heard: dict[str, Found] = {}

        def remember(found: Found) -> None:
            heard[found.address] = found

        async with self.listening(remember):
            await asyncio.sleep(seconds)
        return sorted(heard.values(), key=lambda found: -found.signal_dbm)

    async def find(self, wanted: Callable[[Found], bool], seconds: float | None = None) -> Found:
        """The first device that is wanted, as soon as it is heard. Raises NotInRange, RadioUnavailable."""
        first: asyncio.Future[Found] = asyncio.get_running_loop().create_future()

        def look(found: Found) -> None:
            if not first.done() and wanted(found):
                first.set_result(found)

        async with self.listening(look):
            try:
                async with asyncio.timeout(self.limits.scan if seconds is None else seconds):
                    return await first
            except TimeoutError:
                raise NotInRange from None

    @asynccontextmanager
    async def listening(self, on_found: Callable[[Found], None]) -> AsyncIterator[None]:
        """Tell of each advertisement that is heard, until the block ends. Raises RadioUnavailable."""
        scanner = BleakScanner(lambda device, said: on_found(_found(device, said)), **self._scanner)
        ended = None if self._host is None else self._host.ended
        try:
            await within(scanner.start(), self.limits.operation, ended)
        except RadioAbsent:
            raise await self._why_absent() from None
        except RadioUnavailable:
            raise
        except DeviceError:  # there is no device yet: it is the radio that is meant
            raise RadioUnavailable from None
        try:
            yield
        finally:
            with suppress(DeviceError):  # whatever it is that does not stop, what was heard was heard
                await within(scanner.stop(), self.limits.operation, ended)

    async def _why_absent(self) -> RadioUnavailable:
        """To bleak, a `bluetoothd` that has ended while we run is a computer without adapters."""
        if self._host is None and standing.has_service():
            seen = await within(standing.look(), self.limits.operation)
            return _WITHOUT_ADAPTERS.get(seen.service, RadioAbsent)()
        return RadioAbsent()

    @asynccontextmanager
    async def connect(self, found: Found, passkey: PasskeySource = None) -> AsyncIterator[Connection]:
        """A link to a device, paired if it was not and a passkey is given; always ended with the block.

        A bond that the device has forgotten is made anew where there is a passkey for it: whoever reads the
        six digits from the device and types them has the device in front of them.

        Raises NotInRange, BondLost, PasskeyRefused, PasskeyMalformed, ConnectionLost, ServiceMissing,
        RadioStuck, PairingBySystem.
        """
        profile = found.profile
        if profile is None:
            raise ServiceMissing
        entry = passkey_entry(passkey)
        link = Link(self, found, self._host, self._client)
        try:
            try:
                await link.open()
            except BondLost:
                if entry is None:
                    raise
                await link.anew()
            if entry is not None:
                await link.pair(entry)
            yield Connection(link.client, profile, link.lost, self.limits, link.explain)
        finally:
            await link.end()

    async def forget(self, found: Found) -> Found:
        """Forget the bond with a device, and hear it again: some platforms forget the device with it.

        Raises NotInRange, RadioUnavailable.
        """
        # macOS forgets only in its own settings.
        with suppress(DeviceError, NotImplementedError):
            client = BleakClient(found.device, **self._client)
            await within(client.unpair(), self.limits.operation)
        return await self.find(lambda other: other.address == found.address)


def _found(device: BLEDevice, said: AdvertisementData) -> Found:
    services = tuple(int(uuid[:8], 16) for uuid in said.service_uuids if uuid.endswith(BASE_UUID))
    name = one_line(said.local_name or device.name or "") or None  # anyone near may advertise anything
    advertisement = Advertisement(name, services, said.manufacturer_data)
    profile = catalogue.match(advertisement)
    return Found(device.address, name, profile, said.rssi, advertisement, device)


@asynccontextmanager
async def open_radio(
    setting: str | Transport | None,
    home: Path,
    limits: Limits = LIMITS,
    *,
    wait_seconds: float | None = None,
    yields: bool = False,
) -> AsyncIterator[Radio]:
    """The radio of this computer (None), or Bumble's (`bumble:<transport>`, or an open transport).

    `home` keeps the bonds that Bumble makes (the platform keeps its own), and who holds the radio.
    `wait_seconds`: how long a watcher that holds it has to make room, unless given the limits' `handover`.
    `yields`: we are such a watcher (see `gateway.ble.radio_lock`).
    Raises RadioBusy, RadioUnavailable.
    """
    wait_seconds = limits.handover if wait_seconds is None else wait_seconds
    async with held(home, wait_seconds=wait_seconds, yields=yields) as lease:
        if setting is None:
            yield Radio(None, limits, lease)
            return
        # A second of imports that the platform's own radio does not need.
        from gateway.ble.bumble_host import bumble_host  # noqa: PLC0415

        if isinstance(setting, str):
            if not setting.startswith(BUMBLE):
                raise RadioUnavailable
            setting = setting.removeprefix(BUMBLE)
        async with bumble_host(setting, home / "bonds.json", limits) as host:
            yield Radio(host, limits, lease)

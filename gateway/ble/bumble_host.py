"""A Bluetooth host in this process, by Bumble: a transport, an address of its own, bonds, a passkey."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bumble import hci
from bumble.core import BaseBumbleError
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.keys import JsonKeyStore, KeyStore, MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import Transport

from gateway.ble.errors import RadioUnavailable
from gateway.ble.limits import LIMITS, Limits
from gateway.ble.pairing import PasskeyEntry

Database = dict[str, dict[str, dict[str, object]]]

logger = logging.getLogger(__name__)
# Bumble warns of what we raise as an error; without a handler of its own that would go to the terminal.
logging.getLogger("bumble").addHandler(logging.NullHandler())


class BondFile(JsonKeyStore):
    """Bonds in one JSON file that only its owner can read: keys by our own address, then by the peer's.

    The address under which the first bond was made stays ours: peers know us by it.
    """

    def __init__(self, path: Path) -> None:
        known = self._read(path)
        self.own_address = hci.Address(next(iter(known), None) or str(hci.Address.generate_static_address()))
        super().__init__(namespace=str(self.own_address), filename=str(path))

    @staticmethod
    def _read(path: Path) -> Database:
        try:
            database: Database = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            # Bonds can be made again; the file is kept for whoever wants to know what happened to it.
            logger.warning("The file of bonds cannot be read; it is put aside, devices must be paired again.")
            path.replace(path.with_name(path.name + ".unreadable"))
            return {}
        return database

    async def save(self, db: Database) -> None:
        """Write the whole file anew, readable by its owner only, in one atomic step."""
        self._write(db)

    def _write(self, db: Database) -> None:
        temporary = self.filename.with_name(self.filename.name + ".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(db, file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.filename)

    async def delete(self, name: str) -> None:
        """Forget the bond with one peer, if there is one."""
        if await self.get(name) is not None:
            await super().delete(name)


class _Passkey(int):
    """A passkey of which 000000 counts as given: Bumble 0.0.236 takes a false one for a missing one."""

    def __bool__(self) -> bool:
        return True


class _Keyboard(PairingDelegate):
    """Our side of pairing: somebody types what the device shows. Just Works is refused."""

    def __init__(self, host: BumbleHost) -> None:
        # Our address does not change, so the peer needs no key to resolve it.
        super().__init__(
            io_capability=PairingDelegate.KEYBOARD_INPUT_ONLY,
            local_initiator_key_distribution=PairingDelegate.KeyDistribution.DISTRIBUTE_ENCRYPTION_KEY,
        )
        self._host = host

    async def get_number(self) -> int | None:
        try:
            number = await self._host.enter_passkey() if self._host.enter_passkey else None
        except Exception as error:  # noqa: BLE001 - whatever asks for the passkey may fail; `pair` raises it
            self._host.entry_error = error
            return None
        return None if number is None else _Passkey(number)

    async def confirm(self, auto: bool = False) -> bool:
        # Just Works protects from nobody, and a meter that means its protection refuses such a key later.
        del auto
        return False


class BumbleHost:
    """What the bleak backends of this folder drive; made by `bumble_host`."""

    def __init__(self, transport: Transport, bonds: Path | None) -> None:
        store = BondFile(bonds) if bonds else None
        address = store.own_address if store else hci.Address.generate_static_address()
        self.keystore: KeyStore = store or MemoryKeyStore()
        self.enter_passkey: PasskeyEntry | None = None
        self.entry_error: Exception | None = None
        self.device = Device.from_config_with_hci(
            DeviceConfiguration(
                name="Passerelle", address=address, identity_address_type=hci.Address.RANDOM_DEVICE_ADDRESS
            ),
            transport.source,
            transport.sink,
        )
        self.device.keystore = self.keystore
        self.device.pairing_config_factory = self._pairing
        self.connecting = asyncio.Lock()
        self._scans = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the controller is gone: unplugged, or its other end closed."""
        transport.source.terminated.add_done_callback(lambda _: self._lose_connections())

    def _pairing(self, connection: Connection) -> PairingConfig:
        del connection
        return PairingConfig(
            sc=True,
            mitm=True,
            bonding=True,
            delegate=_Keyboard(self),
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )

    def identity_of(self, address: hci.Address) -> hci.Address:
        """The lasting address of a bonded peer that advertises with one that changes."""
        resolver = getattr(self.device, "address_resolver", None)
        return (address.is_resolvable and resolver and resolver.resolve(address)) or address

    async def start_scanning(self, active: bool) -> None:
        """Scan for one more scanner; the first of them starts the radio."""
        self._scans += 1
        if self._scans == 1:
            await self.device.start_scanning(active=active)

    async def stop_scanning(self) -> None:
        """Scan for one scanner less; the last of them stops the radio."""
        self._scans -= 1
        if self._scans == 0:
            await self.device.stop_scanning()

    async def stop_connecting(self) -> None:
        """Cancel a connection attempt: an abandoned one stays pending in the controller."""
        try:
            await self.device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
        except (hci.HCI_Error, BaseBumbleError):
            logger.debug("no attempt was pending")

    async def close(self, limits: Limits = LIMITS) -> None:
        """End what is still connected."""
        for connection in list(self.device.connections.values()):
            try:
                async with asyncio.timeout(limits.disconnect):
                    await connection.disconnect()
            except (TimeoutError, hci.HCI_Error, BaseBumbleError):
                logger.debug("a connection ended without a goodbye")

    def _lose_connections(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        # Bumble does not tell its connections that the controller is gone.
        for handle in list(self.device.connections):
            self.device.on_disconnection(handle, hci.HCI_CONNECTION_TIMEOUT_ERROR)


async def _powered_on(host: BumbleHost) -> None:
    """Raises OSError where the controller goes meanwhile: its host would wait for its answer for ever."""
    powering = asyncio.ensure_future(host.device.power_on())
    try:
        await asyncio.wait({powering, host.ended}, return_when=asyncio.FIRST_COMPLETED)
        if not powering.done():
            raise OSError
        powering.result()
    finally:
        powering.cancel()


@asynccontextmanager
async def bumble_host(
    transport: str | Transport, bonds: Path | None = None, limits: Limits = LIMITS
) -> AsyncIterator[BumbleHost]:
    """A host on a transport, by Bumble's name of it (`tcp-client:127.0.0.1:9000`, `usb:0`) or open already.

    `bonds`: the file that keeps the keys of paired devices; None keeps them until the end of the process.
    Raises RadioUnavailable where nothing answers.
    """
    try:
        async with asyncio.timeout(limits.open):
            if isinstance(transport, str):
                transport = await open_transport(transport)
    except (OSError, ValueError, ImportError, BaseBumbleError) as error:
        raise RadioUnavailable from error
    async with transport:
        host = BumbleHost(transport, bonds)
        try:
            async with asyncio.timeout(limits.open):
                await _powered_on(host)
        except (OSError, hci.HCI_Error, BaseBumbleError) as error:
            raise RadioUnavailable from error
        try:
            yield host
        finally:
            await host.close(limits)

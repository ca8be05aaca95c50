"""One virtual device as a Bluetooth peripheral: its table as a GATT server, its effects on the air."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from bumble import att, hci
from bumble.att import ATT_Error, AttributeValue
from bumble.controller import Controller
from bumble.core import UUID, AdvertisingData, BaseBumbleError
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, Descriptor, Service
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport.common import Transport

from device_profiles.virtual_device import (
    AttributeRefused,
    CharacteristicDeclaration,
    Disconnect,
    Effect,
    Indicate,
    LinkDropped,
    Notify,
    ServiceDeclaration,
    VirtualDevice,
)

ShowPasskey = Callable[[VirtualDevice, str], None]
"""Called with the device and the six digits that it shows."""

ADVERTISING_INTERVAL_MS = 30
"""The shortest of the three that Apple's guidelines recommend; a bench does not wait for adverts."""

AWAKE_SECONDS = 30.0
"""For so long a device that was used advertises fast (GLP §5.1.1), and many no longer."""

CCCD = UUID.from_16_bits(0x2902)
ACCESS = Characteristic.Permissions
PROPERTIES = {
    "read": Characteristic.Properties.READ,
    "write": Characteristic.Properties.WRITE,
    "notify": Characteristic.Properties.NOTIFY,
    "indicate": Characteristic.Properties.INDICATE,
}

logger = logging.getLogger(__name__)


class _Display(PairingDelegate):
    """The device's side of pairing: it shows six digits and has no keys."""

    def __init__(self, peripheral: Peripheral, tells_identity: bool) -> None:
        told = PairingDelegate.KeyDistribution.DISTRIBUTE_ENCRYPTION_KEY
        if tells_identity:
            told |= PairingDelegate.KeyDistribution.DISTRIBUTE_IDENTITY_KEY
        super().__init__(
            io_capability=PairingDelegate.DISPLAY_OUTPUT_ONLY, local_responder_key_distribution=told
        )
        self._peripheral = peripheral

    async def generate_passkey(self) -> int:
        # 0 is a passkey too, but Bumble 0.0.236 takes it for a missing one.
        return 2 + secrets.randbelow(999_998)

    async def display_number(self, number: int, digits: int) -> None:
        # Whatever is typed is wrong where what is shown is.
        shown = number - 1 if self._peripheral.virtual.faults.refuse_passkey else number
        self._peripheral.show(f"{shown:0{digits}}")

    async def confirm(self, auto: bool = False) -> bool:
        # Asked for Just Works, to a gateway that cannot type: a meter that protects its records refuses.
        del auto
        return False


class Peripheral:
    """A virtual device on the air."""

    def __init__(
        self, device: VirtualDevice, number: int, controller: Controller, on_passkey: ShowPasskey | None
    ) -> None:
        self.virtual = device
        self.controller = controller
        self.address = f"C0:FF:EE:00:00:{number:02X}"
        self._on_passkey = on_passkey
        self._tells_identity = False
        self._characteristics: dict[int, Characteristic[bytes]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._awake_until: float | None = None
        """On the loop's clock; None: it never sleeps."""
        self._uses = 0
        self._served = False
        """Whether the gateway that is connected was sent something."""
        self._woken_while_connected = False
        self._advertising = asyncio.Lock()
        self._falls_asleep: asyncio.TimerHandle | None = None
        transport = Transport(controller, controller)
        self._device = Device.from_config_with_hci(
            DeviceConfiguration(
                name=device.name,
                address=hci.Address(self.address),
                identity_address_type=hci.Address.RANDOM_DEVICE_ADDRESS,
                advertising_interval_min=ADVERTISING_INTERVAL_MS,
                advertising_interval_max=ADVERTISING_INTERVAL_MS,
                advertising_data=_advertising_data(device),
                gap_service_enabled=False,
                gatt_service_enabled=False,
            ),
            transport.source,
            transport.sink,
        )
        self.bonds = self._device.keystore = MemoryKeyStore()
        self._device.pairing_config_factory = self._pairing
        self._device.on("connection", self._on_connection)
        self._device.add_services([self._service(declared) for declared in device.gatt_table()])

    async def start(self) -> None:
        """Power on and advertise; after each connection, again."""
        await self._device.power_on()
        await self._device.start_advertising(auto_restart=True)

    async def stay_awake(self) -> None:
        """Advertise without end from here on, as some devices do."""
        async with self._advertising:
            self._awake_until = None
            await self._device.start_advertising(auto_restart=True)

    async def sleep(self) -> None:
        """Advertise no more until `wake`, as meters do between two measurements."""
        async with self._advertising:
            self._awake_until = 0.0
            await self._device.stop_advertising()

    async def wake(self, seconds: float = AWAKE_SECONDS) -> None:
        """Advertise for so long, as after a measurement; the goodbye of a gateway that was served ends it."""
        loop = asyncio.get_running_loop()
        self._uses += 1
        async with self._advertising:
            self._awake_until = loop.time() + seconds
            self._woken_while_connected = bool(self._device.connections)
            if self._falls_asleep:
                self._falls_asleep.cancel()
            self._falls_asleep = loop.call_later(seconds, lambda: self._soon(self.sleep()))
            if not self._woken_while_connected:
                await self._device.start_advertising()

    def _on_goodbye(self, reason: int) -> None:
        self.virtual.disconnected()
        if self._awake_until is None:
            return
        served, self._served = self._served, False
        # A cuff ends the link itself once it has given all that it had.
        all_given = len(self.virtual) == 0
        said_goodbye = served and (all_given or reason == hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR)
        left = self._awake_until - asyncio.get_running_loop().time()
        if left > 0 and (self._woken_while_connected or not said_goodbye):
            self._soon(self.wake(left))
        else:
            self._soon(self._sleep_unless_used(self._uses))

    async def _sleep_unless_used(self, uses: int) -> None:
        if uses == self._uses:
            await self.sleep()

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        """End the connections and whatever is being sent."""
        if self._falls_asleep:
            self._falls_asleep.cancel()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.disconnect()

    async def disconnect(self) -> None:
        """End the connections, as a device that goes to sleep."""
        for connection in list(self._device.connections.values()):
            with suppress(hci.HCI_Error, BaseBumbleError):
                await connection.disconnect()

    async def notify(self, uuid: int, value: bytes) -> None:
        """Notify whoever subscribed, of one's own accord."""
        await self._device.notify_subscribers(self._characteristics[uuid], value)

    async def use_changing_addresses(self) -> None:
        """Advertise with addresses that only bonded partners can resolve (Core Vol 6 Part B §1.3.2.2)."""
        self._device.irk = secrets.token_bytes(16)
        self._device.le_privacy_enabled = True
        self._tells_identity = True
        await self.change_address()

    async def change_address(self) -> None:
        """Take another of them."""
        await self._device.stop_advertising()
        await self._device.update_rpa()
        await self._device.start_advertising(auto_restart=True)

    async def forget(self) -> None:
        """Lose all bonds, as after a change of battery."""
        await self.bonds.delete_all()
        self.bonds.all_keys.clear()

    def show(self, digits: str) -> None:
        """The device's display."""
        if self._on_passkey:
            self._on_passkey(self.virtual, digits)

    def _pairing(self, connection: Connection) -> PairingConfig:
        del connection
        return PairingConfig(
            sc=True,
            mitm=True,
            bonding=True,
            delegate=_Display(self, self._tells_identity),
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )

    def _on_connection(self, connection: Connection) -> None:
        connection.on(Connection.EVENT_DISCONNECTION, self._on_goodbye)

    async def _protect(self, connection: Connection) -> None:
        """An encrypted link, by a key that was made with a passkey; else an error of the protocol.

        Bumble's own permission is content with any encrypted link, Just Works included: ask the key.
        """
        keys = await self.bonds.get(str(connection.peer_address))
        if not (connection.is_encrypted and keys and keys.ltk and keys.ltk.authenticated):
            raise ATT_Error(att.ATT_INSUFFICIENT_AUTHENTICATION_ERROR)

    def _service(self, declared: ServiceDeclaration) -> Service:
        return Service(
            UUID.from_16_bits(declared.uuid),
            [self._characteristic(each) for each in declared.characteristics],
        )

    def _characteristic(self, declared: CharacteristicDeclaration) -> Characteristic[bytes]:
        guarded = declared.protected

        async def read(connection: Connection) -> bytes:
            if guarded:
                await self._protect(connection)
            async with self._answering(connection):
                return self.virtual.read(declared.uuid)

        async def write(connection: Connection, value: bytes) -> None:
            if guarded:
                await self._protect(connection)
            async with self._answering(connection):
                effects = self.virtual.write(declared.uuid, value)
            self._perform_soon(connection, effects)

        properties = Characteristic.Properties(0)
        for name in declared.properties:
            properties |= PROPERTIES[name]
        permissions = ACCESS(0)
        permissions |= ACCESS.READABLE if "read" in declared.properties else 0
        permissions |= ACCESS.WRITEABLE if "write" in declared.properties else 0
        made = Characteristic[bytes](
            UUID.from_16_bits(declared.uuid), properties, permissions, AttributeValue(read=read, write=write)
        )
        if declared.properties & {"notify", "indicate"}:
            made.descriptors = [self._cccd(made, declared)]
        self._characteristics[declared.uuid] = made
        return made

    def _cccd(self, made: Characteristic[bytes], declared: CharacteristicDeclaration) -> Descriptor:
        """The descriptor that switches notifications, guarded as its characteristic is."""
        server = self._device.gatt_server

        async def write(connection: Connection, value: bytes) -> None:
            if declared.protected:
                await self._protect(connection)
            async with self._answering(connection):
                effects = self.virtual.subscribe(declared.uuid, int.from_bytes(value, "little"))
            server.write_cccd(connection, made, value)
            self._perform_soon(connection, effects)

        return Descriptor(
            CCCD,
            ACCESS.READABLE | ACCESS.WRITEABLE,
            AttributeValue(read=lambda connection: server.read_cccd(connection, made), write=write),
        )

    @asynccontextmanager
    async def _answering(self, connection: Connection) -> AsyncIterator[None]:
        """What the device refuses, as the protocol says it; a link that it ends instead of answering ends."""
        await self._take_time()
        try:
            yield
        except AttributeRefused as refused:
            raise ATT_Error(refused.code) from refused
        except LinkDropped:
            with suppress(hci.HCI_Error, BaseBumbleError):
                await connection.disconnect()
            raise ATT_Error(att.ATT_UNLIKELY_ERROR_ERROR) from None

    async def _take_time(self) -> None:
        """A slow device is slow before each message."""
        if self.virtual.faults.slow_seconds:
            await asyncio.sleep(self.virtual.faults.slow_seconds)

    def _perform_soon(self, connection: Connection, effects: Iterable[Effect]) -> None:
        # The write is answered first: what it sets off comes after.
        task = asyncio.create_task(self._perform(connection, effects))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _perform(self, connection: Connection, effects: Iterable[Effect]) -> None:
        with suppress(hci.HCI_Error, BaseBumbleError, TimeoutError):
            for effect in effects:
                self._served = True
                await self._take_time()
                match effect:
                    case Notify(uuid, value):
                        await self._device.notify_subscriber(connection, self._characteristics[uuid], value)
                        await asyncio.sleep(0)  # the other side may have something to say
                    case Indicate(uuid, value):
                        await self._device.indicate_subscriber(connection, self._characteristics[uuid], value)
                    case Disconnect():
                        await connection.drain()
                        await connection.disconnect()
                        return


def _advertising_data(device: VirtualDevice) -> bytes:
    """Flags, services, and the name as far as 31 bytes go (Core Supplement, Part A)."""
    services = b"".join(uuid.to_bytes(2, "little") for uuid in device.advertised_services)
    before: list[tuple[int, bytes]] = [
        (AdvertisingData.Type.FLAGS, b"\x06"),
        (AdvertisingData.Type.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, services),
    ]
    room = 31 - len(bytes(AdvertisingData(before))) - 2
    name = device.name.encode()
    kinds = AdvertisingData.Type
    kind = kinds.COMPLETE_LOCAL_NAME if len(name) <= room else kinds.SHORTENED_LOCAL_NAME
    return bytes(AdvertisingData([*before, (kind, name[:room])]))

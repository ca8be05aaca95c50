"""A bleak client and scanner over a Bumble host: one more platform, of which nothing above it knows.

    BleakScanner(backend=BumbleScanner, host=host)
    BleakClient(device, backend=BumbleClient)

Behaves as bleak does on Linux: the exceptions are bleak's, a bonded peer is encrypted while connecting, the
largest unit is agreed on, and notifications are preferred to indications.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError
from bumble import hci
from bumble.att import ATT_Error
from bumble.core import UUID, AdvertisingData, BaseBumbleError, PhysicalTransport
from bumble.core import TimeoutError as BumbleTimeoutError
from bumble.device import Advertisement, Connection
from bumble.gatt_client import CharacteristicProxy, ServiceProxy

from gateway.ble.bumble_host import BumbleHost
from gateway.ble.pairing import BondRefused, PairingRefused

T = TypeVar("T")

LARGEST_UNIT = 517
"""What we offer as attribute protocol unit: an attribute of 512 bytes in one packet."""

CCCD = UUID.from_16_bits(0x2902)
PROPERTY_NAMES = (
    "broadcast",
    "read",
    "write-without-response",
    "write",
    "notify",
    "indicate",
    "authenticated-signed-writes",
    "extended-properties",
)
"""By bit (Core Vol 3 Part G §3.3.1.1)."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """Where a device that was heard can be reached: the `details` of its BLEDevice."""

    host: BumbleHost
    address: hci.Address


class BumbleScanner(BaseBleakScanner):
    """Scans with a Bumble host, given as `host`."""

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str = "active",
        *,
        host: BumbleHost,
        **kwargs: Any,
    ) -> None:
        del kwargs
        super().__init__(detection_callback, service_uuids)
        self._host = host
        self._active = scanning_mode == "active"

    async def start(self) -> None:
        """Start listening."""
        self.seen_devices.clear()
        self._host.device.on("advertisement", self._heard)
        try:
            await self._host.start_scanning(self._active)
        except (hci.HCI_Error, BaseBumbleError) as error:
            raise BleakError("the radio does not scan") from error

    async def stop(self) -> None:
        """Stop listening."""
        self._host.device.remove_listener("advertisement", self._heard)
        try:
            await self._host.stop_scanning()
        except (hci.HCI_Error, BaseBumbleError) as error:
            raise BleakError("the radio does not stop scanning") from error

    def _heard(self, advertisement: Advertisement) -> None:
        said = _advertised(advertisement)
        address = self._host.identity_of(advertisement.address).to_string(with_type_qualifier=False)
        known = self.seen_devices.get(address)
        if said.local_name is None and known is not None:
            said = said._replace(local_name=known[1].local_name)
        if not self.is_allowed_uuid(said.service_uuids):
            return
        details = _Heard(self._host, advertisement.address)
        device = self.create_or_update_device(address, address, said.local_name, details, said)
        device.details = details
        self.call_detection_callbacks(device, said)


def _advertised(advertisement: Advertisement) -> AdvertisementData:
    """The fields of an advertisement (Core Supplement, Part A)."""
    kinds = AdvertisingData.Type
    names: dict[int, str] = {}
    uuids: dict[str, None] = {}
    makers: dict[int, bytes] = {}
    service_data: dict[str, bytes] = {}
    for kind, value in advertisement.data.ad_structures:
        match kind:
            case kinds.COMPLETE_LOCAL_NAME | kinds.SHORTENED_LOCAL_NAME:
                names[kind] = value.decode("utf-8", "replace")
            case (
                kinds.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS
                | kinds.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS
            ):
                uuids |= dict.fromkeys(_uuids(value, 2))
            case (
                kinds.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS
                | kinds.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS
            ):
                uuids |= dict.fromkeys(_uuids(value, 16))
            case kinds.MANUFACTURER_SPECIFIC_DATA if len(value) >= 2:
                makers[int.from_bytes(value[:2], "little")] = value[2:]
            case kinds.SERVICE_DATA_16_BIT_UUID if len(value) >= 2:
                service_data[_long(UUID.from_bytes(value[:2]))] = value[2:]
    name = names.get(kinds.COMPLETE_LOCAL_NAME, names.get(kinds.SHORTENED_LOCAL_NAME))
    return AdvertisementData(name, makers, service_data, list(uuids), None, advertisement.rssi, ())


def _uuids(value: bytes, size: int) -> list[str]:
    return [_long(UUID.from_bytes(value[at : at + size])) for at in range(0, len(value) - size + 1, size)]


def _long(uuid: UUID) -> str:
    """A UUID in bleak's form: 128 bits, in lower case."""
    raw = uuid.to_bytes(force_128=True)[::-1].hex()
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


class BumbleClient(BaseBleakClient):
    """A connection over a Bumble host; the host is the scanner's, or given as `host`."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        host: BumbleHost | None = None,
        **kwargs: Any,
    ) -> None:
        del kwargs
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        details = address_or_ble_device.details if isinstance(address_or_ble_device, BLEDevice) else None
        self._name = address_or_ble_device.name if isinstance(address_or_ble_device, BLEDevice) else None
        if isinstance(details, _Heard):
            host = details.host
        if host is None:
            raise BleakDeviceNotFoundError(self.address, "the device was heard by no Bumble host")
        self._host = host
        self._peer = details.address if isinstance(details, _Heard) else hci.Address(self.address)
        self._connection: Connection | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def name(self) -> str:
        """The name it advertises, else its address."""
        return self._name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """The agreed unit of the attribute protocol, in bytes."""
        return self._linked().att_mtu

    @property
    def is_connected(self) -> bool:
        """Whether the link is up."""
        return self._connection is not None and not self._gone.done()

    def _linked(self) -> Connection:
        if self._connection is None or self._gone.done():
            raise BleakError("Not connected")
        return self._connection

    async def connect(self, pair: bool, **kwargs: Any) -> None:
        """Connect, encrypt where there is a bond, agree on the unit, discover the services.

        Raises TimeoutError (nobody answers), BondRefused, BleakError.
        """
        del kwargs
        device = self._host.device
        try:
            async with asyncio.timeout(self._timeout), self._host.connecting:
                connection = await device.connect(
                    self._peer, PhysicalTransport.LE, own_address_type=hci.OwnAddressType.RANDOM, timeout=None
                )
        except (TimeoutError, BumbleTimeoutError) as error:
            await self._host.stop_connecting()
            raise TimeoutError("nobody answered") from error
        except asyncio.CancelledError:
            await self._host.stop_connecting()
            raise
        except (hci.HCI_Error, BaseBumbleError) as error:
            raise BleakError("the connection was refused") from error
        self._gone = asyncio.get_running_loop().create_future()
        self._connection = connection
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)
        try:
            await self._greet(connection, pair)
        except BaseException:
            await self.disconnect()
            raise

    async def _greet(self, connection: Connection, pair: bool) -> None:
        if await self._host.keystore.get(str(connection.peer_address)) is not None:
            await self._encrypt(connection)
        elif pair:
            await self.pair()
        with suppress(BleakGATTProtocolError):  # a peer may know no other unit than the smallest
            await self._ask(connection.gatt_client.request_mtu(LARGEST_UNIT))
        self.services = await self._ask(self._discover(connection))

    async def _encrypt(self, connection: Connection) -> None:
        try:
            await self._ask(connection.encrypt())
        except BleakError as error:
            # The peer says that the key is missing, or ends the link because the keys differ.
            raise BondRefused("the peer does not know the key") from error

    async def _discover(self, connection: Connection) -> BleakGATTServiceCollection:
        found = BleakGATTServiceCollection()
        for service in await connection.gatt_client.discover_services():
            theirs = BleakGATTService(service, service.handle, _long(service.uuid))
            found.add_service(theirs)
            for characteristic in await service.discover_characteristics():
                await self._add(found, theirs, service, characteristic)
        return found

    async def _add(
        self,
        found: BleakGATTServiceCollection,
        theirs: BleakGATTService,
        service: ServiceProxy,
        characteristic: CharacteristicProxy[bytes],
    ) -> None:
        names: list[Any] = [
            name for bit, name in enumerate(PROPERTY_NAMES) if characteristic.properties & 1 << bit
        ]
        entry = BleakGATTCharacteristic(
            characteristic,
            characteristic.handle,
            _long(characteristic.uuid),
            names,
            lambda: self.mtu_size - 3,
            theirs,
        )
        found.add_characteristic(entry)
        if characteristic.handle < min(characteristic.end_group_handle, service.end_group_handle):
            for descriptor in await characteristic.discover_descriptors():
                found.add_descriptor(
                    BleakGATTDescriptor(descriptor, descriptor.handle, _long(descriptor.type), entry)
                )

    async def disconnect(self) -> None:
        """End the link, if there is one."""
        if self._connection is not None and not self._gone.done():
            with suppress(hci.HCI_Error, BaseBumbleError):
                await self._connection.disconnect()
            self._on_disconnection()

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        """Pair with a passkey, asked through the host's `enter_passkey`. Raises PairingRefused."""
        del args, kwargs
        connection = self._linked()
        if connection.is_encrypted:
            return
        self._host.entry_error = None
        try:
            await self._ask(connection.pair())
        except PairingRefused:
            if self._host.entry_error is not None:
                raise self._host.entry_error from None
            raise

    async def unpair(self) -> None:
        """Forget the bond, and disconnect."""
        await self._host.keystore.delete(
            str(self._connection.peer_address if self._connection else self._peer)
        )
        await self.disconnect()

    async def read_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        *,
        use_cached: bool = False,
        **kwargs: Any,
    ) -> bytearray:
        """Read a value. Raises BleakGATTProtocolError, BleakError."""
        del use_cached, kwargs
        return bytearray(await self._ask(self._linked().gatt_client.read_value(characteristic.handle)))

    async def read_gatt_descriptor(
        self,
        descriptor: BleakGATTDescriptor,
        *,
        use_cached: bool = False,
        **kwargs: Any,
    ) -> bytearray:
        """Read a descriptor. Raises BleakGATTProtocolError, BleakError."""
        del use_cached, kwargs
        return bytearray(await self._ask(self._linked().gatt_client.read_value(descriptor.handle)))

    async def write_gatt_char(
        self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool
    ) -> None:
        """Write a value. Raises BleakGATTProtocolError, BleakError."""
        await self._write(characteristic.handle, bytes(data), response)

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor. Raises BleakGATTProtocolError, BleakError."""
        await self._write(descriptor.handle, bytes(data), response=True)

    async def start_notify(
        self,
        characteristic: BleakGATTCharacteristic,
        callback: NotifyCallback,
        **kwargs: Any,
    ) -> None:
        """Subscribe, to notifications where there is a choice. Raises BleakGATTProtocolError, BleakError."""
        del kwargs
        client = self._linked().gatt_client
        notifies = "notify" in characteristic.properties
        subscribers = client.notification_subscribers if notifies else client.indication_subscribers
        subscribers[characteristic.handle] = {lambda value: callback(bytearray(value))}
        await self._write(_cccd(characteristic), b"\x01\x00" if notifies else b"\x02\x00", response=True)

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Unsubscribe. Raises BleakGATTProtocolError, BleakError."""
        client = self._linked().gatt_client
        await self._write(_cccd(characteristic), b"\x00\x00", response=True)
        client.notification_subscribers.pop(characteristic.handle, None)
        client.indication_subscribers.pop(characteristic.handle, None)

    async def _write(self, handle: int, value: bytes, response: bool) -> None:
        await self._ask(self._linked().gatt_client.write_value(handle, value, with_response=response))

    async def _ask(self, asking: Coroutine[Any, Any, T]) -> T:
        """The answer of the peer, as long as there is a link: Bumble cancels the caller when it ends."""
        task = asyncio.create_task(asking)
        ends: set[asyncio.Future[Any]] = {task, self._gone}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() or task.cancelled():
                raise BleakError("the connection ended")
            return task.result()
        except ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from error
        except (hci.HCI_Error, BaseBumbleError) as error:
            if getattr(error, "error_namespace", None) == "smp":
                raise PairingRefused(int(getattr(error, "error_code", 0))) from error
            raise BleakError("the radio failed") from error
        finally:
            task.cancel()

    def _on_disconnection(self, reason: int = 0) -> None:
        del reason
        if not self._gone.done():
            self._gone.set_result(None)
            self.services = None
            if self._disconnected_callback:
                self._disconnected_callback()


def _cccd(characteristic: BleakGATTCharacteristic) -> int:
    """The handle of the descriptor that switches notifications."""
    descriptor = characteristic.get_descriptor(_long(CCCD))
    if descriptor is None:
        raise BleakError("the characteristic does not notify")
    return descriptor.handle

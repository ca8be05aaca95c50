"""One connected device: its characteristics by number, every call under its limit, every error ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, TypeVar

from bleak import BleakClient
from bleak.exc import BleakError

from device_profiles.errors import DeviceError, MalformedMeasurement
from device_profiles.procedures.record_access import AttributeRefused
from device_profiles.profile import DeviceProfile
from device_profiles.reading import Device, DeviceIdentity
from device_profiles.services import battery, device_information
from device_profiles.services.device_information import DeviceInformation
from gateway.ble.errors import ConnectionLost, DeviceSilent, RadioServiceStopped, ServiceMissing
from gateway.ble.limits import LIMITS, Limits
from gateway.ble.meanings import ours

T = TypeVar("T")

SAYS_WHO_IT_IS: Final = (*device_information.TEXTS.values(), device_information.SYSTEM_ID)


Explain = Callable[[DeviceError], Awaitable[DeviceError]]


class Connection:
    """A device to which there is a link; made by `Radio.connect`, which also ends it."""

    def __init__(
        self,
        client: BleakClient,
        profile: DeviceProfile,
        lost: asyncio.Future[None],
        limits: Limits = LIMITS,
        explain: Explain | None = None,
    ) -> None:
        """`lost` is done when the link has ended; `explain` knows more of a link that opened nothing."""
        self.profile = profile
        self.lost = lost
        self.limits = limits
        self._client = client
        self._explain = explain
        self._opened = False
        self._offered = {each.uuid: each for each in client.services.characteristics.values()}

    def has(self, uuid: int) -> bool:
        """Whether the device has this characteristic."""
        return long_uuid(uuid) in self._offered

    def takes(self, uuid: int) -> bool:
        """Whether a value of this characteristic can be written at all."""
        offered = self._offered.get(long_uuid(uuid))
        return offered is not None and "write" in offered.properties

    async def read(self, uuid: int) -> bytes | None:
        """The value of a characteristic; None where there is none, or where it may not be read.

        Raises PairingNeeded, ConnectionLost, DeviceSilent.
        """
        try:
            return bytes(await self._call(self._client.read_gatt_char(self._characteristic(uuid))))
        except (ServiceMissing, AttributeRefused):
            return None

    async def write(self, uuid: int, value: bytes) -> None:
        """Write a value, and have it confirmed.

        Raises PairingNeeded, AttributeRefused, ServiceMissing, ConnectionLost, DeviceSilent.
        """
        await self._call(self._client.write_gatt_char(self._characteristic(uuid), value, response=True))
        self._opened = True

    async def subscribe(self, uuid: int, on_value: Callable[[bytearray], None]) -> None:
        """Be told the values of a characteristic, by notification or indication. Raises as `write`."""
        await self._call(
            self._client.start_notify(self._characteristic(uuid), lambda _, value: on_value(value))
        )
        self._opened = True

    async def identify(self) -> Device:
        """Who the device is: by its serial number, else its System ID, else its address.

        A serial number alone is not enough: makers number their models each from one.
        """
        values = {uuid: await self.read(uuid) for uuid in SAYS_WHO_IT_IS if self.has(uuid)}
        said = DeviceInformation.of({uuid: value for uuid, value in values.items() if value is not None})
        named = (said.manufacturer, said.model, said.serial)
        if said.serial and all(named):
            identity = DeviceIdentity("serial", "/".join(str(part) for part in named))
        elif said.system_id is not None:
            identity = DeviceIdentity("system-id", str(said.system_id))
        else:
            identity = DeviceIdentity("address", self._client.address)
        return Device(identity, *named, firmware=said.firmware, profile=self.profile.name)

    async def clock_error(self, zone: tzinfo) -> int | None:
        """How far the device's clock is ahead of the time in `zone`, in seconds; None where it has none."""
        if self.profile.clock is None:
            return None
        raw = await self.read(self.profile.clock)
        now = datetime.now(zone).replace(tzinfo=UTC)
        try:
            shown = None if raw is None else self.profile.clock_time(raw).as_if_utc()
        except MalformedMeasurement:
            return None
        return None if shown is None else round((shown - now).total_seconds())

    async def battery_percent(self) -> int | None:
        """What is left in the battery; None where the device does not say."""
        raw = await self.read(battery.BATTERY_LEVEL)
        try:
            return None if raw is None else battery.BatteryLevel.decode(raw).percent
        except MalformedMeasurement:
            return None

    async def _call(self, asking: Coroutine[Any, Any, T]) -> T:
        try:
            return await within(asking, self.limits.operation, self.lost)
        except (DeviceSilent, ConnectionLost) as error:
            # Whoever has let us write or subscribe has accepted our bond: it is the device or the air.
            if self._explain is None or self._opened:
                raise
            raise await self._explain(error) from None

    def _characteristic(self, uuid: int) -> Any:
        try:
            return self._offered[long_uuid(uuid)]
        except KeyError:
            raise ServiceMissing from None


async def within(
    asking: Coroutine[Any, Any, T], seconds: float, lost: asyncio.Future[None] | None = None
) -> T:
    """The answer to a call to bleak, given up after its limit or when the link ends; errors as ours.

    A link that ends leaves some calls waiting for ever, so that the limit alone would be slow.
    Raises DeviceSilent, ConnectionLost, and what `ours` makes of bleak's errors.
    """
    task = asyncio.create_task(asking)
    waits: set[asyncio.Future[Any]] = {task} if lost is None else {task, lost}
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not task.cancelled():
            return task.result()
        raise ConnectionLost if lost is not None and lost.done() else DeviceSilent
    except EOFError:  # D-Bus has ended
        raise RadioServiceStopped from None
    except (BleakError, TimeoutError, OSError) as error:
        if lost is not None and lost.done():
            raise ConnectionLost from error
        raise ours(error) from error
    finally:
        task.cancel()


def long_uuid(uuid: int) -> str:
    """A UUID of the Bluetooth SIG as bleak names it."""
    return f"0000{uuid:04x}-0000-1000-8000-00805f9b34fb"

"""BlueZ over the system's D-Bus, for what bleak has no call for. Linux only.

Errors come as bleak's own, so that `gateway.ble.meanings` has one kind to explain.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from bleak.backends.device import BLEDevice
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakDBusError,
)
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError

BLUEZ: Final = "org.bluez"
DEVICE: Final = "org.bluez.Device1"
PROPERTIES: Final = "org.freedesktop.DBus.Properties"


@asynccontextmanager
async def system_bus() -> AsyncIterator[MessageBus]:
    """A connection of our own. Raises OSError, BleakBluetoothNotAvailableError where we are not let in."""
    bus = MessageBus(bus_type=BusType.SYSTEM)
    try:
        try:
            await bus.connect()
        except AuthError as error:
            reason = BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM
            raise BleakBluetoothNotAvailableError("D-Bus refuses us", reason) from error
        yield bus
    finally:
        bus.disconnect()  # needed after a failed attempt too, for its socket


async def call(
    bus: MessageBus, path: str, interface: str, member: str, signature: str = "", *values: object
) -> list[Any]:
    """Call a method of an object of BlueZ's. Raises BleakDBusError."""
    asked = Message(
        destination=BLUEZ,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=list(values),
    )
    reply = await bus.call(asked)
    if reply is None or reply.message_type is MessageType.ERROR:
        name, body = (reply.error_name, reply.body) if reply else (None, [])
        raise BleakDBusError(name or "org.freedesktop.DBus.Error.NoReply", body)
    return list(reply.body)


def path_of(device: BLEDevice) -> str:
    """BlueZ's name of a device that bleak heard."""
    return str(device.details["path"])


async def is_paired(path: str) -> bool:
    """Whether BlueZ holds a bond with this device. Raises BleakDBusError, OSError."""
    async with system_bus() as bus:
        (paired,) = await call(bus, path, PROPERTIES, "Get", "ss", DEVICE, "Paired")
    return bool(paired.value)

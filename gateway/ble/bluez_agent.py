"""Our pairing agent for BlueZ: it asks for the passkey of the one device that is being paired.

    async with pairing_agent(path, entry) as agent:
        await client.pair()

`bluetoothd` asks the agent of whoever called Pair, else the default one. bleak calls from a D-Bus connection
of its own, so ours must be the default, and is for as long as the block lasts: the agent of the desktop is
asked again afterwards. Whatever ends this process gives it back too, since an agent ends with its connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Final

from bleak.exc import BleakDBusError, BleakError
from dbus_fast import DBusError
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusObjectPath, DBusSignature, DBusStr, DBusUInt16, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method

from gateway.ble.bluez import DEVICE, call, system_bus
from gateway.ble.limits import LIMITS, Limits
from gateway.ble.pairing import PasskeyEntry

PATH: Final = "/passerelle/agent"
MANAGER: Final = ("/org/bluez", "org.bluez.AgentManager1")

Nothing = Annotated[None, DBusSignature("")]
"""What most methods answer; dbus-fast 5.2 cannot read a plain None where annotations are postponed."""


class PairingAgent(ServiceInterface):
    """`org.bluez.Agent1` for one device. Just Works is refused: it protects from nobody."""

    def __init__(self, device: str, entry: PasskeyEntry) -> None:
        super().__init__("org.bluez.Agent1")
        self.entry_error: Exception | None = None
        """What asking for the passkey raised; `bluetoothd` is only told that we refuse."""
        self.asked = asyncio.Event()
        """Set once `bluetoothd` has asked for the passkey."""
        self._device = device
        self._entry = entry
        self._asking: asyncio.Future[int | None] | None = None

    @dbus_method("RequestPasskey")
    async def request_passkey(self, device: DBusObjectPath) -> DBusUInt32:
        """Ask the person for the six digits."""
        if device != self._device:
            raise _refusal()
        self.asked.set()
        self._asking = asyncio.ensure_future(self._entry())
        try:
            typed = await self._asking
        except asyncio.CancelledError:
            raise DBusError("org.bluez.Error.Canceled", "nobody waits any more") from None
        except Exception as error:  # noqa: BLE001 - whatever asks for the passkey may fail; `_pair` raises it
            self.entry_error = error
            typed = None
        if typed is None:
            raise _refusal()
        return typed

    @dbus_method("RequestPinCode")
    def request_pin_code(self, device: DBusObjectPath) -> DBusStr:
        """Refuse: a code of classic Bluetooth."""
        raise _refusal()

    @dbus_method("DisplayPinCode")
    def display_pin_code(self, device: DBusObjectPath, code: DBusStr) -> Nothing:
        """Refuse: the same."""
        raise _refusal()

    @dbus_method("DisplayPasskey")
    def display_passkey(self, device: DBusObjectPath, passkey: DBusUInt32, entered: DBusUInt16) -> Nothing:
        """Say nothing: a meter has no keys on which somebody could type what we show."""

    @dbus_method("RequestConfirmation")
    def request_confirmation(self, device: DBusObjectPath, passkey: DBusUInt32) -> Nothing:
        """Refuse: nobody is there to compare."""
        raise _refusal()

    @dbus_method("RequestAuthorization")
    def request_authorization(self, device: DBusObjectPath) -> Nothing:
        """Refuse Just Works that the other side began."""
        raise _refusal()

    @dbus_method("AuthorizeService")
    def authorize_service(self, device: DBusObjectPath, uuid: DBusStr) -> Nothing:
        """Refuse another device that wants in while we are asked."""
        raise _refusal()

    @dbus_method("Cancel")
    def cancel(self) -> Nothing:
        """Stop asking: the pairing is over."""
        self.stop_asking()

    @dbus_method("Release")
    def release(self) -> Nothing:
        """Stop asking: `bluetoothd` goes."""
        self.stop_asking()

    def stop_asking(self) -> None:
        """End the wait of whoever was asked; no harm where nobody is."""
        if self._asking is not None:
            self._asking.cancel()


@asynccontextmanager
async def pairing_agent(
    device: str, entry: PasskeyEntry, limits: Limits = LIMITS
) -> AsyncIterator[PairingAgent]:
    """Be BlueZ's default agent for one device until the end of the block, however it ends.

    A block that fails or is cancelled also ends the pairing in `bluetoothd`, which would go on by itself.
    Raises BleakDBusError, BleakBluetoothNotAvailableError, OSError.
    """
    agent = PairingAgent(device, entry)
    async with system_bus() as bus:
        bus.export(PATH, agent)
        await _soon(bus, limits, *MANAGER, "RegisterAgent", "os", PATH, "KeyboardOnly")
        try:
            await _soon(bus, limits, *MANAGER, "RequestDefaultAgent", "o", PATH)
            yield agent
        except BaseException:
            with suppress(BleakError, OSError, EOFError):  # there may be no pairing, or no bluetoothd
                await _soon(bus, limits, device, DEVICE, "CancelPairing")
            raise
        finally:
            agent.stop_asking()
            with suppress(BleakError, OSError, EOFError):
                await _soon(bus, limits, *MANAGER, "UnregisterAgent", "o", PATH)


async def _soon(bus: MessageBus, limits: Limits, path: str, interface: str, member: str, *rest: str) -> None:
    """A call that `bluetoothd` answers at once, or never. Raises BleakDBusError."""
    try:
        async with asyncio.timeout(limits.disconnect):
            await call(bus, path, interface, member, *rest)
    except TimeoutError:
        raise BleakDBusError("org.freedesktop.DBus.Error.NoReply", []) from None


def _refusal() -> DBusError:
    return DBusError("org.bluez.Error.Rejected", "only the passkey of the device that is being paired")

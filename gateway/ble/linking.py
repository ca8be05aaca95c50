"""A link to one device, and the bond with it: how it is made, proven, made anew, and given up.

Pairing differs by who asks the person for the six digits: our host over Bumble, our agent over BlueZ, and
elsewhere the system itself.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from bleak import BleakClient
from bleak.exc import BleakError

from device_profiles.errors import DeviceError
from gateway.ble.connection import long_uuid, within
from gateway.ble.errors import (
    BondLost,
    ConnectionLost,
    DeviceSilent,
    HeldByAnother,
    MeterAsleep,
    NotInRange,
    OutOfRange,
    PairingBySystem,
    PairingInterrupted,
    PairingNeeded,
    PasskeyRefused,
    PasskeyTooLate,
    RadioStuck,
    RadioUnavailable,
    RecordsClosed,
)
from gateway.ble.meanings import ours
from gateway.ble.pairing import PasskeyEntry

if TYPE_CHECKING:
    from gateway.ble.bumble_host import BumbleHost
    from gateway.ble.radio import Found, Radio

FAINT_DBM: Final = -88
"""A laptop's receiver ends near -95 dBm; below this, so many packets are lost that a link does not hold."""


class Link:
    """One attempt to hold a device. `end` belongs after whatever happened."""

    def __init__(self, radio: Radio, found: Found, host: BumbleHost | None, client: dict[str, Any]) -> None:
        self._radio, self._limits = radio, radio.limits
        self._host = host
        self._options = client
        self._take(found)

    def _take(self, found: Found) -> None:
        """Begin anew with what was heard."""
        self._found = found
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lost = self.lost

        def on_disconnected(_: BleakClient) -> None:
            if not lost.done():
                lost.set_result(None)

        self.client = BleakClient(
            found.device, on_disconnected, timeout=self._limits.connect, **self._options
        )

    @property
    def bluez(self) -> bool:
        """Whether it is BlueZ that pairs."""
        return self._host is None and sys.platform == "linux"

    async def open(self) -> None:
        """Connect. Raises NotInRange, BondLost, ConnectionLost, RadioUnavailable."""
        try:
            await within(self.client.connect(), self._limits.connect + self._limits.encrypt)
        except BondLost:
            # BlueZ says the same of a first connection that breaks off.
            if self.bluez and not await self._is_paired():
                raise await self._why_unreachable() from None
            raise
        except (DeviceSilent, NotInRange):
            raise await self._why_unreachable() from None
        except RadioUnavailable:
            with suppress(NotInRange):  # listening says whether it is off, absent, or only did not connect
                await self._radio.find(self._is_it, self._limits.listen_again)
            raise

    async def anew(self) -> None:
        """Forget the bond, hear the device again, connect. Raises as `open`."""
        await self.end()
        self._take(await self._radio.forget(self._found))
        await self.open()

    async def pair(self, entry: PasskeyEntry) -> None:
        """Make a bond, unless there is one that opens the records.

        Raises PasskeyRefused, PasskeyMalformed, PairingInterrupted, ConnectionLost, RadioStuck,
        PairingBySystem.
        """
        if self._host is not None:
            with _typing(self._host, entry):
                await self._pair()
        elif self.bluez:
            if await self._is_paired():
                if await self._opens(self._limits.operation):
                    return
                await self.anew()
            await self._pair_by_agent(entry)
        else:
            await self._pair_by_system()

    async def end(self) -> None:
        """Disconnect; whatever goes wrong, the link is given up."""
        with suppress(DeviceError):
            await within(self.client.disconnect(), self._limits.disconnect)

    async def explain(self, error: DeviceError) -> DeviceError:
        """What it means that a call did not return, or ended the link, before anything was opened.

        Where the device asks for a better bond than there is, BlueZ tries to pair by itself: without an agent
        it waits for ever, or the device is refused and goes.
        """
        if not self.bluez:
            return error
        if not await self._is_paired():
            return PairingNeeded()
        return RecordsClosed() if isinstance(error, DeviceSilent) else error

    async def _pair(self) -> None:
        # BlueZ says by itself how it ended, a refusal or a lost link; its news of the link may come first.
        lost = None if self.bluez else self.lost
        try:
            await within(self.client.pair(), self._limits.pair, lost)
        except DeviceSilent:
            raise PasskeyTooLate from None
        except ConnectionLost:
            raise PairingInterrupted from None

    async def _pair_by_agent(self, entry: PasskeyEntry) -> None:
        from gateway.ble.bluez import path_of  # noqa: PLC0415 - D-Bus is for Linux only
        from gateway.ble.bluez_agent import pairing_agent  # noqa: PLC0415

        try:
            async with pairing_agent(path_of(self._found.device), entry, self._limits) as agent:
                try:
                    await self._pair_once_asked(agent.asked)
                except DeviceError:
                    if agent.entry_error is not None:
                        raise agent.entry_error from None
                    raise
        except (BleakError, OSError) as error:
            raise ours(error) from error

    async def _pair_once_asked(self, asked: asyncio.Event) -> None:
        """Pair, unless the question for the passkey does not come. Raises RadioStuck, and as `_pair`."""
        pairing = asyncio.create_task(self._pair())
        asking = asyncio.create_task(asked.wait())
        try:
            await asyncio.wait(
                {pairing, asking}, timeout=self._limits.asked, return_when=asyncio.FIRST_COMPLETED
            )
            if not (pairing.done() or asked.is_set()):
                raise RadioStuck
            await pairing
        finally:
            pairing.cancel()
            asking.cancel()

    async def _pair_by_system(self) -> None:
        """Windows and macOS ask by themselves: macOS as soon as something protected is asked for."""
        try:
            with suppress(NotImplementedError):
                await within(self.client.pair(), self._limits.pair, self.lost)
        except PasskeyRefused:
            raise PairingBySystem from None
        if not await self._opens(self._limits.pair):
            raise PasskeyTooLate

    async def _opens(self, seconds: float) -> bool:
        """Whether the bond opens the records: asked of the control point, which sends nothing by itself.

        A profile without one is believed: whoever subscribes to a measurement may be sent it, once.
        """
        records = self._found.profile and self._found.profile.records
        point = records and self.client.services.get_characteristic(long_uuid(records.control_point))
        if not point:
            return True
        try:
            await within(self.client.start_notify(point, lambda *_: None), seconds, self.lost)
            await within(self.client.stop_notify(point), seconds, self.lost)
        except (DeviceSilent, PairingNeeded, ConnectionLost):
            return False
        return True

    async def _is_paired(self) -> bool:
        from gateway.ble.bluez import is_paired, path_of  # noqa: PLC0415 - D-Bus is for Linux only

        try:
            return await within(is_paired(path_of(self._found.device)), self._limits.disconnect)
        except NotInRange:  # BlueZ has dropped the device, as it does with those that it holds no bond with
            return False

    async def _why_unreachable(self) -> DeviceError:
        """Why a device that was heard did not connect: listen again. Raises RadioUnavailable."""
        try:
            await self._radio.find(self._is_it, self._limits.listen_again)
        except NotInRange:
            return OutOfRange() if self._found.signal_dbm < FAINT_DBM else MeterAsleep()
        return HeldByAnother()

    def _is_it(self, other: Found) -> bool:
        return other.address == self._found.address


@contextmanager
def _typing(host: BumbleHost, entry: PasskeyEntry) -> Iterator[None]:
    """The passkey is asked here for as long as the block lasts."""
    host.enter_passkey = entry
    try:
        yield
    finally:
        host.enter_passkey = None

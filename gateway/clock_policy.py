"""What a person decides of the clock of a device that is known here."""

from __future__ import annotations

from gateway.home import Home
from gateway.known_devices import DeviceNotPaired, known_devices
from storage.devices import ClockPolicy, StoredDevice, allow_setting


async def named(home: Home, wanted: str) -> StoredDevice:
    """A device by its name or address, with what is known of its clock. Raises `DeviceNotPaired`."""
    known = await known_devices(home, wanted)
    if not known:
        raise DeviceNotPaired(device=wanted)
    return known[0][1]


async def allow(home: Home, wanted: str, policy: ClockPolicy | None, *, asked: bool) -> None:
    """Whether its clock may be set from now on (None: as before), and whether it shall be, once.

    Who asks for it allows it, whatever was said before. Raises `DeviceNotPaired`.
    """
    device = await named(home, wanted)
    chosen = device.clock_policy if policy is None else policy
    if asked and chosen is ClockPolicy.NEVER:
        chosen = ClockPolicy.TELL
    async with home.database.writer() as connection:
        await allow_setting(connection, device, chosen, asked=asked)

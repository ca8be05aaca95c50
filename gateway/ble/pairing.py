"""Where passkeys come from, and how a backend of ours says that there is no bond."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bleak.exc import BleakError

from gateway.ble.errors import PasskeyMalformed

PasskeyEntry = Callable[[], Awaitable[int | None]]
"""Asks for the six digits that the device shows; None gives up."""

PasskeySource = int | str | Callable[[], Awaitable[int | str | None]] | None
"""A passkey as a program meets one: given, asked for by a callback, or none."""


class BondRefused(BleakError):
    """The peer does not know, or no longer accepts, the key that was agreed with it."""


class PairingRefused(BleakError):
    """Pairing ended without a bond. `reason` is the Security Manager's (Core Vol 3 Part H §3.5.5)."""

    def __init__(self, reason: int) -> None:
        self.reason = reason
        super().__init__(f"pairing failed, reason {reason}")


def passkey_entry(source: PasskeySource) -> PasskeyEntry | None:
    """One way to ask, whatever the source is; None where there is no source.

    Raises PasskeyMalformed, at once for a passkey that is given and when it is typed for one that is asked.
    """
    if source is None:
        return None
    if not callable(source):
        given = passkey(source)

        async def give() -> int:
            return given

        return give

    ask = source

    async def asked() -> int | None:
        typed = await ask()
        return None if typed is None else passkey(typed)

    return asked


def passkey(typed: int | str) -> int:
    """The number that was typed: six digits, spaces allowed, zeros in front needed only where they are shown.

    Raises PasskeyMalformed.
    """
    digits = "".join(str(typed).split())
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 6):
        raise PasskeyMalformed
    return int(digits)

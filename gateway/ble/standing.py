"""How it stands with this computer's own Bluetooth, looked at without using it. Linux: what BlueZ says.

A look opens no radio, scans nothing and pairs with nobody, so that it may happen while a meter is read.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from bleak.exc import BleakDBusError, BleakError

_ADAPTER: Final = "org.bluez.Adapter1"
_DEVICE: Final = "org.bluez.Device1"
_DENIED: Final = ("org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.AuthFailed")

RFKILL: Final = Path("/sys/class/rfkill")


class Service(StrEnum):
    """Whether the service that holds the radio can be asked."""

    ANSWERS = "answers"
    NO_BUS = "no-bus"
    """There is no system bus, or it does not let this process in."""
    NOT_RUNNING = "not-running"
    NOT_ALLOWED = "not-allowed"


@dataclass(frozen=True, slots=True)
class Standing:
    """What was seen: adapters, those that are on, and the addresses of paired devices."""

    service: Service
    adapters: int = 0
    powered: int = 0
    paired: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Blocked:
    """Whether something keeps the radio from sending: the system (`soft`), or a switch (`hard`)."""

    soft: bool = False
    hard: bool = False


async def look() -> Standing:
    """Ask BlueZ. It has to be called within a time limit: a bus that is there may never answer."""
    from gateway.ble.bluez import call, system_bus  # noqa: PLC0415 - on Linux only

    try:
        async with system_bus() as bus:
            (objects,) = await call(bus, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
    except BleakDBusError as error:
        denied = error.dbus_error in _DENIED
        return Standing(Service.NOT_ALLOWED if denied else Service.NOT_RUNNING)
    except (BleakError, OSError, EOFError):
        return Standing(Service.NO_BUS)
    return standing_of(objects)


def standing_of(objects: dict[str, dict[str, dict[str, Any]]]) -> Standing:
    """What BlueZ's objects say, as D-Bus gives them: by path, by interface, by property."""
    adapters = [found[_ADAPTER] for found in objects.values() if _ADAPTER in found]
    devices = [found[_DEVICE] for found in objects.values() if _DEVICE in found]
    return Standing(
        Service.ANSWERS,
        len(adapters),
        sum(_said(adapter, "Powered") is True for adapter in adapters),
        frozenset(str(_said(device, "Address")) for device in devices if _said(device, "Paired") is True),
    )


def blocked(rfkill: Path = RFKILL) -> Blocked:
    """Whether every Bluetooth radio the kernel knows is kept silent; nothing is said where it knows none."""
    switches = [switch for switch in sorted(rfkill.glob("*")) if _word(switch / "type") == "bluetooth"]
    if not switches:
        return Blocked()
    return Blocked(
        soft=all(_word(switch / "soft") == "1" for switch in switches),
        hard=all(_word(switch / "hard") == "1" for switch in switches),
    )


def has_service() -> bool:
    """Whether `look` knows how to look on this platform."""
    return sys.platform == "linux"


def _said(properties: dict[str, Any], name: str) -> object:
    return getattr(properties.get(name), "value", None)


def _word(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

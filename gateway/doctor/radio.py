"""Bluetooth: is it there, on, allowed; and do the paired meters still have their bonds."""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from device_profiles.errors import DeviceError
from gateway.ble import standing
from gateway.ble.errors import RadioBusy, RadioNotAllowed
from gateway.ble.standing import Blocked, Service, Standing
from gateway.doctor import findings
from gateway.doctor.findings import Fact, Finding, Meaning, found, of_error
from gateway.platform_words import of_system
from gateway.settings import Settings
from storage.devices import StoredDevice

KERNELS_THAT_STOP: Final = (((6, 1, 177), (6, 1, 193)),)
"""From (included) to (excluded): a kernel BUG in `hci_chan_del` when a meter has forgotten its bond. Seen in
6.1.192; not in 6.1.170, 6.1.176 and 6.12.117. What lies between and was not tried is warned of too."""

LISTEN_SECONDS: Final = 1.0
"""Where the system has no other way to be asked: long enough to learn whether listening is allowed."""

_SERVICE: Final = {
    Service.NO_BUS: findings.RADIO_NO_BUS,
    Service.NOT_RUNNING: findings.RADIO_NO_SERVICE,
    Service.NOT_ALLOWED: findings.RADIO_NOT_ALLOWED,
}


async def radio(settings: Settings) -> Sequence[Finding]:
    """Whether a meter could be heard, without disturbing one that is being read."""
    if settings.ble is not None or not standing.has_service():
        return await _by_listening(settings)
    seen = of_standing(await standing.look(), standing.blocked())
    return [seen, *of_kernel(platform.release())]


def of_standing(seen: Standing, blocked: Blocked) -> Finding:
    """What was seen of BlueZ means to the person."""
    facts: Mapping[str, Fact] = {
        "service": str(seen.service),
        "adapters": seen.adapters,
        "powered": seen.powered,
    }
    return found(_meaning(seen, blocked), facts)


def _meaning(seen: Standing, blocked: Blocked) -> Meaning:
    if seen.service is not Service.ANSWERS:
        return _SERVICE[seen.service]
    if blocked.hard:
        return findings.RADIO_BLOCKED_HARD
    if blocked.soft:
        return findings.RADIO_BLOCKED
    if not seen.adapters:
        return findings.RADIO_NONE
    return findings.RADIO if seen.powered else findings.RADIO_OFF


def of_kernel(release: str) -> Sequence[Finding]:
    """A warning where this kernel is one of those that stop Bluetooth."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", _of_debian() if "-amd64" in release else release)
    if numbers is None:
        return []
    running = tuple(int(number) for number in numbers.groups())
    if any(first <= running < fixed for first, fixed in KERNELS_THAT_STOP):
        return [found(findings.KERNEL, {"kernel": ".".join(numbers.groups())})]
    return []


def _of_debian() -> str:
    """Debian's own number of the running kernel: its release (`6.1.0-40-amd64`) does not say it."""
    said = re.search(r"Debian (\d+\.\d+\.\d+)", platform.version())
    return said.group(1) if said else ""


async def _by_listening(settings: Settings) -> Sequence[Finding]:
    from gateway.ble.radio import open_radio  # noqa: PLC0415 - bleak is not needed where BlueZ answers

    try:
        async with open_radio(settings.ble, settings.home) as opened:
            await opened.discover(LISTEN_SECONDS)
    except RadioBusy:
        return [found(findings.RADIO_IN_USE)]
    except DeviceError as error:
        return [_with_place(of_error("radio", error), error)]
    return [found(findings.RADIO if settings.ble is None else findings.RADIO_ELSEWHERE)]


def _with_place(told: Finding, error: DeviceError) -> Finding:
    """A refusal of the system, with where it is taken back on this one."""
    system = of_system()
    if system is None or not isinstance(error, RadioNotAllowed):
        return told
    return replace(told, meaning=replace(told.meaning, then=system.allow))


async def paired_addresses(settings: Settings) -> frozenset[str] | None:
    """The addresses with which there is a bond; None where nobody says. Raises ValueError: a broken file."""
    if settings.ble is not None:
        return of_bond_file(settings.home / "bonds.json")
    if sys.platform != "linux":
        return None
    seen = await standing.look()
    return seen.paired if seen.service is Service.ANSWERS else None


def of_bond_file(path: Path) -> frozenset[str]:
    """The peers in Bumble's file of bonds. Raises ValueError for one that is broken, or was put aside."""
    if path.with_name(path.name + ".unreadable").exists() and not path.exists():
        raise ValueError("put aside")
    try:
        spaces = json.loads(path.read_text(encoding="utf-8"))
        return frozenset(_plain(peer) for peers in spaces.values() for peer in peers)
    except FileNotFoundError:
        return frozenset()
    except (AttributeError, TypeError, OSError):
        raise ValueError("no bonds") from None


def of_bonds(known: Collection[StoredDevice], paired: frozenset[str] | None) -> Sequence[Finding]:
    """Which known meters have no bond any more. One that was paired by another program counts as well."""
    if not known:
        return [found(findings.BONDS_NONE)]
    if paired is None:
        return [found(findings.BONDS_UNKNOWN, {"devices": len(known)})]
    there = {_plain(address) for address in paired}
    gone = [device for device in known if _plain(device.radio_address or "") not in there]
    if not gone:
        return [found(findings.BONDS, {"devices": len(known)})]
    return [found(findings.BOND_GONE, {"devices": len(known), "gone": len(gone)}, names=names(gone))]


def names(devices: Collection[StoredDevice]) -> str:
    """The devices as their person knows them, for the screen alone."""
    return ", ".join(
        device.radio_name or device.device.model or device.device.profile or "?" for device in devices
    )


def _plain(address: str) -> str:
    """An address without its kind (Bumble writes `C0:FF:EE:00:00:01/P`), in one case."""
    return address.partition("/")[0].upper()

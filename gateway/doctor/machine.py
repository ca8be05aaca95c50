"""The machine itself: the program, the folder of the readings, the disk, the clock."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from gateway import terminal
from gateway.doctor import findings
from gateway.doctor.findings import Finding, found
from gateway.settings import Settings

LOW: Final = 2 << 30
"""Bytes: a laptop with less is about to disturb its person in every program."""

FULL: Final = 300 << 20
"""Bytes: the database's log (256 MB at most, `storage.cluster.SETTINGS`) and some months of readings."""

RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that is right shows an earlier time: this program was not written yet."""

AHEAD: Final = 3600.0
"""Seconds that a file may seem to come from the future before the clock is said to have been set back."""

PRIVATE: Final = ("secret", "shelf-token", "bonds.json")
"""Files of a home whose content opens something."""


async def program(settings: Settings) -> Sequence[Finding]:
    """The version, and whether all it needs is there."""
    del settings
    return of_program(sys.version_info[:3], missing_parts())


def of_program(python: tuple[int, ...], missing: Sequence[str]) -> Sequence[Finding]:
    """What a Python and a list of missing packages mean."""
    written = ".".join(str(part) for part in python)
    if python < (3, 11):
        return [found(findings.PROGRAM_OLD_PYTHON, {"python": written}, python=written)]
    if missing:
        return [found(findings.PARTS_MISSING, {"count": len(missing)}, names=", ".join(missing))]
    facts = {"version": version("passerelle"), "python": written}
    return [found(findings.PROGRAM, facts, **facts)]


def missing_parts() -> list[str]:
    """The packages that this program names as its own and that are not installed here."""
    missing = []
    for requirement in requires("passerelle") or ():
        name, _, marker = requirement.partition(";")
        if sys.platform != "linux" and "linux" in marker:
            continue
        name = re.split(r"[^A-Za-z0-9._-]", name.strip())[0]
        try:
            version(name)
        except PackageNotFoundError:
            missing.append(name)
    return missing


async def home(settings: Settings) -> Sequence[Finding]:
    """Whether the folder of the readings is there, ours, and closed to others."""
    folder = settings.home
    shown = str(folder)
    if not folder.exists():
        return [found(findings.HOME_NONE, folder=shown)]
    if not os.access(folder, os.W_OK | os.X_OK):
        return [found(findings.HOME_READ_ONLY, folder=shown)]
    wrong = [] if sys.platform == "win32" else list(_open_to_others(folder))
    if not (folder / "secret").exists() and (folder / "shelf-token").exists():
        wrong.append(found(findings.SECRET_MISSING, folder=shown))
    return wrong or [found(findings.HOME, folder=shown)]


def _open_to_others(folder: Path) -> Iterable[Finding]:
    """Rights as POSIX has them. On Windows a profile's folders are its user's by inheritance."""
    there = folder.stat()
    if there.st_uid != os.geteuid():
        yield found(findings.HOME_OF_ANOTHER, folder=str(folder))
    elif stat.S_IMODE(there.st_mode) & 0o077:
        yield found(findings.HOME_OPEN, {"mode": stat.S_IMODE(there.st_mode)}, folder=str(folder))
    for name in PRIVATE:
        path = folder / name
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield found(findings.FILE_OPEN, {"file": name}, folder=str(folder), name=name)


async def disk(settings: Settings) -> Sequence[Finding]:
    """Room where the readings are written."""
    folder = next(place for place in (settings.home, *settings.home.parents) if place.exists())
    return of_disk(shutil.disk_usage(folder).free)


def of_disk(free: int) -> Sequence[Finding]:
    """What so many free bytes mean."""
    meaning = findings.DISK_FULL if free < FULL else findings.DISK_LOW if free < LOW else findings.DISK
    return [found(meaning, {"free_mb": free >> 20}, free=size(free))]


def size(octets: int) -> str:
    """Bytes as a person reads them."""
    if octets >= 1 << 30:
        return terminal.number(octets / (1 << 30), "GB")
    return terminal.number(octets / (1 << 20), "MB")


async def clock(settings: Settings) -> Sequence[Finding]:
    """Whether this computer's own clock can be believed: readings are placed in time by it."""
    return of_clock(datetime.now(UTC), newest(settings.home), await synchronised())


def of_clock(now: datetime, newest_file: float | None, by_network: bool | None) -> Sequence[Finding]:
    """What is known of a clock. `newest_file`: seconds since 1970 of the last write into the home."""
    shown = f"{now.astimezone():%Y-%m-%d %H:%M}"
    if now < RELEASED:
        return [found(findings.CLOCK_BEHIND, time=shown)]
    if newest_file is not None and newest_file > now.timestamp() + AHEAD:
        return [found(findings.CLOCK_SET_BACK, {"hours": round((newest_file - now.timestamp()) / 3600)})]
    if by_network is None:
        return [found(findings.CLOCK_UNKNOWN, time=shown)]
    return [found(findings.CLOCK if by_network else findings.CLOCK_BY_HAND, time=shown)]


def newest(folder: Path) -> float | None:
    """When the home was last written to, in seconds since 1970; None where there is nothing.

    Its own files and the database's folders, not the thousands of files in these: one that was written since
    the clock went wrong is enough.
    """
    times = []
    for place in (folder, folder / "postgresql", folder / "postgresql" / "data"):
        try:
            times += [entry.stat().st_mtime for entry in os.scandir(place) if not entry.is_symlink()]
        except OSError:
            continue
    return max(times, default=None)


async def synchronised() -> bool | None:
    """Whether the network sets this clock; None where the system does not say (only Linux is asked)."""
    said = await output_of("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return {"yes": True, "no": False}.get(said.strip()) if said is not None else None


async def output_of(*command: str, seconds: float = 5.0) -> str | None:
    """What a program of the system prints; None where it is not there, fails, or is silent for too long."""
    if (path := shutil.which(command[0])) is None:
        return None
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            *command[1:],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(seconds):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return said.decode(errors="replace") if process.returncode == 0 else None

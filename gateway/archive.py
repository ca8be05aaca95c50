"""Everything that is kept of a person, in one file that other programs read: FHIR, CSV and the raw bytes.

A zip file, written as it is read: a page of readings at a time, so that ten years need no more memory than a
day. Each file's SHA-256 stands in `manifest.json`, which is the last one; `check` reads all of it back.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

from device_profiles.errors import PasserelleError
from gateway import archive_files
from gateway.archive_text import README
from gateway.home import Home
from storage import access_log, patients
from storage.patients import Patient

MANIFEST: Final = "manifest.json"
FORMAT: Final = "passerelle-export-1"
DRAFTS: Final = "export-"
"""How the folders in a home begin in which exports are made for the page."""

_BLOCK: Final = 1 << 20
_LARGEST_MANIFEST: Final = 64 << 20


class NotAnArchive(PasserelleError):
    """A file that `export --all` did not write, or of which a part is missing."""

    sentence = "{file} is no export of Passerelle, or not a whole one. Export again."


def throw_away_drafts(home: Path, *, older: float = 0.0) -> None:
    """What was left of exports by a program that was killed: nobody takes them any more.

    `older`: only those that have lain for so many seconds.
    """
    for left in home.glob(f"{DRAFTS}*"):
        if time.time() - left.stat().st_mtime >= older:
            shutil.rmtree(left, ignore_errors=True)


@dataclass(slots=True)
class Archive:
    """An archive that is being written. `files`: what the manifest will say of each."""

    _zip: zipfile.ZipFile
    files: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def file(self, path: str) -> Iterator[Member]:
        """One more file; only one is open at a time."""
        entry = zipfile.ZipInfo(path, _now().timetuple()[:6])
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o600 << 16
        with self._zip.open(entry, "w", force_zip64=True) as out:
            member = Member(out)
            yield member
        self.files.append(
            {"path": path, "bytes": member.size, "sha256": member.digest.hexdigest(), "rows": member.rows}
        )


class Member:
    """A file of an archive: counts and digests what is written to it."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.digest = hashlib.sha256()
        self.size = 0
        self.rows = 0

    def write(self, content: bytes, rows: int = 0) -> None:
        """Some of its content, and how many rows that is."""
        self._out.write(content)
        self.digest.update(content)
        self.size += len(content)
        self.rows += rows

    def line(self, answer: object) -> None:
        """One row, as a line of JSON."""
        self.write(json.dumps(answer, ensure_ascii=False, default=str).encode() + b"\n", 1)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the digest of the manifest stands for all of it."""

    files: int
    persons: int
    readings: int
    manifest_sha256: str


async def write(home: Home, people: list[Patient], output: Path) -> Written:
    """Write everything of these people into a new file, whole or not at all. Raises OSError.

    Each person is read in one snapshot: what is stored meanwhile is in none of the files or in all.
    """
    with _new(output) as packed:
        return await _write(home, people, Archive(packed))


@contextmanager
def _new(output: Path) -> Iterator[zipfile.ZipFile]:
    """A private file that has its name once it is whole."""
    draft = output.with_name(f".{output.name}.{secrets.token_hex(8)}")
    try:
        with open(draft, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            with zipfile.ZipFile(file, "w", compresslevel=6) as packed:
                yield packed
            file.flush()
            os.fsync(file.fileno())
        draft.replace(output)
    finally:
        draft.unlink(missing_ok=True)


async def _write(home: Home, people: list[Patient], archive: Archive) -> Written:
    with archive.file("README.txt") as readme:
        readme.write(README.encode())
    told = []
    readings = 0
    for number, patient in enumerate(people, 1):
        folder = "" if len(people) == 1 else f"person-{number}/"
        async with archive_files.snapshot(home) as connection:
            counted = await archive_files.write_person(connection, home.secret, patient, archive, folder)
            verdict = await access_log.verify(connection, patient.patient_id)
        readings += counted
        told.append(
            {
                "folder": folder,
                "id": str(patient.uuid),
                "name": patient.name,
                "readings": counted,
                "access_log_head": str(verdict.head),
                "access_log_whole": verdict.whole,
            }
        )
    manifest = {
        "format": FORMAT,
        "made_at": _now().isoformat(),
        "made_by": f"passerelle {version('passerelle')}",
        "persons": told,
        "files": list(archive.files),
    }
    content = json.dumps(manifest, ensure_ascii=False, indent=1).encode()
    with archive.file(MANIFEST) as last:
        last.write(content)
    return Written(len(archive.files), len(people), readings, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at an archive found: `wrong` names what is missing, changed, or not in the manifest."""

    files: int
    made_at: str
    manifest_sha256: str
    wrong: tuple[str, ...]


def check(path: Path) -> Checked:
    """Read an archive back and compare every file with the manifest. Raises `NotAnArchive`, OSError."""
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
            with packed.open(MANIFEST) as file:
                content = file.read(_LARGEST_MANIFEST)
            manifest = json.loads(content)
            if manifest["format"] != FORMAT:
                raise NotAnArchive(file=path.name)
            known = {entry["path"]: entry for entry in manifest["files"]}
            wrong = {name for name in names if names.count(name) > 1 or name not in {*known, MANIFEST}}
            wrong |= {name for name, entry in known.items() if not _is_whole(packed, name, entry)}
            digest = hashlib.sha256(content).hexdigest()
            return Checked(len(names), str(manifest["made_at"]), digest, tuple(sorted(wrong)))
    except (zipfile.BadZipFile, zlib.error, LookupError, TypeError, ValueError, EOFError, RuntimeError):
        raise NotAnArchive(file=path.name) from None


def _is_whole(packed: zipfile.ZipFile, name: str, entry: dict[str, Any]) -> bool:
    """Whether a file has the size and the digest that the manifest says; no more is read than that."""
    digest, size = hashlib.sha256(), 0
    try:
        with packed.open(name) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                if size > entry["bytes"]:
                    return False
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, OSError):
        return False
    return bool(size == entry["bytes"] and digest.hexdigest() == entry["sha256"])


async def everybody(home: Home, name: str | None) -> list[Patient]:
    """The person of that name, or all there are. Raises `UnknownPatient`."""
    async with home.database.writer() as connection:
        return [await patients.find(connection, name)] if name else list(await patients.list_all(connection))


def _now() -> datetime:
    return datetime.now(UTC)

"""A backup: everything that a fresh home needs, of one moment, in one encrypted file that was read back.

All tables of the space and of the shelf, their counters, and the files of the home (its secret, without
which FHIR ids and sealed secrets are lost; the shelf's token; bonds). The tables are found in the catalogue,
so that one that is added later is in the backup from its first day.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, Self

from storage import archive
from storage.archive import Archive, Draft
from storage.cluster import private
from storage.database import Database
from storage.errors import BackupBusy, BackupDamaged, BackupDiffers, BackupNewer, NotOnWindowsYet
from storage.migrate import engine_of
from storage.schema_description import SCHEMAS, SchemaDescription, described
from storage.table_streams import (
    Extent,
    Measure,
    TableReading,
    begin_snapshot,
    tables_of,
)

if sys.platform != "win32":
    import fcntl

FORM = 1
"""The form of the archive's members; a program that knows less refuses what is newer."""

DESCRIPTION = "backup.json"
MANIFEST = "manifest.json"
_TABLES = "tables/"
_FILES = "home/"


@dataclass(frozen=True, slots=True)
class Description:
    """The first member: what follows, and by which program it was made."""

    program: str
    made_at: datetime
    postgresql: int
    engine: str
    schemas: Mapping[str, SchemaDescription]

    def to_json(self) -> bytes:
        """The member's content."""
        schemas = {
            name: {
                "steps": dict(schema.steps),
                "tables": dict(schema.tables),
                "sequences": dict(schema.besides.sequences),
                "months": {parent: list(months) for parent, months in schema.besides.months.items()},
            }
            for name, schema in self.schemas.items()
        }
        told = {
            "form": FORM,
            "program": self.program,
            "made_at": self.made_at.isoformat(),
            "postgresql": self.postgresql,
            "engine": self.engine,
            "schemas": schemas,
        }
        return json.dumps(told, indent=1, default=str).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """What a member says. Raises BackupNewer or BackupDamaged."""
        try:
            told = json.loads(content)
            if told["form"] > FORM:
                raise BackupNewer
            schemas = {name: SchemaDescription.from_json(each) for name, each in told["schemas"].items()}
            if schemas.keys() != set(SCHEMAS):
                raise BackupDamaged
            made_at = datetime.fromisoformat(told["made_at"])
            return cls(told["program"], made_at, told["postgresql"], told["engine"], schemas)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise BackupDamaged from None


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive was found to hold: `tables` by `schema/name`, `files` by name with their content."""

    description: Description
    tables: Mapping[str, Extent]
    files: Mapping[str, bytes]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(extent.rows for extent in self.tables.values())


async def back_up(database: Database, home: Path, path: Path, passphrase: str) -> Contents:
    """Writes a new file, reads it back, and gives it its name; whoever uses the database goes on meanwhile.

    Raises PassphraseTooShort, BackupBusy, BackupDiffers, what the database raises, or the file's OSError
    (FileExistsError where one of that name is there).
    """
    with _draft(path) as file:
        files = files_of(home)
        with archive.written(file, passphrase) as draft:
            description, tables = await _write(database, draft, files)
        file.flush()
        os.fsync(file.fileno())
        _forget_what_was_read(file)
        written = Contents(description, tables, files)
        if read(Archive(Path(file.name), passphrase)) != written:
            raise BackupDiffers
        _name(Path(file.name), path)
    return written


def read(file: Archive) -> Contents:
    """Reads a backup to its end and compares it with what it says of itself; nothing is kept of its rows.

    Raises BackupDamaged, BackupNewer, or the file's OSError.
    """
    description: Description | None = None
    manifest: dict[str, Extent] | None = None
    files: dict[str, bytes] = {}
    measures: dict[str, Measure] = {}
    for name, content in file.members():
        if name == DESCRIPTION:
            description = Description.from_json(content)
        elif name == MANIFEST:
            manifest = _manifest(content)
        elif table := table_of(name):
            measures.setdefault(table, Measure()).add(content)
        elif name.startswith(_FILES):
            files[_plain(name.removeprefix(_FILES))] = content
    if description is None or manifest is None or manifest.keys() != measures.keys():
        raise BackupDamaged
    found = {table: measure.extent(manifest[table].rows) for table, measure in measures.items()}
    if found != manifest:
        raise BackupDamaged
    return Contents(description, found, files)


def _manifest(content: bytes) -> dict[str, Extent]:
    """What the last member says of each table. Raises BackupDamaged."""
    try:
        return {table: Extent(**extent) for table, extent in json.loads(content).items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BackupDamaged from None


def table_of(member: str) -> str | None:
    """The table (`schema/name`) whose stream a member of the archive continues."""
    return member.removeprefix(_TABLES).rpartition("/")[0] if member.startswith(_TABLES) else None


def files_of(home: Path) -> dict[str, bytes]:
    """The files of a home: all but locks, drafts, what names the local server, and backups."""
    found = {}
    for path in sorted(home.iterdir()):
        name = path.name
        passing = name.startswith((".", "postgresql.at")) or name.endswith(".lock")
        if not passing and stat.S_ISREG(path.lstat().st_mode) and not archive.is_one(path):
            found[name] = path.read_bytes()
    return found


async def _write(
    database: Database, draft: Draft, files: Mapping[str, bytes]
) -> tuple[Description, dict[str, Extent]]:
    async with database.owned("passerelle") as space, database.owned("shelf") as shelf:
        conns = dict(zip(SCHEMAS, (space, shelf), strict=True))
        async with space.transaction(), shelf.transaction():
            for conn in conns.values():
                await begin_snapshot(conn)
            tables = {schema: await tables_of(conn, schema) for schema, conn in conns.items()}
            description = Description(
                version("passerelle"),
                datetime.now(UTC),
                space.info.server_version // 10_000,
                await engine_of(space),
                {schema: await described(conn, schema, tables[schema]) for schema, conn in conns.items()},
            )
            draft.add(DESCRIPTION, description.to_json())
            for name, content in files.items():
                draft.add(_FILES + name, content)
            extents = {}
            for schema, conn in conns.items():
                for table in tables[schema].values():
                    name = f"{schema}/{table.name}"
                    extents[name] = await _write_table(TableReading(conn, table), draft, name)
            draft.add(MANIFEST, json.dumps({name: asdict(each) for name, each in extents.items()}).encode())
            return description, extents


async def _write_table(reading: TableReading, draft: Draft, name: str) -> Extent:
    number = 0
    async for part in reading.parts():
        draft.add(f"{_TABLES}{name}/{number:06}", part)
        number += 1
    return reading.extent


@contextmanager
def _draft(path: Path) -> Iterator[BinaryIO]:
    """A private file beside the one that it becomes. That of a killed command is begun again."""
    if sys.platform == "win32":
        raise NotOnWindowsYet
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    draft = path.with_name(f".{path.name}.part")
    with open(draft, "a+b", opener=private) as file:  # truncated only once it is ours alone
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupBusy(file=path.name) from None
        try:
            # Reopened for writing anywhere: what appends cannot go back to write a size.
            with open(draft, "r+b", opener=private) as written:
                written.truncate()
                yield written
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()


def _forget_what_was_read(file: BinaryIO) -> None:
    """What is compared is then read from the disk and not from memory, where the system can do that."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _name(draft: Path, path: Path) -> None:
    """The whole file gets its name, for good."""
    draft.rename(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """What was renamed in a folder stays renamed after a power cut, where the disk can promise that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(name: str) -> str:
    """The name of a file in the home's folder itself. Raises BackupDamaged for one that leads elsewhere."""
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise BackupDamaged
    return name

"""A backup put into a new home, row for row; then the home gets its place at once, by being renamed.

Everything is built beside the home, in `<home>.restoring`: verified to its last byte before anything is made,
filled in one transaction a database, read again and compared, migrated forward. Who is killed before the last
rename has the old home; running the command again begins again.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path

from storage.archive import Archive
from storage.backup import Contents, read, sync_folder, table_of
from storage.cluster import ROOT_PARENT, private, storage_error
from storage.connection import Connection
from storage.database import Database
from storage.embedded import erase, unused
from storage.errors import (
    BackupBusy,
    BackupDamaged,
    BackupDiffers,
    BackupOfAnotherEdition,
    HomeNotEmpty,
    HomeNotMovable,
    NotOnWindowsYet,
)
from storage.migrate import take_steps
from storage.schema_description import known_steps, steps_to
from storage.table_streams import Table, extent_of, make_ready, settle, tables_of, write

if sys.platform != "win32":
    import fcntl


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and where the home of before is now, if there was one."""

    contents: Contents
    set_aside: Path | None


async def restore(
    path: Path, passphrase: str, home: Path, *, replace: bool = False, root_parent: Path = ROOT_PARENT
) -> Restored:
    """Makes a home from a backup. With `replace` the one that is there is moved aside, else it is refused.

    Raises what Archive and `storage.backup.read` raise, BackupOfAnotherEdition, HomeNotEmpty, HomeInUse,
    HomeNotMovable, BackupBusy, BackupDiffers, or what the database raises. Nothing was changed then.
    """
    home = _checked_place(home, root_parent, replace=replace)
    file = Archive(path, passphrase)
    contents = read(file)
    known_steps(contents.description.schemas)
    with _built_beside(home, root_parent) as new:
        async with Database.unmigrated(new, root_parent) as database:
            with closing(file.members()) as members:
                await _fill(database, contents, members)
        async with Database.open(new, root_parent=root_parent) as database, database.shelf():
            pass  # both are migrated forward, and their roles have their rights
        _write_files(new, contents.files)
        set_aside = _put_in_place(new, home, root_parent, replace=replace)
    return Restored(contents, set_aside)


def _checked_place(home: Path, root_parent: Path, *, replace: bool) -> Path:
    """Where the home really lies, before any work is done: it may be replaced, and can be."""
    home = home.resolve()
    parent = next(folder for folder in home.parents if folder.exists())
    if not _is_new(home):
        if not replace:
            raise HomeNotEmpty(folder=home)
        with unused(home, root_parent):
            pass
    if home.is_mount() or not os.access(parent, os.W_OK | os.X_OK):
        raise HomeNotMovable(folder=home)
    return home


def _is_new(home: Path) -> bool:
    return not home.exists() or (home.is_dir() and not any(home.iterdir()))


@contextmanager
def _built_beside(home: Path, root_parent: Path) -> Iterator[Path]:
    """An empty folder of our own beside the home; what is left of it at the end, or by a killed one, goes."""
    if sys.platform == "win32":
        raise NotOnWindowsYet
    new = home.with_name(f"{home.name}.restoring")
    try:
        new.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(new, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as problem:
        raise storage_error(str(problem), new) from problem
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupBusy(file=home) from None
        _empty(new, root_parent)
        try:
            yield new
        finally:
            if new.exists():
                _empty(new, root_parent)
                new.rmdir()
    finally:
        os.close(lock)


def _empty(folder: Path, root_parent: Path) -> None:
    if any(folder.iterdir()):
        erase(folder, root_parent)
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


async def _fill(database: Database, contents: Contents, members: Iterator[tuple[str, bytes]]) -> None:
    parts = _Parts(members)
    for schema, told in contents.description.schemas.items():
        async with database.owned(schema) as conn:
            await take_steps(conn, schema, steps_to(schema, told))
            async with conn.transaction():
                await _fill_schema(conn, schema, contents, parts)
            await settle(conn)
    parts.drain()


async def _fill_schema(conn: Connection, schema: str, contents: Contents, parts: _Parts) -> None:
    told = contents.description.schemas[schema]
    tables = await tables_of(conn, schema)
    if {name: table.columns for name, table in tables.items()} != told.tables:
        raise BackupOfAnotherEdition
    await make_ready(conn, schema, told.besides)
    for name in told.tables:
        await write(conn, tables[name], parts.of(f"{schema}/{name}"))
    await _compare(conn, schema, tables, contents)


async def _compare(conn: Connection, schema: str, tables: Mapping[str, Table], contents: Contents) -> None:
    """Row for row: each table is read as the backup read it, and gives the same bytes."""
    for name, table in tables.items():
        if await extent_of(conn, table) != contents.tables[f"{schema}/{name}"]:
            raise BackupDiffers


class _Parts:
    """The members of an archive, table by table: a backup has them in the order of its description."""

    def __init__(self, members: Iterator[tuple[str, bytes]]) -> None:
        self._members = members
        self._next: tuple[str, bytes] | None = None

    async def of(self, table: str) -> AsyncIterator[bytes]:
        """The stream of the next table, which must be this one."""
        found = False
        while (member := self._peek()) is not None:
            at = table_of(member[0])
            if at == table:
                found = True
                yield member[1]
            elif found or at is not None:
                break
            self._next = None
        if not found:
            raise BackupDamaged

    def drain(self) -> None:
        """To the end, where the file is known to be whole."""
        for _ in self._members:
            pass

    def _peek(self) -> tuple[str, bytes] | None:
        if self._next is None:
            self._next = next(self._members, None)
        return self._next


def _write_files(home: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        with open(home / name, "xb", opener=private) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _put_in_place(new: Path, home: Path, root_parent: Path, *, replace: bool) -> Path | None:
    """Two renames, of which the second one is the restore. Raises HomeInUse, HomeNotEmpty, HomeNotMovable."""
    try:
        if _is_new(home):
            new.rename(home)  # an empty folder gives way
            sync_folder(home.parent)
            return None
        if not replace:
            raise HomeNotEmpty(folder=home)
        with unused(home, root_parent):
            aside = _free_name(home)
            home.rename(aside)
            new.rename(home)
            sync_folder(home.parent)
            return aside
    except OSError:
        raise HomeNotMovable(folder=home) from None


def _free_name(home: Path) -> Path:
    first = home.with_name(f"{home.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    others = (first.with_name(f"{first.name}-{number}") for number in count(2))
    return next(name for name in (first, *islice(others, 99)) if not name.exists())

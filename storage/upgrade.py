"""A data folder that an older major version of PostgreSQL made, moved to the one that is here.

PostgreSQL reads no data folder of another major version. Where the older programs are still on the machine
they serve the folder for a moment, elsewhere than where commands look, while every table is copied into a new
one and compared by its hash. The older folder is not touched before all is the same, and goes once the newer
one has served: it holds readings that a person may erase.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress

import psycopg
from psycopg import AsyncConnection

from storage.binaries import Binaries
from storage.cluster import Place, make_cluster, private
from storage.connection import Connection
from storage.errors import (
    BackupDiffers,
    BackupError,
    BackupNewer,
    DatabaseNewer,
    DiskFull,
    UpgradeFailed,
)
from storage.migrate import take_steps
from storage.schema_description import SCHEMAS, described, known_steps, steps_to
from storage.table_streams import (
    TableReading,
    begin_snapshot,
    extent_of,
    make_ready,
    settle,
    tables_of,
    write,
)

Serving = Callable[[Place, Binaries], AbstractContextManager[Callable[[str, str], str]]]
"""Runs a server for a block, which gets what makes the address of a role and a database."""


def target_of(place: Place) -> Place:
    """Where the newer data folder is filled."""
    return Place(place.folder / "upgrade", place.account)


def finish(place: Place) -> None:
    """What a killed upgrade left: the newer folder gets its name, or goes when the older one still has it."""
    newer = place.folder / "data.newer"
    if newer.is_dir() and not place.data.exists():
        newer.rename(place.data)
    for left in (newer, target_of(place).folder):
        shutil.rmtree(left, ignore_errors=True)


def forget_older(place: Place) -> None:
    """The newer folder has served: the older one goes."""
    shutil.rmtree(place.folder / "data.older", ignore_errors=True)


def upgrade(place: Place, older: Binaries, newer: Binaries, serving: Serving) -> None:
    """Copies everything into a data folder of the newer programs and puts that in the place of the older.

    Nobody else may be at work in `place`. Raises UpgradeFailed, DatabaseNewer, DiskFull or what a start
    raises; the older folder is as it was then.
    """
    target = target_of(place)
    target.make()
    source = Place(target.folder / "older", target.account)
    source.make()
    try:
        source.data.symlink_to(place.data)
        make_cluster(target, newer)
        try:
            with serving(source, older) as from_address, serving(target, newer) as to_address:
                _run(_copy(from_address, to_address))
        except BackupNewer:
            raise DatabaseNewer from None
        except (psycopg.Error, BackupError) as problem:
            if getattr(problem, "sqlstate", None) == "53100":
                raise DiskFull from None
            raise UpgradeFailed(made_by=older.major, found=newer.major, log=place.log) from None
        target.data.rename(place.folder / "data.newer")
        place.data.rename(place.folder / "data.older")
        (place.folder / "data.newer").rename(place.data)
    finally:
        for part in (source, target):
            _keep_words(place, part)
            part.erase()


def _run(copying: Coroutine[None, None, None]) -> None:
    """In a thread that has no event loop, whoever calls."""
    with ThreadPoolExecutor(1) as alone:
        alone.submit(asyncio.run, copying).result()


def _keep_words(place: Place, part: Place) -> None:
    """What the two servers said stays in the home's log, which says where an upgrade failed."""
    with suppress(OSError), open(place.log, "ab", opener=private) as log:
        log.write(part.log.read_bytes())


async def _copy(from_address: Callable[[str, str], str], to_address: Callable[[str, str], str]) -> None:
    for schema in SCHEMAS:
        async with (
            await AsyncConnection.connect(from_address("owner", schema), autocommit=True) as source,
            await AsyncConnection.connect(to_address("owner", schema), autocommit=True) as target,
        ):
            await _copy_schema(source, target, schema)


async def _copy_schema(source: Connection, target: Connection, schema: str) -> None:
    async with source.transaction():
        await begin_snapshot(source)
        tables = await tables_of(source, schema)
        told = await described(source, schema, tables)
        known_steps({schema: told})
        await take_steps(target, schema, steps_to(schema, told))
        async with target.transaction():
            await make_ready(target, schema, told.besides)
            made = await tables_of(target, schema)
            for name, table in tables.items():
                reading = TableReading(source, table)
                await write(target, made[name], reading.parts())
                if await extent_of(target, made[name]) != reading.extent:
                    raise BackupDiffers
    await settle(target)

"""Brings a database to the schema of this program: numbered SQL files, forward only, each in one transaction.

`migrations/base` is for every engine; `plain`, `timescale` and `citus` hold what differs; `shelf` is the
shelf's own database. Numbers are unique across the folders and give one order. Two programs that migrate at
once are serialised by an advisory lock; what was applied is recorded with its checksum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import cast

from storage.binaries import OLDEST_MAJOR
from storage.connection import Connection
from storage.errors import DatabaseChanged, DatabaseNewer, EngineTooOld, EngineUnknown
from storage.statements import statements

LOCK = 0x7061737365
"""The key of the advisory lock: the bytes of `passe`."""

_SQL = statements("migrate")


class Engine(StrEnum):
    """What a database is made of; also the folder of its migrations."""

    PLAIN = "plain"
    TIMESCALE = "timescale"
    CITUS = "citus"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, its file's name and text."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@cache
def migrations(*folders: str) -> tuple[Migration, ...]:
    """The steps of these folders, in order of their numbers. Raises ValueError for a number given twice."""
    found: dict[int, Migration] = {}
    for folder in folders:
        for path in files("storage").joinpath("migrations", folder).iterdir():
            if path.name.endswith(".sql"):
                step = Migration(int(path.name[:4]), f"{folder}/{path.name}", path.read_text("utf-8"))
                if step.number in found:
                    raise ValueError(f"{step.name} and {found[step.number].name} have one number")
                found[step.number] = step
    return tuple(found[number] for number in sorted(found))


async def engine_of(conn: Connection) -> Engine:
    """Which engine a database has. Raises EngineTooOld or EngineUnknown."""
    if conn.info.server_version < OLDEST_MAJOR * 10_000:
        raise EngineTooOld(version=conn.info.server_version // 10_000)
    names = {row[0] for row in await (await conn.execute(_SQL["extensions"])).fetchall()}
    if {"timescaledb", "citus"} <= names:
        raise EngineUnknown
    if "timescaledb" in names:
        return Engine.TIMESCALE
    return Engine.CITUS if "citus" in names else Engine.PLAIN


async def migrate_space(conn: Connection, writer: str | None, reader: str | None) -> int:
    """Migrates the main database as its owner and gives the roles their rights; the number of steps taken.

    `writer` and `reader` are role names; None where the owner's own role does their work. The connection must
    be in autocommit. Raises DatabaseNewer, DatabaseChanged, EngineTooOld or EngineUnknown.
    """
    steps = migrations("base", await engine_of(conn))
    return await _migrate(conn, "passerelle", steps, "rights.sql", {"writer": writer, "reader": reader})


async def migrate_shelf(conn: Connection, shelf: str | None) -> int:
    """The same for the shelf's database."""
    await engine_of(conn)
    return await _migrate(conn, "shelf", migrations("shelf"), "shelf_rights.sql", {"shelf": shelf})


async def _migrate(
    conn: Connection, schema: str, steps: Sequence[Migration], rights: str, roles: Mapping[str, str | None]
) -> int:
    grants = files("storage").joinpath("migrations", rights).read_text("utf-8")
    # With the steps: who was killed between a step and its rights gives them the next time.
    told = (grants, sorted(roles.items()), [step.checksum for step in steps])
    wanted = hashlib.sha256(repr(told).encode()).hexdigest()
    applied = await _applied(conn, schema)
    _check(applied, steps)
    taken = [step for step in steps if step.number not in applied]
    if not taken and applied.get(0) == wanted:
        return 0
    for step in taken:
        async with conn.transaction():
            await _prepare(conn, schema)
            if step.number not in await _applied(conn, schema):
                await conn.execute(step.text)
                await conn.execute(_SQL[f"close_{schema}"])
                await _record(conn, schema, step.number, step.name, step.checksum)
    async with conn.transaction():
        await _prepare(conn, schema)
        for name, role in roles.items():
            await conn.execute(_SQL["name_role"], {"setting": f"passerelle.{name}", "role": role or ""})
        await conn.execute(grants)
        await _record(conn, schema, 0, rights, wanted)
    return len(taken)


async def _prepare(conn: Connection, schema: str) -> None:
    """Takes the lock and makes sure that there is where to record."""
    await conn.execute(_SQL["lock"], {"key": LOCK})
    if not await _has_record(conn, schema):
        await conn.execute(_SQL[f"create_{schema}"])


async def _has_record(conn: Connection, schema: str) -> bool:
    row = await (await conn.execute(_SQL["has_record"], {"schema": schema})).fetchone()
    return bool(row and row[0])


async def _applied(conn: Connection, schema: str) -> Mapping[int, str]:
    """Number → checksum of what the database has; number 0 is the rights."""
    if not await _has_record(conn, schema):
        return {}
    rows = await (await conn.execute(_SQL[f"applied_{schema}"])).fetchall()
    return dict(cast("list[tuple[int, str]]", rows))


async def _record(conn: Connection, schema: str, number: int, name: str, checksum: str) -> None:
    values = {"number": number, "name": name, "checksum": checksum}
    await conn.execute(_SQL[f"record_{schema}"], values)


def _check(applied: Mapping[int, str], steps: Sequence[Migration]) -> None:
    known = {step.number: step.checksum for step in steps}
    for number, checksum in applied.items():
        if number and number not in known:
            raise DatabaseNewer
        if number and checksum != known[number]:
            raise DatabaseChanged(number=number)

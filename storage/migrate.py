"""Brings a database to the schema of this program: numbered SQL files, forward only, each in one transaction.

`migrations/base` is for every engine; `plain`, `timescale` and `citus` hold what differs; `shelf` is the
shelf's own database. Numbers are unique across the folders and give one order. Two programs that migrate at
once are serialised by an advisory lock; what was applied is recorded with its checksum.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import cast

from psycopg.errors import InsufficientPrivilege, UndefinedObject

from storage.binaries import OLDEST_MAJOR
from storage.connection import Connection
from storage.errors import (
    DatabaseChanged,
    DatabaseNewer,
    EncodingOther,
    EngineChanged,
    EngineTooOld,
    EngineUnknown,
    ExtensionTooOld,
    LicenceTooNarrow,
    RightsMissing,
    RoleUnknown,
)
from storage.statements import one_by_one, statements

LOCK = 0x7061737365
"""The key of the advisory lock: the bytes of `passe`."""

_SQL = statements("migrate")


class Engine(StrEnum):
    """What a database is made of; also the folder of its migrations."""

    PLAIN = "plain"
    TIMESCALE = "timescale"
    CITUS = "citus"


ENGINE_NAMES = {
    Engine.PLAIN: "PostgreSQL",
    Engine.TIMESCALE: "TimescaleDB",
    Engine.CITUS: "Citus",
}
"""What people call them."""

OLDEST_EXTENSION = {Engine.TIMESCALE: (2, 23), Engine.CITUS: (13, 2)}
"""The oldest versions that the schema was run on."""


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


@dataclass(frozen=True, slots=True)
class Server:
    """What a database is served by: its engine, PostgreSQL's version and the extension's ("" on plain)."""

    engine: Engine
    postgresql: str
    extension: str

    @property
    def words(self) -> str:
        """As in `TimescaleDB 2.28.3 on PostgreSQL 15.18`."""
        postgresql = f"PostgreSQL {self.postgresql}"
        return (
            f"{ENGINE_NAMES[self.engine]} {self.extension} on {postgresql}" if self.extension else postgresql
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a database is: the steps it has and lacks by name, and whether its roles have their rights."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]
    rights_given: bool


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
    """Which engine a database has. Raises as `server_of`."""
    return (await server_of(conn)).engine


async def server_of(conn: Connection) -> Server:
    """What serves a database. Raises as storage.errors says of engines."""
    major = conn.info.server_version // 10_000
    if major < OLDEST_MAJOR:
        raise EngineTooOld(version=major)
    encoding = conn.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise EncodingOther(encoding=encoding)
    found = dict(cast("list[tuple[str, str]]", await (await conn.execute(_SQL["extensions"])).fetchall()))
    names = {"timescaledb": Engine.TIMESCALE, "citus": Engine.CITUS}
    engines = {engine: found[name] for name, engine in names.items() if name in found}
    if len(engines) > 1:
        raise EngineUnknown
    postgresql = f"{major}.{conn.info.server_version % 10_000}"
    for engine, version in engines.items():
        await _require_extension(conn, engine, version)
        return Server(engine, postgresql, version)
    return Server(Engine.PLAIN, postgresql, "")


async def _require_extension(conn: Connection, engine: Engine, version: str) -> None:
    oldest = OLDEST_EXTENSION[engine]
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < oldest:
        needed = ".".join(str(number) for number in oldest)
        raise ExtensionTooOld(name=ENGINE_NAMES[engine], version=version, needed=needed)
    if engine is Engine.TIMESCALE:
        row = await (await conn.execute(_SQL["licence"])).fetchone()
        if row is not None and row[0] == "apache":
            raise LicenceTooNarrow


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one database is brought to."""

    schema: str
    engine: Engine
    steps: tuple[Migration, ...]
    rights: str
    roles: Mapping[str, str | None]

    @property
    def grants(self) -> str:
        """The statements that give the roles their rights."""
        folder = files("storage").joinpath("migrations")
        grants = folder.joinpath(self.rights).read_text("utf-8")
        if self.schema == "passerelle" and self.engine is Engine.CITUS:
            grants += folder.joinpath("citus_rights.sql").read_text("utf-8")
        return grants

    @property
    def rights_checksum(self) -> str:
        """With the steps: who was killed between a step and its rights gives them the next time."""
        told = (self.grants, sorted(self.roles.items()), [step.checksum for step in self.steps])
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def pending(self, applied: Mapping[int, str]) -> list[Migration]:
        """The steps that are not there. Raises DatabaseNewer, DatabaseChanged or EngineChanged."""
        known = {step.number: step.checksum for step in self.steps}
        others = {step.number: step.name for engine in Engine for step in migrations(engine)}
        for number, checksum in applied.items():
            if number and number not in known:
                if number in others:
                    made_for = Engine(others[number].partition("/")[0])
                    raise EngineChanged(made_for=ENGINE_NAMES[made_for], found=ENGINE_NAMES[self.engine])
                raise DatabaseNewer
            if number and checksum != known[number]:
                raise DatabaseChanged(number=number)
        return [step for step in self.steps if step.number not in applied]


async def migrate_space(conn: Connection, writer: str | None, reader: str | None) -> int:
    """Migrates the main database as its owner and gives the roles their rights; the number of steps taken.

    `writer` and `reader` are role names; None where the owner's own role does their work. The connection must
    be in autocommit. Raises DatabaseNewer, DatabaseChanged, EngineChanged, and as `server_of`.
    """
    return await _migrate(conn, await _plan_of_space(conn, writer, reader))


async def migrate_shelf(conn: Connection, shelf: str | None) -> int:
    """The same for the shelf's database."""
    return await _migrate(conn, await _plan_of_shelf(conn, shelf))


async def steps_applied(conn: Connection, schema: str) -> Mapping[int, str]:
    """The numbers of the steps that a schema has, with their checksums; none where it is not there."""
    return {number: checksum for number, checksum in (await _applied(conn, schema)).items() if number}


async def take_steps(conn: Connection, schema: str, steps: Sequence[Migration]) -> None:
    """Takes some steps in a database that is being restored, and gives nobody a right to it yet.

    A later `migrate_space` or `migrate_shelf` goes on from there.
    """
    plan = _Plan(schema, await engine_of(conn), tuple(steps), "", {})
    for step in plan.pending(await _applied(conn, schema)):
        await _take(conn, plan, step)


async def standing_of_space(conn: Connection, writer: str | None, reader: str | None) -> Standing:
    """How far the main database is; nothing is changed. Raises as `migrate_space`."""
    return await _standing(conn, await _plan_of_space(conn, writer, reader))


async def standing_of_shelf(conn: Connection, shelf: str | None) -> Standing:
    """The same of the shelf's database."""
    return await _standing(conn, await _plan_of_shelf(conn, shelf))


async def _plan_of_space(conn: Connection, writer: str | None, reader: str | None) -> _Plan:
    engine = await engine_of(conn)
    roles = {"writer": writer, "reader": reader}
    return _Plan("passerelle", engine, migrations("base", engine), "rights.sql", roles)


async def _plan_of_shelf(conn: Connection, shelf: str | None) -> _Plan:
    engine = await engine_of(conn)
    return _Plan("shelf", engine, migrations("shelf"), "shelf_rights.sql", {"shelf": shelf})


async def _standing(conn: Connection, plan: _Plan) -> Standing:
    with _in_words(conn):
        applied = await _applied(conn, plan.schema)
    pending = plan.pending(applied)
    had = tuple(step.name for step in plan.steps if step.number in applied)
    return Standing(had, tuple(step.name for step in pending), applied.get(0) == plan.rights_checksum)


@contextmanager
def _in_words(conn: Connection) -> Iterator[None]:
    """Says which role lacks what, instead of the server's code."""
    try:
        yield
    except InsufficientPrivilege:
        raise RightsMissing(role=conn.info.user, database=conn.info.dbname) from None
    except UndefinedObject as problem:
        role = re.search(r'role "(.+)" does not exist', problem.diag.message_primary or "")
        if role is None:
            raise
        raise RoleUnknown(role=role.group(1)) from None


async def _migrate(conn: Connection, plan: _Plan) -> int:
    with _in_words(conn):
        return await _take_steps(conn, plan)


async def _take_steps(conn: Connection, plan: _Plan) -> int:
    applied = await _applied(conn, plan.schema)
    taken = plan.pending(applied)
    if not taken and applied.get(0) == plan.rights_checksum:
        return 0
    for step in taken:
        await _take(conn, plan, step)
    async with conn.transaction():
        await _prepare(conn, plan)
        for name, role in plan.roles.items():
            await conn.execute(_SQL["name_role"], {"setting": f"passerelle.{name}", "role": role or ""})
        for statement in one_by_one(plan.grants):
            await conn.execute(statement)
        await _record(conn, plan.schema, 0, plan.rights, plan.rights_checksum)
    return len(taken)


async def _take(conn: Connection, plan: _Plan, step: Migration) -> None:
    async with conn.transaction():
        await _prepare(conn, plan)
        if step.number not in await _applied(conn, plan.schema):
            for statement in one_by_one(step.text):
                await conn.execute(statement)
            await conn.execute(_SQL[f"close_{plan.schema}"])
            await _record(conn, plan.schema, step.number, step.name, step.checksum)


async def _prepare(conn: Connection, plan: _Plan) -> None:
    """Takes the lock and makes sure that there is where to record."""
    await conn.execute(_SQL["lock"], {"key": LOCK})
    if plan.engine is Engine.CITUS:
        await conn.execute(_SQL["one_connection_a_node"])
    if not await _has_record(conn, plan.schema):
        await conn.execute(_SQL[f"create_{plan.schema}"])


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

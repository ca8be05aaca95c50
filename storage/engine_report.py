"""What a database is, what it holds and what it lacks: for an operator, and never with a patient in it.

A look changes nothing, unlike `Database.open`, which migrates.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from device_profiles.errors import StorageError
from storage import findings
from storage.addresses import Addresses, user_of
from storage.connection import Connection
from storage.errors import DatabaseRefused, DatabaseUnreachable
from storage.migrate import (
    Engine,
    Server,
    Standing,
    migrate_shelf,
    migrate_space,
    server_of,
    standing_of_shelf,
    standing_of_space,
)
from storage.statements import statements

CONNECT_LIMIT = 5
"""Seconds to wait for a server's answer to a connection."""

_SQL = statements("engine_report")

_OF_ENGINE = {
    Engine.PLAIN: ("sizes_plain", "rows_plain", "months_plain"),
    Engine.TIMESCALE: ("sizes_timescale", "rows_timescale", "months_timescale"),
    Engine.CITUS: ("sizes_citus", "rows_citus", "months_plain"),
}
"""The statements for tables' bytes, for rows, and for months."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the space: its name on the server, and whether it can connect."""

    work: str
    name: str
    connects: bool


@dataclass(frozen=True, slots=True)
class Months:
    """The months of readings: how many, how many of these in columns, the first and the last (`2026_03`)."""

    count: int
    in_columns: int
    first: str | None
    last: str | None


@dataclass(frozen=True, slots=True)
class Job:
    """What TimescaleDB does by itself."""

    number: int
    name: str
    table: str
    failed: bool
    overdue: bool


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of a Citus cluster; number 0 is the coordinator."""

    number: int
    address: str
    current: bool


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a space holds. `bytes_by_table` are with indexes; rows are as the server last counted."""

    bytes_by_table: Mapping[str, int]
    patients: int
    readings: int
    months: Months
    bytes_in_rows_before: int | None = None
    bytes_in_columns: int | None = None
    jobs: tuple[Job, ...] = ()
    machines: tuple[Machine, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of `passerelle database check`. `must`: what is to be done; `advice`: what would help."""

    server: Server
    embedded: bool
    space: Standing
    shelf: Standing
    roles: tuple[Role, ...]
    holdings: Holdings | None
    must: tuple[StorageError, ...]
    advice: tuple[StorageError, ...]


@dataclass(frozen=True, slots=True)
class Migrated:
    """What `passerelle database migrate` did: the steps taken, by name."""

    server: Server
    space: tuple[str, ...]
    shelf: tuple[str, ...]


async def migrate(addresses: Addresses) -> Migrated:
    """Brings both databases to this program's schema. Raises a StorageError that says what is wrong."""
    writer, reader = user_of(addresses.writer), user_of(addresses.reader)
    shelf = user_of(addresses.shelf)
    async with _connected(addresses.owner) as conn:
        server = await server_of(conn)
        of_space = await standing_of_space(conn, writer, reader)
        await migrate_space(conn, writer, reader)
    async with _connected(addresses.shelf_owner) as conn:
        of_shelf = await standing_of_shelf(conn, shelf)
        await migrate_shelf(conn, shelf)
    return Migrated(server, of_space.pending, of_shelf.pending)


async def look(addresses: Addresses, *, embedded: bool) -> Report:
    """Looks at everything. Raises a StorageError where nothing can be looked at."""
    must: list[StorageError] = []
    advice: list[StorageError] = []
    roles: tuple[Role, ...] = ()
    holdings: Holdings | None = None
    async with _connected(addresses.owner) as conn:
        server = await server_of(conn)
        standing = await standing_of_space(conn, user_of(addresses.writer), user_of(addresses.reader))
        if not standing.applied:
            must.append(findings.NothingThere())
        else:
            must += _of_standing(standing)
        if standing.applied and not standing.pending:
            roles = await _roles(conn, addresses, server, must, advice)
            must += [findings.IndexInvalid(index=name) for (name,) in await _rows(conn, "invalid_indexes")]
            holdings = await _holdings(conn, server.engine)
            must += await _of_engine(conn, server.engine, holdings)
    async with _connected(addresses.shelf_owner) as conn:
        shelf = await standing_of_shelf(conn, user_of(addresses.shelf))
    if shelf.applied:
        must += _of_standing(shelf)
    return Report(server, embedded, standing, shelf, roles, holdings, tuple(must), tuple(advice))


def _of_standing(standing: Standing) -> Sequence[StorageError]:
    if standing.pending:
        return [findings.StepsMissing(count=len(standing.pending), first=standing.pending[0])]
    return [] if standing.rights_given else [findings.RightsNotGiven()]


async def _roles(
    conn: Connection,
    addresses: Addresses,
    server: Server,
    must: list[StorageError],
    advice: list[StorageError],
) -> tuple[Role, ...]:
    """The roles, and what is to be said of them."""
    owner, writer, reader = conn.info.user, user_of(addresses.writer), user_of(addresses.reader)
    if {writer, reader} <= {owner, None}:
        advice.append(findings.OneRoleForAll())
        return (Role("owner", owner, connects=True),)
    found = [Role("owner", owner, connects=True)]
    for work, name, address in (
        ("writer", writer, addresses.writer),
        ("reader", reader, addresses.reader),
    ):
        if name in {owner, None}:
            found.append(Role(work, owner, connects=True))
            continue
        connects = await _answers(address)
        found.append(Role(work, str(name), connects))
        if not connects:
            must.append(findings.RoleCannotConnect(role=name, database=conn.info.dbname))
        for above, member, tables, _, deletes, temporary in await _rows(conn, "about_role", role=name):
            if work == "reader" and (above or member or tables):
                must.append(findings.ReaderMayTooMuch(role=name))
            elif work == "reader" and temporary:
                advice.append(findings.TemporaryTables(role=name, database=conn.info.dbname))
            if work == "writer" and (above or member or (deletes and server.engine is not Engine.CITUS)):
                must.append(findings.WriterMayTooMuch(role=name))
    return tuple(found)


async def _holdings(conn: Connection, engine: Engine) -> Holdings:
    of_sizes, of_rows, of_months = _OF_ENGINE[engine]
    sizes = dict(await _rows(conn, of_sizes))
    (counted,) = await _rows(conn, of_rows)
    (months,) = await _rows(conn, of_months)
    in_rows = in_columns = None
    jobs: tuple[Job, ...] = ()
    machines: tuple[Machine, ...] = ()
    if engine is Engine.TIMESCALE:
        ((in_rows, in_columns),) = await _rows(conn, "columnstore")
        jobs = tuple(Job(*row) for row in await _rows(conn, "policies"))
    elif engine is Engine.CITUS:
        nodes = await _rows(conn, "nodes")
        machines = tuple(Machine(number, f"{host}:{port}", ok) for number, host, port, ok in nodes)
    patients, readings = (int(number or 0) for number in counted)
    return Holdings(sizes, patients, readings, Months(*months), in_rows, in_columns, jobs, machines)


async def _of_engine(conn: Connection, engine: Engine, holdings: Holdings) -> Sequence[StorageError]:
    if engine is Engine.TIMESCALE:
        return await _of_timescale(conn, holdings.jobs)
    if engine is Engine.CITUS:
        return await _of_citus(conn, holdings.machines)
    return ()


async def _of_timescale(conn: Connection, jobs: Sequence[Job]) -> Sequence[StorageError]:
    found: list[StorageError] = []
    compressing = {job.table: job for job in jobs if job.name == "policy_compression"}
    found += [
        findings.PolicyMissing(table=table)
        for table in ("reading", "reading_quantity")
        if table not in compressing
    ]
    found += [findings.JobFailed(job=job.number, table=job.table) for job in jobs if job.failed]
    if any(job.overdue for job in jobs):
        found.append(findings.JobsOverdue())
    ((behind,),) = await _rows(conn, "behind")
    if behind and "reading" in compressing:
        found.append(findings.MonthsBehind(count=behind, job=compressing["reading"].number))
    return found


async def _of_citus(conn: Connection, machines: Sequence[Machine]) -> Sequence[StorageError]:
    found: list[StorageError] = [
        findings.TableNotSpread(table=name) for (name,) in await _rows(conn, "not_spread")
    ]
    coordinator = [machine for machine in machines if machine.number == 0]
    if not coordinator or (len(machines) > 1 and coordinator[0].address.startswith("localhost:")):
        found.append(findings.CoordinatorUnnamed())
    silent = {machine.address for machine in machines if not machine.current}
    silent |= {address for (address,) in await _rows(conn, "silent_nodes")}
    return found + [findings.MachineSilent(machine=address) for address in sorted(silent)]


async def _rows(conn: Connection, statement: str, **values: object) -> list[tuple[Any, ...]]:
    return await (await conn.execute(_SQL[statement], values)).fetchall()


async def _answers(address: str) -> bool:
    try:
        async with _connected(address):
            return True
    except DatabaseUnreachable:
        return False


@asynccontextmanager
async def _connected(address: str) -> AsyncIterator[Connection]:
    """A connection in autocommit; what the server says against it ends here, since it may hold a password."""
    try:
        conninfo_to_dict(address)
        conn = await AsyncConnection.connect(address, autocommit=True, connect_timeout=CONNECT_LIMIT)
    except psycopg.Error:
        raise DatabaseUnreachable from None
    try:
        async with conn:
            yield conn
    except psycopg.OperationalError as problem:
        if problem.sqlstate:
            raise DatabaseRefused(code=problem.sqlstate) from None
        raise DatabaseUnreachable from None
    except psycopg.Error as problem:
        raise DatabaseRefused(code=problem.sqlstate or type(problem).__name__) from None

"""Databases of their own for the tests, on the server that `PASSERELLE_TEST_DATABASE` names.

The address is of a role that may create databases; whether its own database has TimescaleDB or Citus says
what the new ones get. On Citus a database is made on every node, since `CREATE DATABASE` stays on one. Where
the role may create roles too, writing and serving get roles of their own, as in production.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from secrets import token_hex

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from storage.database import Database

DATABASE = os.environ.get("PASSERELLE_TEST_DATABASE")
"""A server to run the tests against, instead of the embedded one."""

PARTED = ("writer", "reader")
"""The roles beside the owner that a space has."""


@dataclass(frozen=True)
class Addresses:
    """A database of a test, by role; `writer` and `reader` are None where the owner does everything."""

    owner: str
    writer: str | None = None
    reader: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The same for the command line."""
        named = {"": self.owner, "_WRITER": self.writer, "_READER": self.reader}
        return {f"PASSERELLE_DATABASE{end}": address for end, address in named.items() if address}


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Database]:
    """The database that the tests of a session share: on the server that was named, else of this home."""
    where = shared() if DATABASE else None
    async with Database.open(
        home,
        where and where.owner,
        writer=where and where.writer,
        reader=where and where.reader,
    ) as database:
        yield database


_OF_HOMES: dict[Path, Addresses] = {}


@contextmanager
def fresh_for(home: Path) -> Iterator[dict[str, str]]:
    """The environment by which a home works on a database of its own on the server, where one was named."""
    if not DATABASE:
        yield {}
        return
    with fresh() as where:
        _OF_HOMES[home] = where
        yield where.environment


@asynccontextmanager
async def database_of(home: Path) -> AsyncIterator[Database]:
    """The database of a home, wherever it is."""
    where = _OF_HOMES.get(home)
    if where is None:
        async with Database.open(home) as database:
            yield database
    else:
        async with Database.open(home, where.owner, writer=where.writer, reader=where.reader) as database:
            yield database


@cache
def shared() -> Addresses:
    """One database for the whole session, dropped at its end."""
    making = fresh()
    atexit.register(making.__exit__, None, None, None)
    return making.__enter__()


@contextmanager
def fresh() -> Iterator[Addresses]:
    """A new database with the engine of the one that was named, and dropped afterwards."""
    name = f"passerelle_test_{token_hex(6)}"
    engine = engine_named()
    with _connected() as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    spread = _spread_out(name) if engine == "citus" else ()
    try:
        _furnish(name, engine, spread)
        yield _addresses(name)
    finally:
        _drop(name, spread)


@cache
def engine_named() -> str | None:
    """The extension that makes the engine: `timescaledb`, `citus` or None."""
    if not DATABASE:
        return None
    with _connected() as conn:
        rows = conn.execute("SELECT extname FROM pg_extension").fetchall()
    return next((name for (name,) in rows if name in {"timescaledb", "citus"}), None)


@cache
def roles() -> tuple[dict[str, tuple[str, str]], str]:
    """Role → its name and password; or none, and why one role does everything."""
    made: dict[str, tuple[str, str]] = {}
    try:
        with _connected() as conn:
            for role in PARTED:
                name, password = f"passerelle_test_{token_hex(6)}_{role}", token_hex(16)
                statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
                conn.execute(statement.format(sql.Identifier(name), sql.Literal(password)))
                made[role] = name, password
        atexit.register(_drop_roles, [name for name, _ in made.values()])
        for name, password in made.values():
            psycopg.connect(make_conninfo(DATABASE, user=name, password=password)).close()
    except psycopg.Error as problem:
        return {}, type(problem).__name__
    return made, ""


def _addresses(name: str) -> Addresses:
    made, _ = roles()
    owner = make_conninfo(DATABASE, dbname=name)
    parted = {
        role: make_conninfo(owner, user=user, password=password) for role, (user, password) in made.items()
    }
    return Addresses(owner, parted.get("writer"), parted.get("reader"))


def _connected(**where: object) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(make_conninfo(DATABASE, **where), autocommit=True, connect_timeout=10)


def _spread_out(name: str) -> Sequence[tuple[str, int]]:
    """Makes the database on every other node of a cluster; the nodes."""
    with _connected() as conn:
        found = conn.execute(
            "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 AND noderole = 'primary'"
        ).fetchall()
        nodes = [(str(host), int(str(port))) for host, port in found]
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)).as_string(conn)
        conn.execute("SELECT run_command_on_workers(%s)", (create,))
    return nodes


def _furnish(name: str, engine: str | None, nodes: Sequence[tuple[str, int]]) -> None:
    _close(name)
    if engine is None:
        return
    create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(engine))
    for host, port in nodes:
        with _connected(host=host, port=port, dbname=name) as conn:
            conn.execute(create)
    with _connected(dbname=name) as conn:
        conn.execute(create)
        if nodes:
            with _connected() as first:
                (own,) = first.execute(
                    "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid = 0"
                ).fetchall() or [(None, None)]
            if own[0] is not None:
                conn.execute("SELECT citus_set_coordinator_host(%s, %s)", own)
        for node in nodes:
            conn.execute("SELECT citus_add_node(%s, %s)", node)


def _close(name: str) -> None:
    """What docs/engines.md has an operator do: nobody makes anything there but the owner."""
    made, _ = roles()
    if not made:
        return
    names = sql.SQL(", ").join(sql.Identifier(role) for role, _ in made.values())
    with _connected(dbname=name) as conn:
        conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
        conn.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(name), names))
        with suppress(psycopg.errors.InsufficientPrivilege):
            large_objects = "lo_creat(int4), lo_create(oid), lo_from_bytea(oid, bytea)"
            conn.execute(f"REVOKE EXECUTE ON FUNCTION {large_objects} FROM PUBLIC")


def _drop(name: str, nodes: Sequence[tuple[str, int]]) -> None:
    with _connected() as conn:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        conn.execute(drop)
        if nodes:
            conn.execute("SELECT run_command_on_workers(%s)", (drop.as_string(conn),))


def _drop_roles(names: Sequence[str]) -> None:
    with suppress(psycopg.Error), _connected() as conn:
        for name in names:
            conn.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))

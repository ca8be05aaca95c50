"""The way to the database: one small pool per role, opened when first used, the schema brought up to date.

Without an address the home's own server is started or adopted (`storage.embedded`). With one, each role may
have its own; a role that has none works under the owner's. Never `SET ROLE`: a role that can take another is
that other.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from device_profiles.errors import StorageError
from storage.addresses import Addresses, addresses_of, user_of
from storage.arrays import register_arrays
from storage.cluster import ROOT_PARENT
from storage.connection import Connection
from storage.embedded import EmbeddedServer
from storage.errors import (
    DatabaseAddressUnusable,
    DatabaseInterrupted,
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    DiskReadOnly,
)
from storage.migrate import Engine, engine_of, migrate_shelf, migrate_space
from storage.pools import CONNECTED_LIMIT, USUAL_LIMITS, PoolLimits, PoolUse, Turnstile

CONNECT_LIMIT = 5
"""Seconds to wait for a server's answer to a connection (libpq's `connect_timeout`)."""

_CONNECTING: dict[str, Any] = {
    "connect_timeout": CONNECT_LIMIT,
    # A server that is gone without a word (a machine lost, a cable) is noticed after this, and not after the
    # quarter of an hour that TCP allows itself. Nothing of it touches a socket of the same machine.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}

NEARLY_FULL = 16 << 20
"""Bytes left on a disk below which a server that ended ended for want of space: one WAL file."""

# A lost connection is told once, by our own error.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Health:
    """What answers: its engine and PostgreSQL's major version, and whether it is the home's own server."""

    engine: Engine
    major: int
    embedded: bool


class Database:
    """The pools of one program. Made by `Database.open`."""

    def __init__(self, addresses: Addresses, server: EmbeddedServer | None, limits: PoolLimits) -> None:
        self._addresses = addresses
        self._server = server
        self._limits = limits
        self._pools: dict[str, AsyncConnectionPool[Connection]] = {}
        self._turnstiles: dict[str, Turnstile] = {}
        self._migrated: set[str] = set()
        self._opening = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        home: Path,
        dsn: str | None = None,
        *,
        writer: str | None = None,
        reader: str | None = None,
        shelf: str | None = None,
        space: bool = True,
        limits: PoolLimits = USUAL_LIMITS,
        root_parent: Path = ROOT_PARENT,
    ) -> AsyncIterator[Database]:
        """The database of this home, or the one that `dsn` names (the owner's address), migrated.

        `writer`, `reader`, `shelf`: addresses of the other roles; the owner's where absent.
        With `space` false only the shelf's database is used. `limits`: of each role's pool. `root_parent`:
        where the folders of servers lie when root runs the program. Raises a StorageError that says what is
        wrong; for a server that does not answer, within CONNECT_LIMIT.
        """
        server = None
        if dsn is None and (space or shelf is None):
            server = await asyncio.to_thread(EmbeddedServer.hold, home, root_parent)
        try:
            database = cls(addresses_of(server, dsn, writer, reader, shelf), server, limits)
            try:
                await database._migrate("space" if space else "shelf")
                yield database
            finally:
                for role, pool in list(database._pools.items()):
                    await database._drop(role, pool)
        finally:
            if server is not None:
                await asyncio.to_thread(server.release)

    @classmethod
    @asynccontextmanager
    async def unmigrated(cls, home: Path, root_parent: Path = ROOT_PARENT) -> AsyncIterator[Database]:
        """The home's own server, its databases as they are, for `owned` alone: what a restore begins with."""
        server = await asyncio.to_thread(EmbeddedServer.hold, home, root_parent)
        try:
            yield cls(addresses_of(server, None, None, None, None), server, USUAL_LIMITS)
        finally:
            await asyncio.to_thread(server.release)

    def writer(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction of the role that syncs: ended by the block's end, undone by its exception."""
        return self._transaction("writer")

    def reader(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction of the role that serves HTTP: it may call functions that take a token's hash."""
        return self._transaction("reader")

    def shelf(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction in the shelf's own database."""
        return self._transaction("shelf")

    def owner(self) -> AbstractAsyncContextManager[Connection]:
        """One transaction of the role that owns the main database: for migrations, erasing and retention."""
        return self._transaction("owner")

    @asynccontextmanager
    async def owned(self, schema: str) -> AsyncIterator[Connection]:
        """A connection of the owner of `passerelle` or `shelf`, in autocommit and of no pool.

        For what takes long: a backup, a restore. The shelf's schema may not be there yet.
        """
        address = self._addresses.shelf_owner if schema == "shelf" else self._addresses.owner
        try:
            async with await AsyncConnection.connect(address, autocommit=True, **_CONNECTING) as conn:
                yield conn
        except psycopg.Error as problem:
            raise self._meaning(problem) from None

    async def health(self) -> Health:
        """Asks the server. Raises DatabaseUnreachable or DatabaseInterrupted."""
        async with self._transaction("writer") as conn:
            await conn.execute("SELECT 1")
            engine = await engine_of(conn)
            return Health(engine, conn.info.server_version // 10_000, self._server is not None)

    def pools(self) -> tuple[PoolUse, ...]:
        """How much of each role's pool is used; of the roles that were used so far."""
        return tuple(turnstile.use for turnstile in self._turnstiles.values())

    @property
    def embedded(self) -> bool:
        """Whether this is the home's own server."""
        return self._server is not None

    @asynccontextmanager
    async def _transaction(self, role: str) -> AsyncIterator[Connection]:
        turnstile = self._turnstiles.setdefault(role, Turnstile(role, self._limits))
        async with turnstile.passed():
            pool = None
            try:
                pool = await self._pool(role)
                async with pool.connection() as conn:
                    yield conn
            except (psycopg.Error, PoolTimeout, PoolClosed) as problem:
                error = self._meaning(problem)
                if isinstance(error, DatabaseInterrupted | DatabaseUnreachable | DiskFull):
                    await self._drop(role, pool)
                # The server's own words may hold a patient's name or value: they end here.
                raise error from None

    async def _pool(self, role: str) -> AsyncConnectionPool[Connection]:
        async with self._opening:
            if role not in self._pools:
                if self._server is not None:
                    await asyncio.to_thread(self._server.ensure)
                await self._migrate("shelf" if role == "shelf" else "space")
                self._pools[role] = await self._open_pool(getattr(self._addresses, role))
            return self._pools[role]

    async def _open_pool(self, address: str) -> AsyncConnectionPool[Connection]:
        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            address,
            kwargs=_CONNECTING,
            configure=_configure,
            check=self._check,
            min_size=0,
            max_size=self._limits.size,
            timeout=CONNECTED_LIMIT,
            open=False,
        )
        await pool.open()
        return pool

    async def _check(self, conn: Connection) -> None:
        """Looks at a connection before it is handed out; brings back the home's own server if it ended."""
        try:
            await AsyncConnectionPool.check_connection(conn)
        except psycopg.Error:
            if self._server is not None:
                await asyncio.to_thread(self._server.ensure)
            raise

    async def _drop(self, role: str, pool: AsyncConnectionPool[Connection] | None) -> None:
        """The next use of the role begins with a look at the server.

        Many transactions fail together when a server ends: who comes late finds a newer pool, and leaves it.
        """
        if pool is not None:
            if self._pools.get(role) is pool:
                del self._pools[role]
            await pool.close()

    async def _migrate(self, which: str) -> None:
        """Once per program and database."""
        if which in self._migrated:
            return
        at = self._addresses
        own = at.owner if which == "space" else at.shelf_owner
        try:
            async with await AsyncConnection.connect(own, autocommit=True, **_CONNECTING) as conn:
                if which == "space":
                    await migrate_space(conn, user_of(at.writer), user_of(at.reader))
                else:
                    await migrate_shelf(conn, user_of(at.shelf))
        except psycopg.Error as problem:
            raise self._meaning(problem, connecting=True) from None
        self._migrated.add(which)

    def _meaning(self, problem: Exception, *, connecting: bool = False) -> StorageError:
        """Our error for one of psycopg's."""
        code = getattr(problem, "sqlstate", None) or ""
        lost = code.startswith(("08", "57P")) or (
            not code
            and isinstance(
                problem, psycopg.OperationalError | psycopg.InterfaceError | PoolTimeout | PoolClosed
            )
        )
        if code == "53100" or "No space left" in str(problem) or (lost and self._disk_is_full()):
            return DiskFull()
        if code == "25006":
            return DiskReadOnly()
        misspelt = connecting and isinstance(problem, psycopg.ProgrammingError) and not code
        if misspelt:
            return DatabaseAddressUnusable()
        if lost or code.startswith("28"):
            return DatabaseUnreachable() if connecting and self._server is None else DatabaseInterrupted()
        return DatabaseRefused(code=code or type(problem).__name__)

    def _disk_is_full(self) -> bool:
        if self._server is None:
            return False
        disk = os.statvfs(self._server.place.folder)
        return disk.f_bavail * disk.f_frsize < NEARLY_FULL


async def _configure(conn: Connection) -> None:
    register_arrays(conn)

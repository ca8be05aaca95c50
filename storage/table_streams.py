"""Whole tables as streams: binary COPY, in the order of the key, so that the same rows are the same bytes.

Backup, restore and the move to a newer PostgreSQL are made of these. PostgreSQL's binary form of a column
depends on its type alone, not on the version or the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from storage.connection import Connection
from storage.statements import statements

CHUNK = 1 << 22
"""Bytes of a table that are in memory at once, about."""

MONTHLY = ("reading", "reading_quantity")
"""The tables that have a partition per month on some engines."""

_SQL = statements("backup")


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns with their types, and the statements that read, write and empty it."""

    name: str
    columns: tuple[tuple[str, str], ...]
    read: str = field(repr=False)
    write: str = field(repr=False)
    empty: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a table holds, and the SHA-256 of its stream in hexadecimal."""

    rows: int
    octets: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Besides:
    """What belongs to a schema's rows and is in none: where counters stand, which months have partitions."""

    sequences: Mapping[str, int]
    months: Mapping[str, list[date]]


class Measure:
    """Counts and hashes a stream on its way."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._octets = 0

    def add(self, part: bytes) -> None:
        """The next part of the stream."""
        self._digest.update(part)
        self._octets += len(part)

    def extent(self, rows: int) -> Extent:
        """What was measured, of so many rows."""
        return Extent(rows, self._octets, self._digest.hexdigest())


class TableReading:
    """One table being read: `parts` gives its stream, `extent` what it was once all of it was taken."""

    def __init__(self, conn: Connection, table: Table) -> None:
        self._conn = conn
        self._table = table
        self._measure = Measure()
        self._rows = 0

    async def parts(self) -> AsyncIterator[bytes]:
        """The table's stream, in parts of about CHUNK bytes."""
        gathered = bytearray()
        async with self._conn.cursor() as cursor:
            async with cursor.copy(self._table.read) as copy:
                async for row in copy:
                    gathered += row
                    if len(gathered) >= CHUNK:
                        yield self._measured(gathered)
                        gathered.clear()
            self._rows = cursor.rowcount
        yield self._measured(gathered)

    @property
    def extent(self) -> Extent:
        """Of all that was read."""
        return self._measure.extent(self._rows)

    def _measured(self, gathered: bytearray) -> bytes:
        part = bytes(gathered)
        self._measure.add(part)
        return part


async def tables_of(conn: Connection, schema: str) -> Mapping[str, Table]:
    """The tables of a schema by name; none where the schema is not there."""
    rows = await (await conn.execute(_SQL["tables"], {"schema": schema})).fetchall()
    return {
        name: Table(name, tuple(zip(columns, types, strict=True)), read, write, empty)
        for name, columns, types, read, write, empty in rows
    }


async def besides(conn: Connection, schema: str, tables: Mapping[str, Table]) -> Besides:
    """Asked after the snapshot was taken: a counter that has run on meanwhile leaves a gap, never a clash."""
    counted = await (await conn.execute(_SQL["sequences"], {"schema": schema})).fetchall()
    months = {
        parent: [month for (month,) in await (await conn.execute(_SQL[f"months_of_{parent}"])).fetchall()]
        for parent in MONTHLY
        if schema == "passerelle" and parent in tables
    }
    return Besides({name: value for name, value in counted if value is not None}, months)


async def make_ready(conn: Connection, schema: str, found: Besides) -> None:
    """The partitions that the rows need, and the counters where they stood."""
    for parent, months in found.months.items():
        await conn.execute(_SQL["ensure_months"], {"parent": parent, "months": months})
    for name, value in found.sequences.items():
        await conn.execute(_SQL["set_sequence"], {"schema": schema, "name": name, "value": value})


async def write(conn: Connection, table: Table, parts: AsyncIterable[bytes]) -> None:
    """Fills a table with a stream; what a step of the schema had put there gives way."""
    await conn.execute(table.empty)
    async with conn.cursor() as cursor, cursor.copy(table.write) as copy:
        async for part in parts:
            await copy.write(part)


async def extent_of(conn: Connection, table: Table) -> Extent:
    """What a table holds now, by reading all of it."""
    reading = TableReading(conn, table)
    async for _ in reading.parts():
        pass
    return reading.extent


async def begin_snapshot(conn: Connection) -> None:
    """The first statement of a transaction that sees one moment."""
    await conn.execute(_SQL["begin"])


async def settle(conn: Connection) -> None:
    """After all was written and committed, in autocommit."""
    await conn.execute(_SQL["settle"])

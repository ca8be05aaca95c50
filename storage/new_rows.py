"""New rows on their way into the table `reading`: many by COPY, a few by one statement.

The caller holds the lock of the device's row and has set the savepoint `before_copy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from psycopg import Error as DatabaseError

from storage.columns import COPY_COLUMNS, COPY_HEADER, COPY_TRAILER, SPARSE_COLUMNS, Columns, moment
from storage.connection import Connection
from storage.days import MICROSECONDS_A_DAY
from storage.errors import ValueNotStorable
from storage.statements import statements

COPY_FROM = 100
"""Rows from which a COPY beats one INSERT; below, its extra round trips cost more than they save."""

COPY_BLOCK = 1024
"""Rows that are made and sent at a time: the server writes a block while the next is made."""

NO_PARTITION, KEY_EXISTS, EITHER_ON_CITUS = "23514", "23505", "XX000"
"""What a server says of a row whose month has no partition, and of a key that is there. In a COPY Citus says
one thing for both."""

_SQL = statements("writing")

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class NewRows(Generic[Made]):
    """Rows that are not there, and how they are written.

    `parts` makes them, at least one, each time from the beginning, and raises ValueNotStorable. `meanwhile`
    makes something of all of them while the server is busy.
    """

    conn: Connection
    key: Mapping[str, int]
    count: int
    parts: Callable[[], Iterator[Columns]]
    meanwhile: Callable[[Columns], Made]

    async def write(self) -> tuple[int, Made]:
        """How many were new, and what `meanwhile` made.

        The first reading of a month finds no partition: the months are made, and the rows written again.
        Where someone stored the same key without this lock, the other statement passes over it.
        Raises ValueNotStorable; nothing was written then.
        """
        try:
            return await self._write()
        except ValueNotStorable:
            await self.conn.execute(_SQL["go_back"])
            raise
        except DatabaseError as problem:
            if problem.sqlstate not in {NO_PARTITION, KEY_EXISTS, EITHER_ON_CITUS}:
                raise
            refused = problem.sqlstate
        await self.conn.execute(_SQL["go_back"])
        if refused != KEY_EXISTS:
            await self._ensure_months()
        return await (self._again() if refused == NO_PARTITION else self._insert())

    async def _again(self) -> tuple[int, Made]:
        """Written once the months are there; once more where a month of another writer was not seen yet.

        Seen once in many runs of many writers on PostgreSQL 15: the months were there, and a row found none.
        """
        try:
            return await self._write()
        except DatabaseError as problem:
            if problem.sqlstate != NO_PARTITION:
                raise
        await self.conn.execute(_SQL["go_back"])
        await self._ensure_months()
        return await self._write()

    async def _ensure_months(self) -> None:
        found = [part.recorded_at // MICROSECONDS_A_DAY for part in self.parts()]
        days = np.unique(np.concatenate(found)) * MICROSECONDS_A_DAY
        months = sorted({moment(begin).date().replace(day=1) for begin in days.tolist()})
        await self.conn.execute(_SQL["ensure_months"], {"parent": "reading", "months": months})

    async def _write(self) -> tuple[int, Made]:
        if self.count < COPY_FROM:
            return await self._insert()
        written: list[Columns] = []
        parts = self.parts()
        part = next(parts, None)
        while part is not None:
            # What begins with the defaults of a sensor may end without; what began with all columns ends so.
            sparse = part.sparse()
            statement, columns = ("copy_sparse", SPARSE_COLUMNS) if sparse else ("copy", COPY_COLUMNS)
            async with self.conn.cursor().copy(_SQL[statement]) as copy:
                head = COPY_HEADER
                while part is not None and (not sparse or part.sparse()):
                    await copy.write(head + part.copied(**self.key, columns=columns))
                    written.append(part)
                    head, part = b"", next(parts, None)
                await copy.write(COPY_TRAILER)
                if part is None:
                    made = self.meanwhile(Columns.joined(written))
        return self.count, made

    async def _insert(self) -> tuple[int, Made]:
        """One statement that passes over what is there already."""
        new = Columns.joined(list(self.parts()))
        if not self.count:
            return 0, self.meanwhile(new)
        values: dict[str, Any] = {name: getattr(new, name) for name in Columns.__slots__}
        cursor = await self.conn.execute(_SQL["insert"], {**self.key, **values, "raw": list(new.raw)})
        return len(await cursor.fetchall()), self.meanwhile(new)

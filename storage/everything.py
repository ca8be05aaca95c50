"""All that is kept of a person, table by table, as streams: what an export of everything is made of.

Rows come from a cursor of the server, so that ten years do not lie in memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from psycopg.rows import dict_row

from storage.connection import Connection
from storage.statements import statements

AT_A_TIME: Final = 2000
"""Rows that are fetched by one round trip."""

_SQL = statements("everything")


async def one_moment(conn: Connection) -> None:
    """From here to its end the transaction sees one moment, whatever is stored meanwhile."""
    await conn.execute(_SQL["one_moment"])


async def rows(conn: Connection, table: str, patient_id: int) -> AsyncIterator[Mapping[str, Any]]:
    """The rows of one statement of `queries/everything.sql`, in its order; bytes are hexadecimal texts."""
    async with conn.cursor(name="everything", row_factory=dict_row) as cursor:
        cursor.itersize = AT_A_TIME
        await cursor.execute(_SQL[table], {"patient_id": patient_id})
        async for row in cursor:
            yield row

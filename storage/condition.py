"""What a server noticed of its disk by itself."""

from __future__ import annotations

from storage.connection import Connection
from storage.statements import statements

_SQL = statements("condition")


async def damaged_blocks(conn: Connection) -> int:
    """Blocks of this database whose checksum was wrong when they were read; 0 where none is kept."""
    row = await (await conn.execute(_SQL["damaged_blocks"])).fetchone()
    return int(row[0] or 0) if row else 0

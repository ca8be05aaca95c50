"""Months that are over lie closer together: their indexes are built anew, while everybody reads and stores.

Where many people's devices are read day after day, each person's readings come in at a place of their own in
the index, and a page that is full there is parted in two halves, of which the first is never filled again. So
an index grows to twice its size while its month lasts. One pass when the month is over halves it; what comes
late still finds its place. Plain PostgreSQL only: the other engines have none of these tables, or their own
means. See docs/decisions/0040.
"""

from __future__ import annotations

from datetime import date

from storage.connection import Connection
from storage.statements import statements

LOOSE_BYTES = 56
"""An index of a reading has 44 bytes a row, and leaves a tenth of a page empty when it is built: 49."""

ROWS = 10_000
"""An index smaller than that is no matter."""

_SQL = statements("packing")


async def pack_months(conn: Connection, today: date) -> int:
    """Builds the indexes anew that need it, one after the other; how many. Idempotent.

    `conn`: of the owner, in autocommit. One that is interrupted leaves the old index as it was, and beside it
    what it had built, marked as invalid by PostgreSQL.
    """
    values = {"today": today, "rows": ROWS, "bytes": LOOSE_BYTES}
    loose = await (await conn.execute(_SQL["loose_months"], values)).fetchall()
    for (statement,) in loose:
        await conn.execute(statement)
    return len(loose)

"""What a real TimescaleDB makes of a month: `python -m benchmarks.packing DSN`, of a server's superuser.

In a database of its own, which is thrown away: the program's schema, a month of 150 sensors with made-up
values as a space keeps them, compressed by one backend, then one person erased whole and others in part.
Counted is the backend's work, so it must be on this machine. For the model's numbers "measured elsewhere".
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from benchmarks import work
from storage.database import Database

NAME = "passerelle_packing"
PEOPLE, MONTH = 150, 8640
FILL = """
INSERT INTO passerelle.reading (recorded_at, patient_id, sequence, mantissa, device_id, kind, unit, raw)
SELECT '2026-03-01Z'::timestamptz + i * interval '5 min', p, i, v, 1, 4, 0, convert_to(v || ' mg/dL', 'UTF8')
FROM generate_series(1, %s) p, generate_series(0, %s) i,
    LATERAL (SELECT (120 + 60 * sin(i / 40.0 + p) + 12 * random())::int AS v) x
"""
SIZE = "SELECT hypertable_size('passerelle.reading')"
PACK = "SELECT compress_chunk(c) FROM show_chunks('passerelle.reading') c"
UNBOUND = "SET timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
WHOLE = "DELETE FROM passerelle.reading WHERE patient_id = 7"
PART = "DELETE FROM passerelle.reading WHERE patient_id BETWEEN 10 AND 40 AND sequence %% 2 = 0"


async def _one(conn: AsyncConnection[Any], statement: str) -> Any:
    row = await (await conn.execute(statement)).fetchone()
    return row[0] if row else None


async def measure(dsn: str) -> list[str]:
    async with await AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {NAME}")
        try:
            return await _measured(make_conninfo(dsn, dbname=NAME))
        finally:
            await admin.execute(f"DROP DATABASE {NAME} WITH (FORCE)")


async def _measured(dsn: str) -> list[str]:
    async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        version = await _one(conn, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
    with tempfile.TemporaryDirectory() as folder:
        async with Database.open(Path(folder), dsn):
            pass  # the schema is there now
    async with await AsyncConnection.connect(dsn, autocommit=True) as conn:
        pid, count = conn.info.backend_pid, PEOPLE * MONTH
        await conn.execute(FILL, (PEOPLE, MONTH - 1))
        rows = await _one(conn, SIZE)
        before = work.of_process(pid)
        await conn.execute(PACK)
        packing = work.of_process(pid) - before
        packed = await _one(conn, SIZE)
        await conn.execute(UNBOUND)
        before = work.of_process(pid)
        await conn.execute(WHOLE)
        whole = work.of_process(pid) - before
        gone = (await conn.execute(PART, ())).rowcount
        part = work.of_process(pid) - before - whole
    return [
        f"TimescaleDB {version}, {count} readings of {PEOPLE} people, one month",
        f"  {rows / count:.1f} bytes a reading in rows, {packed / count:.1f} compressed",
        f"  {count / packing:,.0f} readings compressed by a core in a second",
        f"  one person erased whole: {whole * 1e3:.0f} ms; "
        f"a part of others: {part / gone * 1e6:.1f} µs a reading",
    ]


def main() -> int:
    if len(sys.argv) != 2:
        print((__doc__ or "").partition("\n")[0])
        return 2
    try:
        print("\n".join(asyncio.run(measure(sys.argv[1]))))
    except psycopg.Error as problem:
        print(problem)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

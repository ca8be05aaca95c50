"""A month that is over takes the room that it needs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from storage import packing
from storage.columns import Columns
from storage.database import Database
from storage.migrate import Engine
from storage.packing import pack_months
from storage.patients import Patient
from storage.readings import writing
from tests.storage.samples import columns_of, glucose, new_device, segment

BEGIN = datetime(2061, 5, 1, tzinfo=UTC)
SIZE = "SELECT pg_indexes_size('passerelle.reading_2061_05'), count(*) FROM passerelle.reading_2061_05"


async def of_the_month(database: Database) -> tuple[int, int]:
    async with database.owner() as conn:
        row = await (await conn.execute(SIZE)).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def day(number: int) -> Columns:
    begin = BEGIN + timedelta(days=number)
    batch = [glucose(600 * number + row, at=begin + timedelta(minutes=2 * row)) for row in range(600)]
    return columns_of(batch)


async def test_the_indexes_of_a_month_that_is_over_lie_close_and_no_reading_changes(
    database: Database, patient: Patient
) -> None:
    if (await database.health()).engine is not Engine.PLAIN:
        return
    owned = [await new_device(database, patient) for _ in range(12)]
    ends = [glucose(0, at=BEGIN), glucose(60_000, at=BEGIN + timedelta(days=30))]
    for number in range(4):
        for device in owned:
            async with database.writer() as conn, writing(conn, device) as storing:
                await storing.store_columns(day(number), [segment(ends)])
    loose, count = await of_the_month(database)
    async with database.owned("passerelle") as conn:
        await conn.execute("ANALYZE passerelle.reading_2061_05")
        await pack_months(conn, date(2061, 5, 31))  # months of the tests before; this one is not over
        assert (await of_the_month(database))[0] == loose
        await pack_months(conn, date(2061, 6, 1))
        assert await pack_months(conn, date(2061, 6, 1)) == 0
    packed, same = await of_the_month(database)
    assert (count, same) == (4 * 12 * 600, 4 * 12 * 600)
    assert packed / count <= packing.LOOSE_BYTES < loose / count

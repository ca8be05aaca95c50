"""A pool has a size, a queue and a patience: who finds no connection is told soon, and nothing hangs."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

import pytest

from storage.database import Database
from storage.errors import DatabaseBusy
from storage.pools import PoolLimits, Turnstile
from tests.conftest import DATABASE


async def test_a_full_pool_refuses_within_its_patience_and_serves_again_afterwards(
    database_home: Path,
) -> None:
    async with Database.open(database_home, DATABASE, limits=PoolLimits(2, 4, 0.2)) as database:
        async with AsyncExitStack() as held:
            for _ in range(2):
                await held.enter_async_context(database.writer())
            begun = monotonic()
            with pytest.raises(DatabaseBusy):
                async with database.writer():
                    pass
            assert monotonic() - begun < 1
            (use,) = database.pools()
            assert (use.role, use.size, use.in_use, use.waiting, use.refused) == ("writer", 2, 2, 0, 1)
        async with database.writer() as conn:
            await conn.execute("SELECT 1")


async def test_a_queue_that_is_full_refuses_at_once_and_those_in_it_are_served(database_home: Path) -> None:
    async with Database.open(database_home, DATABASE, limits=PoolLimits(1, 3, 30)) as database:
        served = []

        async def work(number: int) -> None:
            async with database.writer() as conn:
                await conn.execute("SELECT 1")
                served.append(number)

        async with database.writer():
            queue = [asyncio.create_task(work(number)) for number in range(3)]
            await asyncio.sleep(0)
            begun = monotonic()
            with pytest.raises(DatabaseBusy):
                await work(99)
            assert monotonic() - begun < 1
        await asyncio.gather(*queue)
        assert served == [0, 1, 2]


async def test_who_gives_up_waiting_leaves_no_place_taken() -> None:
    turnstile = Turnstile("writer", PoolLimits(1, 10, 10))

    async def pass_through() -> None:
        async with turnstile.passed():
            await asyncio.sleep(0)

    async with turnstile.passed():
        waiting = [asyncio.create_task(pass_through()) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting[:4]:
            task.cancel()
        await asyncio.gather(*waiting[:4], return_exceptions=True)
    await waiting[4]
    assert (turnstile.use.in_use, turnstile.use.waiting) == (0, 0)
    await pass_through()


async def test_many_that_fail_together_leave_the_next_pool_alone(database: Database) -> None:
    async def ended(conn_id: int) -> None:
        del conn_id
        async with database.writer() as conn:
            await conn.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    failed = await asyncio.gather(*(ended(number) for number in range(4)), return_exceptions=True)
    assert all(isinstance(error, Exception) for error in failed)
    async with database.writer() as conn:
        await conn.execute("SELECT 1")

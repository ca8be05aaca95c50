"""How many connections a role of this process has, how many wait for one, and for how long: all bounded.

A pool that is full refuses soon (`DatabaseBusy`): a request that waits long is asked again meanwhile, and
then both wait. The bound is ours and not that of psycopg's pool, so that full and unreachable stay two
errors: inside it, a connection that does not come within CONNECTED_LIMIT means that no server answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from storage.errors import DatabaseBusy

CONNECTED_LIMIT = 10.0
"""Seconds to wait for a connection when there is room for one."""


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The bounds of each role's pool; docs/decisions/0043 argues them.

    `size`: connections; `waiting`: transactions that may wait for one; `wait`: seconds they wait at most.
    """

    size: int = 4
    waiting: int = 64
    wait: float = 3.0


USUAL_LIMITS = PoolLimits()
"""What holds where nothing is set."""


@dataclass(frozen=True, slots=True)
class PoolUse:
    """How much of a role's pool is used at this moment, and how many it has refused."""

    role: str
    size: int
    in_use: int
    waiting: int
    refused: int


class Turnstile:
    """Lets as many transactions in as a pool has connections; the others wait in order, or are refused."""

    def __init__(self, role: str, limits: PoolLimits) -> None:
        self._role = role
        self._limits = limits
        self._places = asyncio.Semaphore(limits.size)
        self._in_use = 0
        self._waiting = 0
        self._refused = 0

    @property
    def use(self) -> PoolUse:
        """How it stands."""
        return PoolUse(self._role, self._limits.size, self._in_use, self._waiting, self._refused)

    @asynccontextmanager
    async def passed(self) -> AsyncIterator[None]:
        """A place for the length of the block. Raises DatabaseBusy where none becomes free in time."""
        await self._enter()
        self._in_use += 1
        try:
            yield
        finally:
            self._in_use -= 1
            self._places.release()

    async def _enter(self) -> None:
        if self._places.locked() and self._waiting >= self._limits.waiting:
            self._refused += 1
            raise DatabaseBusy
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.wait):
                await self._places.acquire()
        except TimeoutError:
            self._refused += 1
            raise DatabaseBusy from None
        finally:
            self._waiting -= 1

"""Keeps the scheduler's jobs at their rhythm when the machine's clock is set back, or the machine slept.

APScheduler asks the wall clock when a job is next due. If that is set back by a year while it waits, every
job would be due in a year. And it waits for that by the clock that only counts on, which on many machines
stands still while they sleep: what became due meanwhile would wait for as long again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler

LOOK_SECONDS = 30.0
"""How often the two clocks are compared."""

TOLERANCE_SECONDS = 60.0
"""Beyond what a clock is corrected by as it runs."""


async def keep(
    scheduler: AsyncIOScheduler, *, look: float = LOOK_SECONDS, wall: Callable[[], float] = time.time
) -> None:
    """Makes every job due at once when the wall clock fell behind the one that only counts on. Never ends.

    Where it ran ahead, those that became due meanwhile.
    """
    ahead = wall() - time.monotonic()
    while True:
        await asyncio.sleep(look)
        now = wall() - time.monotonic()
        if ahead - now > TOLERANCE_SECONDS:
            due = datetime.fromtimestamp(wall(), UTC)
            for job in scheduler.get_jobs():
                job.modify(next_run_time=due)
        elif now - ahead > TOLERANCE_SECONDS:
            scheduler.wakeup()
        ahead = now

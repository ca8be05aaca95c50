"""The machine's clock is set back while the gateway runs: its jobs go on."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gateway import rhythm


async def test_a_job_that_would_be_due_in_a_year_is_due_at_once_when_the_clock_is_set_back():
    shift = 0.0
    ran = asyncio.Event()
    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_job(ran.set, "interval", days=365, id="once a year")
    scheduler.start()
    keeping = asyncio.create_task(rhythm.keep(scheduler, look=0.01, wall=lambda: time.time() + shift))
    await asyncio.sleep(0.05)
    assert not ran.is_set()
    shift = -365 * 86400.0
    await asyncio.wait_for(ran.wait(), 5)
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
    scheduler.shutdown(wait=False)

"""What the gateway does by itself, on APScheduler: deliver shares that wait, fetch who opened them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from device_profiles.errors import PasserelleError
from gateway import annotating, auditing, retaining, rhythm, sharing
from gateway.claimed import Claims
from gateway.home import Home
from gateway.outbox import feeder, limits

logger = logging.getLogger(__name__)

SHELF_SECONDS = 30
"""A share that waited for its shelf is delivered within this; an opening is seen within it."""

DAILY_LOOK_SECONDS = 3600
"""How often it is looked whether the day's work was done: a laptop may sleep at any hour."""

FIRST_SECONDS = 3
"""What waited is delivered soon after the start: by then a shelf of the same command answers."""


async def visit_shelf(home: Home) -> None:
    """Deliver what waits and fetch the openings; a shelf that is down is tried again next time."""
    failures: tuple[PasserelleError, ...]
    try:
        failures = (*await sharing.deliver_waiting(home), *await sharing.fetch_openings(home))
    except PasserelleError as error:
        failures = (error,)
    except asyncio.CancelledError:
        return  # the program ends, and whoever runs next does it; the scheduler would print a traceback
    for name in sorted({type(failure).__name__ for failure in failures}):
        logger.warning("visit to the shelf: %s", name)


async def feed_spaces(home: Home) -> None:
    """Tell each space that may be asked what waits for it; one that fails is tried again later."""
    try:
        await feeder.feed_due(home)
    except PasserelleError as error:
        logger.warning("feeding of spaces: %s", type(error).__name__)
    except asyncio.CancelledError:
        return  # the program ends: what was not told waits


@contextmanager
def scheduled(home: Home) -> Iterator[AsyncIOScheduler]:
    """The jobs, running on the current event loop until the block ends."""
    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_job(
        visit_shelf,
        "interval",
        seconds=SHELF_SECONDS,
        next_run_time=datetime.now(UTC) + timedelta(seconds=FIRST_SECONDS),
        args=[home],
        coalesce=True,
        max_instances=1,
        id="visit-shelf",
    )
    scheduler.add_job(
        feed_spaces,
        "interval",
        seconds=limits.DRAINING.total_seconds(),
        next_run_time=datetime.now(UTC) + timedelta(seconds=FIRST_SECONDS),
        args=[home],
        coalesce=True,
        max_instances=1,
        id="feed-spaces",
    )
    claims = Claims(home.database)
    for job in (retaining.job(home), auditing.job(home), annotating.job(home)):
        scheduler.add_job(
            claims.run,
            "interval",
            seconds=DAILY_LOOK_SECONDS,
            next_run_time=datetime.now(UTC) + timedelta(seconds=FIRST_SECONDS),
            args=[job],
            coalesce=True,
            max_instances=1,
            id=job.name,
        )
    scheduler.start()
    keeping = asyncio.create_task(rhythm.keep(scheduler))
    try:
        yield scheduler
    finally:
        keeping.cancel()
        scheduler.shutdown(wait=False)

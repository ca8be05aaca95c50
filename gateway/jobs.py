"""What the gateway does by itself, on APScheduler: deliver shares that wait, fetch who opened them.

A job that was due while the laptop slept runs once when it wakes. What new readings are for (live links that
are sealed again, spaces that are fed) is done soon after they are stored, whatever the jobs' rhythm is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from device_profiles.errors import PasserelleError
from gateway import annotating, auditing, retaining, rhythm, sharing
from gateway.claimed import Claims
from gateway.events import Changed, Events, Missed, ReadingsStored
from gateway.home import Home
from gateway.outbox import feeder, limits

logger = logging.getLogger(__name__)

SHELF_SECONDS = 30
"""A share that waited for its shelf is delivered within this; an opening is seen within it."""

DAILY_LOOK_SECONDS = 3600
"""How often it is looked whether the day's work was done: a laptop may sleep at any hour."""

SOON_SECONDS = 1
"""After readings were stored: what comes with them (a second meter, a note) is sealed and told with them."""

VISIT_SHELF, FEED_SPACES = "visit-shelf", "feed-spaces"

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
def scheduled(home: Home, events: Events) -> Iterator[AsyncIOScheduler]:
    """The jobs, running on the current event loop until the block ends."""
    claims = Claims(home.database)
    scheduler = AsyncIOScheduler(
        timezone="UTC",
        # However late: what was due while the laptop slept is done once, when it is awake again.
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )

    def every(seconds: float, work: Callable[..., Awaitable[object]], name: str, *given: object) -> None:
        first = datetime.now(UTC) + timedelta(seconds=FIRST_SECONDS)
        scheduler.add_job(work, "interval", given, id=name, seconds=seconds, next_run_time=first)

    every(SHELF_SECONDS, visit_shelf, VISIT_SHELF, home)
    every(limits.DRAINING.total_seconds(), feed_spaces, FEED_SPACES, home)
    for job in (retaining.job(home), auditing.job(home), annotating.job(home)):
        every(DAILY_LOOK_SECONDS, claims.run, job.name, job)
    scheduler.start()
    beside = [
        asyncio.create_task(rhythm.keep(scheduler)),
        asyncio.create_task(_follow(scheduler, events)),
    ]
    try:
        yield scheduler
    finally:
        for task in beside:
            task.cancel()
        scheduler.shutdown(wait=False)


async def _follow(scheduler: AsyncIOScheduler, events: Events) -> None:
    """Have shares sealed and spaces fed soon after readings were stored. Never ends."""
    with events.subscribed(person=False) as told:
        while True:
            event = await told.get()
            if isinstance(event, ReadingsStored | Changed | Missed):
                soon = datetime.now(UTC) + timedelta(seconds=SOON_SECONDS)
                for name in (VISIT_SHELF, FEED_SPACES):
                    scheduler.modify_job(name, next_run_time=soon)

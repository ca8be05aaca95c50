"""What the gateway does by itself, on APScheduler: deliver shares that wait, fetch who opened them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from device_profiles.errors import PasserelleError
from gateway import sharing
from gateway.home import Home

logger = logging.getLogger(__name__)

SHELF_SECONDS = 30
"""A share that waited for its shelf is delivered within this; an opening is seen within it."""


async def visit_shelf(home: Home) -> None:
    """Deliver what waits and fetch the openings; a shelf that is down is tried again next time."""
    try:
        await sharing.deliver_waiting(home)
        await sharing.fetch_openings(home)
    except PasserelleError as error:
        logger.warning("visit to the shelf: %s", type(error).__name__)


@contextmanager
def scheduled(home: Home) -> Iterator[AsyncIOScheduler]:
    """The jobs, running on the current event loop until the block ends."""
    scheduler = AsyncIOScheduler(timezone="UTC")
    scheduler.add_job(
        visit_shelf,
        "interval",
        seconds=SHELF_SECONDS,
        args=[home],
        coalesce=True,
        max_instances=1,
        id="visit-shelf",
    )
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown(wait=False)

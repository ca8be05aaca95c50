"""What a person's rules say is over is erased once a day, wherever the house runs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway import sharing
from gateway.claimed import Job
from gateway.erasing import sweep
from gateway.home import Home
from storage import retention

logger = logging.getLogger(__name__)

EVERY: Final = timedelta(days=1)

SETTLED: Final = timedelta(days=62)
"""A month that ended so long ago gets no reading from a meter any more, save from one that was long away."""


def job(home: Home) -> Job:
    """The work of a day, which one of all processes on one database does."""

    async def work() -> None:
        await erase_what_is_over(home)

    return Job("retention", EVERY, work)


async def erase_what_is_over(home: Home, now: datetime | None = None) -> int:
    """Erase what the rules of everybody say; how many readings went. One person's failure keeps no other's.

    A transaction for each rule: killed in between, the next run does the rest.
    """
    now = now or datetime.now(UTC)
    async with home.database.writer() as connection:
        rules = await retention.rules(connection)
    erased = 0
    for rule in rules:
        try:
            async with home.database.writer() as connection:
                receipt = await retention.erase_what_is_over(connection, rule, now)
            erased += receipt.readings if receipt else 0
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one person's
            logger.warning("retention of one rule: %s", type(error).__name__)
    if erased:
        async with home.database.writer() as connection:
            await retention.drop_empty_months(connection, now - SETTLED)
        await sharing.deliver_waiting(home)
        await sweep(home)
    return erased

"""Months that are over are packed once a day, by one of all processes on a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.claimed import Job
from gateway.home import Home
from gateway.retaining import EVERY
from storage.packing import pack_months

SETTLED = timedelta(days=7)
"""Most of what a month brings late has come by then."""


def job(home: Home) -> Job:
    """The work of a day; nothing on all days but one of a month."""

    async def work() -> None:
        async with home.database.owned("passerelle") as conn:
            await pack_months(conn, (datetime.now(UTC) - SETTLED).date())

    return Job("packing", EVERY, work)

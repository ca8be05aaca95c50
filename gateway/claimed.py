"""Jobs of the house that run in one process at a time, however many processes serve one database.

Each process tries each job at its rhythm; who gets the claim runs it, and renews the claim while it works. A
process that is killed loses the claim within LIFE, and another one runs the job. A job may so be begun twice,
never run by two at once as long as clocks differ by less than LIFE: what it does has to bear being repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from device_profiles.errors import PasserelleError
from gateway import logs, metrics
from storage import job_claims
from storage.database import Database

logger = logging.getLogger(__name__)

LIFE: Final = timedelta(seconds=30)
"""A claim holds this long without being renewed."""


class Outcome(StrEnum):
    """How a try of a job ended."""

    DONE = "done"
    NOT_DUE = "not_due"
    """Another process holds it, or it was done a moment ago."""
    LOST = "lost"
    """The claim went to another while we worked; what we did was stopped."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done once in a while. `name` is a word of the source: it is a label of the metrics."""

    name: str
    every: timedelta
    work: Callable[[], Awaitable[object]]


class Claims:
    """The claims of one process on one database."""

    def __init__(self, database: Database, *, life: timedelta = LIFE) -> None:
        self._database = database
        self._life = life
        # No host name: this is kept in a database that others read.
        self._by = f"{os.getpid()}-{secrets.token_hex(8)}"

    async def run(self, job: Job) -> Outcome:
        """Run a job now if it is due and nobody else has it. Raises only CancelledError."""
        begun = time.monotonic()
        try:
            outcome = await self._run(job)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next run is tried, and the others go on
            logs.event(logger, "job failed", level=logging.WARNING, job=job.name, error=error)
            outcome = Outcome.FAILED
        if outcome is not Outcome.NOT_DUE:
            seconds = time.monotonic() - begun
            metrics.job_ran(job.name, outcome, seconds)
            logs.event(logger, "job", job=job.name, outcome=outcome.value, ms=round(seconds * 1000))
        return outcome

    async def _run(self, job: Job) -> Outcome:
        async with self._database.writer() as conn:
            taken = await job_claims.claim(
                conn, job.name, self._by, _now(), self._life, every=job.every * 0.9
            )
        if not taken:
            return Outcome.NOT_DUE
        done = False
        working = asyncio.ensure_future(job.work())
        keeping = asyncio.create_task(self._keep(job.name))
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                return Outcome.LOST
            working.result()
            done = True
        finally:
            await _ended(working, keeping)
            await self._give_back(job.name, done=done)
        return Outcome.DONE

    async def _keep(self, name: str) -> None:
        """Renew the claim until it is lost."""
        until = time.monotonic() + self._life.total_seconds()
        while True:
            await asyncio.sleep(self._life.total_seconds() / 3)
            try:
                async with self._database.writer() as conn:
                    if not await job_claims.renew(conn, name, self._by, _now(), self._life):
                        return
                until = time.monotonic() + self._life.total_seconds()
            except PasserelleError:
                if time.monotonic() > until:
                    return

    async def _give_back(self, name: str, *, done: bool) -> None:
        with contextlib.suppress(PasserelleError):  # then its time ends by itself
            async with self._database.writer() as conn:
                await job_claims.release(conn, name, self._by, _now(), done=done)


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _now() -> datetime:
    return datetime.now(UTC)


async def keep_running(
    jobs: Sequence[Job],
    claims: Claims,
    stop: asyncio.Event,
    *,
    look: timedelta = LIFE / 3,
    stop_seconds: float = 20,
) -> None:
    """Run each job whenever it is due until `stop`; one that works then has `stop_seconds` to end."""
    loops = [asyncio.create_task(_repeated(job, claims, stop, look.total_seconds())) for job in jobs]
    if not loops:
        return
    await stop.wait()
    await asyncio.wait(loops, timeout=stop_seconds)
    await _ended(*loops)


async def _repeated(job: Job, claims: Claims, stop: asyncio.Event, look: float) -> None:
    pause = min(look, job.every.total_seconds())
    while not stop.is_set():
        await claims.run(job)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)

"""Jobs that run in one process at a time: two real processes on one database, and one of them killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.claimed import Claims, Job, Outcome, keep_running
from storage.database import Database
from tests.conftest import DATABASE
from tests.journeys.conftest import ROOT

WORKER = """
import asyncio, os, sys
from datetime import timedelta
from pathlib import Path
from gateway.claimed import Claims, Job, keep_running
from storage.database import Database

home, dsn, name, seconds, every = sys.argv[1:]

async def work():
    print("began", os.getpid(), flush=True)
    await asyncio.sleep(float(seconds))
    print("ended", os.getpid(), flush=True)

async def main():
    async with Database.open(Path(home), dsn or None) as database:
        claims = Claims(database, life=timedelta(seconds=1.5))
        job = Job(name, timedelta(seconds=float(every)), work)
        print("ready", os.getpid(), flush=True)
        await keep_running([job], claims, asyncio.Event(), look=timedelta(seconds=0.2))

asyncio.run(main())
"""


@contextmanager
def worker(home: Path, name: str, *, seconds: float, every: float) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(home), DATABASE or "", name, str(seconds), str(every)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert said(process) == "ready"
        yield process
    finally:
        process.kill()
        process.wait()


def said(process: subprocess.Popen[str]) -> str:
    """The next word of a worker."""
    assert process.stdout is not None
    return process.stdout.readline().partition(" ")[0]


def test_the_job_of_a_killed_process_is_taken_over_by_the_other(
    database_home: Path, database: Database
) -> None:
    del database
    with worker(database_home, "killed", seconds=60, every=1) as first:
        assert said(first) == "began"
        with worker(database_home, "killed", seconds=0, every=1) as second:
            first.send_signal(signal.SIGKILL)
            assert [said(second), said(second)] == ["began", "ended"]


def test_of_two_processes_one_runs_a_job_and_not_again_before_it_is_due(
    database_home: Path, database: Database
) -> None:
    del database
    with (
        worker(database_home, "once", seconds=0.1, every=60) as first,
        worker(database_home, "once", seconds=0.1, every=60) as second,
    ):
        pause(1.0)
        for process in (first, second):
            process.kill()
        heard = first.stdout.read() + second.stdout.read()  # type: ignore[union-attr]
    assert (heard.count("began"), heard.count("ended")) == (1, 1)


def pause(seconds: float) -> None:
    """Give two processes time to do what they must not: there is no event to wait for."""
    asyncio.run(asyncio.sleep(seconds))


def job(name: str, work: object, every: float = 0) -> Job:
    return Job(name, timedelta(seconds=every), work)  # type: ignore[arg-type]


async def nothing() -> None:
    """A job's work."""


async def test_while_one_works_longer_than_a_claim_lives_no_other_begins(database: Database) -> None:
    first, second = (Claims(database, life=timedelta(seconds=0.3)) for _ in range(2))
    working = asyncio.create_task(first.run(job("long", lambda: asyncio.sleep(1))))
    await asyncio.sleep(0.1)
    while not working.done():
        outcome = await second.run(job("long", nothing))
        if not working.done():
            assert outcome is Outcome.NOT_DUE
        await asyncio.sleep(0.05)
    assert await working is Outcome.DONE
    assert await second.run(job("long", nothing)) is Outcome.DONE


async def test_a_job_that_fails_is_free_for_the_next_and_ends_nothing_else(database: Database) -> None:
    async def fails() -> None:
        raise ValueError("Jane Doe")

    first, second = Claims(database), Claims(database)
    assert await first.run(job("failing", fails, every=3600)) is Outcome.FAILED
    assert await second.run(job("failing", nothing, every=3600)) is Outcome.DONE
    assert await first.run(job("failing", nothing, every=3600)) is Outcome.NOT_DUE


async def test_who_lost_its_claim_is_stopped(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    async def lost(*_: object, **__: object) -> bool:
        return False

    monkeypatch.setattr("storage.job_claims.renew", lost)
    claims = Claims(database, life=timedelta(seconds=0.3))
    assert await claims.run(job("lost", work)) is Outcome.LOST
    assert stopped.is_set()


async def test_a_job_that_works_when_the_server_stops_may_end(database: Database) -> None:
    stop, ended = asyncio.Event(), []

    async def work() -> None:
        stop.set()
        await asyncio.sleep(0.2)
        ended.append(True)

    await keep_running([job("stopping", work)], Claims(database), stop)
    assert ended == [True]


async def test_a_job_that_does_not_end_is_ended_after_the_bound(database: Database) -> None:
    stop = asyncio.Event()

    async def work() -> None:
        stop.set()
        await asyncio.sleep(60)

    async with asyncio.timeout(10):
        await keep_running([job("endless", work)], Claims(database), stop, stop_seconds=0.1)
    assert await Claims(database).run(job("endless", nothing)) is Outcome.DONE

"""A feeder that dies at any step of its own leaves every reading at the space once, after the next one."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.outbox import claim, limits
from gateway.outbox.exchange import Exchange
from gateway.outbox.feeder import _Feeder, _Work
from storage import erasure, job_claims
from storage.annotations import AnnotationKind
from storage.database import Database
from tests.gateway.outbox.homes import fed, key_of, shown
from tests.gateway.outbox.hostile import HostileSpace
from tests.storage.samples import glucose, store

pytestmark = pytest.mark.usefixtures("no_pauses")


class Died(BaseException):
    """As a process that is killed: nothing catches it."""


def dies(monkeypatch: pytest.MonkeyPatch, of: type, step: str, when: str, call: int) -> None:
    """The feeder dies before or after the given call of a step; then no more."""
    real, calls = getattr(of, step), [0]

    async def stepped(*args: Any, **how: Any) -> Any:
        calls[0] += 1
        if calls[0] == call and when == "before":
            raise Died
        result = await real(*args, **how)
        if calls[0] == call and when == "after":
            raise Died
        return result

    monkeypatch.setattr(of, step, stepped)


STEPS = (
    (Exchange, "_note_sending"),
    (Exchange, "_post"),
    (Exchange, "_keep"),
    (_Feeder, "_advance"),
    (_Work, "_delete"),
)


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("of", "step"), STEPS, ids=[step for _, step in STEPS])
async def test_whatever_step_it_dies_at(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    of: type,
    step: str,
    when: str,
    call: int,
) -> None:
    server = HostileSpace(most_entries=10)
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(12)])
        if step == "_delete" or call == 2:
            await home.feed()
        dies(monkeypatch, of, step, when, 1 if step == "_delete" else call)
        await home.say(key_of(home.device, 3), AnnotationKind.NOTE, "one")
        await home.say(key_of(home.device, 4), AnnotationKind.NOT_MINE)
        async with database.writer() as conn:
            await erasure.erase_records(conn, home.patient.patient_id, [key_of(home.device, 5)])
        for _ in range(4):
            try:
                await home.feed()
                break
            except Died:
                continue
        assert shown(server) == await home.expected()
        assert (await home.feed()).told == 0


async def test_a_claim_of_a_process_that_is_gone_is_taken_over_at_once_and_another_machine_s_is_not(
    database: Database, tmp_path: Path
) -> None:
    async with fed(database, tmp_path, HostileSpace()) as home:
        gone = await asyncio.create_subprocess_exec("true")
        await gone.wait()
        for machine, pid, taken_over in (
            (claim._machine(), gone.pid, True),
            (claim._machine(), os.getpid(), True),  # a process of before that had our number
            (claim._machine(), os.getppid(), False),
            ("0123456789abcdef", gone.pid, False),
        ):
            async with database.writer() as conn:
                by, now = f"{machine}-{pid}-x", datetime.now(UTC)
                job = f"feed {home.space.space_id}"
                held = await job_claims.claim(conn, job, by, now, limits.CLAIM_LIFE, home.patient.patient_id)
                assert held
            async with claim.Claim(database, home.space).held() as ours:
                assert ours is taken_over
            async with database.writer() as conn:
                await job_claims.release(conn, job, by, now, home.patient.patient_id)

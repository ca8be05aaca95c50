"""One feeder at a time for each space of a person, in however many processes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from device_profiles.errors import PasserelleError
from gateway.outbox import limits
from storage import job_claims
from storage.connection import Connection
from storage.database import Database
from storage.spaces import Space

_held_here: set[str] = set()
"""What this process holds: in a container the next one often has the same number."""

_LOOK: Final = 0.5
"""Seconds between two looks whether another process is done."""


class Claim:
    """The right to feed a space, renewed in the background; `lost` when it went to another process.

    A process of this machine that was killed is replaced at once, one elsewhere after CLAIM_LIFE.
    """

    def __init__(self, database: Database, space: Space) -> None:
        self._database = database
        self._patient_id = space.patient_id
        self._job = f"feed {space.space_id}"
        self._by = f"{_machine()}-{os.getpid()}-{secrets.token_hex(8)}"
        self.lost = False

    @asynccontextmanager
    async def held(self, patience: timedelta = timedelta(0)) -> AsyncIterator[bool]:
        """Holds it for a block; gives False where another process has it, for as long as `patience`."""
        end = time.monotonic() + patience.total_seconds()
        while not (taken := await self._taken()) and time.monotonic() < end:  # noqa: ASYNC110 - by another process
            await asyncio.sleep(_LOOK)
        if not taken:
            yield False
            return
        keeping = asyncio.create_task(self._keep())
        _held_here.add(self._by)
        ends = False
        try:
            yield True
        except asyncio.CancelledError:
            ends = True  # the process does, and its database is closing: who comes next sees that we are gone
            raise
        finally:
            _held_here.discard(self._by)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            if not ends:
                await self._give_back()

    async def _give_back(self) -> None:
        with contextlib.suppress(PasserelleError):  # then its time ends by itself
            async with self._database.writer() as conn:
                await job_claims.release(conn, self._job, self._by, datetime.now(UTC), self._patient_id)

    async def _taken(self) -> bool:
        async with self._database.writer() as conn:
            return await self._take(conn)

    async def _take(self, conn: Connection) -> bool:
        now = datetime.now(UTC)
        if await job_claims.claim(conn, self._job, self._by, now, limits.CLAIM_LIFE, self._patient_id):
            return True
        holder = await job_claims.holder(conn, self._job, self._patient_id)
        if holder is None or not _died_here(holder):
            return False
        await job_claims.release(conn, self._job, holder, now, self._patient_id, done=False)
        return await job_claims.claim(conn, self._job, self._by, now, limits.CLAIM_LIFE, self._patient_id)

    async def _keep(self) -> None:
        while not self.lost:
            await asyncio.sleep(limits.CLAIM_LIFE.total_seconds() / 3)
            with contextlib.suppress(PasserelleError):
                async with self._database.writer() as conn:
                    self.lost = not await job_claims.renew(
                        conn, self._job, self._by, datetime.now(UTC), limits.CLAIM_LIFE, self._patient_id
                    )


@cache
def _machine() -> str:
    """This machine since it was started, without its name: others may read it."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    started = boot.read_text() if boot.exists() else ""
    return hashlib.sha256(f"{platform.node()}\0{started}".encode()).hexdigest()[:16]


def _died_here(holder: str) -> bool:
    """Whether a holder was a process of this machine that is there no more."""
    machine, _, rest = holder.partition("-")
    process = rest.partition("-")[0]
    if machine != _machine() or os.name != "posix" or not process.isdigit():  # elsewhere signal 0 is a signal
        return False
    if int(process) == os.getpid():
        return holder not in _held_here
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False

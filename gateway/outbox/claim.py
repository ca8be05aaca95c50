"""One feeder at a time for each space of a person, in however many processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from device_profiles.errors import PasserelleError
from gateway.outbox import limits
from storage import job_claims
from storage.database import Database
from storage.spaces import Space


class Claim:
    """The right to feed a space, renewed in the background; `lost` when it went to another process."""

    def __init__(self, database: Database, space: Space) -> None:
        self._database = database
        self._patient_id = space.patient_id
        self._job = f"feed {space.space_id}"
        self._by = f"{os.getpid()}-{secrets.token_hex(8)}"
        self.lost = False

    @asynccontextmanager
    async def held(self) -> AsyncIterator[bool]:
        """Holds it for a block; gives False where another process has it."""
        async with self._database.writer() as conn:
            taken = await job_claims.claim(
                conn, self._job, self._by, datetime.now(UTC), limits.CLAIM_LIFE, self._patient_id
            )
        if not taken:
            yield False
            return
        keeping = asyncio.create_task(self._keep())
        try:
            yield True
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            with contextlib.suppress(PasserelleError):  # then its time ends by itself
                async with self._database.writer() as conn:
                    await job_claims.release(conn, self._job, self._by, datetime.now(UTC), self._patient_id)

    async def _keep(self) -> None:
        while not self.lost:
            await asyncio.sleep(limits.CLAIM_LIFE.total_seconds() / 3)
            with contextlib.suppress(PasserelleError):
                async with self._database.writer() as conn:
                    self.lost = not await job_claims.renew(
                        conn, self._job, self._by, datetime.now(UTC), limits.CLAIM_LIFE, self._patient_id
                    )

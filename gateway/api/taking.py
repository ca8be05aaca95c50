"""How a request's body is taken in: so many bytes of one, so many of all together, and not too slowly."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from starlette.types import Message, Receive

ANSWER_SECONDS: Final = 60.0
"""How long an answer may take after the last byte of its request, and between two of its own."""

BODY_SECONDS: Final = 20.0
"""A body may take this long, and longer by a second for each BODY_RATE bytes that have come."""

BODY_RATE: Final = 16 * 1024
"""Bytes a second that a sender reaches even on an old phone's connection; who stays below is sent away."""

HELD_MAX: Final = 256 * 1024 * 1024
"""Bytes of bodies that a process holds at once: many large ones together must not take all memory."""


class TooLarge(Exception):
    """A body beyond the limit of its path."""


class TooSlow(Exception):
    """A body that comes slower than anybody's connection."""


class Crowded(Exception):
    """Too many bytes of other requests are held already."""


@dataclass(slots=True)
class Intake:
    """The bytes that the bodies of all requests of a process hold together."""

    held: int = 0
    most: int = HELD_MAX


class Taking:
    """Receives one request's messages within its limits. Raises `TooLarge`, `TooSlow` or `Crowded`.

    While a body comes, its own limit of time counts and not the answer's, which begins with its last byte.
    """

    def __init__(self, receive: Receive, limit: int, intake: Intake) -> None:
        self._receive = receive
        self._intake = intake
        self._taken = 0
        self._began = time.monotonic()
        self._more = True
        self.limit = limit
        self.patience: asyncio.Timeout | None = None

    async def __call__(self) -> Message:
        """The next message of the request."""
        if not self._more:
            return await self._receive()
        self._wait_for_answer(None)
        message = await self._next()
        taken = len(message.get("body", b""))
        self._taken += taken
        self._intake.held += taken
        if self._taken > self.limit:
            raise TooLarge
        if self._intake.held > self._intake.most:
            raise Crowded
        self._more = bool(message.get("more_body"))
        self._wait_for_answer(ANSWER_SECONDS)
        return message

    async def _next(self) -> Message:
        left = self._began + BODY_SECONDS + self._taken / BODY_RATE - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left)):
                return await self._receive()
        except TimeoutError:
            raise TooSlow from None

    def _wait_for_answer(self, seconds: float | None) -> None:
        if self.patience is not None and not self.patience.expired():
            at = None if seconds is None else asyncio.get_running_loop().time() + seconds
            self.patience.reschedule(at)

    def done(self) -> None:
        """The request is answered: what it held is free."""
        self._intake.held -= self._taken
        self._taken = 0

"""Back-pressure: how many are served at once, how often one may ask, and when a refused one may come again.

What is refused is told when to come back (`Retry-After`). Those who are refused together are given different
moments, one place apart, so that they do not come back together.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from starlette.requests import HTTPConnection, Request

from gateway import metrics
from gateway.api.problems import Problem

TOO_OFTEN: Final = "This was asked too often. Wait a moment, then try again."
TOO_MANY: Final = "Too many are served at this moment. Nothing was stored: try again in a moment."

LONGEST_WAIT: Final = 900
"""Seconds that a refused one is sent away for at most. With a minute, when all of a million come at once, to
refuse them again and again costs more than to serve them: benchmarks/scale_rush.py, docs/scale.md."""

_USUAL_SECONDS: Final = 0.05
"""How long one served takes, before any was measured."""


def too_often(wait: float) -> Problem:
    """The answer to one who asks more often than is allowed; `wait` in seconds."""
    metrics.REFUSED.labels("often").inc()
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, TOO_OFTEN, headers=_retry_after(wait))


def too_many(wait: float) -> Problem:
    """The answer to one for whom there is no place now; `wait` in seconds."""
    metrics.REFUSED.labels("full").inc()
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY, headers=_retry_after(wait))


def _retry_after(wait: float) -> dict[str, str]:
    return {"Retry-After": str(min(LONGEST_WAIT, max(1, math.ceil(wait))))}


def address_of(connection: HTTPConnection) -> str:
    """Who asks, as far as the network tells; an IPv6 network (/64) is one, since it is one subscriber's."""
    host = connection.client.host if connection.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)


def is_loopback(host: str) -> bool:
    """Whether that is an address of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Limiter:
    """Token buckets by key: each refills at `rate` a second up to `burst`.

    At most `keys` are kept, the least recently used is forgotten first and begins full again: memory is
    bounded, and who comes often is not forgotten.
    """

    def __init__(
        self, rate: float, burst: float, *, keys: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._keys = keys
        self._clock = clock
        self._buckets: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable, cost: float = 1) -> float:
        """Takes `cost`, and gives 0; or takes nothing, and gives the seconds until it could."""
        left = self._left(key)
        if left >= cost:
            self._keep(key, left - cost)
            return 0.0
        return (cost - left) / self._rate

    def wait(self, key: Hashable, cost: float = 1) -> float:
        """The seconds until `take` would succeed; takes nothing."""
        return max(0.0, (cost - self._left(key)) / self._rate)

    def _left(self, key: Hashable) -> float:
        left, since = self._buckets.get(key, (self._burst, 0.0))
        return min(self._burst, left + (self._clock() - since) * self._rate)

    def _keep(self, key: Hashable, left: float) -> None:
        self._buckets[key] = (left, self._clock())
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._keys:
            self._buckets.popitem(last=False)


class Guesses:
    """Wrong guesses (of a token, a code, a passcode): who made many waits; who is right pays nothing."""

    def __init__(self, rate: float = 10 / 60, burst: float = 10, *, keys: int = 10_000) -> None:
        self._limiter = Limiter(rate, burst, keys=keys)

    def check(self, key: Hashable) -> None:
        """Raises `Problem` (429) for one who guessed wrong too often."""
        wait = self._limiter.wait(key)
        if wait > 0:
            raise too_often(wait)

    def wrong(self, key: Hashable) -> None:
        """Counts a wrong guess."""
        self._limiter.take(key)


class Visitors:
    """Wrong guesses by the address they come from, and by what is guessed at.

    An address of this machine has no limit: it is this machine's own, or a server in front of this one that
    does not tell for whom it asks (`X-Forwarded-For`), and then all the world would share one limit.
    """

    def __init__(self) -> None:
        self._addresses = Guesses(rate=6 / 60, burst=20)
        self._guessed = Guesses(rate=1 / 60, burst=10)

    def check(self, connection: HTTPConnection) -> None:
        """Raises `Problem` (429) for an address that guessed wrong too often."""
        address = address_of(connection)
        if not is_loopback(address):
            self._addresses.check(address)

    def wrong(self, connection: HTTPConnection, guessed: Hashable | None = None) -> None:
        """Counts a wrong guess, at `guessed` if there is such a thing."""
        address = address_of(connection)
        if not is_loopback(address):
            self._addresses.wrong(address)
        if guessed is not None:
            self._guessed.wrong(guessed)

    def check_guessed(self, guessed: Hashable) -> None:
        """Raises `Problem` (429) where too many guessed wrong at this, from wherever."""
        self._guessed.check(guessed)


class Entrance:
    """At most `at_once` are inside; as many again as `waiting` wait, for `patience` seconds at most."""

    def __init__(
        self,
        at_once: int,
        *,
        waiting: int,
        patience: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once
        self._places = asyncio.Semaphore(at_once)
        self._most_waiting = waiting
        self._patience = patience
        self._clock = clock
        self._seconds = _USUAL_SECONDS
        self._next = 0.0
        self.inside = 0
        self.waiting = 0
        self.refused = 0

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """A place inside for the length of the block. Raises `Problem` (429) where there is none in time."""
        await self._enter()
        begun = self._clock()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
            self._places.release()
            # A running mean of about the last twenty: it follows a server that grows slow within a second.
            self._seconds += (self._clock() - begun - self._seconds) / 20
            if not self.waiting:
                # Faster than was reckoned: the next one that is refused is called a place earlier.
                self._next -= self._seconds / self._at_once

    def look(self) -> None:
        """Raises `Problem` (429) where one who came now would be refused: before more is spent on them."""
        if self._places.locked() and self.waiting >= self._most_waiting:
            raise self._refusal()

    async def _enter(self) -> None:
        self.look()
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise self._refusal() from None
        finally:
            self.waiting -= 1

    def _refusal(self) -> Problem:
        """Each refused one gets the next moment at which, at the present pace, a place will be free."""
        self.refused += 1
        now = self._clock()
        step = self._seconds / self._at_once
        queue = self.waiting * step
        self._next = min(max(self._next, now + queue) + step, now + LONGEST_WAIT)
        return too_many(self._next - now)


async def room_for_ingest(request: Request) -> None:
    """A dependency that stands before all others: a refusal has to cost much less than what it refuses."""
    request.app.state.pressure.ingest.look()


@dataclass(slots=True)
class Pressure:
    """What a space lets in: `ingest` at once, each gateway at a rate, and few wrong guesses by address."""

    ingest: Entrance
    gateways: Limiter
    guesses: Guesses = field(default_factory=Guesses)

    @classmethod
    def of(cls, at_once: int, gateway_rate: float) -> Pressure:
        """`at_once` transactions, eight times as many waiting; `gateway_rate` requests a second of each."""
        return cls(Entrance(at_once, waiting=8 * at_once), Limiter(gateway_rate, 2 * gateway_rate))

    def counted(self, gateway: Hashable) -> None:
        """Counts one request of a gateway. Raises `Problem` (429) for one beyond its rate."""
        wait = self.gateways.take(gateway)
        if wait > 0:
            raise too_often(wait)

    @asynccontextmanager
    async def ingesting(self, gateway: Hashable) -> AsyncIterator[None]:
        """A place for one transaction of a gateway. Raises `Problem` (429).

        To be entered when the body has come: a slow sender must not hold a place while it sends.
        """
        self.counted(gateway)
        async with self.ingest.admitted():
            yield

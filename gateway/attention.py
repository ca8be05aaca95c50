"""When a known meter is read: pure decisions, with the time given by who asks.

A meter is due when it is heard after silence: then it has something, or a person woke it. One that goes on
advertising is read again after a pause that grows while it brings nothing; one whose read failed after a
backoff that grows with each failure. Neither holds for a meter that falls silent and is heard anew.

Times are monotonic seconds. Silence is counted in seconds of listening: what was said while nobody listened
says nothing of who was silent.
"""

from __future__ import annotations

from random import Random

from device_profiles.errors import PasserelleError
from gateway.ble.errors import BondLost, PairingNeeded, PasskeyRefused, ServiceMissing
from gateway.watch_limits import WATCH_LIMITS, WatchLimits

ONLY_A_PERSON_ENDS = (BondLost, PairingNeeded, PasskeyRefused, ServiceMissing)
"""Failures that no further try ends by itself."""


class Attention:
    """What the watcher owes one meter."""

    def __init__(self, limits: WatchLimits = WATCH_LIMITS, random: Random | None = None) -> None:
        self._limits = limits
        self._random = random or Random()  # noqa: S311 - spreads tries, keeps no secret
        self._anew = False
        self._last_heard: float | None = None
        self._began: float | None = None
        self._failures = 0
        self._in_vain = 0
        self.next_try: float | None = None
        """Not before this, unless heard anew; None: as soon as it is heard."""

    def heard(self, listened: float) -> bool:
        """It advertises; `listened`: all seconds of listening so far. Whether it was silent before."""
        silent_before = self._last_heard is None or listened - self._last_heard >= self._limits.silence
        self._last_heard = listened
        self._anew |= silent_before
        return silent_before

    def due(self, now: float) -> bool:
        """Whether it is to be read, if it is heard now."""
        if self._began is not None and now < self._began + self._limits.least_gap:
            return False
        return self._anew or self.next_try is None or now >= self.next_try

    def began(self, now: float) -> None:
        """A read begins."""
        self._began = now
        self._anew = False

    def succeeded(self, now: float, stored: int) -> None:
        """The read ended well, with so many readings that were new."""
        self._failures = 0
        self._in_vain = 0 if stored else self._in_vain + 1
        self._wait(now, self._limits.pause, self._in_vain, self._limits.longest_pause)

    def failed(self, now: float, problem: PasserelleError) -> None:
        """The read failed."""
        self._failures += 1
        hopeless = isinstance(problem, ONLY_A_PERSON_ENDS)
        first = self._limits.longest_backoff if hopeless else self._limits.backoff
        self._wait(now, first, self._failures - 1, self._limits.longest_backoff)

    def untried(self) -> None:
        """The read failed for a reason that is not the meter's: it is due as it was."""
        self._began = None
        self._anew = True

    def mended(self) -> None:
        """Somebody used the radio, and may have ended what was wrong: a failed read is tried again now."""
        if self._failures:
            self._failures, self.next_try = 0, None

    def woke(self) -> None:
        """The laptop slept: nobody knows what was said meanwhile, and every wait is over."""
        self._last_heard = self._began = self.next_try = None
        self._failures = self._in_vain = 0

    def _wait(self, now: float, first: float, doubled: int, longest: float) -> None:
        self.next_try = now + backoff(first, doubled, longest, self._limits.jitter, self._random)


def backoff(first: float, doubled: int, longest: float, jitter: float, random: Random) -> float:
    """Seconds to wait: `first`, doubled so many times, at most `longest`, spread by chance."""
    wait = min(first * 2.0 ** min(doubled, 32), longest)
    return wait * random.uniform(1 - jitter, 1 + jitter)

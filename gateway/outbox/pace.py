"""How many readings go into a transaction, and how long to wait after a failure."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Final

from gateway.outbox import limits

LEAST_WHEN_BUSY: Final = 50
"""A space that limits how often it is asked is not helped by being asked for less each time."""


class Pace:
    """Learns what a space takes. `most`: never more than this; `learned`: what it took the last time."""

    def __init__(self, most: int, learned: int | None = None) -> None:
        self.most = most
        self.batch = max(1, min(learned or most, most))

    def taken(self, count: int) -> None:
        """A batch was taken: the next may be larger."""
        if count >= self.batch:
            self.batch = min(self.most, int(self.batch * limits.GROWTH) + 1)

    def busy(self) -> None:
        """The space could not keep up."""
        self.batch = max(min(LEAST_WHEN_BUSY, self.most), self.batch // 2)

    def failed(self) -> None:
        """The space failed at a batch: it may be too much for it, or one of it."""
        self.batch = max(1, self.batch // 2)

    def too_large(self, count: int) -> None:
        """A batch of this size was refused for its size."""
        self.most = max(1, count - 1)
        self.batch = max(1, count // 2)


def pause(attempts: int, asked: timedelta | None) -> timedelta:
    """How long to wait after a failure, `attempts` failures before it: at least what was asked for.

    With a jitter, so that homes that failed together do not come back together.
    """
    doubled = min(limits.FIRST_PAUSE * (1 << min(attempts, 20)), limits.LONGEST_PAUSE)
    jittered = doubled * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    return max(jittered, asked * random.uniform(1.0, 1.1) if asked else timedelta(0))  # noqa: S311

"""Whether the laptop slept: told by clocks, since no system says it to every program.

On Linux and macOS the clock that only counts on stands still while the machine sleeps, and the wall clock
does not; on Windows both go on, and it is the tick that came late. A wall clock that is set by hand looks
the same, and a watcher that then begins anew harms nobody. Daylight saving moves neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class Wakefulness:
    """Compares two clocks from look to look."""

    def __init__(
        self,
        tolerance: float,
        *,
        wall: Callable[[], float] | None = None,
        counting: Callable[[], float] | None = None,
    ) -> None:
        """`tolerance`: seconds that the clocks may part, and that a look may be late by."""
        self._tolerance = tolerance
        self._wall = wall or time.time
        self._counting = counting or time.monotonic
        self._last = (self._wall(), self._counting())

    def slept(self, expected: float | None = None) -> bool:
        """Whether the machine slept since the last look, which was meant to be `expected` seconds ago.

        None: nobody knows how long ago; then only clocks that parted tell it.
        """
        (wall, counted), self._last = self._last, (self._wall(), self._counting())
        by_wall, by_count = self._last[0] - wall, self._last[1] - counted
        late = expected is not None and by_count - expected > self._tolerance
        return late or abs(by_wall - by_count) > self._tolerance

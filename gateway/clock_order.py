"""Records of which only the order is sure: laid between what surrounds them, moved no further than needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]

FAR: Final = 1 << 40
"""Seconds: further than any time of a record."""


def laid_in_order(
    times: Integers, base: Integers, blocks: list[Rows], first: Integers, last: Integers
) -> None:
    """Move blocks of doubtful rows, in place, until they follow and precede what surrounds them.

    `times`: of all rows in order, the doubtful ones as they were written; `base`: what ran on evenly within a
    block, where the times of one do not fit as they are; `first`, `last`: what bounds each row.
    """
    if not blocks:
        return
    doubtful = np.concatenate(blocks)
    sure = np.ones(len(times), np.bool_)
    sure[doubtful] = False
    lower = np.maximum.accumulate(np.where(sure, times, -FAR))
    upper = np.minimum.accumulate(np.where(sure, times, FAR)[::-1])[::-1]
    laying = _Laying(times, base, first, last)
    for neighbours in _between_the_sure(blocks, sure, first):
        laying.lay(neighbours, int(lower[neighbours[0][0]]), int(upper[neighbours[-1][-1]]))


def _between_the_sure(blocks: list[Rows], sure: npt.NDArray[np.bool_], first: Integers) -> list[list[Rows]]:
    """The blocks by what is sure between them, cut where other bounds begin: parts of one block, too."""
    parts: list[Rows] = []
    for block in blocks:
        parts += np.split(block, np.flatnonzero((np.diff(block) > 1) | (np.diff(first[block]) != 0)) + 1)
    found: list[list[Rows]] = []
    for part in parts:
        if found and not sure[found[-1][-1][-1] : part[0]].any():
            found[-1].append(part)
        else:
            found.append([part])
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Laying:
    times: Integers
    base: Integers
    first: Integers
    last: Integers

    def lay(self, blocks: list[Rows], low: int, high: int) -> None:
        """The longest block first, as near as can be to what was written; the others before and after it.

        One that could be where it is comes before one that could not: a clock that wrote 1970 is no measure.
        """
        if not blocks:
            return
        bounds = [self._within(rows, low, high) for rows in blocks]
        could_be = [
            self.times[rows].min() >= bound[0] and self.times[rows].max() <= bound[1]
            for rows, bound in zip(blocks, bounds, strict=True)
        ]
        main = max(range(len(blocks)), key=lambda each: (could_be[each], len(blocks[each]), each))
        rows = blocks[main]
        self.times[rows] = _fitted(self.times[rows], self.base[rows], *bounds[main])
        self.lay(blocks[:main], low, int(self.times[rows].min()))
        self.lay(blocks[main + 1 :], int(self.times[rows].max()), high)

    def _within(self, rows: Rows, low: int, high: int) -> tuple[int, int]:
        """What bounds a block; what surrounds it goes before the looks where they do not agree."""
        lowest = min(max(low, int(self.first[rows[0]])), high)
        return lowest, max(min(high, int(self.last[rows[0]])), lowest)


def _fitted(times: Integers, base: Integers, low: int, high: int) -> Integers:
    """The times of a block between two bounds: as they are, moved as one, or pressed together."""
    if times.min() >= low and times.max() <= high and np.all(np.diff(times) >= 0):
        return times
    even: Any = np.maximum.accumulate(base + (times[0] - base[0]))
    if even.max() - even.min() <= high - low:
        move = max(0, low - int(even.min())) or min(0, high - int(even.max()))
        return np.asarray(even + move, np.int64)
    pressed = even + (high - int(even.max())) if high < FAR else even
    return np.asarray(np.clip(pressed, low, high), np.int64)

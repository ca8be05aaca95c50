"""Records of which only the order is sure: laid between what surrounds them, moved no further than needed."""

from __future__ import annotations

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
    for neighbours in _between_the_sure(blocks, sure):
        begin, end = neighbours[0][0], neighbours[-1][-1]
        low = max(int(lower[begin]), int(first[neighbours[0]].max()))
        high = min(int(upper[end]), int(last[neighbours[-1]].min()))
        _lay(times, base, neighbours, min(low, high), high)


def _between_the_sure(blocks: list[Rows], sure: npt.NDArray[np.bool_]) -> list[list[Rows]]:
    """The blocks by what is sure between them: parts of one block, too."""
    parts: list[Rows] = []
    for block in blocks:
        parts += np.split(block, np.flatnonzero(np.diff(block) > 1) + 1)
    found: list[list[Rows]] = []
    for part in parts:
        if found and not sure[found[-1][-1][-1] : part[0]].any():
            found[-1].append(part)
        else:
            found.append([part])
    return found


def _lay(times: Integers, base: Integers, blocks: list[Rows], low: int, high: int) -> None:
    """The longest block first, as near as can be to what was written; the others before and after it.

    One that could be where it is comes before one that could not: a clock that wrote 1970 is no measure.
    """
    if not blocks:
        return
    written = [(times[rows].min() >= low and times[rows].max() <= high, len(rows)) for rows in blocks]
    main = max(range(len(blocks)), key=lambda each: (*written[each], each))
    rows = blocks[main]
    times[rows] = _fitted(times[rows], base[rows], low, high)
    _lay(times, base, blocks[:main], low, int(times[rows].min()))
    _lay(times, base, blocks[main + 1 :], int(times[rows].max()), high)


def _fitted(times: Integers, base: Integers, low: int, high: int) -> Integers:
    """The times of a block between two bounds: as they are, moved as one, or pressed together."""
    if times.min() >= low and times.max() <= high and np.all(np.diff(times) >= 0):
        return times
    even: Any = base + (times[0] - base[0])
    if even.max() - even.min() <= high - low:
        move = max(0, low - int(even.min())) or min(0, high - int(even.max()))
        return np.asarray(even + move, np.int64)
    pressed = even + (high - int(even.max())) if high < FAR else even
    return np.asarray(np.clip(pressed, low, high), np.int64)

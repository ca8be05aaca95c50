"""Where a meter stands in its numbers: what is new, whether it began again, and what is missing. Pure.

A meter numbers its records one by one, from 0 or 1 up to 65 535, then from 0 again (GLS §3.1.1.2). A meter
that was reset begins again without having come to the end; a full memory drops the oldest. So a number alone
says nothing of what was read before. What does is the **mark**: the record that the last read ended with. It
is asked for again, together with what follows it, and compared with what is stored:

- it comes, and is the same: nothing has happened in between, and what follows it is new;
- it does not come, or is another: everything is read. If any of it is known, the meter goes on where it was
  and the mark was deleted; if what is oldest follows the mark, the memory was full and the records between
  are gone; else the meter began again.

The numbers of one memory lie on a circle of 65 536. Since no meter holds nearly as many records, the largest
hole in the circle lies between its newest record and its oldest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from storage.devices import Gap

CIRCLE = 1 << 16
LAST_NUMBER = CIRCLE - 1

CONTINUES_WITHIN = 1 << 12
"""A number that is this much ahead over the end of the circle is still a count that went on; beyond it is a
meter that began again. No meter that we know of holds as many records."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a read has come to."""

    newest: int | None
    """The number of the newest record; None where none came."""
    gaps: tuple[Gap, ...] = ()
    """What is missing after the mark."""


def in_order(numbers: Iterable[int]) -> list[int]:
    """The numbers of one memory, each once, the oldest first, whatever the order they came in."""
    once = sorted(set(numbers))
    if len(once) < 2:
        return once
    holes = [ahead(one, other) for one, other in zip(once, [*once[1:], once[0]], strict=True)]
    begin = (holes.index(max(holes)) + 1) % len(once)
    return once[begin:] + once[:begin]


def ahead(one: int, other: int) -> int:
    """How far another number is ahead of one, around the circle."""
    return (other - one) % CIRCLE


def goes_forward(numbers: Sequence[int]) -> bool:
    """Whether the records came the oldest first: then whatever a lost link took comes after them."""
    return all(ahead(one, other) < CIRCLE // 2 for one, other in pairwise(numbers))


def follows(mark: int, number: int) -> bool:
    """Whether the count may have gone on from one number to the other."""
    return number > mark or 0 < ahead(mark, number) <= CONTINUES_WITHIN


def standing(
    mark: int | None, numbers: Iterable[int], *, mark_came: bool, known: bool, unread: Iterable[int] = ()
) -> Standing:
    """Where a read that was completed stands.

    `mark`: the number that the last read ended with; `mark_came`: the very record came again; `known`: some
    of what came was stored before; `unread`: numbers of records that came and could not be read.
    """
    came = in_order(numbers)
    if not came:
        return Standing(None)
    present = {*came, *unread}
    if mark is None:
        return Standing(came[-1], tuple(_gaps(in_order(present))))
    if mark_came or known:
        after = [number for number in _from(mark, present) if number != mark]
        newest = [number for number in after if number in set(came)]
        return Standing(newest[-1] if newest else mark, tuple(_gaps([mark, *after])))
    if follows(mark, came[0]):
        return Standing(came[-1], tuple(_gaps([mark, *in_order(present)])))
    return Standing(came[-1], tuple(_gaps(in_order(present))))


def _from(mark: int, numbers: set[int]) -> list[int]:
    """The numbers that follow the mark, in order."""
    return sorted(
        (number for number in numbers if ahead(mark, number) < CIRCLE // 2), key=lambda n: ahead(mark, n)
    )


def _gaps(numbers: Sequence[int]) -> Iterator[Gap]:
    for one, other in pairwise(numbers):
        if ahead(one, other) > 1:
            yield Gap((one + 1) % CIRCLE, (other - 1) % CIRCLE)

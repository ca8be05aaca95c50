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

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

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
    """The number of the newest record; None where the mark stays."""
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
    mark: int | None,
    came: Iterable[int],
    *,
    mark_came: bool,
    known: bool,
    present: Iterable[int] = (),
    held: Collection[int] = (),
) -> Standing:
    """Where a read stands that came, from the oldest on, as far as it came.

    `mark`: the number that the last read ended with; `mark_came`: the very record came again; `known`: some
    of what came was stored before; `present`: numbers that are in the memory too; `held`: what shall be asked
    for once more, since not all of it could be read: the read ends before the first of them.
    """
    read = set(came)
    every = read.union(present)
    goes_on = mark is not None and (mark_came or known)
    order = in_order(every) if mark is None or not goes_on else _after(mark, every)
    before = list(takewhile(lambda number: number not in held, order))
    while before and before[-1] not in read:
        before.pop()
    if not before:
        return Standing(None)
    began = [mark] if mark is not None and (goes_on or follows(mark, order[0])) else []
    return Standing(before[-1], tuple(_gaps([*began, *before])))


def _after(mark: int, numbers: Iterable[int]) -> list[int]:
    """The numbers that follow the mark, in order."""
    following = (number for number in numbers if 0 < ahead(mark, number) < CIRCLE // 2)
    return sorted(following, key=lambda number: ahead(mark, number))


def _gaps(numbers: Sequence[int]) -> Iterator[Gap]:
    for one, other in pairwise(numbers):
        if ahead(one, other) > 1:
            yield Gap((one + 1) % CIRCLE, (other - 1) % CIRCLE)

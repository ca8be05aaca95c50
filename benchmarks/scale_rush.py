"""Queues: how long one waits at the worst moment of an ordinary morning, and what if all come at once.

The first is a formula (Erlang C), the second a simulation, second by second, with the rule by which a space
tells who is refused when to come again (`gateway.api.pressure.Entrance`).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


def erlang_wait(servers: int, arrivals: float, service: float) -> float:
    """The probability that one who comes has to wait (Erlang C), of `servers` with this mean service time."""
    offered = arrivals * service
    if offered >= servers:
        return 1.0
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    return servers * blocked / (servers - offered * (1 - blocked))


def wait_beyond(share: float, servers: int, arrivals: float, service: float) -> float:
    """The wait that a `share` of those who come exceeds (0.01: the 99th percentile); M/M/c."""
    waits = erlang_wait(servers, arrivals, service)
    if arrivals * service >= servers:
        return math.inf
    return max(0.0, math.log(waits / share) / (servers / service - arrivals)) if waits > share else 0.0


@dataclass(frozen=True)
class Rush:
    """How it went when all came within a short while."""

    served_after: float
    """Seconds until the last one was served."""
    median: float
    refusals: float
    """How often one was told to come again, on average."""
    spent_on_refusals: float
    """Of the capacity of the space's processes, at the worst second."""


def rush(
    people: int, within: float, capacity: float, *, longest_wait: float, refusal_share: float, queue: int
) -> Rush:
    """All of `people` come evenly within a while; who is refused is given the next free place.

    Simulated second by second. `capacity`: served in a second; `longest_wait`: what one is sent away for at
    most; `refusal_share`: what a refusal costs, as a part of one served; `queue`: how many may wait inside.
    """
    coming: dict[int, list[tuple[int, int]]] = {}
    for second in range(math.ceil(within)):
        coming[second] = [(second, round(people * (second + 1) / within) - round(people * second / within))]
    inside: deque[tuple[int, int]] = deque()
    waits: list[tuple[int, int]] = []
    refused, waiting, free_at, worst, now, left = 0, 0, 0.0, 0.0, 0, people
    while left:
        turned_away = 0
        for came, count in coming.pop(now, []):
            room = min(count, queue + round(capacity) - waiting)
            if room > 0:
                inside.append((came, room))
                waiting += room
            rest = count - max(0, room)
            turned_away += rest
            while rest > 0:  # consecutive places, a second's worth at a time, no later than the longest wait
                free_at = max(free_at, now + 1.0)
                at = min(free_at, now + longest_wait)
                part = rest if at < free_at else min(rest, max(1, round(capacity)))
                coming.setdefault(math.ceil(at), []).append((came, part))
                free_at = min(free_at + part / capacity, now + longest_wait + 1)
                rest -= part
        refused += turned_away
        spent = turned_away * refusal_share / capacity
        worst = max(worst, spent)
        can = max(0, round(capacity - turned_away * refusal_share))
        while can and inside:
            came, count = inside.popleft()
            taken = min(can, count)
            waits.append((now - came, taken))
            can, waiting, left = can - taken, waiting - taken, left - taken
            if count > taken:
                inside.appendleft((came, count - taken))
        now += 1
    return Rush(now, _median(waits), refused / people, worst)


def _median(waits: list[tuple[int, int]]) -> float:
    half = sum(count for _, count in waits) / 2
    for wait, count in sorted(waits):
        half -= count
        if half <= 0:
            return wait
    return 0.0

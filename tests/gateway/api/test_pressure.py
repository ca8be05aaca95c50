"""Back-pressure: who is refused is told when to come back, and all who are refused do not come at once."""

from __future__ import annotations

import asyncio

import pytest

from gateway.api.pressure import LONGEST_WAIT, Entrance, Guesses, Limiter, Pressure
from gateway.api.problems import Problem


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def retry_after(problem: Problem) -> int:
    assert problem.status == 429
    return int(problem.headers["Retry-After"])


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    limiter = Limiter(2, 4, clock=clock)
    assert [limiter.take("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    clock.now += 0.5
    assert limiter.take("a") == 0
    assert limiter.take("a") == 0.5


def test_one_who_asks_often_leaves_the_others_alone() -> None:
    limiter = Limiter(1, 1, clock=Clock())
    assert limiter.take("a") == 0
    assert limiter.take("a") > 0
    assert limiter.take("b") == 0


def test_no_more_buckets_are_kept_than_allowed_and_the_busy_ones_stay() -> None:
    limiter = Limiter(1, 2, keys=2, clock=Clock())
    limiter.take("busy")
    for number in range(10):
        limiter.take("busy")
        limiter.take(number)
    assert limiter.take("busy") > 0
    assert len(limiter._buckets) == 2


def test_a_right_guess_costs_nothing_and_wrong_ones_have_an_end() -> None:
    guesses = Guesses(rate=0.1, burst=3)
    for _ in range(100):
        guesses.check("address")
    for _ in range(3):
        guesses.check("address")
        guesses.wrong("address")
    with pytest.raises(Problem) as refused:
        guesses.check("address")
    assert 1 <= retry_after(refused.value) <= 10
    guesses.check("another address")


async def test_no_more_are_inside_than_allowed_and_each_comes_in_in_its_turn() -> None:
    entrance = Entrance(2, waiting=10)
    most = 0

    async def enter() -> None:
        nonlocal most
        async with entrance.admitted():
            most = max(most, entrance.inside)
            await asyncio.sleep(0)

    await asyncio.gather(*(enter() for _ in range(12)))
    assert most == 2
    assert (entrance.inside, entrance.waiting, entrance.refused) == (0, 0, 0)


async def test_who_finds_the_queue_full_is_refused_at_once_and_each_with_another_moment() -> None:
    entrance = Entrance(1, waiting=0)
    entrance._seconds = 2.0
    async with entrance.admitted():
        moments = []
        for _ in range(20):
            with pytest.raises(Problem) as refused:
                async with entrance.admitted():
                    pass
            moments.append(retry_after(refused.value))
    assert moments == sorted(moments)
    assert moments[:4] == [2, 4, 6, 8]
    async with entrance.admitted():
        pass


async def test_where_nobody_waits_any_more_the_next_refused_one_is_called_sooner() -> None:
    clock = Clock()
    entrance = Entrance(1, waiting=0, clock=clock)
    entrance._seconds = 10.0

    async def refused() -> int:
        async with entrance.admitted():
            with pytest.raises(Problem) as refusal:
                await entrance._enter()
        return retry_after(refusal.value)

    first = await refused()
    for _ in range(5):
        async with entrance.admitted():
            pass
    assert await refused() < first + 10


async def test_nobody_is_sent_away_for_longer_than_a_quarter_of_an_hour() -> None:
    entrance = Entrance(1, waiting=0)
    entrance._seconds = 300.0
    async with entrance.admitted():
        for _ in range(10):
            with pytest.raises(Problem) as refused:
                async with entrance.admitted():
                    pass
    assert retry_after(refused.value) == LONGEST_WAIT


async def test_who_waits_too_long_for_a_place_is_refused_and_takes_none() -> None:
    entrance = Entrance(1, waiting=5, patience=0.01)
    async with entrance.admitted():
        with pytest.raises(Problem):
            async with entrance.admitted():
                pass
        assert entrance.waiting == 0
    async with entrance.admitted():
        assert entrance.inside == 1


async def test_an_error_inside_gives_the_place_back() -> None:
    pressure = Pressure.of(1, gateway_rate=100)
    for _ in range(3):
        with pytest.raises(ValueError, match="inside"):
            async with pressure.ingesting("gateway"):
                raise ValueError("inside")
    assert pressure.ingest.inside == 0


async def test_one_gateway_that_feeds_too_often_is_refused_while_another_is_served() -> None:
    pressure = Pressure.of(4, gateway_rate=1)

    async def feed(gateway: str, times: int) -> None:
        for _ in range(times):
            async with pressure.ingesting(gateway):
                await asyncio.sleep(0)

    await feed("eager", 2)
    with pytest.raises(Problem) as refused:
        await feed("eager", 1)
    assert retry_after(refused.value) == 1
    await feed("quiet", 1)

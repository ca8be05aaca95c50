"""Where a meter stands in its numbers: over the end of the circle, after a reset, after a full memory."""

from __future__ import annotations

import pytest

from gateway.numbering import goes_forward, in_order, standing
from gateway.storing import Storing
from gateway.sync import sync_connected
from storage.devices import Gap
from tests.gateway.ble.bench import START, meter
from tests.gateway.test_sync import record, sequences
from tests.gateway.thin_link import thin_link


@pytest.mark.parametrize(
    ("came", "ordered"),
    [
        ([], []),
        ([7], [7]),
        ([3, 1, 2, 2], [1, 2, 3]),
        ([0, 1, 65_534, 65_535], [65_534, 65_535, 0, 1]),
        ([2, 0, 65_533], [65_533, 0, 2]),
    ],
)
def test_the_numbers_of_a_memory_are_ordered_around_the_circle(came, ordered):
    assert in_order(came) == ordered


def test_whether_the_oldest_came_first():
    assert goes_forward([1, 2, 5])
    assert goes_forward([65_534, 65_535, 0])
    assert not goes_forward([5, 4])
    assert not goes_forward([0, 1, 65_000])


NOTHING: tuple[Gap, ...] = ()


@pytest.mark.parametrize(
    ("mark", "came", "how", "newest", "gaps"),
    [
        pytest.param(None, [1, 2, 5], {}, 5, (Gap(3, 4),), id="a first read tells the holes in it"),
        pytest.param(2, [2, 3, 4], {"mark_came": True}, 4, NOTHING, id="what follows the mark is new"),
        pytest.param(2, [2, 5], {"mark_came": True}, 5, (Gap(3, 4),), id="a hole after the mark is new"),
        pytest.param(9, [1, 5, 9], {"mark_came": True}, None, NOTHING, id="one before it was told before"),
        pytest.param(5, [8, 9], {}, 9, (Gap(6, 7),), id="a full memory has dropped what is between"),
        pytest.param(5, [1, 2], {}, 2, NOTHING, id="a meter that began again misses nothing"),
        pytest.param(5, [1, 2, 4], {"known": True}, None, NOTHING, id="the mark was deleted on the meter"),
        pytest.param(5, [4, 7], {"known": True}, 7, (Gap(6, 6),), id="deleted, and gone on since"),
        pytest.param(65_534, [65_534, 65_535, 0, 1], {"mark_came": True}, 1, NOTHING, id="over the end"),
        pytest.param(65_530, [1, 2], {}, 2, (Gap(65_531, 0),), id="over the end, and the memory was full"),
        pytest.param(60_000, [1, 2], {}, 2, NOTHING, id="so far over the end that it began again"),
        pytest.param(
            2, [2, 3, 5], {"mark_came": True, "held": {3}}, None, NOTHING, id="read again from there"
        ),
        pytest.param(2, [2, 3, 5], {"mark_came": True, "held": {5}}, 3, NOTHING, id="as far as it was read"),
        pytest.param(2, [2, 4], {"mark_came": True, "present": {3}}, 4, NOTHING, id="unread is not missing"),
    ],
)
def test_where_a_read_stands(mark, came, how, newest, gaps):
    found = standing(mark, came, **{"mark_came": False, "known": False, **how})
    assert (found.newest, found.gaps) == (newest, gaps)


@pytest.mark.parametrize("by_number", [0, 1])
async def test_a_count_that_goes_over_its_end_between_two_reads_is_read_on(database, patient, by_number):
    storing = Storing(database, patient)
    held = meter([record(65_534, START)], protected=False, by_number=by_number)

    async def read() -> int:
        async with thin_link(held) as connection:
            return (await sync_connected(connection, storing)).stored

    assert await read() == 1
    for day, number in enumerate((65_535, 0, 1), start=9):
        held.add(record(number, START._replace(day=day)))
    assert await read() == 3
    held.add(record(2, START._replace(day=20)))
    assert (await read(), await read()) == (1, 0)
    assert await sequences(storing) == [0, 1, 2, 65_534, 65_535]


async def test_a_meter_that_began_again_and_went_past_the_old_numbers_hides_nothing(database, patient):
    storing = Storing(database, patient)
    held = meter([record(n, START._replace(day=n)) for n in (1, 2)], protected=False)

    async def read() -> int:
        async with thin_link(held) as connection:
            return (await sync_connected(connection, storing)).stored

    assert await read() == 2
    held.delete()
    for number in (1, 2, 3, 4):
        held.add(record(number, START._replace(month=6, day=number)))
    assert (await read(), await read()) == (4, 0)
    assert await sequences(storing) == [1, 1, 2, 2, 3, 4]

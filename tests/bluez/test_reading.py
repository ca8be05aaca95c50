"""From the first scan to the last record, on the real stack, into the real store."""

from __future__ import annotations

import pytest

from gateway.ble.errors import ConnectionLost
from tests.bluez.bench import METER, Bench


async def test_a_meter_is_heard_with_its_name_and_profile(at: Bench):
    async with at.radio() as radio:
        found = await at.find(radio)
    assert (found.address, found.name, found.profile.name) == (METER, "Virtual meter", "glucose-meter")


async def test_pairing_by_passkey_then_everything_then_only_what_is_new(at: Bench):
    device = await at.pair()
    assert (await at.sync(device)).stored == 5
    assert await at.air("measure", 3) == 8
    again = await at.sync(await at.known())
    assert (again.records_read, again.stored) == (3, 3)
    assert (await at.sync(await at.known())).stored == 0
    whole = await at.sync(await at.known(), full=True)
    assert (whole.records_read, whole.stored, whole.known) == (8, 0, 8)
    assert await at.count() == 8


async def test_a_link_that_ends_half_way_keeps_what_came_and_the_next_sync_completes(at: Bench):
    device = await at.pair()
    await at.air("fault", "disconnect_after", 3)
    with pytest.raises(ConnectionLost) as lost:
        await at.sync(device)
    assert lost.value.details["stored"] == 3
    await at.air("fault", "disconnect_after", None)
    assert (await at.sync(await at.known())).stored == 2
    assert await at.count() == 5

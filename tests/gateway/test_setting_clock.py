"""Setting a meter's clock over a real GATT link: where it is wanted, and believed only when read back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from device_profiles.reading import Device, DeviceIdentity
from gateway.setting_clock import ClockOutcome, is_wanted, set_clock, set_if_wanted
from storage.devices import ClockPolicy, StoredDevice
from tests.gateway.ble.bench import ZONE, bench, meter

DEVICE = StoredDevice(1, 1, Device(DeviceIdentity("serial", "Acme/One/SN-1")))


@pytest.mark.parametrize(
    ("policy", "error", "asked", "wanted"),
    [
        (ClockPolicy.TELL, 86_400, False, False),
        (ClockPolicy.TELL, 60, True, True),
        (ClockPolicy.AUTO, 601, False, True),
        (ClockPolicy.AUTO, -601, False, True),
        (ClockPolicy.AUTO, 600, False, False),
        (ClockPolicy.AUTO, 60, True, True),
        (ClockPolicy.NEVER, 86_400, True, False),
        (ClockPolicy.AUTO, None, True, False),
    ],
)
def test_a_clock_is_set_only_where_asked_for_or_plainly_wrong_and_allowed(policy, error, asked, wanted):
    assert is_wanted(policy, error, asked=asked) is wanted


async def test_a_clock_that_is_set_is_read_back(tmp_path):
    async with bench(tmp_path, meter(0, clock_error_seconds=86_400)) as at, at.connected() as connection:
        setting = await set_clock(connection, 86_400, ZONE)
        assert setting.outcome is ClockOutcome.SET
        assert abs(setting.error_after) <= 2
        assert abs(await connection.clock_error(ZONE)) <= 2


async def test_a_meter_that_reports_success_and_does_not_change_is_told_as_such(tmp_path):
    ignoring = meter(0, clock_error_seconds=-7200, clock_write_ignored=True)
    async with bench(tmp_path, ignoring) as at, at.connected() as connection:
        setting = await set_clock(connection, -7200, ZONE)
    assert setting.outcome is ClockOutcome.NOT_CHANGED
    assert abs(setting.error_after + 7200) <= 2


async def test_a_meter_whose_clock_cannot_be_written_is_told_as_such(tmp_path):
    async with (
        bench(tmp_path, meter(0, clock_error_seconds=900, clock_read_only=True)) as at,
        at.connected() as connection,
    ):
        assert (await set_clock(connection, 900, ZONE)).outcome is ClockOutcome.NOT_WRITABLE


async def test_a_clock_that_counts_in_base_time_is_set_in_base_time(tmp_path):
    """An hour behind what it shows, as the offset of its records says, and five minutes ahead."""
    async with bench(tmp_path, meter(0, clock_error_seconds=-3300)) as at, at.connected() as connection:
        setting = await set_clock(connection, 300, ZONE)
        assert setting.outcome is ClockOutcome.SET
        assert abs(await connection.clock_error(ZONE) + 3600) <= 2


async def test_nothing_is_written_where_nobody_wants_it(tmp_path):
    async with bench(tmp_path, meter(0, clock_error_seconds=86_400)) as at, at.connected() as connection:
        assert (await set_if_wanted(connection, DEVICE, 86_400, ZONE)).outcome is ClockOutcome.LEFT
        asked = replace(DEVICE, clock_set_asked_at=datetime.now(UTC))
        assert (await set_if_wanted(connection, asked, None, ZONE)).outcome is ClockOutcome.LEFT
        assert abs(await connection.clock_error(ZONE) - 86_400) <= 2
        assert (await set_if_wanted(connection, asked, 86_400, ZONE)).outcome is ClockOutcome.SET

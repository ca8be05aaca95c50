"""Setting a meter's clock over a real GATT link: where it is wanted, and believed only when read back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from device_profiles.reading import Device, DeviceIdentity
from device_profiles.services.glucose import GlucoseMeasurement
from device_profiles.virtual_device import Record
from device_profiles.wire import DateTime
from gateway.outcomes import SyncOutcome
from gateway.setting_clock import ClockOutcome, is_wanted, set_clock, set_if_wanted
from gateway.storing import Storing
from gateway.sync import sync
from storage import devices, readings
from storage.devices import ClockPolicy, StoredDevice
from tests.gateway.ble.bench import ZONE, Bench, bench, meter

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


# --- as part of a sync ---------------------------------------------------------------------------------

DAY_AHEAD = 86_400


def made_now(number: int = 1) -> Record:
    """A record made just now, by a clock a day ahead."""
    shown = DateTime.of(datetime.now(ZONE) + timedelta(seconds=DAY_AHEAD))
    return Record(number, GlucoseMeasurement.of(number, shown).encode())


async def synced(at: Bench, storing: Storing) -> SyncOutcome:
    async with at.radio() as radio:
        return await sync(radio, at.is_first, storing, passkey=at.read_display)


async def decide(storing: Storing, policy: ClockPolicy, *, asked: bool = False) -> StoredDevice:
    async with storing.database.writer() as conn:
        (device,) = await devices.of_patient(conn, storing.patient.patient_id)
        await devices.allow_setting(conn, device, policy, asked=asked)
        return await devices.get(conn, device.patient_id, device.device_id)


async def known(storing: Storing) -> StoredDevice:
    async with storing.database.writer() as conn:
        (device,) = await devices.of_patient(conn, storing.patient.patient_id)
        return device


async def how_far_off(storing: Storing) -> list[float]:
    """How far from now the readings are placed, in seconds, by number."""
    async with storing.database.writer() as conn:
        series = await readings.series(conn, storing.patient.patient_id)
    times = series.effective_time[series.sequence.argsort()] / 1e6
    return [abs(datetime.now(UTC).timestamp() - time) for time in times.tolist()]


async def test_a_clock_is_only_told_of_until_somebody_allows_more(tmp_path, database, patient):
    storing = Storing(database, patient)
    async with bench(tmp_path, meter([made_now()], clock_error_seconds=DAY_AHEAD)) as at:
        told = await synced(at, storing)
        assert told.set_clock.outcome is ClockOutcome.LEFT
        assert abs(told.clock_error_seconds - DAY_AHEAD) <= 2
        await decide(storing, ClockPolicy.AUTO)
        at.peripheral.virtual.add(made_now(2))
        done = await synced(at, storing)
    assert done.set_clock.outcome is ClockOutcome.SET
    assert abs((await known(storing)).clock_error_seconds) <= 2
    assert max(await how_far_off(storing)) < 120  # before the setting: by the look before it


async def test_what_is_made_after_the_setting_is_placed_by_the_clock_as_it_is_then(
    tmp_path, database, patient
):
    storing = Storing(database, patient)
    async with bench(tmp_path, meter([made_now()], clock_error_seconds=DAY_AHEAD)) as at:
        await synced(at, storing)
        await decide(storing, ClockPolicy.TELL, asked=True)
        await synced(at, storing)
        assert (await known(storing)).clock_set_asked_at is None
        right = DateTime.of(datetime.now(ZONE))
        at.peripheral.virtual.add(Record(2, GlucoseMeasurement.of(2, right).encode()))
        again = await synced(at, storing)
    assert again.set_clock.outcome is ClockOutcome.LEFT
    assert max(await how_far_off(storing)) < 120


async def test_a_meter_that_only_says_that_it_was_set_is_corrected_as_before(tmp_path, database, patient):
    storing = Storing(database, patient)
    faults = {"clock_error_seconds": DAY_AHEAD, "clock_write_ignored": True}
    async with bench(tmp_path, meter([made_now()], **faults)) as at:
        await synced(at, storing)
        await decide(storing, ClockPolicy.AUTO)
        tried = await synced(at, storing)
        assert tried.set_clock.outcome is ClockOutcome.NOT_CHANGED
        assert abs((await known(storing)).clock_error_seconds - DAY_AHEAD) <= 2
        at.peripheral.virtual.add(made_now(2))
        await synced(at, storing)
    assert max(await how_far_off(storing)) < 120


async def test_by_a_computer_whose_own_clock_is_in_doubt_no_clock_is_set(tmp_path, database, patient):
    storing = Storing(database, patient)
    async with bench(tmp_path, meter([made_now()], clock_error_seconds=DAY_AHEAD)) as at:
        await synced(at, storing)
        await decide(storing, ClockPolicy.AUTO, asked=True)
        async with database.owner() as conn:  # the last look lies in days to come: this machine was set back
            await conn.execute(
                "UPDATE passerelle.device SET clock_read_at = now() + interval '1 year' "
                "WHERE patient_id = %s",
                (patient.patient_id,),
            )
        at.fault(clock_error_seconds=366 * 86_400)
        doubted = await synced(at, storing)
    assert doubted.own_clock_in_doubt
    assert doubted.set_clock.outcome is ClockOutcome.LEFT
    assert (await known(storing)).clock_set_asked_at is not None

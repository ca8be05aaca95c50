"""Sync over a real GATT link into a real database: what a meter holds is stored, once, whatever happens."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from device_profiles.devices import accu_chek_guide
from device_profiles.reading import Device, DeviceIdentity, TimeSource
from device_profiles.services.glucose import GlucoseMeasurement
from device_profiles.virtual_device import Record, from_transcript, generated_records
from device_profiles.wire import DateTime
from gateway.ble.errors import ConnectionLost, ControlPointSilent, PairingNeeded
from gateway.sync import Storing, SyncOutcome, sync
from storage import devices, readings
from tests.gateway.ble.bench import START, Bench, bench, meter

SMALL = 4
CAPTURE = files("gateway.demonstration") / "accuchek_guide_full_read.json"


@pytest.fixture
def storing(database, patient) -> Storing:
    return Storing(database, patient)


async def once(at: Bench, storing: Storing, **how) -> SyncOutcome:
    """One sync of the first meter, as a command does it."""
    passkey = how.pop("passkey", at.read_display)
    async with at.radio() as radio:
        return await sync(radio, at.is_first, storing, passkey=passkey, **how)


async def stored(storing: Storing):
    async with storing.database.writer() as conn:
        return await readings.series(conn, storing.patient.patient_id)


async def sequences(storing: Storing) -> list[int]:
    return sorted((await stored(storing)).sequence.tolist())


async def kept_aside(storing: Storing) -> list[tuple[str, bytes, str]]:
    """The refused frames; straight from their table, since no function reads them yet."""
    async with storing.database.writer() as conn:
        rows = await conn.execute(
            "SELECT characteristic, raw, reason FROM passerelle.refused_frame WHERE patient_id = %s",
            (storing.patient.patient_id,),
        )
        return [tuple(row) for row in await rows.fetchall()]


def record(sequence: int, at: DateTime, **fields) -> Record:
    return Record(sequence, GlucoseMeasurement.of(sequence, at, **fields).encode())


# --- what is new, once ---------------------------------------------------------------------------------


async def test_a_meter_is_read_whole_and_then_only_for_what_is_new(tmp_path, storing):
    async with bench(tmp_path, meter(5)) as at:
        first = await once(at, storing)
        again = await once(at, storing)
        more = await add_and_sync(at, storing)
    assert (first.stored, first.known, first.records_read) == (5, 0, 5)
    assert (again.stored, again.known, again.records_read) == (0, 0, 0)
    assert (more.stored, more.known, more.records_read) == (1, 0, 1)
    assert await sequences(storing) == [1, 2, 3, 4, 5, 6]


async def add_and_sync(at: Bench, storing: Storing) -> SyncOutcome:
    at.peripheral.virtual.add(record(6, DateTime(2024, 3, 1, 8, 0, 0)))
    return await once(at, storing)


async def test_a_full_read_again_stores_nothing_new(tmp_path, storing):
    async with bench(tmp_path, meter(5)) as at:
        await once(at, storing)
        again = await once(at, storing, full=True)
    assert (again.stored, again.known) == (0, 5)


async def test_an_empty_meter_is_success(tmp_path, storing):
    async with bench(tmp_path, meter(0)) as at:
        outcome = await once(at, storing)
        assert (outcome.stored, outcome.records_read) == (0, 0)
        assert (await once(at, storing)).stored == 0


async def test_progress_and_the_phases_are_told(tmp_path, storing):
    told = []
    async with bench(tmp_path, meter(3)) as at:
        outcome = await once(at, storing, progress=told.append)
    assert told == [1, 2, 3]
    assert list(outcome.seconds) == ["scan", "pair", "read", "store"]


async def test_what_the_meter_says_of_itself_is_kept(tmp_path, storing):
    async with bench(tmp_path, meter(1, clock_error_seconds=900)) as at:
        await once(at, storing)
    async with storing.database.writer() as conn:
        (device,) = await devices.of_patient(conn, storing.patient.patient_id)
    assert device.device.identity == DeviceIdentity("serial", "Acme/One/SN-1")
    assert (device.device.firmware, device.battery_percent, device.last_sequence) == ("1.0", 80, 1)
    assert abs(device.clock_error_seconds - 900) <= 1


async def test_two_meters_of_one_person_are_two(tmp_path, storing):
    async with bench(tmp_path, meter(3, serial="A"), meter(3, serial="B")) as at, at.radio() as radio:
        for peripheral in at.air.peripherals:
            await sync(
                radio,
                lambda found, it=peripheral: found.address == it.address,
                storing,
                passkey=at.read_display,
            )
    assert await sequences(storing) == [1, 1, 2, 2, 3, 3]


async def test_a_meter_that_starts_its_numbers_again_is_read_whole(tmp_path, storing):
    async with bench(tmp_path, meter(5)) as at:
        await once(at, storing)
    after_a_reset = [record(n, DateTime(2024, 6, n, 8, 0, 0)) for n in (1, 2)]
    async with bench(tmp_path / "again", meter(after_a_reset)) as at:
        outcome = await once(at, storing)
    assert outcome.stored == 2
    assert await sequences(storing) == [1, 1, 2, 2, 3, 4, 5]


# --- when things go wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(SMALL + 1))
async def test_a_meter_that_leaves_after_k_records_has_k_stored_and_the_next_run_completes(
    tmp_path, storing, k
):
    async with bench(tmp_path, meter(SMALL, disconnect_after=k)) as at:
        with pytest.raises(ConnectionLost) as lost:
            await once(at, storing)
        assert lost.value.details["stored"] == k
        assert await sequences(storing) == list(range(1, k + 1))
        at.fault()
        assert (await once(at, storing)).stored == SMALL - k
    assert await sequences(storing) == list(range(1, SMALL + 1))


async def test_a_meter_that_sends_the_newest_first_and_leaves_loses_no_older_record(tmp_path, storing):
    newest_first = [record(sequence, START) for sequence in range(SMALL, 0, -1)]
    async with bench(tmp_path, meter(newest_first, disconnect_after=2)) as at:
        with pytest.raises(ConnectionLost):
            await once(at, storing)
        assert await sequences(storing) == [SMALL - 1, SMALL]
        async with storing.database.writer() as conn:
            (device,) = await devices.of_patient(conn, storing.patient.patient_id)
        assert device.last_sequence is None
        at.fault()
        await once(at, storing)
    assert await sequences(storing) == list(range(1, SMALL + 1))


async def test_a_control_point_that_never_answers_is_told_and_the_next_run_completes(tmp_path, storing):
    async with bench(tmp_path, meter(SMALL, silent_control_point=True)) as at:
        with pytest.raises(ControlPointSilent):
            await once(at, storing)
        at.fault()
        assert (await once(at, storing)).stored == SMALL


async def test_a_meter_that_says_nothing_after_its_records_has_them_stored(tmp_path, storing):
    capture = json.loads(CAPTURE.read_text())
    (session,) = capture["sessions"]
    capture["sessions"] = [[event for event in session if event["char"] != "2A52"]]
    async with bench(tmp_path, *from_transcript(capture)) as at:
        with pytest.raises(ControlPointSilent) as silent:
            await once(at, storing, full=True)
    assert silent.value.details["stored"] == 11


async def test_a_meter_that_is_not_paired_is_told(tmp_path, storing):
    async with bench(tmp_path, meter(2)) as at:
        with pytest.raises(PairingNeeded):
            await once(at, storing, passkey=None)


async def test_a_bond_that_was_lost_is_made_anew_and_stores_nothing_twice(tmp_path, storing):
    async with bench(tmp_path, meter(3)) as at:
        await once(at, storing)
        await at.peripheral.forget()
        again = await once(at, storing, full=True)
    assert (again.stored, again.known) == (0, 3)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("malformed", "invalid_value"), ("truncated", "too_short"), ("overlong", "trailing_bytes")],
)
async def test_a_frame_that_cannot_be_read_is_kept_aside_and_the_rest_goes_on(
    tmp_path, storing, fault, reason
):
    records = [record(n, DateTime(2024, 3, n, 8, 0, 0)) for n in range(1, 5)]
    async with bench(tmp_path, meter(records, **{fault: 2})) as at:
        outcome = await once(at, storing)
    assert [(each.line, each.reason) for each in outcome.refused] == [(2, reason)]
    assert await sequences(storing) == [1, 3, 4]
    ((characteristic, raw, why),) = await kept_aside(storing)
    assert (characteristic, why) == ("2A18", reason)
    assert raw[1:3] == b"\x02\x00"


async def test_a_context_that_cannot_be_read_leaves_its_measurement(tmp_path, storing):
    damaged = Record(
        1, GlucoseMeasurement.of(1, DateTime(2024, 3, 1, 8, 0, 0), context_follows=True).encode(), b"\x01\x01"
    )
    async with bench(tmp_path, meter([damaged])) as at:
        outcome = await once(at, storing)
    assert outcome.stored == 1
    assert [each.reason for each in outcome.refused] == ["too_short"]


async def test_a_context_without_its_measurement_is_kept_aside(tmp_path, storing):
    stray = Record(1, record(1, DateTime(2024, 3, 1, 8, 0, 0)).measurement, b"\x02\x63\x00\x01")
    async with bench(tmp_path, meter([stray])) as at:
        outcome = await once(at, storing)
    assert outcome.stored == 1
    assert [(each.line, each.reason) for each in outcome.refused] == [(2, "without_measurement")]


async def test_records_that_come_twice_are_stored_once(tmp_path, storing):
    async with bench(tmp_path, meter(5, duplicate=True)) as at:
        outcome = await once(at, storing)
    assert (outcome.stored, outcome.known) == (5, 5)


@pytest.mark.parametrize("late", [False, True])
async def test_contexts_are_joined_however_late_they_come(tmp_path, storing, late):
    async with bench(tmp_path, meter(12, late_context=late)) as at:
        await once(at, storing)
    series = await stored(storing)
    announced = sum(each.context is not None for each in generated_records(12, start=START))
    assert len(series.contexts) == announced > 0


async def test_contexts_that_never_come_lose_no_reading_and_join_when_they_do(tmp_path, storing):
    async with bench(tmp_path, meter(12, no_context=True)) as at:
        assert (await once(at, storing)).stored == 12
        assert not (await stored(storing)).contexts
        at.fault()
        again = await once(at, storing, full=True)
    assert (again.stored, again.known) == (0, 12)
    assert (await stored(storing)).contexts


async def test_after_the_last_number_that_there_is_all_is_read(tmp_path, storing):
    async with bench(tmp_path, meter(5)) as at:
        await once(at, storing)
        async with storing.database.writer() as conn:
            await conn.execute(
                "UPDATE passerelle.device SET last_sequence = 65535 WHERE patient_id = %s",
                (storing.patient.patient_id,),
            )
        assert (await once(at, storing)).known == 5


# --- placed in time ------------------------------------------------------------------------------------


async def test_a_captured_read_is_placed_by_its_own_zone_and_stored_once(tmp_path, storing):
    capture = from_transcript(json.loads(CAPTURE.read_text()), accu_chek_guide.PROFILE)
    identity = Device(DeviceIdentity("capture", "0" * 64), profile="accu-chek-guide")
    outcomes = []
    first_times = []
    for zone in ("Europe/Paris", "Europe/Paris", "Asia/Tokyo"):
        played = replace(storing, zone=ZoneInfo(zone), device=identity)
        async with bench(tmp_path, *capture) as at:
            outcome = await once(at, played, full=True)
        outcomes.append((outcome.stored, outcome.known))
        first_times.append(int((await stored(storing)).effective_time[0]))
    assert outcomes == [(11, 0), (0, 11), (0, 11)]
    moments = [datetime.fromtimestamp(at / 1e6, UTC).strftime("%H:%M:%S") for at in first_times]
    assert moments == ["07:03:35", "07:03:35", "00:03:35"]
    series = await stored(storing)
    assert np.isnan(series.values()).sum() == 2
    assert [context.meal for context in series.contexts.values()] == [1]


async def test_a_clock_that_is_ahead_is_taken_off_what_it_wrote(tmp_path, storing):
    shown = [record(1, DateTime(2024, 1, 10, 9, 0, 0))]
    async with bench(tmp_path, meter(shown, clock_error_seconds=3600)) as at:
        outcome = await once(at, storing)
    assert abs(outcome.clock_error_seconds - 3600) <= 1
    series = await stored(storing)
    seconds = int(series.effective_time[0]) / 1e6 - datetime(2024, 1, 10, 7, tzinfo=UTC).timestamp()
    assert abs(seconds) <= 1
    assert series.time_source[0] == TimeSource.DEVICE_CORRECTED


async def test_this_machine_s_clock_set_back_by_a_year_moves_no_reading(tmp_path, storing):
    first = [record(1, DateTime(2024, 1, 10, 9, 0, 0))]
    async with bench(tmp_path, meter(first)) as at:
        await once(at, storing)
    placed = (await stored(storing)).effective_time[0]
    async with storing.database.owner() as conn:  # what is a year ahead now was written before
        await conn.execute(
            "UPDATE passerelle.device SET last_synced_at = now() + interval '1 year', "
            "clock_read_at = now() + interval '1 year' WHERE patient_id = %s",
            (storing.patient.patient_id,),
        )
    both = [*first, record(2, DateTime(2024, 1, 10, 10, 0, 0))]
    async with bench(tmp_path, meter(both, clock_error_seconds=365 * 86400)) as at:
        outcome = await once(at, storing)
    assert outcome.clock_error_seconds is None
    series = await stored(storing)
    hour = 3_600_000_000
    assert sorted(series.effective_time.tolist()) == [placed, placed + hour]


async def test_a_clock_that_shows_the_base_time_is_not_taken_for_a_wrong_one(tmp_path, storing):
    shown = [record(1, DateTime(2024, 1, 10, 7, 0, 0), time_offset_min=60)]
    async with bench(tmp_path, meter(shown, clock_error_seconds=-3600)) as at:
        outcome = await once(at, storing)
        assert abs(outcome.clock_error_seconds) <= 1
        assert abs((await once(at, storing)).clock_error_seconds) <= 1  # with no new record, too
    assert (await stored(storing)).time_source[0] == TimeSource.DEVICE


async def test_a_record_without_a_date_is_kept_without_a_time(tmp_path, storing):
    shown = [record(1, DateTime(2024, 0, 0, 7, 0, 0)), record(2, DateTime(2024, 1, 10, 7, 0, 0))]
    async with bench(tmp_path, meter(shown)) as at:
        assert (await once(at, storing)).stored == 2
    assert sorted((await stored(storing)).time_source.tolist()) == [TimeSource.DEVICE, TimeSource.UNKNOWN]

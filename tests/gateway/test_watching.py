"""Meters that are read by themselves, over a real GATT link into a real database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.ble.errors import BondLost, ControlPointSilent
from gateway.events import (
    Changed,
    Events,
    Missed,
    RadioChanged,
    RadioState,
    ReadingsStored,
    SyncBegan,
    SyncEnded,
)
from gateway.known_devices import NoDeviceYet, known_devices, sync_device
from gateway.wakefulness import Wakefulness
from gateway.watch_limits import WATCH_LIMITS
from storage import devices
from storage.database import Database
from storage.patients import Patient
from tests.gateway.ble.bench import meter
from tests.gateway.watched import QUICK, Watched, terminal_radio, watched

NEVER = replace(QUICK, rest=60, rest_attended=60)
"""A rest that no test outlives: what ends it is something else."""


async def begun(running: Watched) -> None:
    await running.told(RadioChanged, state=RadioState.WATCHING)


# --- a measurement ---------------------------------------------------------------------------------


async def test_a_finger_stick_is_told_within_two_seconds_while_a_page_is_open(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3), limits=WATCH_LIMITS) as running:
        await begun(running)
        for mg_dl in (119, 240):
            await running.measure(mg_dl)
            began = asyncio.get_running_loop().time()
            await running.told(ReadingsStored)
            assert asyncio.get_running_loop().time() - began <= 2
            await running.told(SyncEnded)
            # As long as a person takes for the next drop of blood: the meter falls silent meanwhile.
            running.station._meters[running.keys[0]].attention.woke()
        assert await running.sequences() == [1, 2, 3, 4, 5]


async def test_what_happens_is_told_in_order_and_names_no_value(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3)) as running:
        await begun(running)
        await running.measure(119)
        ended = await running.told(SyncEnded)
        (key,) = running.keys
        assert ended == SyncEnded(key, stored=4, known=0, missing=0)
        kinds = [type(event).__name__ for event in running.events]
        order = [
            kinds.index(name) for name in ("DeviceHeard", "SyncBegan", "RecordsArrived", "ReadingsStored")
        ]
        assert order == sorted(order)
        assert running.so_far(ReadingsStored) == [ReadingsStored(patient.uuid, key, 4)]
        state = running.station.state().devices[key]
        assert state.problem is None
        assert None not in {state.read_at, state.heard_at, state.next_try_at}


async def test_two_meters_that_wake_at_once_are_read_one_after_the_other(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3), meter(2, serial="SN-2")) as running:
        await begun(running)
        await asyncio.gather(running.measure(119, 0), running.measure(125, 1))
        ended = [await running.told(SyncEnded), await running.told(SyncEnded)]
        assert {each.device for each in ended} == set(running.keys)
        reads = [type(event) for event in running.events if isinstance(event, SyncBegan | SyncEnded)]
        assert reads == [SyncBegan, SyncEnded, SyncBegan, SyncEnded]
        assert await running.sequences() == [1, 1, 2, 2, 3, 3, 4]


# --- peace -----------------------------------------------------------------------------------------


async def test_a_meter_that_goes_on_advertising_is_not_read_again_and_again(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3)) as running:
        await begun(running)
        await running.peripheral().stay_awake()
        await running.told(SyncEnded)
        await running.windows(20)
        heard_at = running.station.state().devices[running.keys[0]].heard_at
        assert heard_at is not None
        assert datetime.now(UTC) - heard_at < timedelta(seconds=5)
        assert len(running.so_far(SyncBegan)) == 1


async def test_a_meter_whose_read_failed_is_tried_at_once_when_it_is_heard_anew_after_silence(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3)) as running:
        await begun(running)
        running.at.fault(silent_control_point=True)
        await running.measure(119)
        failed = await running.told(SyncEnded)
        assert isinstance(failed.problem, ControlPointSilent)
        running.at.fault()
        await running.peripheral().sleep()
        await running.silence()
        await running.peripheral().wake()
        assert (await running.told(SyncEnded)).problem is None
        assert await running.sequences() == [1, 2, 3, 4]


async def test_a_lost_bond_is_told_and_the_meter_is_read_as_soon_as_it_was_paired_anew(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3)) as running:
        await begun(running)
        await running.peripheral().forget()
        await running.measure(119)
        failed = await running.told(SyncEnded)
        assert isinstance(failed.problem, BondLost)
        assert isinstance(running.station.state().devices[running.keys[0]].problem, BondLost)
        await running.peripheral().wake()
        async with running.station.radio() as radio:
            found = await radio.find(running.at.is_first)
            async with radio.connect(found, running.at.read_display) as link:
                await link.identify()
        assert (await running.told(SyncEnded)).problem is None


async def test_a_device_that_was_forgotten_is_not_read(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3), limits=NEVER) as running:
        await begun(running)
        async with database.writer() as conn:
            await devices.forget(conn, patient.patient_id, running.keys[0].device_id)
        await running.measure(119)
        running.station.known_changed()
        await running.told(RadioChanged, state=RadioState.IDLE)
        with pytest.raises(NoDeviceYet):
            await running.station.sync_now()
        assert running.so_far(SyncBegan) == []
        async with database.writer() as conn:
            assert await devices.of_patient(conn, patient.patient_id) == ()


# --- the laptop ------------------------------------------------------------------------------------


async def test_an_adapter_that_is_unplugged_and_plugged_in_again_is_used_again(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3)) as running:
        await begun(running)
        running.at.air.unplug()
        await running.told(RadioChanged, state=RadioState.UNAVAILABLE)
        assert running.station.state().problem is not None
        await running.measure(119)
        running.at.air.plug_in()
        await begun(running)
        assert (await running.told(SyncEnded)).stored == 4


async def test_an_adapter_that_is_unplugged_while_a_meter_is_read_is_no_fault_of_the_meter(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3)) as running:
        await begun(running)
        running.at.fault(silent_control_point=True)
        await running.measure(119)
        await running.told(SyncBegan)
        running.at.air.unplug()
        await running.told(RadioChanged, state=RadioState.UNAVAILABLE)
        running.at.fault()
        running.at.air.plug_in()
        await running.peripheral().wake()
        assert (await running.told(SyncEnded, problem=None)).stored == 4


class Clocks:
    """A wall clock, and one that stands still while the laptop sleeps."""

    def __init__(self) -> None:
        self.asleep = 0.0

    def wall(self) -> float:
        return asyncio.get_running_loop().time() + self.asleep


async def test_a_laptop_that_slept_listens_at_once(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    clocks = Clocks()
    awake = Wakefulness(QUICK.slept, wall=clocks.wall, counting=asyncio.get_running_loop().time)
    async with watched(database, tmp_path, patient, meter(3), limits=NEVER, awake=awake) as running:
        await begun(running)
        await running.windows(1)
        await running.measure(119)
        clocks.asleep = 3600.0
        assert (await running.told(SyncEnded)).stored == 4


@pytest.mark.parametrize(
    ("wall", "counted", "expected", "slept"),
    [
        (0.3, 0.3, 0.25, False),
        (3600.0, 0.3, 0.25, True),  # Linux and macOS: the clock that counts stood still
        (3600.0, 3600.0, 0.25, True),  # Windows: both went on
        (40.0, 40.0, None, False),  # a long read
        (3640.0, 40.0, None, True),  # a long read, and sleep in it
        (-3600.0, 0.3, 0.25, True),  # a clock that was set back
    ],
)
def test_sleep_is_told_by_clocks(wall: float, counted: float, expected: float | None, slept: bool) -> None:
    walls, counts = iter((1e9, 1e9 + wall)), iter((50.0, 50.0 + counted))
    awake = Wakefulness(5, wall=lambda: next(walls), counting=lambda: next(counts))
    assert awake.slept(expected) is slept


async def test_a_watcher_that_is_stopped_in_the_middle_of_a_read_ends_within_seconds(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3), limits=replace(QUICK, stop=0.1)) as running:
        await begun(running)
        running.at.fault(silent_control_point=True)
        await running.measure(119)
        await running.told(SyncBegan)
        stopping = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping < 3
    assert running.station.state().radio is RadioState.STOPPED


# --- others who want the radio ---------------------------------------------------------------------


async def test_a_command_in_a_terminal_gets_the_radio_and_the_watcher_has_it_back(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3)) as running:
        await begun(running)
        async with terminal_radio(running) as radio:
            await running.told(RadioChanged, state=RadioState.LENT)
            await running.measure(119)
            ((person, device),) = await known_devices(running.home)
            assert (await sync_device(running.home, radio, person, device)).stored == 4
        assert await running.told(Changed) == Changed(patient.uuid, "readings")
        await begun(running)
        await running.silence()
        await running.measure(125)
        assert (await running.told(SyncEnded)).stored == 1


async def test_a_command_that_asks_while_a_meter_is_read_waits_for_the_end_of_the_read(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3)) as running:
        await begun(running)
        await running.measure(119)
        await running.told(SyncBegan)
        async with terminal_radio(running):
            ended = running.so_far(SyncEnded)
        assert [each.stored for each in ended] == [4]


async def test_a_page_borrows_the_radio_and_the_watcher_pauses(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3)) as running:
        await begun(running)
        async with running.station.radio() as radio:
            assert running.station.state().radio is RadioState.LENT
            await running.measure(119)
            await radio.find(running.at.is_first)
            assert running.so_far(SyncBegan) == []
        assert (await running.told(SyncEnded)).stored == 4


async def test_a_person_who_asks_has_a_meter_read_now(
    database: Database, tmp_path: Path, patient: Patient
) -> None:
    async with watched(database, tmp_path, patient, meter(3), limits=NEVER) as running:
        await begun(running)
        await running.windows(1)
        await running.measure(119)
        before = running.station.state().listened_at
        (outcome,) = await running.station.sync_now(running.keys[0])
        assert outcome.stored == 4
        await running.listened_since(before)  # else the watcher may read it first
        await running.peripheral().wake()
        (outcome,) = await running.station.sync_now()
        assert outcome.stored == 0


# --- the bus ---------------------------------------------------------------------------------------


async def test_a_listener_that_is_too_slow_is_told_that_it_missed_something(patient: Patient) -> None:
    events = Events(waiting=3)
    with events.subscribed() as slow, events.subscribed(person=False) as other:
        for number in range(5):
            events.publish(Changed(patient.uuid, str(number)))
            other.get_nowait()
        waiting = [slow.get_nowait() for _ in range(slow.qsize())]
    assert waiting == [Missed(), *(Changed(patient.uuid, str(number)) for number in (3, 4))]
    assert not events.attended

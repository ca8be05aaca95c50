"""Adding a device as a person does it, over a real GATT link: each step, how it fails, and trying again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex

import pytest

from device_profiles.virtual_device import VirtualDevice
from gateway.adding import Adding, NothingChosen, State, Step
from gateway.ble.errors import (
    ConnectionLost,
    NotInRange,
    PasskeyMalformed,
    PasskeyRefused,
    RadioUnavailable,
)
from gateway.ble.radio import open_radio
from gateway.events import Event, Events
from gateway.home import Home
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from gateway.watching import Station
from storage import devices
from storage.database import Database
from storage.devices import StoredDevice
from storage.patients import Patient
from tests.gateway.ble import bench as benches
from tests.gateway.ble.bench import HASTY, Bench, bench


def meter(records: int, **faults: int) -> VirtualDevice:
    """A meter of its own for each test: they share a database, and a meter is one person's."""
    return benches.meter(records, serial=token_hex(4), **faults)


class Wizard:
    """One wizard, the air around it, and what it told."""

    def __init__(self, at: Bench, adding: Adding, told: asyncio.Queue[Event]) -> None:
        self.at, self.adding, self._told = at, adding, told

    async def until(self, *steps: Step, seconds: float = 10) -> State:
        """Wait until it is at one of these steps."""
        return await self.when(lambda state: state.step in steps, seconds)

    async def when(self, condition: Callable[[State], bool], seconds: float = 10) -> State:
        async with asyncio.timeout(seconds):
            while not condition(self.adding.state):
                await self._told.get()
        return self.adding.state

    async def to_passkey(self, patient: Patient) -> None:
        """Up to the question for the code."""
        await self.adding.begin(patient)
        await self.choose_first()
        await self.until(Step.PASSKEY_WANTED)

    async def choose_first(self) -> None:
        state = await self.when(lambda state: bool(state.found))
        assert self.adding.choose(state.found[0].address)

    async def type_what_is_shown(self) -> None:
        self.adding.give_passkey(await self.at.read_display())

    async def devices(self, patient: Patient) -> tuple[StoredDevice, ...]:
        async with self.adding.station.home.database.writer() as conn:
            return await devices.of_patient(conn, patient.patient_id)


@asynccontextmanager
async def wizard(
    database: Database, folder: Path, *meters: VirtualDevice, **how: float
) -> AsyncIterator[Wizard]:
    home = Home(Settings(home=folder), database, HomeSecret(bytes(32)))
    async with bench(folder, *meters) as at:
        events = Events()
        station = Station(
            home, events, opening=lambda: open_radio(at.air.transport(), folder, HASTY, wait_seconds=0)
        )
        adding = Adding(station, **how)
        with events.subscribed() as told:
            try:
                yield Wizard(at, adding, told)
            finally:
                await adding.cancel()


async def test_four_steps_add_a_meter_and_read_it(tmp_path, database, patient):
    async with wizard(database, tmp_path, meter(5)) as at:
        await at.to_passkey(patient)
        await at.type_what_is_shown()
        state = await at.until(Step.DONE, Step.FAILED)
        assert state.error is None
        assert state.outcome.stored == 5
        assert len(await at.devices(patient)) == 1
        assert not at.adding.under_way


async def test_a_wrong_code_is_told_and_the_next_try_completes(tmp_path, database, patient):
    async with wizard(database, tmp_path, meter(5)) as at:
        await at.to_passkey(patient)
        at.adding.give_passkey(f"{await at.at.misread_display():06d}")
        state = await at.until(Step.FAILED)
        assert isinstance(state.error, PasskeyRefused)
        assert await at.devices(patient) == ()
        await at.adding.again()
        await at.until(Step.PASSKEY_WANTED)  # the chosen one is taken as soon as it is heard again
        await at.type_what_is_shown()
        assert (await at.until(Step.DONE, Step.FAILED)).step is Step.DONE


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "12345x", "１２３４５６"])
async def test_what_is_no_code_is_asked_for_again(tmp_path, database, patient, typed):
    async with wizard(database, tmp_path, meter(2)) as at:
        await at.to_passkey(patient)
        with pytest.raises(PasskeyMalformed):
            at.adding.give_passkey(typed)
        assert at.adding.state.step is Step.PASSKEY_WANTED
        shown = await at.at.read_display()
        at.adding.give_passkey(f"{shown[:3]} {shown[3:]}")
        assert (await at.until(Step.DONE, Step.FAILED)).step is Step.DONE


async def test_a_connection_that_is_lost_while_reading_keeps_the_device_and_only_reads_again(
    tmp_path, database, patient
):
    async with wizard(database, tmp_path, meter(8, disconnect_after=3)) as at:
        await at.to_passkey(patient)
        await at.type_what_is_shown()
        state = await at.until(Step.DONE, Step.FAILED)
        assert isinstance(state.error, ConnectionLost)
        assert state.failed_at is Step.READING
        assert len(await at.devices(patient)) == 1
        at.at.fault()
        await at.adding.again()
        state = await at.until(Step.DONE, Step.FAILED)
        assert state.step is Step.DONE
        assert state.outcome.stored + state.outcome.known >= 5  # three were kept


async def test_a_meter_that_was_carried_away_is_told_and_added_when_it_is_back(tmp_path, database, patient):
    async with wizard(database, tmp_path, meter(2)) as at:
        await at.adding.begin(patient)
        await at.when(lambda state: bool(state.found))
        at.at.air.lose(at.at.peripheral)
        await at.choose_first()
        state = await at.until(Step.FAILED)
        assert isinstance(state.error, NotInRange)
        at.at.air.bring_back(at.at.peripheral)
        await at.adding.again()
        await at.until(Step.PASSKEY_WANTED)
        await at.type_what_is_shown()
        assert (await at.until(Step.DONE, Step.FAILED)).step is Step.DONE


async def test_the_radio_is_given_back_when_nobody_chooses(tmp_path, database, patient):
    async with wizard(database, tmp_path, meter(2), listen_seconds=0.2) as at:
        await at.adding.begin(patient)
        state = await at.until(Step.FAILED)
        assert isinstance(state.error, NothingChosen)
        async with at.adding.station.radio():
            pass


@pytest.mark.parametrize("step", [Step.LISTENING, Step.PASSKEY_WANTED])
async def test_who_stops_leaves_nothing_behind(tmp_path, database, patient, step):
    async with wizard(database, tmp_path, meter(2)) as at:
        await at.adding.begin(patient)
        if step is Step.PASSKEY_WANTED:
            await at.choose_first()
        await at.until(step)
        await at.adding.cancel()
        assert at.adding.state == State()
        assert await at.devices(patient) == ()
        async with at.adding.station.radio():
            pass


async def test_bluetooth_that_is_off_is_told(tmp_path, database, patient):
    home = Home(Settings(home=tmp_path, ble="bumble:nowhere:"), database, HomeSecret(bytes(32)))
    adding = Adding(Station(home, Events()))
    with adding.station.events.subscribed() as told:
        await adding.begin(patient)
        async with asyncio.timeout(10):
            while adding.state.step is not Step.FAILED:
                await told.get()
    assert isinstance(adding.state.error, RadioUnavailable)


async def test_only_what_was_heard_can_be_chosen(tmp_path, database, patient):
    async with wizard(database, tmp_path, meter(2)) as at:
        assert not at.adding.choose("F0:00:00:00:00:01")
        await at.adding.begin(patient)
        await at.when(lambda state: bool(state.found))
        assert not at.adding.choose("F0:00:00:00:00:01")
        assert at.adding.state.step is Step.LISTENING

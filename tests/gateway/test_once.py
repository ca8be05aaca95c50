"""Every record once, where the radio, the process, the disk or the person does the unexpected."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from device_profiles import catalogue
from device_profiles.services.device_information import DeviceInformation
from device_profiles.virtual_device import VirtualDevice
from device_profiles.virtual_measurements import generated
from gateway import journal
from gateway.home import Home
from gateway.known_devices import (
    BondUnproven,
    DeviceOfAnother,
    PairingStep,
    known_devices,
    pair_device,
    store_what_was_left,
    sync_device,
)
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from gateway.storing import Storing
from gateway.sync import DeviceSwapped, sync, sync_connected
from storage import devices, patients
from storage.errors import DatabaseInterrupted, DiskFull
from tests.gateway.ble.bench import START, Bench, bench, local_time, meter
from tests.gateway.test_sync import record
from tests.gateway.thin_link import thin_link


@pytest.fixture
async def home(tmp_path: Path, database) -> Home:
    """A home in which nobody has a device yet; the tests of a session share the database."""
    home = Home(Settings(home=tmp_path), database, HomeSecret(bytes(32)))
    async with database.writer() as conn:
        for patient in await patients.list_all(conn):
            for device in await devices.of_patient(conn, patient.patient_id):
                await devices.forget(conn, patient.patient_id, device.device_id)
    return home


def cuff(count: int = 3) -> VirtualDevice:
    profile = catalogue.by_name("blood-pressure-cuff")
    return VirtualDevice(
        profile,
        generated(profile, count, start=START),
        information=DeviceInformation("Acme", "Cuff", "SN-7"),
        clock=local_time,
    )


async def paired(at: Bench, home: Home, patient, **how):
    async with at.radio() as radio:
        found = await radio.find(at.is_first)
        return await pair_device(home, radio, found, patient, at.read_display, **how)


async def read(at: Bench, home: Home, patient, device, **how):
    async with at.radio() as radio:
        return await sync_device(home, radio, patient, device, **how)


async def raws(home: Home, patient) -> list[bytes]:
    async with home.database.writer() as conn:
        found = await conn.execute(
            "SELECT raw FROM passerelle.reading WHERE patient_id = %s", (patient.patient_id,)
        )
        return sorted(row[0] for row in await found.fetchall())


async def another(home: Home):
    async with home.database.writer() as conn:
        return await patients.find_or_add(conn, f"Another of {home.settings.home.name}", "Europe/Paris")


# --- a cuff gives each reading once --------------------------------------------------------------------


def values_on_disk(folder: Path) -> int:
    """How many values the journals hold."""
    return sum(path.read_bytes().count(b'"characteristic"') for path in (folder / journal.FOLDER).glob("*"))


@contextmanager
def confirmations(at: Bench, folder: Path) -> Iterator[list[int]]:
    """How many values were on the disk each time that the cuff got a confirmation."""
    peripheral, seen = at.peripheral._device, []
    indicate = peripheral.indicate_subscriber

    async def indicated(*arguments):
        await indicate(*arguments)
        seen.append(values_on_disk(folder))

    peripheral.indicate_subscriber = indicated
    yield seen


async def test_what_a_cuff_gives_is_on_the_disk_when_it_is_confirmed(tmp_path, home, patient):
    async with bench(tmp_path, cuff()) as at:
        device = await paired(at, home, patient)
        with confirmations(at, tmp_path) as seen:
            outcome = await read(at, home, patient, device)
    assert outcome.stored == 3
    assert seen == [1, 2, 3]
    assert values_on_disk(tmp_path) == 0


async def test_pairing_a_cuff_takes_none_of_its_readings(tmp_path, home, patient):
    async with bench(tmp_path, cuff()) as at:
        await paired(at, home, patient)
        assert len(at.peripheral.virtual) == 3


async def test_a_value_that_cannot_be_written_down_is_not_confirmed_and_comes_again(
    tmp_path, home, patient, monkeypatch
):
    async with bench(tmp_path, cuff()) as at:
        device = await paired(at, home, patient)
        with monkeypatch.context() as full:
            full.setattr(journal.os, "fsync", no_space)
            with pytest.raises(DiskFull):
                await read(at, home, patient, device)
        assert len(at.peripheral.virtual) == 3
        assert (await read(at, home, patient, device)).stored == 3
    assert len(await raws(home, patient)) == 3


def no_space(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def no_database(monkeypatch):
    """The database stops before anything of a read is stored."""

    async def stopped(*_):
        raise DatabaseInterrupted

    @contextmanager
    def stopping():
        with monkeypatch.context() as broken:
            broken.setattr(Storing, "store", stopped)
            yield

    return stopping


async def test_what_the_database_could_not_take_is_stored_the_next_time(tmp_path, home, patient, no_database):
    async with bench(tmp_path, cuff()) as at:
        device = await paired(at, home, patient)
        with no_database(), pytest.raises(DatabaseInterrupted):
            await read(at, home, patient, device)
        assert values_on_disk(tmp_path) == 3
        assert await store_what_was_left(home) == 3
        assert await store_what_was_left(home) == 0
        first = await raws(home, patient)
        at.peripheral.virtual.add(generated(at.peripheral.virtual.profile, 4, start=START)[-1])
        assert (await read(at, home, patient, device)).stored == 1
    assert len(first) == 3
    assert len(await raws(home, patient)) == 4


async def test_a_value_that_was_not_written_to_its_end_was_not_given(tmp_path, home, patient, no_database):
    async with bench(tmp_path, cuff()) as at:
        device = await paired(at, home, patient)
        with no_database(), pytest.raises(DatabaseInterrupted):
            await read(at, home, patient, device)
    (path,) = (tmp_path / journal.FOLDER).iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    assert await store_what_was_left(home) == 2


async def test_who_erased_everything_finds_nothing_back_from_the_journal(
    tmp_path, home, patient, no_database
):
    async with bench(tmp_path, cuff()) as at:
        device = await paired(at, home, patient)
        with no_database(), pytest.raises(DatabaseInterrupted):
            await read(at, home, patient, device)
    (left,) = (tmp_path / journal.FOLDER).glob("*")
    lines = left.read_text().splitlines()
    left.write_text("\n".join([lines[0], '{"torn', *lines[1:]]))
    journal.erase(tmp_path, patient.uuid)
    assert not left.exists()
    assert await store_what_was_left(home) == 0
    assert await raws(home, patient) == []


# --- pairing: one answer is no proof -------------------------------------------------------------------


async def test_a_meter_is_paired_when_it_was_read_over_a_second_link(tmp_path, home, patient):
    steps = []
    async with bench(tmp_path, meter(2)) as at:
        device = await paired(at, home, patient, on_step=steps.append)
        assert steps == list(PairingStep)
        assert (await read(at, home, patient, device)).stored == 2


async def test_a_bond_that_does_not_hold_is_told_and_nothing_is_registered(tmp_path, home, patient):
    async with bench(tmp_path, meter(2)) as at:
        forgetting = []

        def forget_at_once(step):
            if step is PairingStep.PAIRED:
                forgetting.append(asyncio.ensure_future(at.peripheral.forget()))

        with pytest.raises(BondUnproven):
            await paired(at, home, patient, on_step=forget_at_once)
        assert await known_devices_of(home, patient) == []
        device = await paired(at, home, patient)
        assert (await read(at, home, patient, device)).stored == 2


async def known_devices_of(home: Home, patient) -> list[str]:
    return [known.device.serial for keeper, known in await known_devices(home) if keeper.uuid == patient.uuid]


async def test_a_shared_meter_stays_with_its_keeper(tmp_path, home, patient):
    other = await another(home)
    serial = f"SN-{other.uuid}"
    async with bench(tmp_path, meter(2, serial=serial)) as at:
        device = await paired(at, home, patient)
        with pytest.raises(DeviceOfAnother) as refused:
            await paired(at, home, other)
        assert "readings move" in str(refused.value)
        assert (await read(at, home, patient, device)).stored == 2
    assert await known_devices_of(home, other) == []


# --- who is who ----------------------------------------------------------------------------------------


async def test_another_meter_in_the_place_of_a_known_one_is_told_and_nothing_is_mixed(
    tmp_path, home, patient
):
    async with bench(tmp_path, meter(3, serial="old", protected=False)) as at:
        device = await registered(at, home, patient)
        assert (await read(at, home, patient, device)).stored == 3
    async with bench(tmp_path, meter(5, serial="new", protected=False)) as at:
        with pytest.raises(DeviceSwapped):
            await read(at, home, patient, device)
        assert len(await raws(home, patient)) == 3
        assert await known_devices_of(home, patient) == ["old"]
        new = await registered(at, home, patient)
        assert (await read(at, home, patient, new)).stored == 5
    assert await known_devices_of(home, patient) == ["new"]


async def registered(at: Bench, home: Home, patient):
    """Pair a meter that asks for no passkey."""
    async with at.radio() as radio:
        found = await radio.find(at.is_first)
        return await pair_device(home, radio, found, patient, None)


async def test_a_known_meter_at_a_new_address_is_found_by_what_it_says(tmp_path, home, patient):
    async with bench(tmp_path, meter(2, protected=False)) as at:
        device = await registered(at, home, patient)
        moved = replace(device, radio_address="C0:FF:EE:00:00:99")
        async with home.database.writer() as conn:
            await devices.heard(conn, moved, moved.radio_address, None)
        assert (await read(at, home, patient, moved)).stored == 2
        ((_, known),) = [
            each for each in await known_devices(home, at.peripheral.address) if each[0].uuid == patient.uuid
        ]
        assert known.radio_address == at.peripheral.address


# --- more than one gateway -----------------------------------------------------------------------------


async def test_two_homes_read_one_meter_and_each_has_everything_once(tmp_path, home, patient):
    other = await another(home)
    async with bench(tmp_path / "one", meter(4)) as at:
        elsewhere = Bench(tmp_path / "two", at.air, at.shown)
        for place, person in ((at, patient), (elsewhere, other), (at, patient), (elsewhere, other)):
            storing = Storing(home.database, person)
            async with place.radio() as radio:
                await sync(radio, at.is_first, storing, passkey=at.read_display)
    assert len(await raws(home, patient)) == len(await raws(home, other)) == 4
    assert await raws(home, patient) == await raws(home, other)


async def test_two_processes_that_read_one_meter_at_once_store_it_once(home, patient):
    storing = Storing(home.database, patient)

    async def one() -> int:
        async with thin_link(meter(12, protected=False)) as connection:
            return (await sync_connected(connection, storing)).stored

    stored = await asyncio.gather(*(one() for _ in range(4)))
    assert sum(stored) == len(await raws(home, patient)) == 12


# --- what is missing -----------------------------------------------------------------------------------


async def test_what_a_full_memory_dropped_is_told_once_and_kept(home, patient):
    held = meter([record(n, START._replace(minutes=n)) for n in (1, 2, 3)])
    storing = Storing(home.database, patient)

    async def again() -> int:
        async with thin_link(held) as connection:
            return (await sync_connected(connection, storing)).missing

    assert await again() == 0
    held.delete()
    for number in (7, 8, 10):
        held.add(record(number, START._replace(hours=1, minutes=number)))
    assert (await again(), await again()) == (4, 0)
    async with home.database.writer() as conn:
        (device,) = await devices.of_patient(conn, patient.patient_id)
    assert [(gap.first, gap.last, gap.count) for gap in device.gaps] == [(4, 6, 3), (9, 9, 1)]
    assert all(gap.found_at is not None for gap in device.gaps)

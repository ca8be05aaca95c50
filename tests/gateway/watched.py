"""A station that watches meters on a virtual air: what the tests of watching work with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from device_profiles.services.glucose import GlucoseMeasurement
from device_profiles.virtual_device import Record, VirtualDevice
from device_profiles.wire import DateTime
from gateway.ble.radio import Radio, open_radio
from gateway.ble.virtual_peripheral import Peripheral
from gateway.events import DeviceKey, Event, Events
from gateway.home import Home
from gateway.known_devices import pair_device
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from gateway.wakefulness import Wakefulness
from gateway.watch_limits import WatchLimits
from gateway.watching import Station
from storage import devices, patients, readings
from storage.database import Database
from storage.patients import Patient
from tests.gateway.ble.bench import HASTY, Bench, bench, local_time

T = TypeVar("T")

QUICK = WatchLimits(
    listen=0.1, rest=0.05, rest_attended=0.02, tick=0.02, silence=0.2, least_gap=0.1, pause=30, backoff=30,
    radio_backoff=0.05, longest_radio_backoff=0.1, lent=0.05, known=5, progress=0, stop=1,
)  # fmt: skip
"""For tests that wait for nothing: as the real ones, a hundred times as fast, and with pauses too long for a
test, so that what happens has another reason."""


class Watched:
    """A running station, the air around it, and what it told."""

    def __init__(self, at: Bench, home: Home, station: Station, told: asyncio.Queue[Event]) -> None:
        self.at, self.home, self.station, self._told = at, home, station, told
        self.events: list[Event] = []
        """All that was told and looked at, in order."""
        self.keys: list[DeviceKey] = []
        """Of the meters, in the order of the air."""
        self.patient: Patient

    async def told(self, kind: type[T], seconds: float = 10, **fields: object) -> T:
        """The next event of that kind, with these fields."""
        async with asyncio.timeout(seconds):
            while True:
                event = await self._told.get()
                self.events.append(event)
                if isinstance(event, kind) and all(getattr(event, n) == v for n, v in fields.items()):
                    return event

    def so_far(self, kind: type[T]) -> list[T]:
        """The events of that kind that were told and nobody waits for."""
        while True:
            with suppress(asyncio.QueueEmpty):
                self.events.append(self._told.get_nowait())
                continue
            return [event for event in self.events if isinstance(event, kind)]

    def peripheral(self, number: int = 0) -> Peripheral:
        return self.at.air.peripherals[number]

    async def measure(self, mg_dl: int, number: int = 0, awake: float = 30) -> int:
        """A finger-stick: the meter keeps it and advertises. Gives its sequence number."""
        peripheral = self.peripheral(number)
        sequence = len(peripheral.virtual) + 1
        peripheral.virtual.add(finger_stick(sequence, mg_dl))
        await peripheral.wake(awake)
        return sequence

    async def silence(self) -> None:
        """Until the watcher has listened for so long that whoever is heard next is heard anew."""
        until = self.station._listened + QUICK.silence
        await _until(lambda: self.station._listened > until)

    async def windows(self, count: int) -> None:
        """Until it has listened so many times."""
        for _ in range(count):
            await self._window(self.station.state().listened_at)

    async def listened_since(self, before: datetime | None) -> None:
        """Until it has listened once more than then."""
        await self._window(before)

    async def _window(self, before: datetime | None) -> None:
        await _until(lambda: self.station.state().listened_at != before)

    async def sequences(self) -> list[int]:
        """The sequence numbers that are stored, ascending."""
        async with self.home.database.writer() as conn:
            series = await readings.series(conn, self.patient.patient_id)
        return sorted(series.sequence.tolist())


async def _until(condition: Callable[[], bool]) -> None:
    """A window of listening has no event: nobody but a test waits for one."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def finger_stick(sequence: int, mg_dl: int, at: DateTime | None = None) -> Record:
    """A record of now."""
    made = GlucoseMeasurement.of(
        sequence,
        at or DateTime.of(local_time()),
        concentration=Decimal(mg_dl).scaleb(-5),
        type=1,
        sample_location=1,
    )
    return Record(sequence, made.encode())


@asynccontextmanager
async def watched(
    database: Database,
    folder: Path,
    patient: Patient,
    *meters: VirtualDevice,
    limits: WatchLimits = QUICK,
    awake: Wakefulness | None = None,
) -> AsyncIterator[Watched]:
    """Meters that are paired and asleep, and a station that watches, with a page open."""
    home = Home(Settings(home=folder), database, HomeSecret(bytes(32)))
    async with database.writer() as conn:
        for keeper in await patients.list_all(conn):  # of the tests before this one
            for known in await devices.of_patient(conn, keeper.patient_id):
                await devices.forget(conn, keeper.patient_id, known.device_id)
    async with bench(folder, *meters) as at:
        stored = [await _paired(home, at, patient, number) for number in range(len(meters))]
        station = Station(
            home,
            Events(),
            limits=limits,
            opening=lambda: open_radio(at.air.transport(), folder, HASTY, wait_seconds=0, yields=True),
            awake=awake,
        )
        stop = asyncio.Event()
        with station.events.subscribed() as told:
            running = Watched(at, home, station, told)
            running.patient = patient
            running.keys = [DeviceKey(patient.uuid, each.device_id) for each in stored]
            watching = asyncio.create_task(station.watch(stop))
            try:
                yield running
            finally:
                stop.set()
                await watching


async def _paired(home: Home, at: Bench, patient: Patient, number: int) -> devices.StoredDevice:
    peripheral = at.air.peripherals[number]
    async with at.radio() as radio:
        found = await radio.find(lambda other: other.address == peripheral.address)
        stored = await pair_device(home, radio, found, patient, at.read_display)
    await peripheral.sleep()
    return stored


@asynccontextmanager
async def terminal_radio(running: Watched, seconds: float = 5) -> AsyncIterator[Radio]:
    """The radio as a command in a terminal opens it: with a lock of its own, as in another process."""
    transport = running.at.air.transport()
    async with open_radio(transport, running.home.settings.home, HASTY, wait_seconds=seconds) as radio:
        yield radio

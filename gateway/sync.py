"""The main procedure: find a device, pair if needed, and store what it recorded, once, placed in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import accumulate
from time import monotonic
from zoneinfo import ZoneInfo

from device_profiles.errors import DeviceError
from device_profiles.procedures.record_access import all_records, from_sequence
from device_profiles.reading import Device
from gateway import clock
from gateway.ble.arrivals import Arrivals
from gateway.ble.connection import Connection
from gateway.ble.pairing import PasskeySource
from gateway.ble.radio import Found, Radio
from gateway.ble.records import Progress, RecordReader
from storage import devices, readings
from storage.database import Database
from storage.devices import StoredDevice
from storage.patients import Patient
from storage.readings import Stored

LAST_NUMBER = 0xFFFF
"""Sequence numbers have 16 bits (GLS §3.1.1.2); what follows this one begins again."""


class DeviceSwapped(DeviceError):
    """Another device answers under the name and address of one that is known here."""

    sentence = (
        "Another meter answered in the place of the one that is paired here; nothing of it was stored. "
        "If it is a new meter of yours, pair it: passerelle pair"
    )


async def sync(
    radio: Radio,
    wanted: Callable[[Found], bool],
    storing: Storing,
    *,
    passkey: PasskeySource = None,
    full: bool = False,
    progress: Progress | None = None,
) -> SyncOutcome:
    """Find the device that is wanted, connect, pair if a passkey is given and needed, and `sync_connected`.

    Raises NotInRange, PasskeyRefused, BondLost, RadioUnavailable, and as `sync_connected`.
    """
    laps = Laps()
    found = await radio.find(wanted)
    laps.end("scan")
    return await sync_found(radio, found, storing, passkey=passkey, full=full, progress=progress, laps=laps)


async def sync_found(
    radio: Radio,
    found: Found,
    storing: Storing,
    *,
    passkey: PasskeySource = None,
    full: bool = False,
    progress: Progress | None = None,
    laps: Laps | None = None,
) -> SyncOutcome:
    """Connect to a device that was heard, and `sync_connected`.

    Raises as `Radio.connect` and `sync_connected`.
    """
    laps = laps or Laps()
    async with radio.connect(found, passkey) as connection:
        laps.end("pair")
        return await sync_connected(connection, storing, full=full, progress=progress, laps=laps)


async def sync_connected(
    connection: Connection,
    storing: Storing,
    *,
    full: bool = False,
    progress: Progress | None = None,
    laps: Laps | None = None,
) -> SyncOutcome:
    """Read what is new (with `full`, all), and store it in one transaction.

    What arrived before something went wrong is stored all the same; then that is raised, `stored` and `known`
    in its `details`: ConnectionLost, ControlPointSilent, DeviceSilent, RecordAccessRefused. The next run
    completes.
    Raises PairingNeeded, ServiceMissing, AttributeRefused, StorageError.
    """
    laps = laps or Laps()
    device, clock_error, battery = await asyncio.gather(
        storing.register(storing.known_as(await connection.identify())),
        connection.clock_error(storing.clock_zone),
        connection.battery_percent(),
    )
    reader = RecordReader(connection, progress, storing.clock_zone)
    await reader.subscribe()
    went_wrong = None
    try:
        await fetch_new(reader, connection, None if full else device.last_sequence)
    except DeviceError as error:
        went_wrong = error
    arrived = reader.arrived
    arrived.end()
    laps.end("read")
    stored, clock_error = await storing.store(
        device, arrived, clock_error, battery, complete=went_wrong is None
    )
    laps.end("store")
    if went_wrong is not None:
        went_wrong.details |= {"stored": stored.stored, "known": stored.known, "refused": arrived.refusals()}
        raise went_wrong
    device = replace(device, clock_error_seconds=clock_error, battery_percent=battery)
    return SyncOutcome.of(device, arrived, stored, laps)


async def fetch_new(reader: RecordReader, connection: Connection, last_sequence: int | None) -> None:
    """Fetch what follows the last number that is stored; all where there is none, or where numbers restart.

    A device that sends the oldest first loses only what follows when the connection is lost; for another the
    cursor stays where it was (see `Storing.store`).
    """
    records = connection.profile.records
    if records is None or not reader.fetches:
        await reader.listen()
    elif last_sequence is None or last_sequence == LAST_NUMBER or not records.incremental:
        await reader.fetch(all_records())
    elif not await reader.fetch(from_sequence(last_sequence + 1)):
        newest = await reader.newest_sequence()
        if newest is not None and newest < last_sequence:
            await reader.fetch(all_records())
    await reader.wait_for_contexts()


@dataclass(frozen=True, slots=True)
class Storing:
    """Where a sync stores, and what the device cannot say itself."""

    database: Database
    patient: Patient
    zone: ZoneInfo | None = None
    """The zone of the device's clock; None: the patient's own."""
    device: Device | None = None
    """What the device is, for a replayed capture; None: what it says."""
    expected: StoredDevice | None = None
    """The device that was called, where one was; another that answers is not stored."""

    @property
    def clock_zone(self) -> ZoneInfo:
        """The zone whose time the device shows when its clock is right."""
        return self.zone or self.patient.zone

    def known_as(self, said: Device) -> Device:
        """What the device counts as, from what it says of itself. Raises DeviceSwapped."""
        if self.expected is not None and said.identity != self.expected.device.identity:
            raise DeviceSwapped
        return self.device or said

    async def register(self, device: Device) -> StoredDevice:
        """The device as this patient's, with the number of its last record that is stored."""
        async with self.database.writer() as conn:
            return await devices.register(conn, self.patient.patient_id, device)

    async def store(
        self,
        device: StoredDevice,
        arrived: Arrivals,
        clock_error: int | None,
        battery: int | None,
        *,
        complete: bool = True,
    ) -> tuple[Stored, int | None]:
        """Everything that was learned, or nothing; and the error of the clock, as the person sees it.

        Of a read that was not completed the cursor moves on only if the oldest records came first: else what
        is missing lies below it, and the next read asks again from where this one began.
        """
        refused = [
            readings.RefusedFrame(f"{each.characteristic:04X}", each.raw, each.reason)
            for each in arrived.refused
        ]
        async with self.database.writer() as conn, readings.writing(conn, device) as writing:
            records = await writing.records()
            if clock.was_set_back(datetime.now(UTC), device.last_synced_at):
                clock_error = None  # ours is wrong: it says nothing of theirs
            clock_error = clock.error_shown(clock_error, records, arrived.readings)
            placed = clock.place(
                records,
                arrived.readings,
                self.clock_zone,
                clock_error_seconds=clock_error,
                history=writing.history,
            )
            numbers = [reading.identity.sequence for reading in arrived.readings]
            stored = await writing.store(
                arrived.readings,
                placed,
                refused,
                clock_error,
                moves_cursor=complete or numbers == sorted(numbers),
            )
            if battery is not None:
                await devices.battery(conn, device, battery)
        return stored, clock_error


@dataclass(frozen=True, slots=True)
class Refused:
    """A notification that was kept aside: its number in order of arrival, from 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """What a sync did."""

    device: StoredDevice
    records_read: int
    stored: int
    known: int
    refused: tuple[Refused, ...]
    notifications: int
    """How many arrived, whatever was in them."""
    clock_error_seconds: int | None
    seconds: Mapping[str, float]
    """Of the phases `scan` and `pair` (where they were part of it), `read` and `store`."""
    erased: int = 0
    """How many the person had erased before: they are not taken again."""
    missing: int = 0
    """How many numbers the device has passed over, seen now for the first time: readings nobody has."""

    @classmethod
    def of(cls, device: StoredDevice, arrived: Arrivals, stored: Stored, laps: Laps) -> SyncOutcome:
        """The outcome of one read."""
        return cls(
            device=device,
            records_read=len(arrived.readings),
            stored=stored.stored,
            known=stored.known,
            refused=tuple(Refused(**refusal) for refusal in arrived.refusals()),
            notifications=arrived.count,
            clock_error_seconds=device.clock_error_seconds,
            seconds=laps.seconds,
            erased=stored.erased,
        )

    @classmethod
    def together(cls, outcomes: Sequence[SyncOutcome]) -> SyncOutcome:
        """Several as one: numbers added up, notifications counted on; device and clock are the last one's."""
        before = [0, *accumulate(each.notifications for each in outcomes)]
        refused = tuple(
            Refused(start + one.line, one.reason)
            for start, each in zip(before, outcomes, strict=False)
            for one in each.refused
        )
        phases = dict.fromkeys(phase for each in outcomes for phase in each.seconds)
        return replace(
            outcomes[-1],
            records_read=sum(each.records_read for each in outcomes),
            stored=sum(each.stored for each in outcomes),
            known=sum(each.known for each in outcomes),
            erased=sum(each.erased for each in outcomes),
            missing=sum(each.missing for each in outcomes),
            refused=refused,
            notifications=before[-1],
            seconds={phase: sum(each.seconds.get(phase, 0) for each in outcomes) for phase in phases},
        )


@dataclass(slots=True)
class Laps:
    """How long each phase took."""

    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=monotonic)

    def end(self, phase: str) -> None:
        """End a phase; the next begins."""
        now = monotonic()
        self.seconds[phase] = round(now - self._began, 3)
        self._began = now

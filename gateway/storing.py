"""Storing what a device said: who it is, where its numbers stand, when its records were; one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from device_profiles.errors import DeviceError
from device_profiles.reading import Device, Reading
from gateway import clock
from gateway.fetching import Fetched, Mark
from gateway.journal import Journal
from storage import clock_looks, devices, readings
from storage.clock_looks import ClockLook, LookedBefore
from storage.columns import microsecond
from storage.database import Database
from storage.devices import Gap, StoredDevice
from storage.patients import Patient


class DeviceSwapped(DeviceError):
    """Another device answers under the name and address of one that is known here."""

    sentence = (
        "Another meter answered in the place of the one that is paired here; nothing of it was stored. "
        "If it is a new meter of yours, pair it: passerelle pair"
    )


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
    home: Path | None = None
    """Where what a device gives only once is kept until it is stored; None: a capture gives it again."""

    @property
    def clock_zone(self) -> ZoneInfo:
        """The zone whose time the device shows when its clock is right."""
        return self.zone or self.patient.zone

    def known_as(self, said: Device) -> Device:
        """What the device counts as, from what it says of itself. Raises DeviceSwapped."""
        if self.expected is not None and said.identity != self.expected.device.identity:
            raise DeviceSwapped
        return self.device or said

    async def register(self, device: Device) -> tuple[StoredDevice, Mark | None]:
        """The device as this patient's, and the record that its last read ended with."""
        async with self.database.writer() as conn:
            stored = await devices.register(conn, self.patient.patient_id, device)
            number = stored.last_sequence
            if number is None:
                return stored, None
            return stored, Mark(number, await devices.records_of_number(conn, stored, number))

    def journal(self, device: StoredDevice) -> Journal | None:
        """Where what this device gives is written before it is confirmed."""
        if self.home is None:
            return None
        return Journal.of(self.home, self.patient.uuid, device.device, self.clock_zone)

    async def store(
        self, device: StoredDevice, fetched: Fetched, clock_error: int | None, battery: int | None
    ) -> Kept:
        """Everything that was learned, or nothing."""
        arrived = fetched.arrived
        refused = [
            readings.RefusedFrame(f"{each.characteristic:04X}", each.raw, each.reason)
            for each in arrived.refused
        ]
        async with self.database.writer() as conn, readings.writing(conn, device) as writing:
            records = await writing.records()
            # Of a capture that is played again in another zone nothing was placed before: it is placed anew.
            looked = LookedBefore() if self.zone else await clock_looks.before(conn, device)
            look = _look(records, fetched, looked, clock_error)
            placed = clock.place(
                records, fetched.readings, self.clock_zone, look=look, before=looked, history=writing.history
            )
            before = await readings.refused_frames(conn, device) if refused else ()
            standing = fetched.standing(
                writing.last_sequence, _StoredKeys(records), {frame.raw for frame in before}
            )
            stored = await writing.store(
                fetched.readings,
                placed,
                refused,
                look.error_seconds,
                moves_cursor=False,
                cursor=standing.newest,
            )
            gaps = [gap for gap in standing.gaps if not _told(gap, device)]
            if gaps:
                await devices.passed_over(conn, device, gaps, datetime.now(UTC))
            if fetched.complete:
                await clock_looks.keep(conn, device, look)
            if battery is not None:
                await devices.battery(conn, device, battery)
        told = replace(
            device,
            clock_error_seconds=look.error_seconds,
            battery_percent=battery,
            last_sequence=device.last_sequence if standing.newest is None else standing.newest,
            gaps=(*device.gaps, *gaps),
        )
        return Kept(
            device=told,
            stored=stored.stored,
            known=stored.known - fetched.again,
            erased=stored.erased,
            missing=sum(gap.count for gap in gaps),
            own_clock_in_doubt=look.at is None,
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of what a device said."""

    device: StoredDevice
    """As it is known from now on."""
    stored: int
    known: int
    erased: int
    missing: int
    """Numbers that were passed over, found just now."""
    own_clock_in_doubt: bool = False
    """This machine's clock looks wrong: nothing was corrected by it."""


def _look(
    records: readings.RecordColumns, fetched: Fetched, before: LookedBefore, clock_error: int | None
) -> ClockLook:
    """What this read tells of the device's clock; nothing where our own is in doubt."""
    now = datetime.now(UTC)
    error = clock.error_shown(clock_error, records, fetched.readings)
    number = clock.last_number(records, fetched.readings, before)
    if clock.own_clock_is_wrong(now, before.look, error):
        return ClockLook(None, None, number)
    return ClockLook(now, error, number)


class _StoredKeys:
    """Whether a record is stored. Few reads ask, so the keys are looked at only then."""

    def __init__(self, records: readings.RecordColumns) -> None:
        self._records = records
        self._keys: set[tuple[int, int]] | None = None

    def __call__(self, reading: Reading) -> bool:
        if self._keys is None:
            columns = self._records.sequence, self._records.recorded_at_us
            self._keys = set(zip(*(column.tolist() for column in columns), strict=True))
        return (reading.identity.sequence, microsecond(reading.identity.recorded_at)) in self._keys


def _told(gap: Gap, device: StoredDevice) -> bool:
    return any((gap.first, gap.last) == (told.first, told.last) for told in device.gaps)

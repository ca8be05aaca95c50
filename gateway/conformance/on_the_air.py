"""A virtual device of a profile on a real GATT link, with each fault by name: and each record once.

Bumble on both sides, in this process: no radio. What came is counted by identity, in memory: no database.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from device_profiles.errors import DeviceError
from device_profiles.profile import DeviceProfile
from device_profiles.reading import Device, DeviceIdentity, Reading
from device_profiles.services.device_information import DeviceInformation
from device_profiles.virtual_device import Faults, Record, VirtualDevice
from device_profiles.virtual_measurements import generated, session_values
from device_profiles.wire import DateTime
from gateway.ble.errors import BondLost, PasskeyRefused
from gateway.ble.limits import ON_THE_BENCH
from gateway.ble.radio import Found, Radio, open_radio
from gateway.ble.records import RecordReader
from gateway.ble.virtual_peripheral import Peripheral
from gateway.ble.virtual_radio import virtual_radio
from gateway.conformance.findings import CLOCK, PAIRING, RECORDS, TAKEN, Finding, failed, passed
from gateway.fetching import Fetch, Mark
from gateway.setting_clock import ClockOutcome, set_clock

START: Final = DateTime(2024, 1, 8, 8, 0, 0)
COUNT: Final = 6
_AHEAD_SECONDS: Final = 3600
_SLACK_SECONDS: Final = 90

ALL_CAME = "{count} records came, each once."
ALL_CAME_AFTER = "{count} records came, each once, {first} of them before it. Told: {told}"
MISSING = "{count} records never came: {bytes}."
EXTRA = "Something came that is no record of the device: {bytes}."
DOUBLED = "A record came as two readings: {bytes}."
UNTOLD = "It ended in {error}, which tells a person nothing."
NOT_REFUSED = "A record that was damaged on its way was taken for a whole one: {bytes}."
UNEXPECTED = "The read failed: {told}"
KEEP_IDENTITY = "Take identity from what the device wrote, its time and its number, and from nothing else."
READ_ALL = "Look at sources and records: what is stored, what is indicated, what counts its records."
DECODE_EXACTLY = "Let the meaning refuse what is too short or too long for its flags."
A_FAULT_HERE = "This is a fault of Passerelle: please report it with this line."
PAIRED_AFTER = "A passkey that is refused is told; the next one pairs."
BOND_TOLD = "A bond that the device forgot is told; paired again, all {count} records come."
BOND_UNTOLD = "The device forgot the bond, and the read ended so: {told}"
CLOCK_SEEN = "A clock an hour ahead is seen, is set, and is seen to be left as it was where the device lies."
CLOCK_WRONG = "A clock {ahead} s ahead was read as {shown} s ahead, and setting it ended so: {outcome}."
CLOCK_FORM = "Look at clock: 0x2A2B is a Current Time, 0x2A08 a Date Time."


class Fault(NamedTuple):
    """What goes wrong, by the fields of Faults."""

    faults: Mapping[str, int | float]
    later: bool = False
    """Whether in a second read, which asks from the last record on."""
    damages: int | None = None
    """Which record it damages, from 1."""

    @property
    def name(self) -> str:
        """As it is written: `disconnect_after=2`."""
        return ", ".join(name if value is True else f"{name}={value}" for name, value in self.faults.items())


_EVERYWHERE: Final = (
    Fault({"disconnect_after": 0}),
    Fault({"disconnect_after": 2}),
    Fault({"disconnect_after": COUNT}),
    *(Fault({"disconnect_at": message}) for message in (2, 6, 9, 12)),
    Fault({"slow_seconds": 0.01}),
)
_DAMAGED: Final = (Fault({"truncated": 2}, damages=2), Fault({"overlong": 2}, damages=2))
_DUPLICATE: Final = Fault({"duplicate": True})
_ASKED: Final = (
    Fault({"silent_control_point": True}),
    Fault({"silent_after": 2}),
    Fault({"abort_after": 2}),
    Fault({"busy": True}),
    Fault({"garbled_answer": True}),
    Fault({"newest_first": True}),
    Fault({"newest_first": True, "disconnect_after": 1}),
    Fault({"by_number": True}),
)
_WITH_CONTEXTS: Final = (
    Fault({"malformed": 2}, damages=2),
    Fault({"late_context": True}),
    Fault({"no_context": True}),
)
_LATER: Final = tuple(
    Fault({name: True}, later=True) for name in ("no_incremental", "empty_incremental", "ignored_filter")
)


def faults_of(profile: DeviceProfile) -> tuple[Fault, ...]:
    """The faults that such a device can have.

    One without a clock cannot be told from one that measured the same twice, so it sends nothing twice here.
    """
    access, source = profile.records, profile.sources[0]
    faults = [*_EVERYWHERE, *_DAMAGED]
    if not source.live:
        faults.append(_DUPLICATE)
    if access is not None:
        faults += _ASKED
        faults += _LATER if access.incremental and access.counted else ()
    if source.has_contexts:
        faults += _WITH_CONTEXTS
    return tuple(faults)


def records_of(profile: DeviceProfile, count: int = COUNT) -> list[Record]:
    """So many records with different bytes: bytes alone tell them apart in a count."""
    different = {_whole(record): record for record in generated(profile, 10 * count, start=START)}
    return list(different.values())[:count]


def _whole(record: Record) -> bytes:
    return b"".join((record.measurement, *record.following))


def virtual(profile: DeviceProfile) -> VirtualDevice:
    """A device of the profile without records, which says plainly that it is virtual."""
    return VirtualDevice(
        profile,
        information=DeviceInformation(profile.manufacturer or "Passerelle", profile.title[:80], "VIRTUAL-1"),
        clock=lambda: datetime.now(UTC),
        values=session_values(START, 0),
    )


@dataclass
class Kept:
    """What came in one or more reads, as a store would have it: the same record twice is one."""

    readings: dict[object, Reading] = field(default_factory=dict)
    refused: list[bytes] = field(default_factory=list)

    def take(self, readings: Sequence[Reading]) -> None:
        """What one read brought."""
        for one in readings:
            key = (one.kind, one.identity.recorded_at, one.identity.sequence, one.raw)
            self.readings.setdefault(key, one)

    @property
    def raws(self) -> list[bytes]:
        """The bytes of each reading that is kept."""
        return [one.raw for one in self.readings.values()]


class Bench:
    """One virtual device on the air, paired once, and a gateway."""

    def __init__(
        self, profile: DeviceProfile, peripheral: Peripheral, radio: Radio, shown: asyncio.Queue[str]
    ) -> None:
        self.profile, self.peripheral, self.radio = profile, peripheral, radio
        self._shown = shown
        self.records = records_of(profile)
        self.device = Device(DeviceIdentity("serial", "VIRTUAL-1"))

    async def found(self) -> Found:
        """The device as it is heard, and this profile whatever else would fit it."""
        found = await self.radio.find(lambda one: one.address == self.peripheral.address)
        return replace(found, profile=self.profile)

    async def read(self, kept: Kept, mark: Mark | None = None, *, pairs: bool = True) -> None:
        """One read into `kept`, whatever it ends in. Raises DeviceError."""
        while not self._shown.empty():
            self._shown.get_nowait()
        passkey = self._shown.get if pairs else None
        async with self.radio.connect(await self.found(), passkey) as connection:
            self.device = await connection.identify()
            reader = RecordReader(connection)
            fetch = Fetch(reader, mark)
            try:
                await reader.subscribe()
                await fetch.run()
            finally:
                fetched = fetch.end()
                kept.take(fetched.readings)
                kept.refused += [each.raw for each in fetched.arrived.refused]

    async def try_read(self, kept: Kept, mark: Mark | None = None) -> str | None:
        """One read; what a person is told where it fails. Raises what is no DeviceError."""
        try:
            await self.read(kept, mark)
        except DeviceError as error:
            return str(error)
        return None

    def set_up(self, faults: Faults) -> None:
        """The records anew, and what goes wrong."""
        device = self.peripheral.virtual
        device.delete()
        for record in self.records:
            device.add(record)
        device.faults = faults


@asynccontextmanager
async def bench(profile: DeviceProfile) -> AsyncIterator[Bench]:
    """A device of the profile on an air of its own, and a gateway's radio."""
    shown: asyncio.Queue[str] = asyncio.Queue()
    with tempfile.TemporaryDirectory() as home:
        async with (
            virtual_radio([virtual(profile)], lambda _, digits: shown.put_nowait(digits)) as air,
            open_radio(air.transport(), Path(home), ON_THE_BENCH) as radio,
        ):
            yield Bench(profile, air.peripherals[0], radio, shown)


def clause_of(profile: DeviceProfile) -> str:
    """Of how its records come."""
    return TAKEN if profile.records is None else RECORDS.get(profile.measurement, TAKEN)


async def passkey_refused(at: Bench) -> Finding:
    """A passkey that is refused, then one that is not."""
    at.set_up(Faults(refuse_passkey=True))
    told = "-"
    try:
        await at.read(Kept())
    except PasskeyRefused:
        return passed("fault refuse_passkey", PAIRING, PAIRED_AFTER)
    except DeviceError as error:
        told = str(error)
    return failed("fault refuse_passkey", PAIRING, UNEXPECTED, A_FAULT_HERE, told=told)


async def nothing_wrong(at: Bench) -> tuple[Finding, Kept]:
    """A read of a device with nothing wrong; what it brought is what is shared."""
    at.set_up(Faults())
    kept = Kept()
    told = await at.try_read(kept)
    if told is not None:
        return failed("records", clause_of(at.profile), UNEXPECTED, READ_ALL, told=told), kept
    wrong = _wrong(at, "records", kept, None)
    return wrong or passed("records", clause_of(at.profile), ALL_CAME, count=len(kept.readings)), kept


async def fault(at: Bench, one: Fault) -> Finding:
    """A read under a fault, and one when it is over: every record came, each once."""
    check, clause = f"fault {one.name}", clause_of(at.profile)
    kept = Kept()
    mark = None
    at.set_up(Faults())
    try:
        if one.later:
            mark = await _read_before(at, kept)
        at.peripheral.virtual.faults = replace(Faults(), **dict[str, Any](one.faults))
        told = await at.try_read(kept, mark)
        first = len(kept.readings)
        at.peripheral.virtual.faults = Faults()
        if len(at.peripheral.virtual):
            again = await at.try_read(kept, mark)
            if again is not None:
                return failed(check, clause, UNEXPECTED, A_FAULT_HERE, told=again)
    except Exception as error:  # noqa: BLE001 - that nothing else comes is what is checked
        return failed(check, clause, UNTOLD, A_FAULT_HERE, error=f"{type(error).__name__}: {error}")
    wrong = _wrong(at, check, kept, one.damages)
    return wrong or passed(
        check, clause, ALL_CAME_AFTER, count=len(kept.readings), first=first, told=told or "-"
    )


async def _read_before(at: Bench, kept: Kept) -> Mark:
    """All but the last two records are read; where that read ended."""
    device = at.peripheral.virtual
    for record in at.records[-2:]:
        device.delete(record.sequence)
    await at.read(kept)
    for record in at.records[-2:]:
        device.add(record)
    last = at.records[-3]
    return Mark(last.sequence, frozenset({_whole(last)}))


def _wrong(at: Bench, check: str, kept: Kept, damages: int | None) -> Finding | None:
    """What is wrong with what came. What was damaged comes again only from a device that remembers.

    The first of two values, after which the link was lost, is kept as the part of a measurement that it is:
    nobody can know whether the whole will come again.
    """
    wanted = {_whole(record) for record in at.records}
    halves = {record.measurement for record in at.records if record.following and damages is None}
    came = kept.raws
    clause = clause_of(at.profile)
    lost = wanted - set(came)
    if damages is not None and at.profile.records is None:
        lost -= _damaged(at.records, damages)
    strange = [raw for raw in came if raw not in wanted | halves]
    if strange and damages is not None:
        return failed(check, clause, NOT_REFUSED, DECODE_EXACTLY, bytes=strange[0].hex().upper())
    if strange:
        return failed(check, clause, EXTRA, READ_ALL, bytes=strange[0].hex().upper())
    if lost:
        return failed(check, clause, MISSING, READ_ALL, count=len(lost), bytes=min(lost).hex().upper())
    doubled = next((raw for raw in came if came.count(raw) > 1), None)
    if doubled is not None:
        return failed(check, clause, DOUBLED, KEEP_IDENTITY, bytes=doubled.hex().upper())
    return None


def _damaged(records: Sequence[Record], number: int) -> set[bytes]:
    """The record of this number, from 1, among those of each characteristic."""
    by_characteristic: dict[int | None, list[Record]] = {}
    for record in records:
        by_characteristic.setdefault(record.characteristic, []).append(record)
    return {_whole(own[number - 1]) for own in by_characteristic.values() if len(own) >= number}


async def clock(at: Bench) -> Finding | None:
    """A clock that is wrong is seen and set; one that only says so is found out. None: it has no clock."""
    characteristic = at.profile.clock
    if characteristic is None:
        return None
    outcomes = []
    seen = None
    for faults in (
        Faults(clock_error_seconds=_AHEAD_SECONDS, clock_write_ignored=True),
        Faults(clock_error_seconds=_AHEAD_SECONDS),
    ):
        at.set_up(faults)
        async with at.radio.connect(await at.found()) as connection:
            seen = await connection.clock_error(UTC)
            if seen is None or abs(seen - _AHEAD_SECONDS) > _SLACK_SECONDS:
                break
            outcomes.append((await set_clock(connection, seen, UTC)).outcome)
    if outcomes == [ClockOutcome.NOT_CHANGED, ClockOutcome.SET]:
        return passed("clock", CLOCK, CLOCK_SEEN)
    told = ", ".join(map(str, outcomes)) or "-"
    return failed("clock", CLOCK, CLOCK_WRONG, CLOCK_FORM, ahead=_AHEAD_SECONDS, shown=seen, outcome=told)


async def bond_lost(at: Bench) -> Finding:
    """A device that forgot the bond: it is told, and paired again everything comes."""
    check = "fault lose_bond"
    at.set_up(Faults())
    await at.peripheral.forget()
    told = "-"
    try:
        await at.read(Kept(), pairs=False)
    except BondLost:
        kept = Kept()
        told = await at.try_read(kept) or ""
        if not told:
            wrong = _wrong(at, check, kept, None)
            return wrong or passed(check, PAIRING, BOND_TOLD, count=len(kept.readings))
    except DeviceError as error:
        told = str(error)
    return failed(check, PAIRING, BOND_UNTOLD, A_FAULT_HERE, told=told)

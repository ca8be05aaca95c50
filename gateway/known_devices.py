"""The devices that are paired with this home: paired, read in turn, forgotten."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from device_profiles.errors import DeviceError
from device_profiles.reading import Device
from gateway import journal
from gateway.ble.connection import Connection
from gateway.ble.errors import NotInRange, RadioUnavailable
from gateway.ble.pairing import PasskeySource
from gateway.ble.radio import Found, Radio, open_radio
from gateway.ble.records import Progress, RecordReader
from gateway.fetching import Fetched
from gateway.home import Home
from gateway.sync import Storing, SyncOutcome, sync_found
from storage import devices, patients
from storage.devices import StoredDevice
from storage.patients import Patient


class NoDeviceYet(DeviceError):
    """Nothing is paired here."""

    sentence = (
        "No device is paired here yet. Find one with passerelle scan, then pair it with passerelle pair."
    )


class DeviceNotPaired(DeviceError):
    """A device that was named and is not paired here."""

    sentence = "{device} is not paired here. Pair it first: passerelle pair '{device}' --patient NAME"


class DeviceOfAnother(DeviceError):
    """A meter that somebody else here is the keeper of: its readings would be stored for both."""

    sentence = (
        "This meter is already paired for somebody else here, who keeps its readings. "
        "If you share it, leave it so, and give yourself your own readings with passerelle readings move. "
        "If it is yours alone now, forget it first: passerelle devices forget '{device}'"
    )


class BondUnproven(DeviceError):
    """The passkey was right, and the meter could not be read when it was called a second time."""

    sentence = (
        "The meter accepted the passkey, but did not answer when it was called a second time. "
        "Turn it off and on, keep it near, and pair it again."
    )


class PairingStep(Enum):
    """How far pairing has come."""

    CONNECTING = auto()
    PASSKEY = auto()
    """The six digits are asked for."""
    PAIRED = auto()
    """The meter accepted us; one answer is no proof that it will again."""
    AGAIN = auto()
    """Called a second time, and read again."""
    DONE = auto()


OnStep = Callable[[PairingStep], None]


async def pair_device(
    home: Home,
    radio: Radio,
    found: Found,
    patient: Patient,
    passkey: PasskeySource,
    *,
    on_step: OnStep | None = None,
) -> StoredDevice:
    """Pair with a device that was heard, and keep it as this person's once it was read over a second link.

    A bond that does not hold shows only when the device is called again: some meters accept whoever is
    there, and some forget at once. Until then nothing is registered here.

    Raises DeviceOfAnother, BondUnproven, and as `Radio.connect` and `RecordReader`.
    """
    told = on_step or (lambda _: None)
    told(PairingStep.CONNECTING)
    async with radio.connect(found, _announced(passkey, told)) as link:
        device = await _read(link)
    told(PairingStep.PAIRED)
    await _refuse_of_another(home, patient, device, found)
    told(PairingStep.AGAIN)
    found = await _read_again(radio, found, device)
    async with home.database.writer() as connection:
        stored = await devices.register(connection, patient.patient_id, device)
        stored = await devices.heard(connection, stored, found.address, found.name)
    await _forget_replaced(home, stored)
    told(PairingStep.DONE)
    return stored


def _announced(passkey: PasskeySource, told: OnStep) -> PasskeySource:
    """The same source; that it is asked is told first."""
    if not callable(passkey):
        return passkey
    ask = passkey

    async def asked() -> int | str | None:
        told(PairingStep.PASSKEY)
        return await ask()

    return asked


async def _read(link: Connection) -> Device:
    """Who the device is, after something that it gives only to whoever is paired.

    A device that sends its readings by itself is not subscribed to here: what it then sends it sends once.
    """
    device = await link.identify()
    reader = RecordReader(link)
    if reader.fetches:
        await reader.subscribe()
        await reader.newest_sequence()
    return device


async def _read_again(radio: Radio, found: Found, device: Device) -> Found:
    """Hear the device anew, and read it over the bond alone. Raises BondUnproven."""
    try:
        found = await radio.find(lambda other: other.address == found.address)
        async with radio.connect(found) as link:
            again = await _read(link)
    except RadioUnavailable:
        raise
    except DeviceError as error:
        with suppress(DeviceError):  # the next try begins from nothing
            await radio.forget(found)
        raise BondUnproven from error
    if again.identity != device.identity:
        raise BondUnproven
    return found


async def _refuse_of_another(home: Home, patient: Patient, device: Device, found: Found) -> None:
    async with home.database.writer() as connection:
        owners = {known.patient_id for known in await devices.by_identity(connection, device.identity)}
    if owners - {patient.patient_id}:
        raise DeviceOfAnother(device=found.name or found.address)


async def _forget_replaced(home: Home, device: StoredDevice) -> None:
    """A device that took the address of another, as a new meter in the place of an old one, replaces it."""
    for patient, other in await known_devices(home, device.radio_address):
        if other.radio_address == device.radio_address and other.device.identity != device.device.identity:
            async with home.database.writer() as connection:
                await devices.forget(connection, patient.patient_id, other.device_id)


async def pair_near(
    home: Home, wanted: str, patient_name: str, passkey: PasskeySource, *, on_step: OnStep | None = None
) -> StoredDevice:
    """Open the radio, find the device of this name or address, and `pair_device`.

    Raises `UnknownPatient`, `NotInRange`, `RadioBusy`, and as `pair_device`.
    """
    async with home.database.writer() as connection:
        patient = await patients.find(connection, patient_name)
    async with open_radio(home.settings.ble, home.settings.home) as radio:
        found = await radio.find(lambda other: wanted in {other.address, other.name})
        return await pair_device(home, radio, found, patient, passkey, on_step=on_step)


async def all_known(home: Home) -> list[tuple[str, StoredDevice]]:
    """The devices of everybody here that a radio reaches, each with the name of its person."""
    return [(patient.name, device) for patient, device in await known_devices(home)]


async def sync_device(
    home: Home,
    radio: Radio,
    patient: Patient,
    device: StoredDevice,
    *,
    found: Found | None = None,
    full: bool = False,
    progress: Progress | None = None,
) -> SyncOutcome:
    """Read one device that is known here; `found`, where it has just been heard.

    What it says of itself decides whether it is that device; neither its address nor its name does.
    Raises DeviceSwapped, and as `gateway.sync.sync_found`.
    """
    await store_what_was_left(home)
    storing = Storing(home.database, patient, expected=device, home=home.settings.home)
    heard = found or await _hear(home, radio, device)
    outcome = await sync_found(radio, heard, storing, full=full, progress=progress)
    if heard.address != device.radio_address:
        async with home.database.writer() as connection:
            await devices.heard(connection, outcome.device, heard.address, heard.name)
    return outcome


async def _hear(home: Home, radio: Radio, device: StoredDevice) -> Found:
    """The device where it was last heard; else one of its name, which then has to say who it is.

    Some devices change their address, and a system may show another one. A family may have two of a kind:
    where another one is known to be, it is that one. Raises NotInRange.
    """
    elsewhere = {other.radio_address for _, other in await known_devices(home)}
    of_its_name: list[Found] = []

    def is_there(other: Found) -> bool:
        same_name = other.name is not None and other.name == device.radio_name
        if same_name and other.profile is not None and other.address not in elsewhere:
            of_its_name.append(other)
        return other.address == device.radio_address

    try:
        return await radio.find(is_there)
    except NotInRange:
        if not of_its_name:
            raise
    return of_its_name[-1]


async def store_what_was_left(home: Home) -> int:
    """Store what a device gave and a kill kept from the database; how many readings that was.

    What somebody else's erasure or another home left without its person is nobody's, and goes.
    """
    stored = 0
    left_behind = list(journal.left_behind(home.settings.home))
    if not left_behind:
        return 0
    async with home.database.writer() as connection:
        people = {patient.uuid: patient for patient in await patients.list_all(connection)}
    for left in left_behind:
        if (patient := people.get(left.patient)) is not None:
            storing = Storing(home.database, patient, left.zone)
            device, _ = await storing.register(left.device)
            kept = await storing.store(device, Fetched.of_itself(left.arrived), None, None)
            stored += kept.stored
        left.done()
    return stored


async def sync_known(
    home: Home, wanted: str | None, *, full: bool = False, progress: Progress | None = None
) -> SyncOutcome:
    """Read the devices that are near, one after the other; with `wanted`, that one only.

    One that fails keeps none of the others; then the first failure is raised, with what was stored of all.
    Raises `NoDeviceYet`, `DeviceNotPaired`, `NotInRange` when none is near, and as `sync_device`.
    """
    known = await known_devices(home, wanted)
    if not known:
        raise DeviceNotPaired(device=wanted) if wanted else NoDeviceYet
    outcomes: list[SyncOutcome] = []
    problems: list[DeviceError] = []
    async with open_radio(home.settings.ble, home.settings.home) as radio:
        await store_what_was_left(home)
        for patient, device in await _near(radio, known):
            try:
                outcomes.append(await sync_device(home, radio, patient, device, full=full, progress=progress))
            except DeviceError as problem:  # the others are read all the same
                problems.append(problem)
    if problems:
        raise _with_counts(problems, outcomes)
    return SyncOutcome.together(outcomes)


def _with_counts(problems: list[DeviceError], outcomes: list[SyncOutcome]) -> DeviceError:
    """The first problem, with what all the devices brought in its `details`."""
    told = [problem.details for problem in problems if "stored" in problem.details]
    counts = [*(outcome.counts() for outcome in outcomes), *told]
    if counts:
        names = ("stored", "known", "missing")
        problems[0].details |= {name: sum(each[name] for each in counts) for name in names}
        problems[0].details["refused"] = [one for each in counts for one in each["refused"]]
    return problems[0]


async def forget_device(home: Home, wanted: str) -> int:
    """Forget a device, whosever it is; how many rows that was. Raises `DeviceNotPaired`."""
    known = await known_devices(home, wanted)
    if not known:
        raise DeviceNotPaired(device=wanted)
    async with home.database.writer() as connection:
        for patient, device in known:
            await devices.forget(connection, patient.patient_id, device.device_id)
    return len(known)


async def _near(
    radio: Radio, known: list[tuple[Patient, StoredDevice]]
) -> list[tuple[Patient, StoredDevice]]:
    """Those that are heard now; one that is alone is waited for as long as a meter takes to wake."""
    if len(known) == 1:
        return known
    heard = {found.address for found in await radio.discover(radio.limits.scan / 3)}
    near = [(patient, device) for patient, device in known if device.radio_address in heard]
    if not near:
        raise NotInRange
    return near


async def known_devices(home: Home, wanted: str | None = None) -> list[tuple[Patient, StoredDevice]]:
    """The devices here that a radio reaches, each with its keeper; with `wanted`, of that name or address."""
    async with home.database.writer() as connection:
        everybody = await patients.list_all(connection)
        heard = await devices.on_the_air(connection)
    keepers = {patient.patient_id: (place, patient) for place, patient in enumerate(everybody)}
    found = [
        (*keepers[device.patient_id], device)
        for device in heard
        if device.patient_id in keepers
        and (wanted is None or wanted in {device.radio_address, device.radio_name})
    ]
    return [(keeper, device) for _, keeper, device in sorted(found, key=lambda each: each[0])]

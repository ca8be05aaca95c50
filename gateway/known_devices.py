"""The devices that are paired with this home: paired, read in turn, forgotten."""

from __future__ import annotations

from collections.abc import Callable

from device_profiles.errors import DeviceError
from gateway.ble.errors import NotInRange
from gateway.ble.pairing import PasskeySource
from gateway.ble.radio import Found, Radio, open_radio
from gateway.ble.records import Progress
from gateway.home import Home
from gateway.sync import Storing, SyncOutcome, sync
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
        "This meter is already paired for somebody else here. "
        "Forget it first: passerelle devices forget '{device}'"
    )


async def pair_device(home: Home, wanted: str, patient_name: str, passkey: PasskeySource) -> StoredDevice:
    """Pair with a device that is near, and keep it as this person's.

    `wanted`: its name or address. Raises `UnknownPatient`, `NotInRange`, `PasskeyRefused`, `RadioBusy`,
    `DeviceOfAnother`, …
    """
    async with home.database.writer() as connection:
        patient = await patients.find(connection, patient_name)
    async with open_radio(home.settings.ble, home.settings.home) as radio:
        found = await radio.find(lambda other: wanted in {other.address, other.name})
        async with radio.connect(found, passkey) as link:
            device = await link.identify()
    async with home.database.writer() as connection:
        owners = {known.patient_id for known in await devices.by_identity(connection, device.identity)}
        if owners - {patient.patient_id}:
            raise DeviceOfAnother(device=wanted)
        stored = await devices.register(connection, patient.patient_id, device)
        return await devices.heard(connection, stored, found.address, found.name)


async def all_known(home: Home) -> list[tuple[str, StoredDevice]]:
    """The devices of everybody here that a radio reaches, each with the name of its person."""
    return [(patient.name, device) for patient, device in await _known(home, None)]


async def sync_known(
    home: Home, wanted: str | None, *, full: bool = False, progress: Progress | None = None
) -> SyncOutcome:
    """Read the devices that are near, one after the other; with `wanted`, that one only.

    Raises `NoDeviceYet`, `DeviceNotPaired`, `NotInRange` when none is near, and as `gateway.sync.sync`.
    """
    known = await _known(home, wanted)
    if not known:
        raise DeviceNotPaired(device=wanted) if wanted else NoDeviceYet
    outcomes: list[SyncOutcome] = []
    async with open_radio(home.settings.ble, home.settings.home) as radio:
        near = await _near(radio, known)
        for patient, device in near:
            storing = Storing(home.database, patient)
            outcomes.append(await sync(radio, _is(device), storing, full=full, progress=progress))
    return SyncOutcome.together(outcomes)


async def forget_device(home: Home, wanted: str) -> int:
    """Forget a device, whosever it is; how many rows that was. Raises `DeviceNotPaired`."""
    known = await _known(home, wanted)
    if not known:
        raise DeviceNotPaired(device=wanted)
    async with home.database.writer() as connection:
        for patient, device in known:
            await devices.forget(connection, patient.patient_id, device.device_id)
    return len(known)


def _is(device: StoredDevice) -> Callable[[Found], bool]:
    return lambda found: found.address == device.radio_address


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


async def _known(home: Home, wanted: str | None) -> list[tuple[Patient, StoredDevice]]:
    async with home.database.writer() as connection:
        return [
            (patient, device)
            for patient in await patients.list_all(connection)
            for device in await devices.of_patient(connection, patient.patient_id)
            if device.radio_address is not None
            and (wanted is None or wanted in {device.radio_address, device.radio_name})
        ]

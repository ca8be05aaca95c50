"""Erasing as a person asks for it: what it will reach, shelf and spaces told, the receipt in words."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from device_profiles.errors import PasserelleError, SpaceError, StorageError
from gateway import archive, household, journal, sharing
from gateway.home import Home, opened
from gateway.settings import Settings
from storage import devices, embedded, erasure, patients, receipts, shares
from storage.devices import StoredDevice
from storage.errors import UnknownDevice
from storage.patients import Patient
from storage.receipts import COUNTED, Receipt, Scope


class NotConfirmed(PasserelleError):
    """What was typed is not what was asked for."""

    sentence = "That is not what was asked for, so nothing was erased."


class NothingToErase(PasserelleError):
    """No reading lies in the scope that was named."""

    sentence = "There is no reading of that device, of that kind or in those days. Nothing was erased."


class HomeElsewhere(PasserelleError):
    """The readings lie on a server of their own, which is not the home's to remove."""

    sentence = (
        "The readings of this home lie on the server named in PASSERELLE_DATABASE. Erase each person there "
        "with passerelle erase --everything; then the folder {folder} can be deleted."
    )


class StillElsewhere(PasserelleError):
    """A shelf or a space has not been told yet, and could not be told any more without the home."""

    sentence = (
        "Everybody's readings are erased here, but {count} shelves or spaces do not answer and still hold "
        "some. Run the same command again when they do, or add --everything and ask them yourself."
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would reach."""

    patient: Patient
    scope: Scope
    readings: Mapping[str, int]
    """By the name of the device."""
    open_shares: int
    spaces: Mapping[str, bool]
    """By their address: whether they can be told."""

    @property
    def count(self) -> int:
        """How many readings."""
        return sum(self.readings.values())


async def device_named(home: Home, patient: Patient, wanted: str) -> StoredDevice:
    """A person's device by its number, serial, radio name or address. Raises `UnknownDevice`."""
    async with home.database.writer() as connection:
        known = await devices.of_patient(connection, patient.patient_id, forgotten=True)
    for stored in known:
        names = (str(stored.device_id), stored.device.serial, stored.radio_name, stored.radio_address)
        if wanted in names:
            return stored
    raise UnknownDevice


async def plan(home: Home, patient: Patient, scope: Scope) -> Plan:
    """What would go. Raises `NothingToErase` for a part that has no reading."""
    async with home.database.writer() as connection:
        counts = await erasure.count(connection, patient, scope)
        known = await devices.of_patient(connection, patient.patient_id, forgotten=True)
        shared = await shares.of_patient(connection, patient.patient_id)
        spaces = await erasure.spaces_holding(connection, patient.patient_id)
    if not scope.whole and not any(counts.values()):
        raise NothingToErase
    names = {stored.device_id: title(stored) for stored in known}
    now = datetime.now(UTC)
    return Plan(
        patient,
        scope,
        {names[number]: count for number, count in counts.items() if count},
        sum(share.active(now) for share in shared),
        spaces,
    )


def title(stored: StoredDevice) -> str:
    """A device as a person knows it, with the number by which `--device` takes it."""
    device = stored.device
    named = " ".join(filter(None, (device.manufacturer, device.model))) or device.identity.scheme
    return f"{stored.device_id} ({named})"


async def erase(home: Home, patient: Patient, scope: Scope) -> Receipt:
    """Erase, and tell the shelf at once where it answers; what it could not be told waits."""
    if scope.whole:
        await _end_shares(home, patient)
        journal.erase(home.settings.home, patient.uuid)
    async with home.database.writer() as connection:
        receipt = await erasure.erase(connection, patient, scope, datetime.now(UTC))
    if scope.whole:
        journal.erase(home.settings.home, patient.uuid)  # what came meanwhile
        archive.throw_away_drafts(home.settings.home)
    if scope.everything:
        await household.forget(home, patient)
    await sharing.deliver_waiting(home)
    await sweep(home)
    return receipt


async def sweep(home: Home) -> None:
    """Leave nothing of it in the pages of the home's own database; a server's own vacuum does that there.

    What somebody else's work keeps from being swept is swept the next time.
    """
    if (await home.database.health()).embedded:
        with suppress(StorageError):
            async with home.database.owner() as connection:
                await erasure.sweep(connection)


async def _end_shares(home: Home, patient: Patient) -> None:
    """Revoke on the shelf first: who has a link is locked out before anything else happens."""
    async with home.database.writer() as connection:
        shared = await shares.of_patient(connection, patient.patient_id)
    for share in shared:
        if share.revoked_at is None:
            with suppress(SpaceError):  # then the revocation waits
                await sharing.revoke(home, share.share_id)


async def erase_home(settings: Settings, *, anyway: bool) -> list[Receipt]:
    """Erase everybody, tell who holds a copy, then remove the home, and what of it lies elsewhere.

    Raises `HomeElsewhere`, and `StillElsewhere` unless `anyway`.
    """
    if settings.database is not None:
        raise HomeElsewhere(folder=str(settings.home))
    async with opened(settings) as home:
        async with home.database.writer() as connection:
            everybody = await patients.list_all(connection)
        for patient in everybody:
            await _end_shares(home, patient)
            async with home.database.writer() as connection:
                await erasure.erase(connection, patient, Scope(everything=True), datetime.now(UTC))
        await sharing.deliver_waiting(home)
        async with home.database.writer() as connection:
            kept = await receipts.list_all(connection)
            waiting = len(await shares.waiting(connection, datetime.now(UTC)))
        waiting += len({space.url for receipt in kept for space in receipt.spaces if space.waits})
    if waiting and not anyway:
        raise StillElsewhere(count=waiting)
    embedded.erase(settings.home)
    shutil.rmtree(settings.home)
    return list(kept)


def told(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON tells it."""
    scope = receipt.scope
    head = None if receipt.log_head is None else f"{receipt.log_until}-{receipt.log_head.hex()}"
    return {
        "receipt": str(receipt.erasure_id),
        "patient_number": receipt.patient_id,
        "reason": receipt.reason.slug,
        "erased_at": receipt.erased_at.astimezone(UTC).isoformat(),
        "scope": {
            "device": scope.device_id,
            "kinds": None if scope.kinds is None else [kind.slug for kind in scope.kinds],
            "from": scope.first.isoformat() if scope.first else None,
            "to": scope.last.isoformat() if scope.last else None,
            "everything": scope.everything,
        },
        "erased": {name: getattr(receipt, name) for name in COUNTED},
        "sha256": receipt.digest.hex(),
        "access_log_head": head,
        "spaces": [
            {
                "space": space.url,
                "readings": space.readings,
                "confirmed_at": space.told_at.astimezone(UTC).isoformat() if space.told_at else None,
                "not_told": space.not_told,
            }
            for space in receipt.spaces
        ],
    }

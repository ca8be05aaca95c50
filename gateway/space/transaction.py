"""One transaction of a gateway: all of it, or nothing, for one person.

In the order of FHIR: deletions, creations, versions. Every refusal names the entry, and undoes the rest. What
is another's answers as what is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from device_profiles.reading import ReadingSeries
from fhir_mapping.asked import Creation, Deletion, Person, Replacement
from fhir_mapping.bundle import answer, answers
from fhir_mapping.errors import NotAnOpaqueId
from fhir_mapping.identifiers import device_digest
from fhir_mapping.ingest import Transaction
from fhir_mapping.opaque import ReadingIds
from fhir_mapping.opaque import ReadingKey as OpaqueKey
from fhir_mapping.received import Received, series_of
from gateway.api.outcomes import Issue, Refused, refused
from gateway.space.batches import Batch
from gateway.space.references import Named, References
from gateway.space.taken import Revised, Taken
from storage import devices, erasure, ingest, revisions, tenants
from storage.annotations import ReadingKey
from storage.connection import Connection
from storage.devices import StoredDevice
from storage.errors import PatientOfAnother, PatientQuota, ReadingQuota
from storage.gateways import Bearer
from storage.ingest import Created
from storage.observation_versions import FIRST, Version
from storage.revisions import (
    ReadingAbsent,
    ReadingDiffers,
    ReadingErased,
    RevisionRefused,
    Told,
    VersionStale,
)
from storage.tenants import SpacePatient

ONE_PERSON: Final = "A transaction is for one person: send those of others in another one."
NOBODY: Final = "There is no such person here, or another gateway brought them."
NO_SUCH_DEVICE: Final = (
    "The device is not the one that the identifier names, or is not here yet: send the Device with it."
)
NO_SUCH_ZONE: Final = "There is no time zone of this name."
TWICE: Final = "The same Observation is named twice."

_STATUS: Final[Mapping[type[RevisionRefused], HTTPStatus]] = {
    ReadingAbsent: HTTPStatus.NOT_FOUND,
    ReadingErased: HTTPStatus.GONE,
    VersionStale: HTTPStatus.PRECONDITION_FAILED,
    ReadingDiffers: HTTPStatus.UNPROCESSABLE_ENTITY,
}


Key = TypeVar("Key", bound=Hashable)
Observed = TypeVar("Observed", Creation, Replacement)


@dataclass(frozen=True, slots=True)
class Feed:
    """Who feeds, at which space, when."""

    ids: ReadingIds
    base: str
    gateway: Bearer
    now: datetime

    @property
    def author(self) -> str:
        """Who says what a gateway tells of readings."""
        return f"gateway {self.gateway.gateway_id}"


async def take(conn: Connection, feed: Feed, asked: Transaction) -> Taken:
    """Takes in all that a transaction asks for, in the transaction of `conn`.

    Raises Refused, and what storage raises: the transaction is then to be given up.
    """
    if not asked.entries:
        return Taken()
    work = _Work(conn, feed, asked)
    await work.find_person()
    await work.delete()
    await work.know_devices()
    await work.create()
    await work.revise()
    await work.count()
    return work.taken


class _Work:
    """One transaction under way."""

    def __init__(self, conn: Connection, feed: Feed, asked: Transaction) -> None:
        self._conn = conn
        self._feed = feed
        self._asked = asked
        self._references = References.of(asked, feed.ids, feed.base)
        self._devices: dict[str, StoredDevice] = {}
        self._more = 0
        self.taken = Taken()

    def _answer(
        self, entry: int | None, status: HTTPStatus, name: str | None = None, version: Version = FIRST
    ) -> None:
        self.taken.answers[_number(entry)] = answer(status, name, version.number, version.changed_at)

    async def find_person(self) -> None:
        """Finds or makes the one person that everything is of."""
        people = self._asked.people
        brought = {person.uuid for person in people}
        found = {await self._brought(uuid) for uuid in brought}
        absent: dict[str, list[int | None]] = {}
        for (part, who), entries in self._mentioned().items():
            if who is not None and who.uuid in brought:
                continue
            patient = None if who is None else await self._fed(who)
            if patient is None:
                absent.setdefault(part, []).extend(entries)
            else:
                found.add(patient)
        self._refuse_absent(absent)
        if len(found) != 1 or len(brought) > 1:
            raise refused(HTTPStatus.UNPROCESSABLE_ENTITY, "Bundle", ONE_PERSON)
        patient, status = found.pop(), HTTPStatus.OK
        if patient is None:
            patient, new = await self._new(people[0])
            status = HTTPStatus.CREATED if new else HTTPStatus.OK
        self._patient = patient
        for person in people:
            name = f"Patient/{self._feed.ids.patient(patient.patient_id)}"
            self._answer(person.entry, status, name)

    def _mentioned(self) -> dict[tuple[str, Named | None], list[int | None]]:
        """Who is spoken of beside those the Bundle brings, by the part that does; None for nobody at all."""
        mentioned: dict[tuple[str, Named | None], list[int | None]] = {}
        for subject, entries in self._observed(lambda said: said.subject).items():
            who = self._references.person(subject)
            mentioned.setdefault(("resource.subject", who), []).extend(entries)
        named: Sequence[Replacement | Deletion] = (*self._asked.replacements, *self._asked.deletions)
        for one in named:
            try:
                who = Named(patient_id=self._feed.ids.decode(one.fhir_id).patient_id)
            except NotAnOpaqueId:
                who = None
            mentioned.setdefault(("resource", who), []).append(one.entry)
        return mentioned

    def _observed(self, key: Callable[[Received], Key]) -> dict[Key, list[int | None]]:
        """The numbers of all entries that tell of an Observation, by what they have in common."""
        found: dict[Key, list[int | None]] = {}
        told: Sequence[Creation | Replacement] = (*self._asked.creations, *self._asked.replacements)
        for one in told:
            found.setdefault(key(one.said), []).append(one.entry)
        for run in self._asked.runs:
            found.setdefault(key(run.model), []).extend(run.entries.tolist())
        return found

    def _refuse_absent(self, absent: Mapping[str, list[int | None]]) -> None:
        """The same answer for what is not here and what is another's."""
        if "resource" in absent:
            raise _refused(HTTPStatus.NOT_FOUND, absent["resource"], "resource", ReadingAbsent.sentence)
        for part, entries in absent.items():
            raise _refused(HTTPStatus.UNPROCESSABLE_ENTITY, entries, part, NOBODY)

    async def _fed(self, who: Named) -> SpacePatient | None:
        """A person whom this gateway feeds; None for who is not here, and for who is another's."""
        gateway = self._feed.gateway
        if who.patient_id is not None:
            return await tenants.linked(self._conn, gateway.tenant_id, gateway.gateway_id, who.patient_id)
        try:
            return None if who.uuid is None else await self._of_uuid(who.uuid)
        except PatientOfAnother:
            return None

    async def _brought(self, uuid: UUID) -> SpacePatient | None:
        """A person whom the Bundle brings; None for who is new. Raises Refused for another gateway's."""
        try:
            return await self._of_uuid(uuid)
        except PatientOfAnother as error:
            entries = [person.entry for person in self._asked.people if person.uuid == uuid]
            raise _refused(HTTPStatus.FORBIDDEN, entries, "resource", error.sentence) from None

    async def _of_uuid(self, uuid: UUID) -> SpacePatient | None:
        gateway = self._feed.gateway
        if gateway.patient_uuid not in (None, uuid):
            raise PatientOfAnother
        joins = gateway.patient_uuid == uuid
        return await tenants.patient_of(self._conn, gateway.tenant_id, gateway.gateway_id, uuid, joins=joins)

    async def _new(self, person: Person) -> tuple[SpacePatient, bool]:
        gateway = self._feed.gateway
        zone = "UTC" if person.timezone is None else person.timezone
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise _refused(
                HTTPStatus.UNPROCESSABLE_ENTITY, [person.entry], "resource.extension", NO_SUCH_ZONE
            ) from None
        try:
            return await tenants.add_patient(
                self._conn, gateway.tenant_id, gateway.gateway_id, person.uuid, person.name, zone
            )
        except (PatientQuota, PatientOfAnother) as error:
            raise _refused(HTTPStatus.FORBIDDEN, [person.entry], "resource", error.sentence) from None

    async def delete(self) -> None:
        """Erases; what was erased before is gone already."""
        keys = {one: _reading_key(self._feed.ids.decode(one.fhir_id)) for one in self._asked.deletions}
        if not keys:
            return
        receipt = await erasure.erase_records(
            self._conn, self._patient.patient_id, keys.values(), now=self._feed.now
        )
        self._more -= receipt.readings
        if receipt.readings < len(set(keys.values())):
            gone = await erasure.erased(self._conn, self._patient.patient_id, list(keys.values()))
            absent = [one.entry for one, key in keys.items() if key not in gone]
            if absent:
                raise _refused(HTTPStatus.NOT_FOUND, absent, "resource", ReadingAbsent.sentence)
        for one in keys:
            self._answer(one.entry, HTTPStatus.NO_CONTENT)

    async def know_devices(self) -> None:
        """The person's devices, those that the Bundle brings among them."""
        self._devices = await self._known_devices()
        if any(meter.digest not in self._devices for meter in self._asked.meters):
            await devices.hold(self._conn, self._patient.patient_id)
            self._devices = await self._known_devices()
        for meter in self._asked.meters:
            status = HTTPStatus.OK
            if meter.digest not in self._devices:
                device = meter.device(self._patient.uuid)
                self._devices[meter.digest] = await devices.register(
                    self._conn, self._patient.patient_id, device
                )
                status = HTTPStatus.CREATED
            device_id = self._devices[meter.digest].device_id
            name = f"Device/{self._feed.ids.device(self._patient.patient_id, device_id)}"
            self._answer(meter.entry, status, name)
        self._check_devices()

    async def _known_devices(self) -> dict[str, StoredDevice]:
        stored = await devices.of_patient(self._conn, self._patient.patient_id, forgotten=True)
        return {device_digest(self._patient.uuid, one.device.identity): one for one in stored}

    def _check_devices(self) -> None:
        """That each Observation names the device of its identifier, and that the device is here."""
        digests = {one.device_id: digest for digest, one in self._devices.items()}
        wrong = []
        for (reference, digest), entries in self._observed(lambda said: (said.device, said.digest)).items():
            named = self._references.device(reference, self._patient.patient_id, digests)
            if named != digest or digest not in self._devices:
                wrong += entries
        if wrong:
            raise _refused(HTTPStatus.UNPROCESSABLE_ENTITY, wrong, "resource.device", NO_SUCH_DEVICE)

    async def create(self) -> None:
        """Stores the readings that are not there, device by device, always in one order."""
        for device, batch in self._batches():
            created = await ingest.create(self._conn, device, batch.series, self._feed.author)
            if created.erased:
                entries = batch.entries[created.erased].tolist()
                raise _refused(HTTPStatus.GONE, entries, "resource", ReadingErased.sentence)
            self._more += created.stored
            self.taken.created += created.stored
            self.taken.known += len(batch.entries) - created.stored
            self._tell_created(batch, created)

    def _batches(self) -> Iterable[tuple[StoredDevice, Batch]]:
        parts: dict[str, list[Batch]] = {}
        for run in self._asked.runs:
            device = self._devices[run.model.digest]
            series = run.series(self._patient.patient_id, self._patient.uuid, device.device_id, device.device)
            parts.setdefault(run.model.digest, []).append(Batch(run.entries, series))
        for device, made in self._by_device(self._asked.creations):
            series = self._series(device, [one.said for one in made])
            entries = np.array([one.entry for one in made], np.int64)
            parts.setdefault(made[0].said.digest, []).append(Batch(entries, series))
        of_device = [(self._devices[digest], Batch.joined(of)) for digest, of in parts.items()]
        return sorted(of_device, key=lambda pair: pair[0].device_id)

    def _tell_created(self, batch: Batch, created: Created) -> None:
        """Answers; those of entries that stand together and are all new as one."""
        ids = self._feed.ids.columns(batch.series).tolist()
        entries = batch.entries
        if created.new.all() and np.all(np.diff(entries) == 1):
            told = answers("Observation", ids, HTTPStatus.CREATED, self._feed.now)
            self.taken.answers[int(entries[0])] = told
            return
        first = Version(1, self._feed.now)
        rows = zip(entries.tolist(), ids, created.new.tolist(), created.versions, strict=True)
        for entry, fhir_id, new, version in rows:
            name = f"Observation/{fhir_id.decode()}"
            if new:
                self._answer(entry, HTTPStatus.CREATED, name, first)
            else:
                self._answer(entry, HTTPStatus.OK, name, version)

    async def revise(self) -> None:
        """Takes in versions, device by device."""
        for device, made in self._by_device(self._asked.replacements):
            series = self._series(device, [one.said for one in made])
            names = self._feed.ids.of_series(series)
            other = [one.entry for one, name in zip(made, names, strict=True) if one.fhir_id != name]
            if other:
                raise _refused(HTTPStatus.UNPROCESSABLE_ENTITY, other, "resource", ReadingAbsent.sentence)
            if len(set(names)) < len(names):
                raise _refused(
                    HTTPStatus.UNPROCESSABLE_ENTITY, [one.entry for one in made], "resource", TWICE
                )
            told = [Told(one.version or 0, one.said.in_error) for one in made]
            try:
                versions = await revisions.revise(
                    self._conn, device, series, told, self._feed.author, self._feed.now
                )
            except RevisionRefused as error:
                status = _STATUS[type(error)]
                raise _refused(status, [made[error.row].entry], "resource", error.sentence) from None
            for one, name, version in zip(made, names, versions, strict=True):
                self._answer(one.entry, HTTPStatus.OK, f"Observation/{name}", version)
                self.taken.known += 1
                self.taken.revised.append(Revised(f"Observation/{name}", version))

    async def count(self) -> None:
        """Counts what came, within what the tenant may have of each person."""
        if not self._more:
            return
        readings, most = await tenants.count_readings(
            self._conn, self._feed.gateway.tenant_id, self._patient.patient_id, self._more
        )
        if self._more > 0 and most is not None and readings > most:
            raise refused(HTTPStatus.FORBIDDEN, "Bundle", ReadingQuota.sentence)

    def _by_device(self, told: Sequence[Observed]) -> Iterable[tuple[StoredDevice, list[Observed]]]:
        grouped: dict[str, list[Observed]] = {}
        for one in told:
            grouped.setdefault(one.said.digest, []).append(one)
        of_device = [(self._devices[digest], made) for digest, made in grouped.items()]
        return sorted(of_device, key=lambda pair: pair[0].device_id)

    def _series(self, device: StoredDevice, said: Sequence[Received]) -> ReadingSeries:
        series = series_of(said)
        return replace(
            series,
            patient_id=self._patient.patient_id,
            patient_uuid=self._patient.uuid,
            device_id=np.full(len(series), device.device_id, np.int32),
            devices={device.device_id: device.device},
        )


def _reading_key(key: OpaqueKey) -> ReadingKey:
    return ReadingKey(key.recorded_at, key.sequence, key.device_id, key.ordinal)


def _number(entry: int | None) -> int:
    """The number of an entry; 0 for what came without a Bundle, which is one."""
    return entry or 0


def _refused(status: HTTPStatus, entries: Iterable[int | None], part: str, sentence: str) -> Refused:
    """Entries that are refused for one reason."""
    alone = part.replace("resource", "Observation", 1)
    return Refused(
        status,
        [
            Issue(alone if entry is None else f"Bundle.entry[{entry}].{part}", sentence, {})
            for entry in sorted(entries, key=_number)
        ],
    )

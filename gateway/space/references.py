"""Who and which device an entry speaks of: named within the Bundle, by an id of ours, or by identifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote
from uuid import UUID

from fhir_mapping.errors import NotAnOpaqueId
from fhir_mapping.identifiers import DEVICE, URI_SYSTEM
from fhir_mapping.ingest import Transaction
from fhir_mapping.opaque import ReadingIds

_BY_UUID: Final = f"Patient?identifier={URI_SYSTEM}|urn:uuid:"
_BY_DIGEST: Final = f"Device?identifier={DEVICE}|"


@dataclass(frozen=True, slots=True)
class Named:
    """Who a reference names: a UUID, or a number of ours."""

    uuid: UUID | None = None
    patient_id: int | None = None


@dataclass(frozen=True, slots=True)
class References:
    """What the references of one Bundle stand for. `base`: the address of this space's FHIR side."""

    ids: ReadingIds
    base: str
    people: Mapping[str, UUID]
    meters: Mapping[str, str]

    @classmethod
    def of(cls, asked: Transaction, ids: ReadingIds, base: str) -> References:
        """Those of a Bundle."""
        return cls(
            ids,
            base,
            {person.full_url: person.uuid for person in asked.people if person.full_url},
            {meter.full_url: meter.digest for meter in asked.meters if meter.full_url},
        )

    def person(self, reference: str) -> Named | None:
        """Who is meant; None for a reference that names nobody."""
        if reference in self.people:
            return Named(uuid=self.people[reference])
        local = self._local(reference)
        try:
            if local.startswith(_BY_UUID):
                return Named(uuid=UUID(local.removeprefix(_BY_UUID)))
            if local.startswith("Patient/"):
                return Named(patient_id=self.ids.decode_patient(local.removeprefix("Patient/")))
        except (ValueError, NotAnOpaqueId):
            pass
        return None

    def device(self, reference: str, patient_id: int, digests: Mapping[int, str]) -> str | None:
        """The digest of the device that is meant; None for none, or another patient's.

        `digests`: of the patient's stored devices, by number.
        """
        if reference in self.meters:
            return self.meters[reference]
        local = self._local(reference)
        if local.startswith(_BY_DIGEST):
            return local.removeprefix(_BY_DIGEST)
        try:
            owner, device_id = self.ids.decode_device(local.removeprefix("Device/"))
        except NotAnOpaqueId:
            return None
        return digests.get(device_id) if owner == patient_id else None

    def _local(self, reference: str) -> str:
        return unquote(reference.removeprefix(f"{self.base}/"))

"""The resources that stand around Observations: who, with what, who made it, who read it, who may.

Few of them exist for each person, so they are plain dictionaries dumped once; tests prove that
`fhir.resources` (R4B) and an R4 validator accept each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from device_profiles.reading import Device, DeviceIdentity, Kind
from fhir_mapping.codes import DEVICE_SPECIALIZATIONS, MDC, OURS, Coding
from fhir_mapping.identifiers import (
    BLUETOOTH_ADDRESS,
    DEVICE,
    SYSTEM_ID,
    device_digest,
    eui,
    is_file,
    patient_identifier,
)
from fhir_mapping.templates import name_of
from fhir_mapping.text import clean, dumps
from fhir_mapping.times import instant

Json = dict[str, object]

TIMEZONE: Final = "http://hl7.org/fhir/StructureDefinition/timezone"
"""The standard extension that carries a person's zone: a space counts days as the person does."""
KIND: Final = f"{OURS}:kind"
"""Our code system of kinds: what a grant may be limited to."""
_PERSONAL_HEALTH_DEVICE: Final = Coding(MDC, "65573", "MDC_MOC_VMS_MDS_SIMP")
_FIRMWARE: Final = Coding(MDC, "531976", "MDC_ID_PROD_SPEC_FW")
_CONTINUA: Final = "http://terminology.hl7.org/CodeSystem/ContinuaDeviceIdentifiers"
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def concept(*codings: Coding) -> Json:
    """A CodeableConcept."""
    return {"coding": [coding.json() for coding in codings]}


def patient(fhir_id: str, uuid: UUID, name: str | None = None, zone: str | None = None) -> bytes:
    """A Patient: the person's one UUID, and their name and time zone only where they are to be told."""
    label = clean(name)
    extensions = [{"url": TIMEZONE, "valueCode": zone}] if zone else []
    return dumps(
        {
            "resourceType": "Patient",
            "id": fhir_id,
            **({"extension": extensions} if extensions else {}),
            "identifier": [patient_identifier(uuid)],
            **({"name": [{"text": label}]} if label else {}),
        }
    )


def device(
    fhir_id: str,
    of: Device,
    *,
    patient_uuid: UUID,
    owner: Mapping[str, object],
    kinds: Iterable[Kind] = (),
    with_serial: bool = False,
) -> bytes:
    """A Device as its person has it. Its serial number is told only when asked for.

    `owner`: the Reference to the person; `kinds`: what the device measures. A file is a Device too, without a
    type: what the readings came from is known, the device that measured is not.
    """
    measured = not is_file(of.identity)
    told = {
        "manufacturer": clean(of.manufacturer),
        "serialNumber": clean(of.serial) if with_serial else None,
        "deviceName": [{"name": name_of(of), "type": "user-friendly-name"}],
        "modelNumber": clean(of.model),
        "type": concept(_PERSONAL_HEALTH_DEVICE) if measured else None,
        "specialization": _specializations(kinds) if measured else None,
        "version": _versions(of),
        "patient": owner,
    }
    return dumps(
        {
            "resourceType": "Device",
            "id": fhir_id,
            "identifier": _device_identifiers(patient_uuid, of.identity),
            **{name: value for name, value in told.items() if value},
        }
    )


def _device_identifiers(patient_uuid: UUID, identity: DeviceIdentity) -> list[Json]:
    """Ours, and where the device is known by its System ID or address, that of HL7 PHD."""
    identifiers: list[Json] = [{"system": DEVICE, "value": device_digest(patient_uuid, identity)}]
    if (address := eui(identity)) is not None:
        by_address = identity.scheme == "address"
        kind = {"system": _CONTINUA, "code": "BTMAC" if by_address else "SYSID"}
        dashed = "-".join(address[start : start + 2] for start in range(0, len(address), 2))
        system = BLUETOOTH_ADDRESS if by_address else SYSTEM_ID
        identifiers.append({"type": {"coding": [kind]}, "system": system, "value": dashed})
    return identifiers


def _specializations(kinds: Iterable[Kind]) -> list[Json]:
    codes = sorted({DEVICE_SPECIALIZATIONS[kind] for kind in kinds if kind in DEVICE_SPECIALIZATIONS})
    return [{"systemType": concept(code)} for code in codes]


def _versions(of: Device) -> list[Json]:
    firmware = clean(of.firmware)
    return [{"type": concept(_FIRMWARE), "value": firmware}] if firmware else []


def provenance(fhir_id: str, targets: Sequence[str], *, recorded: datetime, software: str) -> bytes:
    """A Provenance: `software` (name and version) assembled the `targets` (references). `recorded`: aware."""
    assembler = Coding(_PARTICIPANT, "assembler", "Assembler")
    return dumps(
        {
            "resourceType": "Provenance",
            "id": fhir_id,
            "target": [{"reference": target} for target in targets],
            "recorded": instant(recorded),
            "agent": [{"type": concept(assembler), "who": {"display": software}}],
        }
    )


def audit_event(
    fhir_id: str,
    *,
    recorded: datetime,
    who: str,
    patient_reference: str,
    what: str,
    allowed: bool = True,
) -> bytes:
    """An AuditEvent: `who` (as they named themselves) read `what` of a person, or was refused."""
    read = Coding("http://hl7.org/fhir/restful-interaction", "read", "read")
    rest = Coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation")
    person = Coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", "1", "Person")
    return dumps(
        {
            "resourceType": "AuditEvent",
            "id": fhir_id,
            "type": rest.json(),
            "subtype": [read.json()],
            "action": "R",
            "recorded": instant(recorded),
            "outcome": "0" if allowed else "4",
            "agent": [{"who": {"display": clean(who) or "?"}, "requestor": True}],
            "source": {"observer": {"display": "Passerelle"}},
            "entity": [
                {
                    "what": {"reference": patient_reference},
                    "type": person.json(),
                    "name": clean(what) or "?",
                }
            ],
        }
    )


def consent(
    fhir_id: str,
    *,
    patient_reference: str,
    given: datetime,
    grantee: Mapping[str, object],
    kinds: Iterable[Kind],
    readings: tuple[date | None, date | None],
    until: datetime | None,
    active: bool = True,
) -> bytes:
    """A Consent: what a grant permits. `grantee`: a Reference; `readings`: first and last day, None for open.

    `until`: when the grant ends.
    """
    scope = Coding("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy", "Privacy Consent")
    category = Coding("http://loinc.org", "59284-0", "Consent Document")
    policy = Coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN", "opt-in")
    recipient = Coding(
        "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP", "information recipient"
    )
    access = Coding("http://terminology.hl7.org/CodeSystem/consentaction", "access", "Access")
    provision: Json = {
        "type": "permit",
        "period": _period(given, until),
        "actor": [{"role": concept(recipient), "reference": grantee}],
        "action": [concept(access)],
        "code": [concept(Coding(KIND, kind.slug, kind.slug)) for kind in sorted(kinds)],
        "dataPeriod": _period(*readings),
    }
    return dumps(
        {
            "resourceType": "Consent",
            "id": fhir_id,
            "status": "active" if active else "inactive",
            "scope": concept(scope),
            "category": [concept(category)],
            "patient": {"reference": patient_reference},
            "dateTime": instant(given),
            "policyRule": concept(policy),
            "provision": {name: value for name, value in provision.items() if value},
        }
    )


def _period(start: date | None, end: date | None) -> Json:
    """A Period of days or of moments: a datetime is a date."""
    ends = {"start": start, "end": end}
    return {
        name: instant(moment) if isinstance(moment, datetime) else moment.isoformat()
        for name, moment in ends.items()
        if moment
    }

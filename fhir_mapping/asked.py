"""One entry of a Bundle from a gateway: what it asks for, and why it cannot be taken where it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote
from uuid import UUID

from device_profiles.reading import Device, DeviceIdentity
from fhir_mapping import received
from fhir_mapping.errors import NotTaken
from fhir_mapping.identifiers import (
    BLUETOOTH_ADDRESS,
    DEVICE,
    DIGEST,
    FILE_DIGEST,
    READING_CONDITION,
    SYSTEM_ID,
    URI_SYSTEM,
    device_digest,
)
from fhir_mapping.received import Received
from fhir_mapping.resources import TIMEZONE
from fhir_mapping.text import clean

Json = Mapping[str, Any]

_FIRMWARE: Final = "531976"
_PATIENT_MEMBERS: Final = frozenset(
    ("resourceType", "id", "meta", "identifier", "extension", "name", "text", "active")
)
_DEVICE_MEMBERS: Final = frozenset(
    (
        *("resourceType", "id", "meta", "identifier", "text", "manufacturer", "serialNumber", "deviceName"),
        *("modelNumber", "type", "specialization", "version", "patient", "property", "udiCarrier"),
    )
)
_ENTRY_MEMBERS: Final = frozenset(("fullUrl", "resource", "request", "id"))
_REQUEST_MEMBERS: Final = frozenset(("method", "url", "ifNoneExist", "ifMatch"))
_ETAG: Final = re.compile(r'(?:W/)?"([1-9][0-9]{0,8})"')
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")

NO_REQUEST: Final = (
    "POST of a Patient, a Device or an Observation, PUT and DELETE of an Observation by its id is what is "
    "done here"
)
NO_CONDITION: Final = "request.ifNoneExist is needed: identifier=, its system, a bar, and its value"
NO_VERSION: Final = 'request.ifMatch is needed: the version that is to be replaced, as W/"1"'
NO_UUID: Final = "an identifier of the system urn:ietf:rfc:3986 is needed: urn:uuid: and the person's UUID"
NO_DEVICE: Final = "an identifier of the system urn:passerelle:device is needed, of 32 hexadecimal characters"
OTHER_ID: Final = "its id is not the one that the request names"


@dataclass(frozen=True, slots=True)
class Person:
    """A Patient to be there: `full_url` names them within the Bundle."""

    entry: int
    full_url: str | None
    uuid: UUID
    timezone: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Meter:
    """A Device to be there; what it says of itself, under its digest."""

    entry: int
    full_url: str | None
    digest: str
    said: Device
    eui: str | None
    """Its System ID or address as told, by which HL7 PHD names it."""

    def device(self, patient: UUID) -> Device:
        """The device as it is kept: under its System ID or address where the digest proves it."""
        for identity in _candidates(self.eui):
            if device_digest(patient, identity) == self.digest:
                return Device(
                    identity, self.said.manufacturer, self.said.model, self.said.serial, self.said.firmware
                )
        return self.said


@dataclass(frozen=True, slots=True)
class Creation:
    """An Observation to be there, once."""

    entry: int
    said: Received


@dataclass(frozen=True, slots=True)
class Replacement:
    """A version of an Observation in the place of the one that has `version`."""

    entry: int | None
    fhir_id: str
    version: int | None
    said: Received


@dataclass(frozen=True, slots=True)
class Deletion:
    """An Observation to be gone."""

    entry: int | None
    fhir_id: str


Asked = Person | Meter | Creation | Replacement | Deletion


def asked_of(number: int, entry: Any) -> Asked:
    """What one entry asks for. Raises NotTaken."""
    if not isinstance(entry, Mapping) or entry.keys() - _ENTRY_MEMBERS:
        raise NotTaken(why=NO_REQUEST, part="request")
    request = entry.get("request")
    if not isinstance(request, Mapping) or not all(isinstance(said, str) for said in request.values()):
        raise NotTaken(why=NO_REQUEST, part="request")
    if request.keys() - _REQUEST_MEMBERS:
        raise NotTaken(why=NO_REQUEST, part="request")
    kind, _, fhir_id = request.get("url", "").partition("/")
    if request.get("method") == "DELETE" and kind == "Observation" and _ID.fullmatch(fhir_id):
        return Deletion(number, fhir_id)
    resource = entry.get("resource")
    if not isinstance(resource, Mapping) or resource.get("resourceType") != kind:
        raise NotTaken(why=NO_REQUEST, part="request")
    if request.get("method") == "PUT" and kind == "Observation" and _ID.fullmatch(fhir_id):
        return replacement_of(number, resource, fhir_id, request)
    maker = _CREATED.get(kind)
    if request.get("method") != "POST" or fhir_id or maker is None:
        raise NotTaken(why=NO_REQUEST, part="request")
    full_url = entry.get("fullUrl")
    return maker(number, full_url if isinstance(full_url, str) else None, resource, request)


def _creation(number: int, full_url: str | None, resource: Json, request: Json) -> Creation:
    said = received.understood(resource)
    _check_condition(request, READING_CONDITION, said.identifier)
    if said.in_error:
        raise NotTaken(why=received.STATUS)
    return Creation(number, said)


def replacement_of(number: int | None, resource: Any, fhir_id: str, request: Json) -> Replacement:
    """A version of an Observation; `number` None for one that came alone. Raises NotTaken."""
    if not isinstance(resource, Mapping) or resource.get("resourceType") != "Observation":
        raise NotTaken(why=received.NOT_OURS)
    if resource.get("id", fhir_id) != fhir_id:
        raise NotTaken(why=OTHER_ID)
    version = _ETAG.fullmatch(request.get("ifMatch", ""))
    if version is None:
        raise NotTaken(why=NO_VERSION, part="Observation" if number is None else "request")
    return Replacement(number, fhir_id, int(version[1]), received.understood(resource))


def _person(number: int, full_url: str | None, resource: Json, request: Json) -> Person:
    uuids = list(_identifiers(resource, URI_SYSTEM))
    if len(uuids) != 1 or not uuids[0].startswith("urn:uuid:"):
        raise NotTaken(why=NO_UUID)
    try:
        uuid = UUID(uuids[0].removeprefix("urn:uuid:"))
    except ValueError:
        raise NotTaken(why=NO_UUID) from None
    if uuid.urn != uuids[0] or len(resource["identifier"]) != 1:
        raise NotTaken(why=NO_UUID)
    _check_condition(request, f"identifier={URI_SYSTEM}|", uuid.urn)
    _check_members(resource, _PATIENT_MEMBERS)
    if resource.get("active", True) is not True:
        raise NotTaken(why=received.MEMBER, part="resource.active")
    return Person(number, full_url, uuid, _zone(resource), _name(resource))


def _meter(number: int, full_url: str | None, resource: Json, request: Json) -> Meter:
    digests = list(_identifiers(resource, DEVICE))
    if len(digests) != 1 or not re.fullmatch(r"[0-9a-f]{32}", digests[0]):
        raise NotTaken(why=NO_DEVICE)
    _check_condition(request, f"identifier={DEVICE}|", digests[0])
    _check_members(resource, _DEVICE_MEMBERS)
    euis = [*_identifiers(resource, SYSTEM_ID), *_identifiers(resource, BLUETOOTH_ADDRESS)]
    said = Device(
        DeviceIdentity(DIGEST if "type" in resource else FILE_DIGEST, digests[0]),
        manufacturer=_text(resource.get("manufacturer")),
        model=_text(resource.get("modelNumber")),
        serial=_text(resource.get("serialNumber")),
        firmware=_text(_firmware(resource)),
    )
    return Meter(number, full_url, digests[0], said, euis[0] if euis else None)


_Maker = Callable[[int, str | None, Json, Json], Asked]
_CREATED: Final[Mapping[str, _Maker]] = {"Patient": _person, "Device": _meter, "Observation": _creation}


def _check_condition(request: Json, start: str, value: str) -> None:
    """That what shall be there once is looked for by the identifier that it has."""
    condition = request.get("ifNoneExist", "").removeprefix("?")
    if start + value not in (condition, unquote(condition)):
        raise NotTaken(why=NO_CONDITION, part="request")


def _check_members(resource: Json, known: frozenset[str]) -> None:
    for name in resource:
        if name not in known:
            raise NotTaken(why=received.MEMBER, part=f"resource.{shown(name)}")


def shown(name: str) -> str:
    """A member's name where it may be one of FHIR's; a sender's own words are not repeated."""
    return name if re.fullmatch(r"_?[A-Za-z]{1,40}", name) else "*"


def _identifiers(resource: Json, system: str) -> Iterator[str]:
    identifiers = resource.get("identifier")
    for identifier in identifiers if isinstance(identifiers, list) else ():
        if isinstance(identifier, Mapping) and identifier.get("system") == system:
            value = identifier.get("value")
            if isinstance(value, str):
                yield value


def _zone(resource: Json) -> str | None:
    zone = None
    extensions = resource.get("extension", [])
    for extension in extensions if isinstance(extensions, list) else (None,):
        if not isinstance(extension, Mapping) or extension.get("url") != TIMEZONE:
            raise NotTaken(why=received.MEMBER, part="resource.extension")
        zone = extension.get("valueCode")
        if not isinstance(zone, str):
            raise NotTaken(why=received.MEMBER, part="resource.extension")
    return zone


def _name(resource: Json) -> str | None:
    names = resource.get("name", ())
    if not isinstance(names, list | tuple) or len(names) > 1:
        raise NotTaken(why=received.MEMBER, part="resource.name")
    if not names:
        return None
    if not isinstance(names[0], Mapping) or names[0].keys() - {"text", "use"}:
        raise NotTaken(why=received.MEMBER, part="resource.name")
    return _text(names[0].get("text"))


def _text(said: object) -> str | None:
    """A text that is kept: on one line, and not endless."""
    return " ".join((clean(said) or "").split())[:200] or None if isinstance(said, str) else None


def _firmware(resource: Json) -> object:
    try:
        return next(
            version["value"]
            for version in resource.get("version", ())
            if any(coding.get("code") == _FIRMWARE for coding in version["type"]["coding"])
        )
    except (StopIteration, KeyError, TypeError, AttributeError):
        return None


def _candidates(eui: str | None) -> Iterator[DeviceIdentity]:
    """The identities that an EUI as told may have been made of."""
    if eui is None:
        return
    plain = "".join(sign for sign in eui.upper() if sign in "0123456789ABCDEF")
    pairs = [plain[start : start + 2] for start in range(0, len(plain), 2)]
    for scheme in ("system-id", "address"):
        for spelled in ("-".join(pairs), ":".join(pairs), plain):
            yield DeviceIdentity(scheme, spelled)
            yield DeviceIdentity(scheme, spelled.lower())

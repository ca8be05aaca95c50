"""What a gateway sends to a space: a transaction Bundle, taken apart into the things it asks for.

Pure: what is there already, and who may, is decided by who has the store. Everything that cannot be taken is
found first, all of it, so that a sender learns in one answer what to set aside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, NoReturn
from urllib.parse import unquote
from uuid import UUID

from device_profiles.reading import Device, DeviceIdentity
from fhir_mapping import received, shapes
from fhir_mapping.errors import MappingError, NotTaken
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
from fhir_mapping.shapes import OtherShape, Run, Shape
from fhir_mapping.text import clean

Json = Mapping[str, Any]

MOST_ENTRIES: Final = 1000
TIMEZONE: Final = "http://hl7.org/fhir/StructureDefinition/timezone"
"""The standard extension that carries a person's zone."""

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


class NotABundle(MappingError):
    """What came is no transaction Bundle at all."""

    sentence = "A FHIR Bundle of the type transaction is needed here, as JSON in UTF-8."


class TooManyEntries(MappingError):
    """More entries than are taken in one transaction."""

    sentence = "At most {most} entries are taken in one transaction. Send them in several."


@dataclass(frozen=True, slots=True)
class Wrong:
    """An entry that cannot be taken: its number in the Bundle, the part of it, and why."""

    entry: int | None
    part: str
    why: str

    @property
    def expression(self) -> str:
        """Where it is, as FHIRPath; a resource that came alone is its own place."""
        place = "" if self.entry is None else f"Bundle.entry[{self.entry}]."
        return f"{place}{self.part}"


class EntriesRefused(MappingError):
    """Some entries cannot be taken, so none is. `wrong`: all of them."""

    sentence = "Some entries cannot be taken, so none was."

    def __init__(self, wrong: Sequence[Wrong]) -> None:
        self.wrong = tuple(wrong)
        super().__init__()


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


@dataclass(frozen=True, slots=True)
class Transaction:
    """All that a Bundle asks for. `entries`: how many it has; `runs`: creations of one shape."""

    entries: int
    people: tuple[Person, ...] = ()
    meters: tuple[Meter, ...] = ()
    creations: tuple[Creation, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    runs: tuple[Run, ...] = ()


Asked = Person | Meter | Creation | Replacement | Deletion


def transaction(body: bytes) -> Transaction:
    """A Bundle taken apart. Raises NotABundle, TooManyEntries, EntriesRefused."""
    try:
        text = body.decode("utf-8")
    except ValueError:
        raise NotABundle from None
    if text.startswith(shapes.START) and text.endswith(shapes.END):
        try:
            return _by_shapes(text)
        except OtherShape:
            pass
    return _entry_by_entry(text)


def _entry_by_entry(text: str) -> Transaction:
    """Any Bundle."""
    bundle = _parsed(text)
    if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
        raise NotABundle
    entries = bundle.get("entry", [])
    if bundle.get("type") != "transaction" or not isinstance(entries, list):
        raise NotABundle
    if len(entries) > MOST_ENTRIES:
        raise TooManyEntries(most=MOST_ENTRIES)
    return _taken_apart(dict(enumerate(entries)), len(entries))


def _by_shapes(text: str) -> Transaction:
    """A Bundle written as this program writes it. Raises OtherShape, and what `transaction` does."""
    scan = _Scan(text)
    while not scan.ended:
        scan.go_on()
    runs = tuple(shape.run() for shape in scan.shapes if shape.rows)
    return replace(_taken_apart(scan.others, scan.number), runs=runs)


class _Scan:
    """A Bundle read from its first entry to its last, by shapes where there are some."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = len(shapes.START)
        self._end = len(text) - len(shapes.END)
        self.number = 0
        self.others: dict[int, Any] = {}
        self.shapes: list[Shape] = []

    @property
    def ended(self) -> bool:
        """Whether the last entry was read."""
        return self._place == self._end

    def go_on(self) -> None:
        """Reads the entries that have a known shape, then one as any JSON, which may give a new shape."""
        found = True
        while found:
            found = any([self._read(shape) for shape in self.shapes])  # noqa: C419 (each is to be tried)
        if not self.ended and not self._remembers():
            self._read_any()

    def _remembers(self) -> bool:
        """Whether the next entry has a shape that another Bundle had."""
        if len(self.shapes) >= shapes.MOST_SHAPES:
            return False
        end = self._text.find(_NEXT, self._place)
        shape = shapes.remembered(self._text[self._place : end if end > 0 else self._end])
        if shape is not None:
            self.shapes.insert(0, shape)
        return shape is not None and self._read(shape)

    def _read(self, shape: Shape) -> bool:
        """Reads all entries of a shape from here; whether there was one."""
        before = len(shape.rows)
        place = shape.read(self._text, self._place, self._end)
        count = len(shape.rows) - before
        shape.entries.extend(range(self.number, self.number + count))
        self._step(place, count)
        return count > 0

    def _read_any(self) -> None:
        begin = self._place
        try:
            entry, end = _DECODER.raw_decode(self._text, begin)
        except (ValueError, RecursionError):
            raise NotABundle from None
        following = self._text[end : end + 1]
        if end > self._end or (end < self._end and (following != "," or end + 1 >= self._end)):
            raise OtherShape  # white space, or no Bundle at all
        self.others[self.number] = entry
        self._step(min(end + 1, self._end), 1)
        if self._end - end > shapes.WORTH * (end - begin) and len(self.shapes) < shapes.MOST_SHAPES:
            shape = shapes.learnt(self._text[begin:end], _understood)
            if shape is not None:
                self.shapes.insert(0, shape)

    def _step(self, place: int, entries: int) -> None:
        self._place = place
        self.number += entries
        if self.number > MOST_ENTRIES:
            raise TooManyEntries(most=MOST_ENTRIES)


def _understood(entry: Any) -> Received | None:
    """What an entry that creates an Observation says; None for any other, and for one that is refused."""
    try:
        asked = _asked(0, entry)
    except NotTaken:
        return None
    if not isinstance(asked, Creation) or received.beyond([asked.said], [entry["resource"]]):
        return None
    return asked.said


def replacement(body: bytes, fhir_id: str, if_match: str | None) -> Replacement:
    """A PUT of one Observation. Raises NotABundle, EntriesRefused."""
    try:
        resource = _parsed(body.decode("utf-8"))
    except ValueError:
        raise NotABundle from None
    try:
        asked = _replacement(None, resource, fhir_id, {} if if_match is None else {"ifMatch": if_match})
    except NotTaken as refused:
        raise EntriesRefused([_wrong(None, "Observation", refused)]) from None
    _refuse(_members_beyond([asked], [resource]))
    return asked


def _parsed(text: str) -> Any:
    """JSON of any shape, numbers exact. Raises NotABundle."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotABundle from None


def _no_constant(_: str) -> NoReturn:
    raise ValueError("no JSON")


_NEXT: Final = ',{"fullUrl":'
"""What stands between two entries that this program writes."""
_DECODER: Final = json.JSONDecoder(parse_float=Decimal, parse_constant=_no_constant)


def _taken_apart(entries: Mapping[int, Any], count: int) -> Transaction:
    """Entries by their numbers, of a Bundle that has `count`."""
    asked: list[Asked] = []
    wrong: list[Wrong] = []
    for number, entry in entries.items():
        try:
            asked.append(_asked(number, entry))
        except NotTaken as refused:
            wrong.append(_wrong(number, "resource", refused))
    told = [one for one in asked if isinstance(one, Creation | Replacement)]
    resources = [entries[one.entry]["resource"] for one in told if one.entry is not None]
    wrong += _members_beyond(told, resources)
    _refuse(wrong)
    return Transaction(
        count,
        people=tuple(one for one in asked if isinstance(one, Person)),
        meters=tuple(one for one in asked if isinstance(one, Meter)),
        creations=tuple(one for one in asked if isinstance(one, Creation)),
        replacements=tuple(one for one in asked if isinstance(one, Replacement)),
        deletions=tuple(one for one in asked if isinstance(one, Deletion)),
    )


def _refuse(wrong: Sequence[Wrong]) -> None:
    if wrong:
        raise EntriesRefused(sorted(wrong, key=lambda one: one.entry or 0))


def _wrong(number: int | None, part: str, refused: NotTaken) -> Wrong:
    return Wrong(number, str(refused.details.get("part", part)), str(refused.details["why"]))


def _members_beyond(told: Sequence[Creation | Replacement], resources: Sequence[Json]) -> list[Wrong]:
    found = received.beyond([one.said for one in told], resources)
    return [
        Wrong(entry, f"{'Observation' if entry is None else 'resource'}.{_shown(member)}", received.MEMBER)
        for entry, member in ((told[row].entry, member) for row, member in found.items())
    ]


def _asked(number: int, entry: Any) -> Asked:
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
        return _replacement(number, resource, fhir_id, request)
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


def _replacement(number: int | None, resource: Any, fhir_id: str, request: Json) -> Replacement:
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
            raise NotTaken(why=received.MEMBER, part=f"resource.{_shown(name)}")


def _shown(name: str) -> str:
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

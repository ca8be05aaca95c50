"""The search grammar of FHIR R4 (search.html), as far as Observations of one person need it.

`understand` turns the parameters of a request into an `ObservationQuery`, in terms of Readings: kinds, cases
(kind, unit and sample type, which is what a code tells apart), devices, stretches of time. A grant opens one
person, so that a search for another is a search that nothing matches, whoever that is.

A parameter that is not answered here is passed over and not in the answer's own link, or refused where the
request wants it so (`Prefer: handling=strict`). A modifier is always refused: without it the question would
be another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Final
from uuid import UUID

from device_profiles.reading import Device
from fhir_mapping import dates
from fhir_mapping.codes import PHD, READING, Coding
from fhir_mapping.cursors import Cursors
from fhir_mapping.errors import (
    ChoiceNotUnderstood,
    CountNotUnderstood,
    FormatNotOffered,
    ModifierUnknown,
    NotAnOpaqueId,
    ParameterUnknown,
    ReferenceNotUnderstood,
    TokenNotUnderstood,
    TooManyValues,
)
from fhir_mapping.identifiers import URI_SYSTEM, device_digest, is_file
from fhir_mapping.opaque import ReadingIds
from fhir_mapping.query import COUNT_MAX, Key, ObservationQuery, cases

VALUES_MAX: Final = 200
"""Of all parameters together: a person asks for a few."""

Parameters = Sequence[tuple[str, str]]
"""Names and values of a request, decoded."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search is understood against: whose readings, on which server, by whose clock."""

    base: str
    ids: ReadingIds
    cursors: Cursors
    patient_id: int
    patient_uuid: UUID
    grant: str
    """A cursor of one is none of another."""
    zone: tzinfo
    now: datetime
    devices: Mapping[int, Device] = field(default_factory=dict)
    strict: bool = False


def understand(parameters: Parameters, asked: Asked) -> ObservationQuery:
    """What a search asks. Raises a SearchError in words."""
    query = ObservationQuery()
    if sum(1 + value.count(",") for _, value in parameters) > VALUES_MAX:
        raise TooManyValues(most=VALUES_MAX)
    cursor: str | None = None
    for name, value in parameters:
        plain, _, modifier = name.partition(":")
        if plain in ("patient", "subject") and modifier == "Patient":
            modifier = ""
        take = _PARAMETERS.get(plain)
        if take is None or not value:
            _pass_over(query, name, asked)
        elif modifier:
            raise ModifierUnknown(parameter=plain)
        elif plain == "_cursor":
            cursor = value
        elif take(query, plain, value, asked):
            query.understood.append((plain, str(query.count) if plain == "_count" else value))
        else:
            _pass_over(query, name, asked)
    if query.file_cases is not None and not (query.cases and query.file_cases):
        _of_devices(
            query,
            (number for number, one in asked.devices.items() if is_file(one.identity) != bool(query.cases)),
        )
    if cursor is not None:
        query.after = asked.cursors.read(cursor, query.bound_to(asked.grant))
    return query


_SAYABLE: Final = re.compile(r"[A-Za-z_][A-Za-z._:-]{0,39}", re.ASCII)


def _pass_over(query: ObservationQuery, name: str, asked: Asked) -> None:
    """A parameter that is not answered: told, if its name is one of words and not of somebody's data."""
    said = name if _SAYABLE.fullmatch(name) else "?"
    if asked.strict:
        raise ParameterUnknown(parameter=said)
    if said not in query.ignored:
        query.ignored.append(said)


def split(value: str, sign: str = ",") -> list[str]:
    """A value at its signs that are not escaped (search.html 3.1.1.4.0.1); escapes stay."""
    if "\\" not in value:
        return value.split(sign)
    parts = [""]
    escaped = False
    for character in value:
        if character == sign and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def _plain(value: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", value)


def _alternatives(value: str) -> list[str]:
    return [one for one in split(value) if one]


def _tokens(name: str, value: str) -> list[tuple[str | None, str]]:
    """Alternatives of (system, code): system None for any, "" for none; code "" for any of a system."""
    found: list[tuple[str | None, str]] = []
    for one in _alternatives(value):
        parts = split(one, "|")
        if len(parts) > 2 or not any(parts):
            raise TokenNotUnderstood(parameter=name)
        system = _plain(parts[0]) if len(parts) == 2 else None
        found.append((system, _plain(parts[-1])))
    return found


def _is(coding: Coding, token: tuple[str | None, str]) -> bool:
    system, code = token
    return system in (None, coding.system) and code.casefold() in ("", coding.code.casefold())


def _code(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    tokens = _tokens(name, value)
    chosen = frozenset(
        case
        for case, row in cases().items()
        if any(_is(coding, token) for coding in row.codings for token in tokens)
    )
    _narrow(query, chosen, chosen)
    return True


def _category(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    tokens = _tokens(name, value)

    def chosen(*more: Coding) -> frozenset[int]:
        return frozenset(
            case
            for case, row in cases().items()
            if any(
                _is(category, token)
                for category in (*([row.category] if row.category else []), *more)
                for token in tokens
            )
        )

    _narrow(query, chosen(PHD), chosen())
    return True


def _narrow(query: ObservationQuery, of_devices: frozenset[int], of_files: frozenset[int]) -> None:
    before = frozenset(cases()) if query.cases is None else query.cases
    files_before = before if query.file_cases is None else query.file_cases
    query.cases, files = before & of_devices, files_before & of_files
    query.file_cases = None if files == query.cases else files
    query.nothing |= not query.cases and not files


def _date(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    meant = dates.either(
        stretch for one in _alternatives(value) for stretch in dates.stretches_of(one, asked.zone, asked.now)
    )
    before = [dates.EVER] if query.stretches is None else query.stretches
    query.stretches = tuple(dates.both(before, meant))
    query.nothing |= not query.stretches
    return True


def _referenced(name: str, value: str, of_type: str, asked: Asked) -> list[str]:
    """The ids that a value refers to by, on this server; those of others are left out."""
    found = []
    for one in _alternatives(value):
        said = _plain(one).removeprefix(f"{asked.base}/")
        kind, slash, fhir_id = said.rpartition("/")
        if not fhir_id or (not slash and not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", fhir_id)):
            raise ReferenceNotUnderstood(parameter=name)
        if kind in ("", of_type):
            found.append(fhir_id)
    return found


def _patient(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    own = asked.ids.patient(asked.patient_id)
    query.other_person |= own not in _referenced(name, value, "Patient", asked)
    query.nothing |= query.other_person
    return True


def _patient_identifier(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    own = Coding(URI_SYSTEM, asked.patient_uuid.urn, "")
    query.other_person |= not any(_is(own, token) for token in _tokens(name, value))
    query.nothing |= query.other_person
    return True


def _device(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    wanted = set(_referenced(name, value, "Device", asked))
    _of_devices(
        query, (number for number in asked.devices if asked.ids.device(asked.patient_id, number) in wanted)
    )
    return True


def _of_devices(query: ObservationQuery, numbers: Iterable[int]) -> None:
    found = frozenset(numbers)
    query.devices = found if query.devices is None else query.devices & found
    query.nothing |= not query.devices


def _id(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    found = set()
    for one in _alternatives(value):
        key = key_of(_plain(one), asked)
        if key is not None:
            found.add(key)
    return _only(query, found)


def key_of(fhir_id: str, asked: Asked) -> Key | None:
    """The key under the id of an Observation; None for an id of another person, and for one never given."""
    try:
        of_patient, recorded_at, *rest = asked.ids.decode(fhir_id)
    except (NotAnOpaqueId, OverflowError):
        return None
    return Key(dates.micros(recorded_at), *rest) if of_patient == asked.patient_id else None


_IDENTIFIER: Final = re.compile(
    r"(?P<digest>[0-9a-f]{32})/(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?)"
    r"/(?P<sequence>-?\d{1,10})/(?P<ordinal>\d{1,5})/[a-z-]+",
    re.ASCII,
)


def _identifier(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    """By our own identifier, which holds the key; every other system has nothing here."""
    numbers = {
        device_digest(asked.patient_uuid, device.identity): number for number, device in asked.devices.items()
    }
    found = set()
    for system, text in _tokens(name, value):
        told = _IDENTIFIER.fullmatch(text)
        if system not in (None, READING) or told is None or told["digest"] not in numbers:
            continue
        try:
            at = dates.micros(datetime.fromisoformat(f"{told['at']}+00:00"))
        except ValueError:
            continue
        sequence, ordinal = int(told["sequence"]), int(told["ordinal"])
        if abs(sequence) < 1 << 31 and ordinal < 1 << 15:
            found.add(Key(at, sequence, numbers[told["digest"]], ordinal))
    return _only(query, found)


def _only(query: ObservationQuery, keys: set[Key]) -> bool:
    query.keys = frozenset(keys) if query.keys is None else query.keys & keys
    query.nothing |= not query.keys
    return True


def _status(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    final = Coding("http://hl7.org/fhir/observation-status", "final", "Final")
    query.nothing |= not any(_is(final, token) for token in _tokens(name, value))
    return True


def _count(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    if not re.fullmatch(r"\d{1,18}", value, re.ASCII):
        raise CountNotUnderstood
    query.count = min(int(value), COUNT_MAX)
    query.only_total |= query.count == 0
    return True


def _sort(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    if value not in ("date", "-date"):
        return False
    query.backwards = value == "-date"
    return True


def _total(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    if value not in ("none", "estimate", "accurate"):
        raise ChoiceNotUnderstood(parameter=name, choices="none, estimate, accurate")
    query.total = value != "none"
    return True


def _summary(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    query.only_total |= value == "count"
    return value in ("count", "false")


def _format(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    if not offers(value):
        raise FormatNotOffered
    return True


def offers(media_type: str) -> bool:
    """Whether answers have this form: the JSON of FHIR, by any of its names."""
    named = media_type.partition(";")[0].strip().replace(" ", "+").lower()
    return named in (
        "json",
        "application/json",
        "application/fhir+json",
        "application/json+fhir",
        "text/json",
    )


def _include(query: ObservationQuery, name: str, value: str, asked: Asked) -> bool:
    wanted = {
        "Observation:device": {"Device"},
        "Observation:device:Device": {"Device"},
        "Observation:subject": {"Patient"},
        "Observation:subject:Patient": {"Patient"},
        "Observation:patient": {"Patient"},
        "Observation:patient:Patient": {"Patient"},
        "Observation:*": {"Device", "Patient"},
        "*": {"Device", "Patient"},
    }.get(value)
    if wanted is None:
        return False
    query.includes |= wanted
    return True


Take = Callable[[ObservationQuery, str, str, Asked], bool]
"""Takes one parameter into a query; False where this value of it is not answered here."""

_PARAMETERS: Final[Mapping[str, Take]] = {
    "_count": _count,
    "_cursor": lambda *_: True,
    "_format": _format,
    "_id": _id,
    "_include": _include,
    "_sort": _sort,
    "_summary": _summary,
    "_total": _total,
    "category": _category,
    "code": _code,
    "date": _date,
    "device": _device,
    "identifier": _identifier,
    "patient": _patient,
    "patient.identifier": _patient_identifier,
    "status": _status,
    "subject": _patient,
    "subject.identifier": _patient_identifier,
}

OFFERED: Final[Iterable[tuple[str, str]]] = (
    ("_id", "token"),
    ("category", "token"),
    ("code", "token"),
    ("date", "date"),
    ("device", "reference"),
    ("identifier", "token"),
    ("patient", "reference"),
    ("status", "token"),
    ("subject", "reference"),
)
"""The search parameters and their types, as a CapabilityStatement names them."""

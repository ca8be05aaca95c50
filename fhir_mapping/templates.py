"""The text of an Observation that many rows share, spelled once for each case that occurs in a series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from device_profiles.reading import (
    DERIVED,
    FIRST_MEASURAND,
    UNITS,
    UNKNOWN_DATE,
    UNKNOWN_TIME,
    Device,
    Kind,
    ReadingSeries,
    TimeSource,
)
from fhir_mapping import times
from fhir_mapping.codes import (
    ABSENT_REASON_EXTENSION,
    DERIVED_EXTENSION,
    PHD,
    PHD_IDENTIFIER,
    READING,
    SAMPLE_LOCATION,
    SAMPLE_TYPE,
    TIME_SOURCE,
    Row,
    body_site,
)
from fhir_mapping.dialects import Dialect
from fhir_mapping.identifiers import device_digest, is_file, phd_prefix
from fhir_mapping.opaque import ORDINAL_BITS, ReadingIds
from fhir_mapping.references import Address
from fhir_mapping.text import clean, dumps, members

FIRST_VERSION: Final = "1"
"""Of a resource: nearly all readings have no other."""
_UNKNOWN_DATE_MICROS: Final = int(UNKNOWN_DATE.timestamp()) * times.MICROSECONDS


class Form(Enum):
    """What stands around each Observation."""

    RESOURCE = "resource"
    """Nothing."""
    COLLECTION = "collection"
    """A Bundle entry with its full URL."""
    SEARCHSET = "searchset"
    """An entry that matched a search."""
    TRANSACTION = "transaction"
    """An entry that creates the Observation once: `ifNoneExist` by our identifier."""


class Slot(Enum):
    """A column: what differs from row to row, and stands between two static pieces."""

    URL = "url"
    ID = "id"
    RECORDED = "recorded"
    SEQUENCE = "sequence"
    PHD = "phd"
    TIME = "time"
    VALUE = "value"
    EXTRA = "extra"
    RECORDED_AGAIN = "recorded again"
    SEQUENCE_AGAIN = "sequence again"


class Case(NamedTuple):
    """What rows share that are rendered by one template."""

    kind: Kind
    sample: int
    unit: str
    device_id: int
    ordinal: int
    source: TimeSource
    timed: bool
    dated: bool
    offset: int
    """Minutes from UTC, of the person's clock."""


@dataclass(frozen=True, slots=True)
class Template:
    """The static pieces of a row: one before each slot, one after the last."""

    row: Row
    pieces: tuple[bytes, ...]
    extensions: tuple[Mapping[str, object], ...]
    phd: bool


def slots_of(form: Form) -> tuple[Slot, ...]:
    """The columns of a row, in order."""
    entry = () if form is Form.RESOURCE else (Slot.URL,)
    again = (Slot.RECORDED_AGAIN, Slot.SEQUENCE_AGAIN) if form is Form.TRANSACTION else ()
    return (
        *entry,
        Slot.ID,
        Slot.RECORDED,
        Slot.SEQUENCE,
        Slot.PHD,
        Slot.TIME,
        Slot.VALUE,
        Slot.EXTRA,
        *again,
    )


def templates_of(
    series: ReadingSeries,
    ids: ReadingIds,
    dialect: Dialect,
    form: Form,
    address: Address,
    who: Mapping[str, object],
    *,
    versioned: bool = False,
) -> tuple[list[Template], npt.NDArray[np.intp]]:
    """A template for each case that occurs in a series, and which one each row has.

    `versioned`: the Observation says that it is version 1.

    The numbers of the series have been checked against the bits of an id: so a case fits into 64 bits.
    """
    cases, which = _cases(series)
    templates = []
    for case in cases:
        row = dialect.row(case.kind, None if case.sample < 0 else case.sample & 0x0F, case.unit)
        device = series.devices[case.device_id]
        where = address.reference("Device", ids.device(series.patient_id, case.device_id))
        key = b"%s|%s/" % (READING.encode(), device_digest(series.patient_uuid, device.identity).encode())
        phd = (
            phd_prefix(series.patient_uuid, device.identity, row.mdc.code) if row.mdc and case.dated else None
        )
        about = _about(case, row, versioned=versioned)
        pieces = _resource(
            case, about, key, phd, _middle(case, row, device, who), _end(case, device, where, sited=row.sited)
        )
        pieces = _entry(form, pieces, address.prefix("Observation"), key, _key_end(case))
        templates.append(Template(row, tuple(pieces), _extensions(case), phd is not None))
    return templates, which


def _cases(series: ReadingSeries) -> tuple[list[Case], npt.NDArray[np.intp]]:
    """The distinct cases of a series, and which one each row is."""
    timed = series.effective_time != UNKNOWN_TIME
    dated = series.recorded_at != _UNKNOWN_DATE_MICROS
    offsets = times.own_offsets(series)
    fields = (
        (series.ordinal, ORDINAL_BITS),
        (series.kind, 8),
        (series.sample + 1, 9),
        (series.unit, 6),
        (series.time_source, 3),
        (timed, 1),
        (dated, 1),
        (offsets + times.MAX_OFFSET_MINUTES, 11),
    )
    packed = series.device_id.astype(np.int64)
    for column, bits in fields:
        packed = (packed << bits) | column
    _, first, which = np.unique(packed, return_index=True, return_inverse=True)
    cases = [
        Case(
            Kind(int(series.kind[row])),
            int(series.sample[row]),
            UNITS[int(series.unit[row])],
            int(series.device_id[row]),
            int(series.ordinal[row]),
            TimeSource(int(series.time_source[row])),
            bool(timed[row]),
            bool(dated[row]),
            int(offsets[row]),
        )
        for row in first.tolist()
    ]
    return cases, which


def _key_end(case: Case) -> bytes:
    """What closes our identifier's value, after the sequence."""
    return b"/%d/%s" % (case.ordinal, case.kind.slug.encode())


def _about(case: Case, row: Row, *, versioned: bool) -> bytes:
    """What the resource says of itself."""
    version = {"versionId": FIRST_VERSION} if versioned else {}
    profile = {"profile": [row.profile]} if row.profile and case.timed else {}
    said = {**version, **profile}
    return members({"meta": said} if said else {})


def _resource(
    case: Case, about: bytes, key: bytes, phd: str | None, middle: bytes, end: bytes
) -> list[bytes]:
    """The pieces of a bare Observation: before each of its slots, and after the last."""
    system, digest = key.split(b"|")
    before_phd = b"" if phd is None else b"," + dumps({"system": PHD_IDENTIFIER, "value": phd})[:-2]
    return [
        b'{"resourceType":"Observation","id":"',
        b'"%s,"identifier":[{"system":"%s","value":"%s' % (about, system, digest),
        b"/",
        b'%s"}%s' % (_key_end(case), before_phd),
        b"%s],%s" % (b'"}' if before_phd else b"", middle),
        b'%s"' % times.offset(case.offset) if case.timed else b"",
        end,
        b"}",
    ]


def _entry(form: Form, pieces: list[bytes], url: str, key: bytes, key_end: bytes) -> list[bytes]:
    """The pieces with what a Bundle wants around each resource."""
    if form is Form.RESOURCE:
        return pieces
    first, *middle, last = pieces
    start = [b'{"fullUrl":"%s' % url.encode(), b'","resource":%s' % first, *middle]
    if form is Form.COLLECTION:
        return [*start, last + b"}"]
    if form is Form.SEARCHSET:
        return [*start, last + b',"search":{"mode":"match"}}']
    request = b',"request":{"method":"POST","url":"Observation","ifNoneExist":"identifier=%s' % key
    return [*start, last + request, b"/", b'%s"}}' % key_end]


def _middle(case: Case, row: Row, device: Device, who: Mapping[str, object]) -> bytes:
    """From the status to the time: the same for all rows of a template."""
    categories = [row.category] if row.category else []
    if not is_file(device.identity):
        categories.append(PHD)
    said = {
        "status": "final",
        **({"category": [{"coding": [category.json()]} for category in categories]} if categories else {}),
        "code": {"coding": [coding.json() for coding in row.codings]},
        "subject": who,
        **_about_time(case),
    }
    opening = b',"effectiveDateTime":"' if case.timed else b""
    return dumps(said)[1:-1] + opening


def _about_time(case: Case) -> dict[str, object]:
    extensions: list[dict[str, object]] = []
    if not case.timed:
        extensions.append({"url": ABSENT_REASON_EXTENSION, "valueCode": "unknown"})
    if case.source is not TimeSource.DEVICE:
        extensions.append({"url": TIME_SOURCE, "valueCode": case.source.slug})
    return {"_effectiveDateTime": {"extension": extensions}} if extensions else {}


def _end(case: Case, device: Device, reference: str, *, sited: bool) -> bytes:
    """After the value: where the sample was taken, and by which device."""
    site = body_site(case.kind, case.sample >> 4) if sited and case.sample >= 0 else None
    place: dict[str, object] = {} if site is None else {"bodySite": {"coding": [site.json()]}}
    return members({**place, "device": {"reference": reference, "display": name_of(device)}})


def _extensions(case: Case) -> tuple[Mapping[str, object], ...]:
    """That the value is derived, and the sample's two numbers."""
    derived = ({"url": DERIVED_EXTENSION, "valueBoolean": True},)
    first = derived if FIRST_MEASURAND[case.kind] in DERIVED else ()
    if case.sample < 0:
        return first
    return (
        *first,
        {"url": SAMPLE_TYPE, "valueInteger": case.sample & 0x0F},
        {"url": SAMPLE_LOCATION, "valueInteger": case.sample >> 4},
    )


def name_of(device: Device) -> str:
    """What people call a device: its maker and model, never its serial number."""
    named = " ".join(part for part in (clean(device.manufacturer), clean(device.model)) if part)
    if named:
        return named
    return "Imported file" if is_file(device.identity) else "Personal health device"

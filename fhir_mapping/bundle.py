"""Bundles: what a sealed link carries, what a search answers, what a gateway sends; and OperationOutcome.

Everything is assembled from bytes: an entry that was rendered once is never parsed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

import numpy as np

from device_profiles.reading import Kind, ReadingSeries
from fhir_mapping import resources
from fhir_mapping.dialects import Dialect
from fhir_mapping.dialects.international import INTERNATIONAL
from fhir_mapping.identifiers import DEVICE, URI_SYSTEM, device_digest
from fhir_mapping.observation import Form, pieces
from fhir_mapping.opaque import ReadingIds
from fhir_mapping.references import ALONE, Address
from fhir_mapping.text import dumps, members
from fhir_mapping.times import instant

SearchMode = Literal["match", "include", "outcome"]
BundleType = Literal["collection", "searchset", "transaction", "transaction-response"]
Severity = Literal["fatal", "error", "warning", "information"]

_RELATIONS: Final = ("self", "next", "previous")


def entry(resource: bytes, full_url: str, request: Mapping[str, str] | None = None) -> bytes:
    """An entry of a Bundle around a rendered resource."""
    asked = members({"request": dict(request)}) if request else b""
    return b'{"fullUrl":%s,"resource":%s%s}' % (dumps(full_url), resource, asked)


def bundle(
    of_type: BundleType,
    entries: Sequence[bytes],
    observations: list[bytes] | None = None,
    *,
    timestamp: datetime | None = None,
    total: int | None = None,
    links: Mapping[str, str] | None = None,
) -> bytes:
    """A Bundle of rendered entries, and of the pieces of Observations (`observation.pieces`; consumed).

    `timestamp`: aware; `total`: how many matched the search, where it was counted; `links`: by relation
    (self, next, previous).
    """
    head: dict[str, object] = {"resourceType": "Bundle", "type": of_type}
    if timestamp is not None:
        head["timestamp"] = instant(timestamp)
    if total is not None:
        head["total"] = total
    if links:
        relations = [name for name in _RELATIONS if name in links]
        head["link"] = [{"relation": name, "url": links[name]} for name in relations]
    if not entries and not observations:  # FHIR knows no empty array
        return dumps(head)
    start = dumps(head)[:-1] + b',"entry":[' + b",".join(entries)
    parts = observations or [b""]
    parts[0] = start + (b"," if entries and observations else b"") + parts[0]
    parts[-1] += b"]}"
    return b"".join(parts)


def collection(
    series: ReadingSeries,
    ids: ReadingIds,
    *,
    timestamp: datetime,
    patient_name: str | None = None,
    dialect: Dialect = INTERNATIONAL,
) -> bytes:
    """All that a series holds, standing alone: the person, their devices, their Observations.

    `patient_name`: what the person wants to be called where it is opened; None says nothing. Raises as
    `observation.render`.
    """
    around = _around(series, ids, patient_name=patient_name)
    observations = pieces(series, ids, dialect=dialect, form=Form.COLLECTION)
    return bundle("collection", around, observations, timestamp=timestamp)


def searchset(
    series: ReadingSeries,
    ids: ReadingIds,
    *,
    base: str,
    links: Mapping[str, str],
    total: int | None = None,
    dialect: Dialect = INTERNATIONAL,
    versions: Mapping[int, int] | None = None,
    beside: Sequence[bytes] = (),
) -> bytes:
    """One page of Observations that matched a search on the server at `base`.

    `versions`: as of `observation.render`; `beside`: entries that stand before them (`search_entry`). Raises
    as `observation.render`.
    """
    address = Address(base)
    found = pieces(series, ids, dialect=dialect, form=Form.SEARCHSET, address=address, versions=versions)
    return bundle("searchset", beside, found, total=total, links=links)


def search_entry(resource: bytes, mode: SearchMode, full_url: str = "") -> bytes:
    """An entry of a search's answer that is no Observation. An outcome has no address."""
    url = b'"fullUrl":%s,' % dumps(full_url) if full_url else b""
    return b'{%s"resource":%s,"search":{"mode":"%s"}}' % (url, resource, mode.encode())


def transaction(
    series: ReadingSeries,
    ids: ReadingIds,
    *,
    dialect: Dialect = INTERNATIONAL,
    subject: Mapping[str, object] | None = None,
    zone: str | None = None,
) -> bytes:
    """What a gateway sends to a space: each resource created once, by its identifier (rule 7).

    `subject`: the Reference to the person where the space already knows them: then no Patient is sent. For
    Mon espace santé send a series of one reading at a time: it takes exactly one Observation. `zone`: the
    person's, by its name. Raises as `observation.render`.
    """
    around = surroundings(series, ids, subject=subject, zone=zone)
    observations = pieces(series, ids, dialect=dialect, form=Form.TRANSACTION, subject=subject)
    return bundle("transaction", around, observations)


def surroundings(
    series: ReadingSeries,
    ids: ReadingIds,
    *,
    subject: Mapping[str, object] | None = None,
    zone: str | None = None,
) -> list[bytes]:
    """The entries of a transaction before its Observations: the person, unless known there, and devices."""
    return _around(series, ids, create=True, subject=subject, zone=zone)


def in_error(rendered: bytes) -> bytes:
    """A rendered Observation (Form.RESOURCE) as one that is not this person's: FHIR has a status for it."""
    # The first member of that name is the Observation's own: in a text a quotation mark is \".
    return rendered.replace(b'"status":"final"', b'"status":"entered-in-error"', 1)


def change(rendered: bytes, fhir_id: str, etag: str) -> bytes:
    """An entry that puts a rendered Observation (Form.RESOURCE) in the place of a version of it.

    `fhir_id`: the receiver's own id; `etag`: of the version that it replaces.
    """
    resource = _under(fhir_id, rendered)
    request = {"method": "PUT", "url": f"Observation/{fhir_id}", "ifMatch": etag}
    return b'{"resource":%s,"request":%s}' % (resource, dumps(request))


def deletion(fhir_id: str) -> bytes:
    """An entry that deletes an Observation, by the receiver's own id."""
    return b'{"request":%s}' % dumps({"method": "DELETE", "url": f"Observation/{fhir_id}"})


def _under(fhir_id: str, rendered: bytes) -> bytes:
    """A rendered Observation with another id."""
    start = b'{"resourceType":"Observation","id":'
    after = rendered.index(b'"', len(start) + 1) + 1
    return start + dumps(fhir_id) + rendered[after:]


_PHRASES: Final = {200: b"200 OK", 201: b"201 Created", 204: b"204 No Content"}


def answer(status: int, name: str | None = None, version: int = 1, since: datetime | None = None) -> bytes:
    """What became of an entry of a transaction: an entry of the response.

    `name`: the resource's, `Observation/{id}`; None for what is gone. `since`: when the version was made.
    """
    if name is None:
        return b'{"response":{"status":"%s"}}' % _PHRASES[status]
    start, end = _around_name(status, version, since)
    return start + name.encode() + end


def answers(kind: str, ids: Sequence[bytes], status: int, since: datetime | None = None) -> bytes:
    """The same for many of one type that have their first version, in order and joined by commas."""
    start, end = _around_name(status, 1, since)
    start += kind.encode() + b"/"
    return start + (end + b"," + start).join(ids) + end


def _around_name(status: int, version: int, since: datetime | None) -> tuple[bytes, bytes]:
    modified = b"" if since is None else b',"lastModified":"%s"' % instant(since).encode()
    start = b'{"response":{"status":"%s","location":"' % _PHRASES[status]
    return start, b'/_history/%d","etag":"W/\\"%d\\""%s}}' % (version, version, modified)


def transaction_response(entries: Sequence[bytes]) -> bytes:
    """What became of a transaction: `answer` of each entry, in order."""
    return bundle("transaction-response", entries)


def operation_outcome(issues: Sequence[tuple[Severity, str, str] | tuple[Severity, str, str, str]]) -> bytes:
    """An OperationOutcome. Each issue: severity, code (value set issue-type), a sentence for people.

    A fourth part says where the issue is, as FHIRPath; empty for nowhere.
    """
    return dumps(
        {
            "resourceType": "OperationOutcome",
            "issue": [
                {
                    "severity": severity,
                    "code": code,
                    "diagnostics": sentence,
                    **({"expression": place} if (place := [part for part in where if part]) else {}),
                }
                for severity, code, sentence, *where in issues
            ],
        }
    )


def _around(
    series: ReadingSeries,
    ids: ReadingIds,
    *,
    patient_name: str | None = None,
    create: bool = False,
    subject: Mapping[str, object] | None = None,
    zone: str | None = None,
) -> list[bytes]:
    """The entries of the person, unless they are known there, and of the devices that a series mentions."""
    person = ids.patient(series.patient_id)
    owner = subject or {"reference": ALONE.reference("Patient", person)}
    entries = []
    if subject is None:
        made = resources.patient(person, series.patient_uuid, patient_name, zone)
        once = f"identifier={URI_SYSTEM}|{series.patient_uuid.urn}"
        entries.append(
            entry(made, ALONE.full_url("Patient", person), _create("Patient", once) if create else None)
        )
    for device_id in np.unique(series.device_id).tolist():
        of = series.devices[device_id]
        kinds = [Kind(number) for number in np.unique(series.kind[series.device_id == device_id]).tolist()]
        fhir_id = ids.device(series.patient_id, device_id)
        made = resources.device(fhir_id, of, patient_uuid=series.patient_uuid, owner=owner, kinds=kinds)
        once = f"identifier={DEVICE}|{device_digest(series.patient_uuid, of.identity)}"
        entries.append(
            entry(made, ALONE.full_url("Device", fhir_id), _create("Device", once) if create else None)
        )
    return entries


def _create(resource_type: str, condition: str) -> dict[str, str]:
    return {"method": "POST", "url": resource_type, "ifNoneExist": condition}

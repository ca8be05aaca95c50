"""The reading side of a space: FHIR R4 under a grant.

Every address but `/fhir/metadata` wants the token of a grant, and is answered by functions of the database
that find out themselves what it opens. What is another's, what is outside the grant and what never was have
one same answer. Each look is written into the person's access log in the same transaction as it is taken:
who, for what purpose, at what; never a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Annotated, Final
from urllib.parse import parse_qsl

import numpy as np
from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from device_profiles.reading import UNKNOWN_TIME, Kind, ReadingSeries
from fhir_mapping import bundle, resources
from fhir_mapping.capability import capability_statement
from fhir_mapping.cursors import Cursor, Cursors
from fhir_mapping.errors import FormatNotOffered, NotAnOpaqueId, SearchError, TooCostly, TooManyValues
from fhir_mapping.observation import render
from fhir_mapping.opaque import ReadingIds
from fhir_mapping.query import ObservationQuery, rows_of
from fhir_mapping.references import Address
from fhir_mapping.search import VALUES_MAX, Asked, Parameters, key_of, offers, understand
from gateway.api.outcomes import FHIR_TYPE
from gateway.api.pressure import too_often
from gateway.api.problems import Problem, not_found
from gateway.language import accepted_language, translate
from gateway.sealing import token_hash
from storage import access_log, pages
from storage.connection import Connection
from storage.pages import GrantReader, Place, ReadPage, Wanted
from storage.shelf import Outcome

_ASKED_MAX: Final = 64 * 1024
"""Bytes of a search: as much as an address can hold."""
COUNTED_MAX: Final = 10_000
"""Readings that are counted for a total; more take longer than a page."""

NO_GRANT: Final = (
    "This address is for who was given a grant, with a token that still holds. Ask the person whose readings "
    "they are for a new one."
)
PASSED_OVER: Final = "These parameters are not answered here, and were passed over: {names}."
ONE_PERSON: Final = (
    "This grant opens one person. Of whom was asked for there is nothing here, or nothing that it opens."
)
FORM_NEEDED: Final = "A search that is posted is a form (application/x-www-form-urlencoded)."

_Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]

router = APIRouter(prefix="/fhir")


@dataclass(frozen=True, slots=True)
class Reading:
    """A request under a grant: who reads, on which connection, on which server."""

    conn: Connection
    reader: GrantReader
    ids: ReadingIds
    base: str

    @property
    def patient(self) -> str:
        """The FHIR id of the person."""
        return self.ids.patient(self.reader.patient_id)

    async def tell(self, what: str) -> None:
        """Writes down that somebody looked.

        Raises `Problem` (401) where the grant ended meanwhile: what is not written down is not told.
        """
        if not await access_log.record_by_token(self.conn, self.reader.token_hash, Outcome.OPENED, what):
            raise _ended()


def _ended() -> Problem:
    """The token opens nothing, or nothing any more."""
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return Problem(HTTPStatus.UNAUTHORIZED, NO_GRANT, headers=challenge)


def _json_wanted(request: Request) -> None:
    """Raises `Problem` (406) for who takes something else than JSON only."""
    accepted = request.headers.get("accept", "*/*").split(",")
    if not any(
        offers(one) or one.partition(";")[0].strip() in ("*/*", "application/*", "") for one in accepted
    ):
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, FormatNotOffered.sentence)


def _token(request: Request) -> bytes:
    """The hash of the token of a request. Raises `Problem` (401)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Problem(HTTPStatus.UNAUTHORIZED, NO_GRANT, headers={"WWW-Authenticate": "Bearer"})
    return token_hash(token.strip())


Token = Annotated[bytes, Depends(_token)]
"""What a handler that wants a grant has in its signature: without one nothing else is looked at."""


async def _reading(request: Request, conn: Connection, token: bytes) -> Reading:
    """The grant of a token. Raises `Problem`: 401, 406, and 429 for who asks too often."""
    reader = await pages.reader_of(conn, token)
    if reader is None:
        raise _ended()
    _json_wanted(request)
    state = request.app.state
    wait = state.pressure.gateways.take(reader.grant_id)
    if wait > 0:
        raise too_often(wait)
    return Reading(conn, reader, state.ids, state.settings.fhir_base)


@router.get("/metadata")
async def metadata(request: Request) -> Response:
    """What this server can do: for everybody."""
    return Response(_statement(request.app.state.settings.fhir_base), media_type=FHIR_TYPE)


@cache
def _statement(base: str) -> bytes:
    return capability_statement(base, version("passerelle"))


@router.get("/Observation")
async def search(request: Request, token: Token) -> Response:
    """A page of readings that match."""
    return await _search(request, token, _parameters(request.scope["query_string"]))


@router.post("/Observation/_search")
async def search_by_form(request: Request, token: Token) -> Response:
    """The same, with parameters that are in no address."""
    async with request.app.state.database.reader() as conn:
        if await pages.reader_of(conn, token) is None:  # before the body: a stranger's takes no memory
            raise _ended()
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if body and form != "application/x-www-form-urlencoded":
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, FORM_NEEDED)
    asked = (*_parameters(request.scope["query_string"]), *_parameters(body))
    return await _search(request, token, asked)


@router.get("/Observation/{fhir_id}")
async def observation(fhir_id: _Id, request: Request, token: Token) -> Response:
    """One reading."""
    async with request.app.state.database.reader() as conn:
        reading = await _reading(request, conn, token)
        asked = _asked(request, reading)
        key = key_of(fhir_id, asked)
        keys = [] if key is None else [Place(UNKNOWN_TIME, *key)]
        page = _chosen(await pages.of_keys(conn, reading.reader, keys, Wanted(), 1), ObservationQuery())
        await reading.tell(_what(page.series))
    if not len(page.series):
        raise not_found()
    tag = f'W/"{page.versions.get(0, 1)}"'
    if tag in [one.strip() for one in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    address = Address(reading.base)
    rendered = render(page.series, reading.ids, address=address, versions=page.versions)
    return Response(rendered, headers={"ETag": tag}, media_type=FHIR_TYPE)


@router.get("/Patient/{fhir_id}")
async def patient(fhir_id: _Id, request: Request, token: Token) -> Response:
    """The person whose readings the grant opens."""
    async with request.app.state.database.reader() as conn:
        reading = await _reading(request, conn, token)
        known = fhir_id == reading.patient
        await reading.tell(f"Patient {int(known)}")
    if not known:
        raise not_found()
    return Response(_patient(reading), media_type=FHIR_TYPE)


@router.get("/Device")
async def devices(request: Request, token: Token) -> Response:
    """The devices of the person, as far as the grant shows them."""
    asked = _parameters(request.scope["query_string"])
    async with request.app.state.database.reader() as conn:
        reading = await _reading(request, conn, token)
        query = _understood(
            [one for one in asked if one[0] in ("patient", "_format")], _asked(request, reading)
        )
        numbers = [] if query.nothing else list(reading.reader.devices)
        await reading.tell(f"Device {len(numbers)}")
    entries = [_device_entry(reading, number, "match") for number in numbers]
    link = query.link(reading.base).replace(f"{reading.base}/Observation", f"{reading.base}/Device", 1)
    found = bundle.bundle("searchset", entries, total=len(entries), links={"self": link})
    return Response(found, media_type=FHIR_TYPE)


@router.get("/Device/{fhir_id}")
async def device(fhir_id: _Id, request: Request, token: Token) -> Response:
    """One device of the person."""
    async with request.app.state.database.reader() as conn:
        reading = await _reading(request, conn, token)
        number = _device_number(reading, fhir_id)
        await reading.tell(f"Device {int(number is not None)}")
    if number is None:
        raise not_found()
    return Response(_device(reading, number), media_type=FHIR_TYPE)


async def _search(request: Request, token: bytes, parameters: Parameters) -> Response:
    async with request.app.state.database.reader() as conn:
        reading = await _reading(request, conn, token)
        asked = _asked(request, reading)
        query = _understood(parameters, asked)
        page = await _page(reading, query)
        total = await _total(reading, query, page)
        await reading.tell(_what(page.series))
    links = {"self": query.link(reading.base, _cursor(query, asked, query.after))}
    if page.after is not None and not query.only_total:
        links["next"] = query.link(reading.base, _cursor(query, asked, Cursor(*page.after)))
    found = bundle.searchset(
        _nothing(page.series) if query.only_total else page.series,
        reading.ids,
        base=reading.base,
        links=links,
        total=total,
        versions=page.versions,
        beside=_beside(request, reading, query, page.series),
    )
    return Response(found, media_type=FHIR_TYPE)


async def _page(reading: Reading, query: ObservationQuery) -> ReadPage:
    """The readings of a page; of all that match, to be counted, where nothing else is asked."""
    after = None if query.after is None else Place(*query.after)
    count = COUNTED_MAX if query.only_total else query.count
    wanted = _wanted(query)
    if query.nothing or query.keys is not None:
        keys = (
            [] if query.nothing or query.keys is None else [Place(UNKNOWN_TIME, *key) for key in query.keys]
        )
        found = await pages.of_keys(reading.conn, reading.reader, keys, wanted, count, after)
    else:
        found = await pages.page(reading.conn, reading.reader, wanted, count, after)
    return _chosen(found, query)


async def _total(reading: Reading, query: ObservationQuery, page: ReadPage) -> int | None:
    """How many match, where it was asked for and is cheap. Raises `Problem` where nothing else was asked."""
    if query.only_total and page.after is not None:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, TooCostly.sentence, most=COUNTED_MAX)
    if query.only_total or (query.total and query.after is None and page.after is None):
        return len(page.series)
    if not query.total or query.after is not None:
        return None
    wanted = _wanted(query)
    if query.keys is not None:
        return None
    every = _chosen(await pages.page(reading.conn, reading.reader, wanted, COUNTED_MAX), query)
    return None if every.after is not None else len(every.series)


def _wanted(query: ObservationQuery) -> Wanted:
    devices_ = None if query.devices is None else tuple(sorted(query.devices))
    return Wanted(query.kinds, query.packed_cases(), devices_, query.stretches, query.backwards)


def _chosen(page: ReadPage, query: ObservationQuery) -> ReadPage:
    series, versions = rows_of(page.series, query.matching(page.series), page.versions)
    return ReadPage(series, versions, page.after)


def _nothing(series: ReadingSeries) -> ReadingSeries:
    return rows_of(series, np.zeros(len(series), np.bool_), {})[0]


def _parameters(encoded: bytes) -> Parameters:
    """The parameters of an address or a form. Raises `Problem` (400)."""
    too_many = Problem(HTTPStatus.BAD_REQUEST, TooManyValues.sentence, most=VALUES_MAX)
    if len(encoded) > _ASKED_MAX:
        raise too_many
    try:
        text = encoded.decode("utf-8", "replace")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=VALUES_MAX, errors="replace")
    except ValueError:
        raise too_many from None


def _asked(request: Request, reading: Reading) -> Asked:
    state = request.app.state
    reader = reading.reader
    preferences = request.headers.get("prefer", "").replace(" ", "").lower()
    return Asked(
        base=reading.base,
        ids=reading.ids,
        cursors=Cursors(reading.ids.cursor_key()),
        patient_id=reader.patient_id,
        patient_uuid=reader.uuid,
        grant=str(reader.grant_id),
        zone=reader.zone,
        now=state.settings.now(),
        devices=reader.devices,
        strict="handling=strict" in preferences,
    )


def _understood(parameters: Parameters, asked: Asked) -> ObservationQuery:
    try:
        return understand(parameters, asked)
    except FormatNotOffered as error:
        raise Problem(HTTPStatus.NOT_ACCEPTABLE, error.sentence) from None
    except SearchError as error:
        problem = Problem(HTTPStatus.BAD_REQUEST, error.sentence)
        problem.details = dict(error.details)
        raise problem from None


def _cursor(query: ObservationQuery, asked: Asked, place: Cursor | None) -> str | None:
    return None if place is None else asked.cursors.text(place, query.bound_to(asked.grant))


def _what(series: ReadingSeries) -> str:
    """What was looked at, for the access log: how many readings, of which kinds."""
    kinds = [Kind(number).slug for number in np.unique(series.kind).tolist()]
    return " ".join(("Observation", str(len(series)), *kinds))


def _beside(
    request: Request, reading: Reading, query: ObservationQuery, series: ReadingSeries
) -> Sequence[bytes]:
    """What stands on a page beside the readings: what is to be said of the search, what was asked along."""
    entries = _said(request, query)
    if not len(series) or query.only_total:
        return entries
    if "Patient" in query.includes:
        url = Address(reading.base).full_url("Patient", reading.patient)
        entries.append(bundle.search_entry(_patient(reading), "include", url))
    if "Device" in query.includes:
        numbers = np.unique(series.device_id).tolist()
        entries += [_device_entry(reading, number, "include") for number in numbers]
    return entries


def _said(request: Request, query: ObservationQuery) -> list[bytes]:
    language = accepted_language(request.headers.get("accept-language", ""))
    issues: list[tuple[bundle.Severity, str, str]] = []
    if query.ignored:
        sentence = translate(PASSED_OVER, language).format(names=", ".join(query.ignored))
        issues.append(("warning", "not-supported", sentence))
    if query.other_person:
        issues.append(("information", "informational", translate(ONE_PERSON, language)))
    return [bundle.search_entry(bundle.operation_outcome(issues), "outcome")] if issues else []


def _patient(reading: Reading) -> bytes:
    reader = reading.reader
    named = reader.name if reader.name != str(reader.uuid) else None
    return resources.patient(reading.patient, reader.uuid, named)


def _device_number(reading: Reading, fhir_id: str) -> int | None:
    try:
        of_patient, number = reading.ids.decode_device(fhir_id)
    except NotAnOpaqueId:
        return None
    known = of_patient == reading.reader.patient_id and number in reading.reader.devices
    return number if known else None


def _device(reading: Reading, number: int) -> bytes:
    owner: Mapping[str, object] = {"reference": f"Patient/{reading.patient}"}
    fhir_id = reading.ids.device(reading.reader.patient_id, number)
    of = reading.reader.devices[number]
    return resources.device(fhir_id, of, patient_uuid=reading.reader.uuid, owner=owner)


def _device_entry(reading: Reading, number: int, mode: bundle.SearchMode) -> bytes:
    url = Address(reading.base).full_url("Device", reading.ids.device(reading.reader.patient_id, number))
    return bundle.search_entry(_device(reading, number), mode, url)

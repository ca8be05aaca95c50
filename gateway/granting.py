"""Grants: a person lets somebody read from a space, and sees who looked.

A grant is made where the space's database is (no address), or through the space that the person feeds. The
token is made here and told once; a space knows its hash only.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import httpx

from device_profiles.errors import PasserelleError, SpaceError
from device_profiles.reading import Kind
from fhir_mapping.opaque import ReadingIds
from gateway import sharing
from gateway.home import Home
from gateway.outbox.client import SpaceClient, checked_address
from gateway.outbox.connections import client_of
from gateway.outbox.errors import SpaceAnswersOddly, SpaceRefuses
from gateway.sealing import token_hash
from gateway.settings import DEFAULT_SPACE_PORT, Settings
from gateway.sharing import CreatedShare, EndInThePast, EndTooFar
from storage import access_log, grants, patients, spaces, tenants
from storage.access_log import Access
from storage.connection import Connection
from storage.errors import GrantOver, UnknownGrant, UnknownPatient
from storage.grants import Grant
from storage.patients import Patient

SCOPES: Final = "patient/Observation.rs patient/Patient.r patient/Device.rs"
"""What a grant's token may do, in the words of SMART App Launch 2."""
LOOKS_MAX: Final = 1000
"""Entries of the person's access log in which a grant's are looked for, the newest."""


class NotFedThere(SpaceError):
    """A space that has never been told of the person, or by another gateway."""

    sentence = (
        "The space at {space} does not know this person by this gateway. Connect and feed it first: "
        "passerelle space connect, then passerelle space feed."
    )


class SpaceUnclear(SpaceError):
    """A person feeds several spaces, and none is named."""

    sentence = "This person feeds several spaces: {spaces}. Name the one that is meant with --space."


class PeriodEmpty(PasserelleError):
    """A period that ends before it begins."""

    sentence = "The period of a grant ends before it begins. Correct --from or --to-date."


class KindUnknown(PasserelleError):
    """A kind of reading that there is not."""

    sentence = "There is no kind of reading of that name. Choose among: {kinds}."


@dataclass(frozen=True, slots=True)
class Terms:
    """What a person decides. `kinds` None: all; the period is of effective time, its end excluded."""

    grantee: str
    organisation: str | None
    purpose: str
    kinds: tuple[Kind, ...] | None
    period_start: datetime | None
    period_end: datetime | None
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a person types of a grant: days on their own calendar."""

    days: int | None = None
    first: date | None = None
    last: date | None = None
    until: date | None = None

    def period(self, patient: Patient, now: datetime) -> tuple[datetime | None, datetime | None]:
        """The period. Raises PeriodEmpty."""
        first = self.first
        if self.days is not None:
            first = now.astimezone(patient.zone).date() - timedelta(days=self.days - 1)
        start = None if first is None else datetime.combine(first, time.min, patient.zone).astimezone(UTC)
        end = None if self.last is None else _end_of(self.last, patient)
        if start is not None and end is not None and start >= end:
            raise PeriodEmpty
        return start, end

    def ends_at(self, patient: Patient, now: datetime) -> datetime | None:
        """The moment of the grant's end. Raises EndInThePast, EndTooFar."""
        if self.until is None:
            return None
        if self.until > now.date() + sharing.LONGEST_LIFE:
            raise EndTooFar
        end = _end_of(self.until, patient)
        if end <= now:
            raise EndInThePast
        return end


def _end_of(day: date, patient: Patient) -> datetime:
    return datetime.combine(day + timedelta(days=1), time.min, patient.zone).astimezone(UTC)


def kinds_named(names: Iterable[str]) -> tuple[Kind, ...] | None:
    """The kinds of these names; None for none. Raises KindUnknown."""
    by_name = {kind.slug: kind for kind in Kind}
    try:
        return tuple(sorted({by_name[name.strip()] for name in names})) or None
    except KeyError:
        raise KindUnknown(kinds=", ".join(by_name)) from None


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant as its person hears of it, once."""

    grant_id: UUID
    token: str = field(repr=False)
    fhir: str
    patient: str
    """The person's id there."""
    ends_at: datetime
    link: CreatedShare | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person types of a new grant."""

    grantee: str
    organisation: str | None
    purpose: str
    kinds: Sequence[str]
    bounds: Bounds


async def create(home: Home, name: str, space: str | None, wish: Wish, *, link: bool = False) -> Granted:
    """Grant somebody to read a person's readings in a space; which one where `space` is None: see `where`.

    `link`: a sealed link carries the token. Raises UnknownPatient, UnknownSpace, SpaceUnclear, NotFedThere,
    KindUnknown, PeriodEmpty, EndInThePast, EndTooFar, SpaceError.
    """
    now = datetime.now(UTC)
    async with home.database.writer() as conn:
        patient = await person(conn, name)
        space = await where(conn, patient, space)
    start, end = wish.bounds.period(patient, now)
    ends_at = wish.bounds.ends_at(patient, now) or now + sharing.DEFAULT_LIFE
    terms = Terms(wish.grantee, wish.organisation, wish.purpose, kinds_named(wish.kinds), start, end, ends_at)
    token = secrets.token_urlsafe(32)
    if space is None:
        grant_id, fhir_patient = await _created_here(home, patient, terms, token_hash(token), now)
        fhir = own_fhir_base(home.settings)
    else:
        async with await _space(home, patient, space) as client:
            answer = await client.request("POST", "/grants", json=_body(patient, terms, token))
            said = _answer(client, answer)
            fhir = client.fhir
        try:
            grant_id, fhir_patient = UUID(said["id"]), str(said["patient"])
        except (KeyError, ValueError, TypeError):
            raise SpaceAnswersOddly(space=space) from None
    made = None
    if link:
        access = api_access(token, fhir, fhir_patient, ends_at)
        made = await sharing.create_access(
            home, patient, access, grant_id, label=wish.grantee, expires_at=ends_at
        )
    return Granted(grant_id, token, fhir, fhir_patient, ends_at, made)


async def where(conn: Connection, patient: Patient, space: str | None) -> str | None:
    """The space that is meant: the one named, else the only one that the person feeds, else this home's own.

    None for this home's own. Raises SpaceUnclear.
    """
    if space is not None:
        return space
    fed = [each.url for each in await spaces.of_patient(conn, patient.patient_id) if not each.disconnected_at]
    if len(fed) > 1:
        raise SpaceUnclear(spaces=", ".join(fed))
    return fed[0] if fed else None


async def person(conn: Connection, name: str) -> Patient:
    """The person of that name; of that UUID, where gateways feed this space and names stayed with them.

    Raises UnknownPatient, also for a UUID that several tenants know.
    """
    try:
        return await patients.find(conn, name)
    except UnknownPatient:
        known = await grants.patients_of_uuid(conn, name)
        if len(known) != 1:
            raise
        return await patients.get(conn, known[0])


def api_access(token: str, fhir: str, patient: str, ends_at: datetime) -> dict[str, object]:
    """What a file of `application/smart-api-access` says (SMART Health Links; SMART App Launch).

    `expires_in` is counted anew when the file is sealed (`sharing`).
    """
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": max(0, int((ends_at - datetime.now(UTC)).total_seconds())),
        "scope": SCOPES,
        "patient": patient,
        "aud": fhir,
        "query": [f"Observation?patient={patient}"],
    }


def own_fhir_base(settings: Settings) -> str:
    """Where the world reaches the space of this home, as its settings say."""
    return f"{settings.public_url or f'http://127.0.0.1:{DEFAULT_SPACE_PORT}'}/fhir"


async def _created_here(
    home: Home, patient: Patient, terms: Terms, hashed: bytes, now: datetime
) -> tuple[UUID, str]:
    async with home.database.writer() as conn:
        ids = ReadingIds(await tenants.id_secret(conn))
        grant_id = await keep(conn, patient.patient_id, terms, hashed, now)
    return grant_id, ids.patient(patient.patient_id)


async def keep(
    conn: Connection,
    patient_id: int,
    terms: Terms,
    hashed: bytes,
    now: datetime,
    gateway_id: UUID | None = None,
) -> UUID:
    """Keep a grant and its token; one that was kept before stays as it is. `gateway_id`: who made it."""
    known = await grants.of_token(conn, patient_id, hashed)
    if known is not None:
        return known
    values = {name: getattr(terms, name) for name in Terms.__slots__}
    grant = Grant(patient_id=patient_id, grant_id=uuid4(), made_at=now, gateway_id=gateway_id, **values)
    await grants.create(conn, grant)
    await grants.add_token(conn, hashed, patient_id, now, terms.ends_at, grant.grant_id)
    return grant.grant_id


async def followed(home: Home, name: str, space: str | None) -> list[dict[str, Any]]:
    """A person's grants with who looked when at what, the newest first. Raises as `create`."""
    async with home.database.writer() as conn:
        patient = await person(conn, name)
        space = await where(conn, patient, space)
        if space is None:
            return await told(conn, patient.patient_id)
    async with await _space(home, patient, space) as client:
        answer = await client.request("GET", f"/grants?patient={patient.uuid}")
        said = _answer(client, answer)
        found = said.get("grants")
        if not isinstance(found, list):
            raise SpaceAnswersOddly(space=space)
        return found


async def told(conn: Connection, patient_id: int) -> list[dict[str, Any]]:
    """The grants of a patient as JSON says them."""
    entries = await access_log.of_patient(conn, patient_id, limit=LOOKS_MAX)
    return [
        _said(grant, [entry for entry in entries if entry.grant_id == grant.grant_id])
        for grant in await grants.of_patient(conn, patient_id)
    ]


def _said(grant: Grant, looks: Iterable[Access]) -> dict[str, Any]:
    return {
        "id": str(grant.grant_id),
        "grantee": grant.grantee,
        "organisation": grant.organisation,
        "purpose": grant.purpose,
        "kinds": None if grant.kinds is None else [kind.slug for kind in grant.kinds],
        "period_start": _moment(grant.period_start),
        "period_end": _moment(grant.period_end),
        "ends_at": _moment(grant.ends_at),
        "made_at": _moment(grant.made_at),
        "revoked_at": _moment(grant.revoked_at),
        "looks": [{"at": _moment(look.at), "who": look.who, "what": look.what} for look in looks],
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


async def revoke(home: Home, name: str, space: str | None, grant_id: UUID) -> None:
    """End a grant at once, and the links that carry it. Raises UnknownGrant, and as `create`."""
    async with home.database.writer() as conn:
        patient = await person(conn, name)
        space = await where(conn, patient, space)
        if space is None:
            await grants.revoke(conn, patient.patient_id, grant_id, datetime.now(UTC))
    if space is not None:
        async with await _space(home, patient, space) as client:
            answer = await client.request("DELETE", f"/grants/{grant_id}?patient={patient.uuid}")
            _answer(client, answer, missing=UnknownGrant())
    await sharing.revoke_access(home, patient.patient_id, grant_id)


async def narrow(
    home: Home, name: str, space: str | None, grant_id: UUID, *, kinds: Sequence[str], bounds: Bounds
) -> None:
    """Take back a part of a grant, at once. Raises UnknownGrant, GrantOver, and as `create`."""
    now = datetime.now(UTC)
    async with home.database.writer() as conn:
        patient = await person(conn, name)
        space = await where(conn, patient, space)
        start, end = bounds.period(patient, now)
        ends_at, wanted = bounds.ends_at(patient, now), kinds_named(kinds)
        if space is None:
            await grants.narrow(
                conn,
                patient.patient_id,
                grant_id,
                now,
                kinds=wanted,
                period_start=start,
                period_end=end,
                ends_at=ends_at,
            )
            return
    told_ = {
        "kinds": None if wanted is None else [kind.slug for kind in wanted],
        "period_start": _moment(start),
        "period_end": _moment(end),
        "ends_at": _moment(ends_at),
    }
    async with await _space(home, patient, space) as client:
        answer = await client.request("PATCH", f"/grants/{grant_id}?patient={patient.uuid}", json=told_)
        _answer(client, answer, missing=UnknownGrant())


async def _space(home: Home, patient: Patient, url: str) -> SpaceClient:
    async with home.database.writer() as conn:
        return client_of(home, await spaces.find(conn, patient.patient_id, checked_address(url)))


def _body(patient: Patient, terms: Terms, token: str) -> dict[str, object]:
    said: dict[str, object] = asdict(terms)
    said["kinds"] = None if terms.kinds is None else [kind.slug for kind in terms.kinds]
    for name in ("period_start", "period_end", "ends_at"):
        said[name] = _moment(getattr(terms, name))
    return {"patient": str(patient.uuid), "token_hash": token_hash(token).hex(), **said}


def _answer(
    client: SpaceClient, answer: httpx.Response, missing: PasserelleError | None = None
) -> Mapping[str, Any]:
    """What a space said. Raises NotFedThere or `missing`, GrantOver, SpaceRefuses, SpaceAnswersOddly."""
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise missing or NotFedThere(space=client.base)
    if answer.status_code == httpx.codes.CONFLICT:
        raise GrantOver
    if not answer.is_success:
        raise SpaceRefuses(space=client.base, status=answer.status_code)
    if answer.status_code == httpx.codes.NO_CONTENT:
        return {}
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise SpaceAnswersOddly(space=client.base)
    return said

"""Connections: a person's space is entered by a code, a token or a client's secret, sealed by the home."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final
from urllib.parse import urljoin

import httpx

from device_profiles.errors import SpaceError
from fhir_mapping.dialects import Dialect
from fhir_mapping.dialects.ans import ANS
from fhir_mapping.dialects.international import INTERNATIONAL
from gateway.home import Home
from gateway.outbox.client import (
    FHIR_JSON,
    Entrance,
    SpaceClient,
    answered,
    asked_of,
    checked_address,
    checked_answer,
    http_client,
    origin,
    parsed,
)
from gateway.outbox.errors import (
    AlreadyConnected,
    CodeRefused,
    NotASpace,
    NotThere,
    SpaceAnswersOddly,
    SpaceRefusesGateway,
)
from storage import deliveries, patients, spaces
from storage.errors import UnknownSpace
from storage.spaces import Space

DIALECTS: Final = {dialect.name: dialect for dialect in (INTERNATIONAL, ANS)}
GATEWAY_NAME: Final = "Passerelle"
"""What a space's operator sees; a machine's own name may be a person's."""


def dialect_named(name: str) -> Dialect:
    """A dialect by its name."""
    return DIALECTS[name]


async def connect(
    home: Home, name: str, entrance: Entrance, *, code: str | None = None, dialect: str | None = None
) -> Space:
    """Connects a person's space: all that is stored of them is told there from now on, and what comes.

    `code`: what our own space gave, once; else the entrance says how any other FHIR server is entered.
    Raises UnknownPatient, AlreadyConnected, SpaceError.
    """
    url = checked_address(entrance.base)
    await _not_connected(home, name, url)
    if code is not None:
        entrance, theirs = await _registered(url, code)
        dialect = dialect or theirs
    else:
        entrance = replace(entrance, base=url, fhir=url)
        await _look(entrance)
    async with home.database.writer() as conn:
        patient = await patients.find(conn, name)
        space_id = await spaces.space_id_at(conn, patient.patient_id, url)
        sealed = home.secret.wrap(json.dumps(asdict(entrance)).encode(), str(space_id))
        now = datetime.now(UTC)
        space = await spaces.connect(
            conn,
            patient.patient_id,
            space_id,
            url=url,
            dialect=dialect if dialect in DIALECTS else INTERNATIONAL.name,
            sealed_secret=sealed,
            now=now,
        )
        await deliveries.ask_again(conn, space)
    return space


async def disconnect(home: Home, name: str, url: str) -> tuple[Space, bool]:
    """Ends a connection; what the space was told stays there. Whether our own space knows of the end.

    Raises UnknownPatient, UnknownSpace.
    """
    async with home.database.writer() as conn:
        patient = await patients.find(conn, name)
        space = await spaces.find(conn, patient.patient_id, checked_address(url))
    told = True
    if entrance_of(home, space).registered:
        try:
            async with client_of(home, space) as client:
                answer = await client.request("DELETE", "/gateways/self")
                told = answer.is_success or answer.status_code in {404, 410}
        except SpaceRefusesGateway:
            pass  # it ended there before
        except SpaceError:
            told = False
    async with home.database.writer() as conn:
        await spaces.disconnect(conn, space, datetime.now(UTC))
    return space, told


def entrance_of(home: Home, space: Space) -> Entrance:
    """How a space is entered. Raises UnknownSpace for one that was disconnected; SealBroken."""
    if space.sealed_secret is None:
        raise UnknownSpace
    return Entrance(**json.loads(home.secret.unwrap(space.sealed_secret, str(space.space_id))))


def client_of(home: Home, space: Space) -> SpaceClient:
    """The way to a person's space. Raises UnknownSpace, SealBroken."""
    return SpaceClient(entrance_of(home, space))


async def _not_connected(home: Home, name: str, url: str) -> None:
    async with home.database.writer() as conn:
        patient = await patients.find(conn, name)
        with contextlib.suppress(UnknownSpace):
            await spaces.find(conn, patient.patient_id, url)
            raise AlreadyConnected(space=url)


async def _registered(url: str, code: str) -> tuple[Entrance, str | None]:
    """Registers this gateway at one of our own spaces."""
    said = {"code": code, "name": GATEWAY_NAME, "software": f"passerelle {version('passerelle')}"}
    async with http_client(url) as http:
        answer = await _asked(http, asked_of(http, "POST", f"{url}/gateways", url, json=said), url)
    if answer.status_code in {404, 405, 415}:
        raise NotASpace(space=url)
    if not answer.is_success:
        raise CodeRefused(space=url)
    try:
        made = parsed(answer, url)
        entrance = Entrance(
            base=url,
            fhir=_at_same_origin(url, made["fhir_base"]),
            token_url=_at_same_origin(url, made["token_endpoint"]),
            client_id=str(made["client_id"]),
            client_secret=str(made["client_secret"]),
            registered=True,
        )
        return entrance, made.get("dialect")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SpaceAnswersOddly(space=url) from None


def _at_same_origin(url: str, said: str) -> str:
    """An address that a space gives, if it is its own: at no other anybody is asked, with a secret or not.

    Raises SpaceAnswersOddly.
    """
    try:
        address = checked_address(urljoin(f"{url}/", said))
    except SpaceError:
        raise SpaceAnswersOddly(space=url) from None
    if origin(address) != origin(url):
        raise SpaceAnswersOddly(space=url)
    return address


async def _look(entrance: Entrance) -> None:
    """Whether a FHIR R4 server is there, and lets this gateway in as far as that shows."""
    async with http_client(entrance.fhir) as http:
        request = asked_of(
            http, "GET", f"{entrance.fhir}/metadata", entrance.base, headers={"Accept": FHIR_JSON}
        )
        answer = await _asked(http, request, entrance.base)
    try:
        said = parsed(answer, entrance.base) if answer.is_success else {}
        there = said["resourceType"] == "CapabilityStatement" and str(said["fhirVersion"]).startswith("4.")
    except (SpaceAnswersOddly, KeyError, TypeError):
        there = False
    if not there:
        raise NotThere(space=entrance.base)
    if entrance.token_url:
        async with SpaceClient(entrance) as client:
            await client.enter()


async def _asked(http: httpx.AsyncClient, request: httpx.Request, url: str) -> httpx.Response:
    return checked_answer(await answered(http, request, url), url, datetime.now(UTC))

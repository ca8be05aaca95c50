"""How gateways get in: registered by a one-time code, then OAuth 2.0 client credentials (RFC 6749, 4.4).

A code that is unknown, was used or is over gets one same answer, and so does a secret that is wrong, of a
gateway that never was, or of one whose registration ended. Who guesses waits.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import parse_qsl, unquote_plus
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from device_profiles.text import one_line
from gateway.api.problems import Problem, not_understood, place_of
from storage import gateways, tenants
from storage.connection import Connection
from storage.gateways import TOKEN_LIFE, Bearer

NO_SUCH_CODE: Final = (
    "This code opens nothing: it is not complete, was used, or is over. Ask the operator of this space for "
    "another one."
)
NO_GATEWAY: Final = "This address is for gateways that are registered here, with a token that still holds."

SCOPE: Final = "system/Patient.c system/Device.c system/Observation.cud"
"""What a gateway may do here, in the words of SMART App Launch 2."""
DIALECT: Final = "international"
_NAME_MAX: Final = 200

Label = Annotated[str, AfterValidator(lambda said: one_line(said, _NAME_MAX)), Field(max_length=_NAME_MAX)]


class Registration(BaseModel):
    """What a gateway registers with. `name`: what the operator sees; `software`: name and version."""

    model_config = ConfigDict(extra="forbid")

    code: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    name: Label = ""
    software: Label = ""


class TokenRefused(Exception):
    """An error of RFC 6749 section 5.2. `error` is its word; the description says no more than the word."""

    def __init__(self, error: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(error)
        self.error = error
        self.status = status


async def gateway_of(request: Request) -> Bearer:
    """Who holds the token of a request, before its body is read. Raises `Problem` (401)."""
    token = _shown(request)
    async with request.app.state.database.writer() as conn:
        known = await gateways.bearer(conn, token)
    if known is None:
        raise _no_gateway('Bearer error="invalid_token"')
    return known


async def still_holds(request: Request, conn: Connection) -> None:
    """Raises `Problem` (401) where a token ended since `gateway_of` found it: a body may be long on its way.

    To be asked in the transaction that writes: what begins after a gateway was turned away writes nothing.
    """
    if await gateways.bearer(conn, _shown(request)) is None:
        raise _no_gateway('Bearer error="invalid_token"')


def _shown(request: Request) -> str:
    """The token that a request shows. Raises `Problem` (401)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _no_gateway('Bearer error="invalid_token"' if token else "Bearer")
    return token.strip()


def _no_gateway(challenge: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, NO_GATEWAY, headers={"WWW-Authenticate": challenge})


Feeding = Annotated[Bearer, Depends(gateway_of)]
"""The gateway that asks, in a handler's signature."""

router = APIRouter()


@router.post("/gateways")
async def register(request: Request) -> Response:
    """Registers a gateway by a code, which is used up; its secret is told this once."""
    state = request.app.state
    state.visitors.check(request)
    try:
        asked = Registration.model_validate_json(await request.body())
    except ValidationError as error:
        raise not_understood(place_of(error)) from None
    now: datetime = state.settings.now()
    async with state.database.writer() as conn:
        admission = await tenants.use_code(conn, asked.code, now)
        if admission is not None:
            registered = await gateways.register(conn, admission, asked.name, asked.software, now)
    if admission is None:
        state.visitors.wrong(request)
        raise Problem(HTTPStatus.FORBIDDEN, NO_SUCH_CODE)
    gateway_id, secret = registered
    base = state.settings.base_url
    return _json(
        {
            "gateway_id": str(gateway_id),
            "client_id": str(gateway_id),
            "client_secret": secret,
            "token_endpoint": f"{base}/token",
            "fhir_base": f"{base}/fhir",
            "dialect": DIALECT,
        },
        HTTPStatus.CREATED,
    )


@router.delete("/gateways/self")
async def leave(request: Request, gateway: Feeding) -> Response:
    """A gateway ends its own registration; its tokens open nothing from now on."""
    async with request.app.state.database.writer() as conn:
        await gateways.revoke(conn, gateway.gateway_id, request.app.state.settings.now())
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/token")
async def token(request: Request) -> Response:
    """An access token for an hour."""
    try:
        return _json(
            {
                "access_token": await _token(request),
                "token_type": "Bearer",
                "expires_in": int(TOKEN_LIFE.total_seconds()),
                "scope": SCOPE,
            },
            HTTPStatus.OK,
        )
    except TokenRefused as refused:
        answer = _json({"error": refused.error}, refused.status)
        if refused.status is HTTPStatus.UNAUTHORIZED:
            answer.headers["WWW-Authenticate"] = 'Basic realm="passerelle"'
        return answer


async def _token(request: Request) -> str:
    state = request.app.state
    state.visitors.check(request)
    client_id, secret = _credentials(request, await request.body())
    async with state.database.writer() as conn:
        issued = await gateways.new_token(conn, client_id, secret, state.settings.now())
        if issued is not None:  # who only guesses must not keep a gateway out; a refusal keeps no token
            state.pressure.counted(client_id)
    if issued is None:
        state.visitors.wrong(request)
        raise TokenRefused("invalid_client", HTTPStatus.UNAUTHORIZED)
    return issued


def _credentials(request: Request, body: bytes) -> tuple[UUID, str]:
    """The client's id and secret, from the header or the form, once. Raises TokenRefused."""
    if (
        request.headers.get("content-type", "").partition(";")[0].strip()
        != "application/x-www-form-urlencoded"
    ):
        raise TokenRefused("invalid_request")
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise TokenRefused("invalid_request") from None
    form = dict(fields)
    if len(form) != len(fields):  # RFC 6749 section 3.2: a parameter must not be there twice
        raise TokenRefused("invalid_request")
    if "grant_type" not in form:
        raise TokenRefused("invalid_request")
    if form["grant_type"] != "client_credentials":
        raise TokenRefused("unsupported_grant_type")
    basic = _basic(request.headers.get("authorization", ""))
    if basic is not None and "client_secret" in form:
        raise TokenRefused("invalid_request")
    client_id, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
    try:
        return UUID(client_id), secret
    except ValueError:
        raise TokenRefused("invalid_client", HTTPStatus.UNAUTHORIZED) from None


def _basic(header: str) -> tuple[str, str] | None:
    """The halves of HTTP Basic, each form-encoded within (RFC 6749, 2.3.1). Raises TokenRefused."""
    scheme, _, encoded = header.partition(" ")
    if not header or scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise TokenRefused("invalid_client", HTTPStatus.UNAUTHORIZED) from None
    return unquote_plus(client_id), unquote_plus(secret)


def _json(content: dict[str, object], status: HTTPStatus) -> Response:
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return Response(orjson.dumps(content), status, headers, "application/json")

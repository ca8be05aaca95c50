"""What a gateway does on a shelf: put a sealed link, replace its files, end it, and pull who opened it.

Every address wants the bearer token of an enrolled gateway, and shows a gateway its own links only. Links are
named by the SHA-256 of their id, in hex: the id itself, which opens them, is never sent here. Every call may
be repeated.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final, Self

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from gateway.api.problems import Problem, not_found, not_understood, place_of
from gateway.sealing import FHIR_JSON, from_base64url, token_hash
from storage import shelf
from storage.errors import UnknownLink
from storage.shelf import SealedFile, Uploader

BODY_MAX: Final = 64 * 1024 * 1024
"""Bytes of the largest upload: years of five-minute readings, sealed."""

NO_TOKEN: Final = "This address is for gateways that this shelf knows. Ask its operator for a token."  # noqa: S105

_COMPACT_JWE: Final = re.compile(r"[\w-]+\.\.[\w-]{16}\.[\w-]*\.[\w-]{22}", re.ASCII)

LinkHash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


class UploadedFile(BaseModel):
    """One sealed file: a compact JWE of `dir` and `A256GCM`. Nothing else is kept here."""

    model_config = ConfigDict(extra="forbid")

    content_type: Annotated[
        str, StringConstraints(pattern=r"^application/(fhir\+json|smart-health-card|smart-api-access)$")
    ] = FHIR_JSON
    jwe: str

    @field_validator("jwe")
    @classmethod
    def sealed(cls, jwe: str) -> str:
        """Refuses whatever is not sealed, so that no clear reading can come here by mistake."""
        if not _COMPACT_JWE.fullmatch(jwe):
            raise ValueError("not a compact JWE")
        header = orjson.loads(from_base64url(jwe.partition(".")[0]))
        if not isinstance(header, dict) or (header.get("alg"), header.get("enc")) != ("dir", "A256GCM"):
            raise ValueError("not encrypted as a SMART Health Link is")
        return jwe


class UploadedLink(BaseModel):
    """A link with all its files. Flags and passcode are as when it was first put; its end may move."""

    model_config = ConfigDict(extra="forbid")

    flags: Annotated[str, StringConstraints(pattern=r"^L?P?$")] = ""
    expires_at: AwareDatetime | None = None
    passcode_hash: Annotated[str, StringConstraints(pattern=r"^scrypt\$[\w-]{22}\$[\w-]{43}$")] | None = None
    attempts: Annotated[int, Field(ge=1, le=100)] = shelf.PASSCODE_ATTEMPTS
    files: Annotated[list[UploadedFile], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def guarded(self) -> Self:
        """Refuses a link that says it wants a passcode and would open without, and the reverse."""
        if ("P" in self.flags) != (self.passcode_hash is not None):
            raise ValueError("flags and passcode do not agree")
        return self


async def _uploader(request: Request) -> Uploader:
    """Who holds the token of a request: found by its hash, so that no comparison tells how much was right."""
    visitors = request.app.state.visitors
    visitors.check(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known = None
    if scheme.lower() == "bearer" and token:
        async with request.app.state.database.shelf() as conn:
            known = await shelf.uploader(conn, token_hash(token.strip()))
    if known is None:
        visitors.wrong(request)
        raise Problem(HTTPStatus.UNAUTHORIZED, NO_TOKEN, headers={"WWW-Authenticate": "Bearer"})
    return known


Known = Annotated[Uploader, Depends(_uploader)]

router = APIRouter(prefix="/api/links")


@router.put("/{link_hash}")
async def put(link_hash: LinkHash, known: Known, request: Request) -> Response:
    """Puts a link, or other files in the place of those it has: a reader sees the old or the new ones."""
    link = _uploaded(await request.body())
    now = _now(request)
    own, name = known.uploader_hash, bytes.fromhex(link_hash)
    try:
        async with request.app.state.database.shelf() as conn:
            await shelf.create_link(
                conn,
                own,
                name,
                now,
                flags=link.flags,
                expires_at=link.expires_at,
                passcode_hash=link.passcode_hash,
                attempts=link.attempts,
            )
            await shelf.set_expiry(conn, own, name, link.expires_at, now)
            files = [SealedFile(file.content_type, file.jwe.encode("ascii")) for file in link.files]
            await shelf.put_files(conn, own, name, files, now)
    except UnknownLink:
        raise not_found() from None
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.delete("/{link_hash}")
async def revoke(link_hash: LinkHash, known: Known, request: Request) -> Response:
    """Ends a link at once and throws its files away."""
    try:
        async with request.app.state.database.shelf() as conn:
            await shelf.revoke_link(conn, known.uploader_hash, bytes.fromhex(link_hash), _now(request))
    except UnknownLink:
        raise not_found() from None
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/{link_hash}/openings")
async def openings(
    link_hash: LinkHash, known: Known, request: Request, after: Annotated[int, Query(ge=0)] = 0
) -> Response:
    """Who asked for a link, after an opening that the gateway knows already; at most 1000, in order."""
    async with request.app.state.database.shelf() as conn:
        found = await shelf.openings_after(conn, known.uploader_hash, bytes.fromhex(link_hash), after)
    listed = [
        {
            "number": opening.number,
            "opened_at": opening.opened_at.astimezone(UTC).isoformat(),
            "recipient": opening.recipient,
            "outcome": opening.outcome.name.lower().replace("_", "-"),
            "files": opening.files,
        }
        for opening in found
    ]
    return Response(orjson.dumps({"openings": listed}), media_type="application/json")


def _uploaded(body: bytes) -> UploadedLink:
    try:
        return UploadedLink.model_validate_json(body)
    except ValidationError as error:
        raise not_understood(place_of(error)) from None


def _now(request: Request) -> datetime:
    now: datetime = request.app.state.settings.now()
    return now

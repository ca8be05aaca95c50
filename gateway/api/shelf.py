"""The shelf: keeps sealed links for gateways, and hands out what they carry (SMART Health Links).

It knows a link by the hash of its id, and a file by its ciphertext: it can read neither. What is unknown, has
ended, or was closed by wrong passcodes answers alike.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final

import orjson
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, Path, Request
from fastapi.responses import Response
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, ValidationError

from device_profiles.text import one_line
from gateway.api import problems, uploads
from gateway.api.guard import Guard
from gateway.api.health import Watch, watch
from gateway.api.pressure import Visitors
from gateway.api.problems import Problem, not_found, not_understood, place_of
from gateway.sealing import FHIR_JSON, PASSCODE_MAX, passcode_matches, token_hash
from gateway.web import viewer
from storage import shelf
from storage.database import Database
from storage.shelf import RECIPIENT_MAX, Link, Outcome, ShelvedFile

EMBEDDED_MAX: Final = 4 * 1024 * 1024
"""The longest file that a manifest embeds, whatever its reader allows; a longer one has an address."""
LOCATION_LIFE: Final = timedelta(minutes=30)
_MANIFEST_BODY_MAX: Final = 8 * 1024
_FHIR_VERSION: Final = "4.0.1"

WRONG_PASSCODE: Final = "The passcode is not the right one. Tries left before the link closes: {remaining}."

_Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{43}$")]


@dataclass(frozen=True, slots=True)
class ShelfSettings:
    """How a shelf runs. `public_url`: where the world reaches it, for the addresses it hands out."""

    public_url: str
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    watch: Watch | None = None
    """Who may read its numbers; absent: nobody."""


class ManifestRequest(BaseModel):
    """What a reader asks with; what is not known of it is ignored, as the specification wants."""

    recipient: Annotated[str, AfterValidator(lambda said: one_line(said, RECIPIENT_MAX)), Field(min_length=1)]
    """Who they say they are, as the patient will read it."""
    passcode: Annotated[str, StringConstraints(max_length=PASSCODE_MAX)] | None = None
    embedded_length_max: Annotated[int | None, Field(alias="embeddedLengthMax", ge=0)] = None


def create_shelf_app(database: Database, settings: ShelfSettings) -> FastAPI:
    """The shelf as an application: manifests, files, the uploaders' API, the viewer, `/health`."""
    # Its lines hold the whole path, and a path opens a link: whoever runs this, it stays silent.
    logging.getLogger("uvicorn.access").disabled = True
    # No redirect to the same address without its last slash: it would name the host that the request names.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.database = database
    app.state.settings = settings
    app.state.comparing = CapacityLimiter(2)  # a comparison holds 16 MB
    app.state.visitors = Visitors()
    problems.install(app)
    watch(app, settings.watch or Watch(database, shelf=True, published=True))
    app.include_router(router)
    app.include_router(uploads.router)
    app.include_router(viewer.router)
    app.add_middleware(
        Guard,
        limit_of=lambda path: uploads.BODY_MAX if path.startswith("/api/") else _MANIFEST_BODY_MAX,
        open_to_all=lambda path: path.startswith("/shl/"),
        https=settings.public_url.startswith("https:"),
    )
    return app


router = APIRouter()


@router.post("/shl/{manifest_id}")
async def manifest(manifest_id: _Id, request: Request) -> Response:
    """The manifest of a link, for who gives a name and, where there is one, the passcode."""
    asked = await _manifest_request(request)
    link_hash = token_hash(manifest_id)
    request.app.state.visitors.check(request)
    link = await _admitted(request, link_hash, asked)
    now = request.app.state.settings.now()
    async with request.app.state.database.shelf() as conn:
        files = await shelf.files(conn, link_hash)
        entries = []
        for file in files:
            content: dict[str, str] = {}
            if len(file.ciphertext) <= _embedded_max(asked):
                content["embedded"] = file.ciphertext.decode("ascii")
            else:
                token = secrets.token_urlsafe(32)
                await shelf.create_location(
                    conn, token_hash(token), link_hash, file.number, now, LOCATION_LIFE
                )
                content["location"] = f"{request.app.state.settings.public_url}/shl/file/{token}"
            entries.append(_entry(link, file) | content)
        await shelf.record_opening(conn, link_hash, asked.recipient, Outcome.OPENED, len(files), now)
    return Response(orjson.dumps({"files": entries}), media_type="application/json")


@router.get("/shl/file/{token}")
async def file(token: _Id, request: Request) -> Response:
    """A sealed file, at the address that a manifest gave."""
    request.app.state.visitors.check(request)
    async with request.app.state.database.shelf() as conn:
        found = await shelf.file_at(conn, token_hash(token), request.app.state.settings.now())
    if found is None:
        request.app.state.visitors.wrong(request)
        raise not_found()
    return Response(found.ciphertext, media_type="application/jose")


async def _manifest_request(request: Request) -> ManifestRequest:
    try:
        return ManifestRequest.model_validate_json(await request.body())
    except ValidationError as error:
        raise not_understood(place_of(error)) from None


async def _admitted(request: Request, link_hash: bytes, asked: ManifestRequest) -> Link:
    """The link, once its passcode is right. Raises the problem to answer, after keeping that it was asked."""
    app, visitors = request.app, request.app.state.visitors
    now = app.state.settings.now()
    attempt = None
    async with app.state.database.shelf() as conn:
        link = await shelf.active_link(conn, link_hash, now)
        if link is None:
            await shelf.record_opening(conn, link_hash, asked.recipient, Outcome.ENDED, 0, now)
        elif link.passcode_hash is not None:
            if link.attempts_left:
                visitors.check_guessed(link_hash)  # before an attempt is taken: who is refused loses none
            attempt = await shelf.debit_attempt(conn, link_hash, now)
            if attempt is None:
                await shelf.record_opening(conn, link_hash, asked.recipient, Outcome.NO_ATTEMPTS_LEFT, 0, now)
    if link is None or (link.passcode_hash is not None and attempt is None):
        visitors.wrong(request)
        raise not_found()
    if attempt is None:
        return link
    # Out of the transaction: it takes a while, and the attempt is already counted however this ends.
    right = await to_thread.run_sync(
        passcode_matches, asked.passcode or "", attempt.passcode_hash, limiter=app.state.comparing
    )
    async with app.state.database.shelf() as conn:
        if right:
            await shelf.refund_attempt(conn, link_hash)
        else:
            await shelf.record_opening(conn, link_hash, asked.recipient, Outcome.WRONG_PASSCODE, 0, now)
    if not right:
        visitors.wrong(request, link_hash)
        left = {"remainingAttempts": attempt.attempts_left}
        raise Problem(HTTPStatus.UNAUTHORIZED, WRONG_PASSCODE, members=left, remaining=attempt.attempts_left)
    return link


def _embedded_max(asked: ManifestRequest) -> int:
    return min(EMBEDDED_MAX, EMBEDDED_MAX if asked.embedded_length_max is None else asked.embedded_length_max)


def _entry(link: Link, file: ShelvedFile) -> dict[str, str]:
    entry = {
        "contentType": file.content_type,
        "lastUpdated": file.sealed_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "status": "can-change" if "L" in link.flags else "finalized",
    }
    if file.content_type == FHIR_JSON:
        entry["fhirVersion"] = _FHIR_VERSION
    return entry

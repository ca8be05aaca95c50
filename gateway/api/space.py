"""The writing side of a space: what gateways feed it with, as FHIR transactions.

Every address wants the token of a gateway; what it may touch is its own tenant's persons that it feeds. The
reading side (`gateway.api.fhir`) lives beside it in one application.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, FastAPI, Path, Request
from fastapi.responses import Response

from fhir_mapping import ingest
from fhir_mapping.asked import Deletion
from fhir_mapping.errors import NotTaken
from fhir_mapping.ingest import EntriesRefused, NotABundle, TooManyEntries, Transaction
from fhir_mapping.opaque import ReadingIds
from gateway import metrics
from gateway.api import auth, fhir, grants, outcomes
from gateway.api.auth import Feeding, still_holds
from gateway.api.guard import Guard
from gateway.api.health import Watch, watch
from gateway.api.outcomes import FHIR_TYPE, Issue, Refused, refused
from gateway.api.pressure import Pressure, Visitors, room_for_ingest
from gateway.api.problems import Problem
from gateway.space.taken import Taken
from gateway.space.transaction import Feed, take
from storage import tenants
from storage.database import Database
from storage.errors import ValueNotStorable
from storage.gateways import Bearer

BODY_MAX: Final = 8 * 1024 * 1024
"""Bytes of the largest transaction: a thousand Observations are less than two million."""
_OTHER_BODY_MAX: Final = 64 * 1024
_TRANSACTIONS: Final = ("/fhir", "/fhir/")
_JSON_TYPES: Final = ("application/fhir+json", "application/json", "application/json+fhir")

JSON_NEEDED: Final = "Only JSON is taken here: application/fhir+json, in UTF-8, not compressed."

_Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]


@dataclass(frozen=True, slots=True)
class SpaceSettings:
    """How a space runs. `base_url`: where the world reaches it, without a slash behind it."""

    base_url: str
    pressure: Pressure = field(default_factory=lambda: Pressure.of(4, 20))
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    watch: Watch | None = None
    """Who may read its numbers; absent: nobody."""

    @property
    def fhir_base(self) -> str:
        """The address of its FHIR side."""
        return f"{self.base_url}/fhir"


async def ids_of(database: Database) -> ReadingIds:
    """The FHIR ids of the space in this database: the same for all its processes."""
    async with database.writer() as conn:
        return ReadingIds(await tenants.id_secret(conn))


def create_space_app(database: Database, settings: SpaceSettings, ids: ReadingIds) -> FastAPI:
    """The space as an application. `ids`: as of `ids_of`."""
    # Its lines hold the whole path, and a path may name a person: whoever runs this, it stays silent.
    logging.getLogger("uvicorn.access").disabled = True
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.database = database
    app.state.settings = settings
    app.state.pressure = settings.pressure
    app.state.visitors = Visitors()
    app.state.ids = ids
    outcomes.install(app)
    watch(app, settings.watch or Watch(database, published=True))
    app.include_router(auth.router)
    app.include_router(router)
    app.include_router(fhir.router)
    app.include_router(grants.router)
    app.add_middleware(
        Guard,
        limit_of=lambda path: BODY_MAX if path in _TRANSACTIONS else _OTHER_BODY_MAX,
        open_to_all=lambda _: False,
        https=settings.base_url.startswith("https:"),
        render=outcomes.render,
    )
    return app


router = APIRouter()


@router.post("/fhir", dependencies=[Depends(room_for_ingest)])
@router.post("/fhir/", include_in_schema=False, dependencies=[Depends(room_for_ingest)])
async def feed(request: Request, gateway: Feeding) -> Response:
    """A transaction Bundle: all of it, or nothing."""
    _check_type(request)
    body = await request.body()
    async with request.app.state.pressure.ingesting(gateway.gateway_id):
        taken = await _taken(request, gateway, lambda: ingest.transaction(body))
    metrics.readings_ingested(taken.created, taken.known)
    return Response(taken.response(), HTTPStatus.OK, media_type=FHIR_TYPE)


@router.put("/fhir/Observation/{fhir_id}")
async def put(fhir_id: _Id, request: Request, gateway: Feeding) -> Response:
    """A version of one Observation."""
    _check_type(request)
    body = await request.body()
    if_match = request.headers.get("if-match")

    def asked() -> Transaction:
        return Transaction(1, replacements=(ingest.replacement(body, fhir_id, if_match),))

    async with request.app.state.pressure.ingesting(gateway.gateway_id):
        taken = await _taken(request, gateway, asked)
    (revised,) = taken.revised
    base = request.app.state.settings.fhir_base
    version = revised.version.number
    headers = {"ETag": f'W/"{version}"', "Location": f"{base}/{revised.name}/_history/{version}"}
    return Response(body, HTTPStatus.OK, headers, FHIR_TYPE)


@router.delete("/fhir/Observation/{fhir_id}")
async def delete(fhir_id: _Id, request: Request, gateway: Feeding) -> Response:
    """Erases one reading."""
    async with request.app.state.pressure.ingesting(gateway.gateway_id):
        asked = Transaction(1, deletions=(Deletion(None, fhir_id),))
        await _taken(request, gateway, lambda: asked)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _taken(request: Request, gateway: Bearer, asked: Callable[[], Transaction]) -> Taken:
    """Takes in what is asked. Raises the problem to answer, after which nothing of it happened."""
    state = request.app.state
    given = Feed(state.ids, state.settings.fhir_base, gateway, state.settings.now())
    try:
        told = asked()
        async with state.database.writer() as conn:
            await still_holds(request, conn)
            return await take(conn, given, told)
    except NotABundle as error:
        raise refused(HTTPStatus.BAD_REQUEST, "Bundle", error.sentence) from None
    except TooManyEntries as error:
        raise refused(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Bundle.entry", error.sentence, **error.details
        ) from None
    except EntriesRefused as error:
        issues = [Issue(one.expression, NotTaken.sentence, {"why": one.why}) for one in error.wrong]
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, issues) from None
    except ValueNotStorable:
        raise refused(HTTPStatus.UNPROCESSABLE_ENTITY, "Bundle", ValueNotStorable.sentence) from None


def _check_type(request: Request) -> None:
    """Raises `Problem` (415) for what is no plain JSON."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if (
        kind.strip().lower() not in _JSON_TYPES
        or charset.partition("charset=")[2].partition(";")[0] not in ("", "utf-8")
        or request.headers.get("content-encoding", "identity") != "identity"
    ):
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, JSON_NEEDED)

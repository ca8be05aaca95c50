"""The person's own page, served on loopback: today, devices, readings, family, settings, sharing."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from device_profiles.errors import PasserelleError, StorageError
from gateway.adding import Adding
from gateway.api.guard import Guard
from gateway.api.health import Watch, watch
from gateway.api.problems import BUSY, NOT_ALLOWED, NOT_FOUND, UNEXPECTED, Problem
from gateway.home import Home
from gateway.language import accepted_language, translate
from gateway.opening import Announcement
from gateway.watching import Station
from gateway.web.app.errands import Errands
from gateway.web.app.frame import locked
from gateway.web.app.pages import SomebodyNeeded, rendered
from gateway.web.app.routers import ROUTERS
from gateway.web.app.security import LOCKED, Lock, Refusal
from gateway.web.app.sessions import Sessions
from gateway.web.app.words import Words
from storage.errors import DatabaseBusy

BODY_MAX: Final = 64 * 1024
"""A form of ours is a few fields and a note."""


def create_page_app(
    home: Home,
    station: Station,
    announcement: Announcement | None = None,
    *,
    sessions: Sessions | None = None,
) -> FastAPI:
    """The page as an application, `/health` and `/metrics` beside it; every path is locked (`security`).

    `announcement`: what this start said in its home (`opening.announced`); None: nobody is given a code.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.home = home
    app.state.station = station
    app.state.adding = Adding(station)
    app.state.errands = Errands(station)
    app.state.announcement = announcement
    app.state.sessions = sessions = sessions or Sessions()
    _install_errors(app)
    watch(app, Watch.of(home.database, home.settings))
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(Lock, sessions=sessions, refuse=_refuse)
    app.add_middleware(
        Guard,
        limit_of=lambda _: BODY_MAX,
        open_to_all=lambda _: False,
        https=False,
        render=lambda problem, scope: _trouble(scope, problem.status, problem.sentence, problem.details),
    )
    return app


def _refuse(refusal: Refusal, scope: Scope) -> Response:
    """What who is not let in sees. Another host or another user learns nothing, not even what this is."""
    request = Request(scope)
    if refusal == LOCKED:
        return locked(request)
    if refusal.why in {"host", "user"}:
        return Response(status_code=refusal.status)
    words = _words(scope)
    said = words.t("This page was open for too long, or the form came from elsewhere. Nothing was changed.")
    return rendered("trouble.html", words, status=refusal.status, said=said)


def _words(scope: Scope) -> Words:
    headers = dict(scope["headers"])
    return Words(accepted_language(headers.get(b"accept-language", b"").decode("latin-1")))


def _trouble(
    scope: Scope, status: HTTPStatus, sentence: str, details: dict[str, Any] | None = None
) -> Response:
    """An error as a page: one sentence, and the way back."""
    words = _words(scope)
    said = translate(sentence, words.language).format(**(details or {}))
    return rendered("trouble.html", words, status=status, said=said)


def _install_errors(app: FastAPI) -> None:
    """Make every error a page; nothing that was sent is repeated in one."""

    @app.exception_handler(SomebodyNeeded)
    async def _nobody(request: Request, _: SomebodyNeeded) -> Response:
        return Response(status_code=HTTPStatus.SEE_OTHER, headers={"Location": "/welcome"})

    @app.exception_handler(Problem)
    async def _problem(request: Request, problem: Problem) -> Response:
        return _trouble(request.scope, problem.status, problem.sentence, problem.details)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, _: RequestValidationError) -> Response:
        return _trouble(request.scope, HTTPStatus.BAD_REQUEST, UNEXPECTED)

    @app.exception_handler(StorageError)
    async def _storage(request: Request, error: StorageError) -> Response:
        sentence = BUSY if isinstance(error, DatabaseBusy) else error.sentence
        return _trouble(request.scope, HTTPStatus.SERVICE_UNAVAILABLE, sentence, error.details)

    @app.exception_handler(PasserelleError)
    async def _error(request: Request, error: PasserelleError) -> Response:
        return _trouble(request.scope, HTTPStatus.CONFLICT, error.sentence, error.details)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        return _trouble(request.scope, status, NOT_FOUND if status == HTTPStatus.NOT_FOUND else NOT_ALLOWED)

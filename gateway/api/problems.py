"""Errors over HTTP: JSON for software (RFC 9457), with a sentence for people in the language they ask for."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from device_profiles.errors import StorageError
from gateway import metrics
from gateway.language import accepted_language, translate
from storage.errors import DatabaseBusy

log = logging.getLogger("passerelle.http")

MEDIA_TYPE: Final = "application/problem+json"

NOT_FOUND: Final = "There is nothing here. The address is not complete, or what was here has ended."
NOT_ALLOWED: Final = "This cannot be done at this address."
NOT_UNDERSTOOD: Final = "What was sent is not understood: {where}."
TOO_LARGE: Final = "What was sent is too large: at most {limit} bytes are taken here."
TOO_SLOW: Final = "What was sent came too slowly, and was not taken. Try again on a better connection."
BUSY: Final = "Many ask at this moment. Nothing was changed: try again in a moment."
UNEXPECTED: Final = "Something went wrong here. Nothing was changed: try again in a moment."


class Problem(Exception):
    """An answer that is an error: a status, a sentence of the catalogue, and members for software."""

    def __init__(
        self,
        status: HTTPStatus,
        sentence: str,
        *,
        headers: dict[str, str] | None = None,
        members: Mapping[str, object] | None = None,
        **details: object,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}
        self.members = members or {}
        self.details = details


def not_found() -> Problem:
    """The same answer for what never was, has ended, or is another's."""
    return Problem(HTTPStatus.NOT_FOUND, NOT_FOUND)


def not_understood(where: str) -> Problem:
    """What was sent has another form than it must; `where` names the part, never its value."""
    return Problem(HTTPStatus.BAD_REQUEST, NOT_UNDERSTOOD, where=where)


def place_of(error: ValidationError | RequestValidationError) -> str:
    """The part of what was sent that is wrong, by its place: `files.0.jwe`."""
    return ".".join(str(part) for part in error.errors()[0]["loc"]) or "JSON"


def come_again(why: str, *, after: int | None = None) -> Problem:
    """No room now, and in how many seconds to ask again: each is told another moment, not all come at once.

    `why` goes to the metrics: it is a word of the source.
    """
    metrics.REFUSED.labels(why).inc()
    after = after or 1 + secrets.randbelow(4)
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, BUSY, headers={"Retry-After": str(after)})


def of_storage(error: StorageError) -> Problem:
    """What who asked is told of an error of the database: its own sentence is for who runs this server."""
    if isinstance(error, DatabaseBusy):
        return come_again("pool")
    log.error("storage: %s", type(error).__name__)
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, UNEXPECTED, headers={"Retry-After": "30"})


def response(problem: Problem, scope: Scope) -> Response:
    """The answer that a problem is."""
    headers = dict(scope["headers"])
    language = accepted_language(headers.get(b"accept-language", b"").decode("latin-1"))
    body = {
        "type": "about:blank",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": translate(problem.sentence, language).format(**problem.details),
        **problem.members,
    }
    sent = {"Content-Language": language, "Cache-Control": "no-store", **problem.headers}
    return Response(orjson.dumps(body), problem.status, sent, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of an application a problem; nothing that was sent is repeated in one."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, problem: Problem) -> Response:
        return response(problem, request.scope)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return response(not_understood(place_of(error)), request.scope)

    @app.exception_handler(StorageError)
    async def _storage(request: Request, error: StorageError) -> Response:
        return response(of_storage(error), request.scope)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        sentence = NOT_FOUND if status is HTTPStatus.NOT_FOUND else NOT_ALLOWED
        return response(Problem(status, sentence, headers=dict(error.headers or {})), request.scope)

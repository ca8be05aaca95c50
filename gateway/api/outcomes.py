"""Errors on the FHIR side: an OperationOutcome, with a sentence in the language that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from device_profiles.errors import StorageError
from fhir_mapping.bundle import Severity, operation_outcome
from gateway.api import problems
from gateway.api.problems import Problem, not_understood, place_of
from gateway.language import accepted_language, translate

FHIR_TYPE: Final = "application/fhir+json"
BASE_PATH: Final = "/fhir"

MOST_ISSUES: Final = 1000
"""As many as a transaction has entries."""

_CODES: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "invalid",
    HTTPStatus.UNAUTHORIZED: "login",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not-found",
    HTTPStatus.METHOD_NOT_ALLOWED: "not-supported",
    HTTPStatus.REQUEST_TIMEOUT: "timeout",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.GONE: "deleted",
    HTTPStatus.PRECONDITION_FAILED: "conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-long",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not-supported",
    HTTPStatus.UNPROCESSABLE_ENTITY: "processing",
    HTTPStatus.TOO_MANY_REQUESTS: "throttled",
    HTTPStatus.SERVICE_UNAVAILABLE: "transient",
}
"""Issue types of FHIR (value set issue-type) by the status of the answer."""


class Issue(NamedTuple):
    """One thing that is wrong: its place as FHIRPath (`Bundle.entry[3].resource`), and why."""

    expression: str
    sentence: str
    details: Mapping[str, object]


class Refused(Problem):
    """Parts of what was sent are refused, all that were found: an issue for each."""

    def __init__(self, status: HTTPStatus, issues: Sequence[Issue]) -> None:
        super().__init__(status, issues[0].sentence)
        self.details = dict(issues[0].details)
        self.issues = tuple(issues[:MOST_ISSUES])


def refused(status: HTTPStatus, expression: str, sentence: str, **details: object) -> Refused:
    """One part is refused."""
    return Refused(status, [Issue(expression, sentence, details)])


def is_fhir(scope: Scope) -> bool:
    """Whether a request is for the FHIR side, whose errors are OperationOutcomes."""
    path: str = scope["path"]
    return path == BASE_PATH or path.startswith(f"{BASE_PATH}/")


def render(problem: Problem, scope: Scope) -> Response:
    """The answer that a problem is: an OperationOutcome on the FHIR side, else as `problems.response`."""
    if not is_fhir(scope):
        return problems.response(problem, scope)
    headers = dict(scope["headers"])
    language = accepted_language(headers.get(b"accept-language", b"").decode("latin-1"))
    issues = problem.issues if isinstance(problem, Refused) else ()
    code = _CODES.get(problem.status, "exception")
    told: list[tuple[Severity, str, str, str]] = [
        ("error", code, _sentence(sentence, details, language), expression)
        for expression, sentence, details in issues or [Issue("", problem.sentence, problem.details)]
    ]
    sent = {"Content-Language": language, "Cache-Control": "no-store", **problem.headers}
    return Response(operation_outcome(told), problem.status, sent, FHIR_TYPE)


def _sentence(sentence: str, details: Mapping[str, object], language: str) -> str:
    """A sentence in a language; what is filled in is of the catalogue too, or a number."""
    said = {
        name: translate(told, language) if isinstance(told, str) else told for name, told in details.items()
    }
    return translate(sentence, language).format(**said)


def install(app: FastAPI) -> None:
    """Make every error of an application with a FHIR side an answer; nothing that was sent is repeated."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, problem: Problem) -> Response:
        return render(problem, request.scope)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return render(not_understood(place_of(error)), request.scope)

    @app.exception_handler(StorageError)
    async def _storage(request: Request, error: StorageError) -> Response:
        return render(problems.of_storage(error), request.scope)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        sentence = problems.NOT_FOUND if status is HTTPStatus.NOT_FOUND else problems.NOT_ALLOWED
        return render(Problem(status, sentence, headers=dict(error.headers or {})), request.scope)

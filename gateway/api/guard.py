"""What stands around every answer: security headers, limits on what is taken in and how long, a line of log.

The line and the numbers know a request by the template of its path, never by the path, which may open a link.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import logs, metrics
from gateway.api import problems
from gateway.api.problems import TOO_LARGE, TOO_SLOW, UNEXPECTED, Problem
from gateway.api.taking import ANSWER_SECONDS, Crowded, Intake, Taking, TooLarge, TooSlow

log = logging.getLogger("passerelle.http")

# For answers that are no page: nothing in them may run or be framed. A page brings its own policy.
_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_YEAR: Final = 365 * 24 * 3600

Render = Callable[[Problem, Scope], Response]


class Guard:
    """Wraps an application. `limit_of` gives the largest body taken at a path, in bytes.

    `open_to_all` tells the paths that pages of any other origin may read (CORS `*`); all others stay closed.
    `render` makes the answer of a problem that no handler could answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit_of: Callable[[str], int],
        open_to_all: Callable[[str], bool],
        https: bool,
        render: Render = problems.response,
        intake: Intake | None = None,
    ) -> None:
        self._app = app
        self._limit_of = limit_of
        self._open_to_all = open_to_all
        self._render = render
        self._intake = intake or Intake()
        self._headers = dict(_HEADERS)
        if https:
            # Browsers heed these on secure pages only, and complain of them on others.
            self._headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
            self._headers["Cross-Origin-Opener-Policy"] = "same-origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens inside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = secrets.token_hex(8)
        answer = _Answer(send, lambda headers: self._dress(headers, request, crossing))
        crossing = self._open_to_all(scope["path"])
        began = time.perf_counter()
        with logs.of_request(request), metrics.UNDER_WAY.track_inprogress():
            try:
                if crossing and scope["method"] == "OPTIONS":
                    await _preflight(scope, receive, answer)
                else:
                    await self._answer(scope, receive, answer)
            finally:
                _tell(scope, answer.status, time.perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        taking = Taking(receive, self._limit_of(scope["path"]), self._intake)
        try:
            async with asyncio.timeout(ANSWER_SECONDS) as patience:
                taking.patience = answer.patience = patience
                await self._app(scope, taking, answer)
        except Exception as error:
            answer.patience = None
            problem = _problem_of(error, taking.limit)
            if problem is None:
                # Only its kind and place: the text of a database's error may quote a row.
                logs.event(log, "unexpected", level=logging.ERROR, error=error, method=scope["method"])
                problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED)
            if answer.status:
                raise
            await self._render(problem, scope)(scope, receive, answer)
        finally:
            taking.done()

    def _dress(self, headers: MutableHeaders, request: str, crossing: bool) -> None:
        for name, content in self._headers.items():
            headers.setdefault(name, content)
        headers.setdefault("Content-Security-Policy", _POLICY)
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Request-Id"] = request
        if crossing:
            headers["Access-Control-Allow-Origin"] = "*"
            headers["Access-Control-Expose-Headers"] = "Retry-After"
        else:
            headers["Cross-Origin-Resource-Policy"] = "same-origin"


class _Answer:
    """Sends an answer, dressed; knows its status; each part sent gives the next one its time."""

    def __init__(self, send: Send, dress: Callable[[MutableHeaders], None]) -> None:
        self._send = send
        self._dress = dress
        self.status = 0
        self.patience: asyncio.Timeout | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._dress(MutableHeaders(scope=message))
        await self._send(message)
        if self.patience is not None and not self.patience.expired():
            self.patience.reschedule(asyncio.get_running_loop().time() + ANSWER_SECONDS)


def _problem_of(error: Exception, limit: int) -> Problem | None:
    """The problem that an error is, if it is one of those that are expected here."""
    match error:
        case TooLarge():
            return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE, limit=limit)
        case TooSlow():
            return Problem(HTTPStatus.REQUEST_TIMEOUT, TOO_SLOW, headers={"Connection": "close"})
        case Crowded() | TimeoutError():
            return problems.come_again("memory" if isinstance(error, Crowded) else "time")
    return None


def _tell(scope: Scope, status: int, seconds: float) -> None:
    path = getattr(scope.get("route"), "path", "-")
    method = scope["method"] if scope["method"] in metrics.METHODS else "other"
    metrics.request_answered(path, method, status, seconds)
    logs.event(log, "request", method=method, path=path, status=status, ms=round(seconds * 1000, 1))


async def _preflight(scope: Scope, receive: Receive, send: Send) -> None:
    allowed = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": "86400",
    }
    await Response(status_code=HTTPStatus.NO_CONTENT, headers=allowed)(scope, receive, send)

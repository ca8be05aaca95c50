"""What stands around every answer: security headers, a limit on what is taken in, a log without patients."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.problems import TOO_LARGE, UNEXPECTED, Problem, response

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


class _TooLarge(Exception):
    pass


class Guard:
    """Wraps an application. `limit_of` gives the largest body taken at a path, in bytes.

    `open_to_all` tells the paths that pages of any other origin may read (CORS `*`); all others stay closed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit_of: Callable[[str], int],
        open_to_all: Callable[[str], bool],
        https: bool,
    ) -> None:
        self._app = app
        self._limit_of = limit_of
        self._open_to_all = open_to_all
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
        began = time.perf_counter()
        status = 0
        crossing = self._open_to_all(scope["path"])

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._dress(MutableHeaders(scope=message), crossing)
            await send(message)

        if crossing and scope["method"] == "OPTIONS":
            await _preflight(scope, receive, guarded)
        else:
            await self._answer(scope, receive, guarded, lambda: status)
        route = getattr(scope.get("route"), "path", "-")
        # The template of the path, never the path: it holds what opens a link.
        log.info("%s %s %s %.0f ms", scope["method"], route, status, (time.perf_counter() - began) * 1000)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, status: Callable[[], int]) -> None:
        limit = self._limit_of(scope["path"])
        try:
            await self._app(scope, _limited(receive, limit), send)
        except _TooLarge:
            problem = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE, limit=limit)
            await response(problem, scope)(scope, receive, send)
        except Exception as error:
            # Only its kind: the text of a database's error may quote a row.
            log.error("%s %s", scope["method"], type(error).__name__)  # noqa: TRY400
            if status():
                raise
            problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED)
            await response(problem, scope)(scope, receive, send)

    def _dress(self, headers: MutableHeaders, crossing: bool) -> None:
        for name, content in self._headers.items():
            headers.setdefault(name, content)
        headers.setdefault("Content-Security-Policy", _POLICY)
        headers.setdefault("Cache-Control", "no-store")
        if crossing:
            headers["Access-Control-Allow-Origin"] = "*"
            headers["Access-Control-Expose-Headers"] = "Retry-After"
        else:
            headers["Cross-Origin-Resource-Policy"] = "same-origin"


async def _preflight(scope: Scope, receive: Receive, send: Send) -> None:
    allowed = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": "86400",
    }
    await Response(status_code=HTTPStatus.NO_CONTENT, headers=allowed)(scope, receive, send)


def _limited(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _TooLarge
        return message

    return counted

"""The lock of the person's page: who asks is nobody until shown otherwise, for every path there is.

It stands in front of the routes, so that a route that is added later is closed without a word of its own.
What passes without a session is the list `OPEN`, and nothing there says anything of a person.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.web.app.neighbours import is_another_users
from gateway.web.app.sessions import SHOWN, Session, Sessions

FIELD: Final = "csrf"
"""The field of every form, and ..."""
HEADER: Final = b"x-csrf-token"
"""... the header of what a script sends instead."""

SAFE: Final = frozenset({"GET", "HEAD"})
OPEN: Final = frozenset({"/open", "/code", "/health", "/health/live", "/health/ready", "/metrics"})
"""`/open` takes a one-time code, `/code` the proof of the program's own user, the others are asked by who
watches over a server."""
OPEN_BELOW: Final = "/static/"

WITHOUT_TOKEN: Final = frozenset({"/code"})
"""What software asks, with a proof of its own instead of a form's token."""

FORM: Final = "application/x-www-form-urlencoded"

Refuse = Callable[["Refusal", Scope], Response]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered, for a page that says it; `why` is a word of the source."""

    status: HTTPStatus
    why: str


LOCKED: Final = Refusal(HTTPStatus.UNAUTHORIZED, "locked")
WRONG_HOST: Final = Refusal(HTTPStatus.MISDIRECTED_REQUEST, "host")
ELSEWHERE: Final = Refusal(HTTPStatus.FORBIDDEN, "origin")
ANOTHER_USER: Final = Refusal(HTTPStatus.FORBIDDEN, "user")
NO_TOKEN: Final = Refusal(HTTPStatus.FORBIDDEN, "form")
NOT_A_FORM: Final = Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "form")
NOT_ALLOWED: Final = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method")


def cookie_name(port: int) -> str:
    """The name of the session's cookie: cookies know no port, so two programs on one machine need two."""
    return f"passerelle-{port}"


def cookie_of(token: str, port: int) -> str:
    """The `Set-Cookie` of a session: for this host alone, for no script, never sent from another site.

    It ends with the browser; the session ends by itself (`sessions`).
    """
    return f"{cookie_name(port)}={token}; Path=/; HttpOnly; SameSite=Strict"


class Lock:
    """Lets through what is open, and what comes from a page of ours in a session that has not ended."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions, refuse: Refuse) -> None:
        self._app = app
        self._sessions = sessions
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            raise NotImplementedError  # no other way in: neither a socket nor a lifespan
        try:
            scope["session"] = self._session(scope)
            if scope["method"] not in SAFE and scope["path"] not in WITHOUT_TOKEN:
                receive = await _with_token(scope, receive)
        except _Refused as refused:
            await self._refuse(refused.refusal, scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _session(self, scope: Scope) -> Session | None:
        """The session of a request. Raises for one that has none and needs one, or comes from elsewhere."""
        headers = Headers(scope=scope)
        port = (scope.get("server") or ("", 0))[1]
        _check_host(headers, port)
        if scope["method"] not in SAFE | {"POST"}:
            raise _Refused(NOT_ALLOWED)
        client, server = scope.get("client"), scope.get("server")
        if client and server and is_another_users(tuple(client), tuple(server)):
            raise _Refused(ANOTHER_USER)
        path = scope["path"]
        is_open = path in OPEN or path.startswith(OPEN_BELOW)
        token = cookie_parser(headers.get("cookie", "")).get(cookie_name(port))
        session = self._sessions.find(token, touch=path != "/events")
        if session is None and not is_open:
            raise _Refused(LOCKED)
        if path not in WITHOUT_TOKEN:
            _check_origin(scope, headers)
        elif "origin" in headers or "sec-fetch-site" in headers:
            raise _Refused(ELSEWHERE)  # a program sends neither: this is a page in a browser
        return session


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.why)


def hosts_of(port: int) -> frozenset[str]:
    """The names by which a browser of this machine may call us."""
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))


def _check_host(headers: Headers, port: int) -> None:
    """A name of the network that was pointed at 127.0.0.1 (DNS rebinding) is not one of ours."""
    said = headers.getlist("host")
    if len(said) != 1 or said[0].lower() not in hosts_of(port):
        raise _Refused(WRONG_HOST)


def _check_origin(scope: Scope, headers: Headers) -> None:
    """A form comes from a page of ours; a page that is read is asked for by one of ours, or by the person."""
    site = headers.get("sec-fetch-site", "none")
    navigates = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if scope["method"] in SAFE:
        if site in {"same-origin", "none"} or navigates:
            return
        raise _Refused(ELSEWHERE)
    origin = headers.get("origin")
    if origin != f"http://{headers['host'].lower()}" or site not in {"same-origin", "none"}:
        raise _Refused(ELSEWHERE)


async def _with_token(scope: Scope, receive: Receive) -> Receive:
    """The request's body, read and given on, when it is a form of ours with this session's token.

    Raises for another. Fields of a form come in a body, never in an address.
    """
    headers = Headers(scope=scope)
    session: Session | None = scope["session"]
    if session is None:
        raise _Refused(LOCKED)
    if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise _Refused(NOT_A_FORM)
    body = await Request(scope, receive).body()
    shown = headers.get(HEADER.decode()) or parse_qs(body.decode("latin-1")).get(FIELD, [""])[0]
    token, _, person = shown.partition(".")
    if not hmac.compare_digest(token.encode(), session.csrf.encode()):
        raise _Refused(NO_TOKEN)
    scope[SHOWN] = int(person) if person.isascii() and person.isdigit() else None
    return _again(body, receive)


def _again(body: bytes, receive: Receive) -> Receive:
    """Receives the body that was read, then what comes after it."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

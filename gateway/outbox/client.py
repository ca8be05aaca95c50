"""A gateway's way to a space over HTTP: tokens, time limits, and one meaning for each way to fail.

Nothing of a patient is in an address that is asked, and no address is logged. A redirection is not followed:
it would carry the token to wherever it points.
"""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import quote_plus, urlsplit

import httpx

from gateway.outbox import answers, limits
from gateway.outbox.errors import (
    SpaceAddressUnusable,
    SpaceAnswersOddly,
    SpaceBusy,
    SpaceForbids,
    SpaceMoved,
    SpaceNeedsHttps,
    SpaceRefusesGateway,
    SpaceUnreachable,
)

# httpx tells every address it asks: ids of Observations are opaque, but nobody needs them in a log.
logging.getLogger("httpx").setLevel(logging.WARNING)

FHIR_JSON: Final = "application/fhir+json"

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Entrance:
    """How a space is entered. `base`: its address; `fhir`: that of its FHIR endpoint, often the same.

    Either a `token` that holds until it is taken back, or OAuth2 client credentials. `registered`: the space
    is ours, and the registration is ended there with the connection.
    """

    base: str
    fhir: str
    token: str | None = field(default=None, repr=False)
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    registered: bool = False


def checked_address(url: str) -> str:
    """A space's address without a slash behind it.

    Raises SpaceAddressUnusable; SpaceNeedsHttps for plain http to another machine.
    """
    try:
        parts = urlsplit(url.strip())
        unusable = parts.username or parts.password or parts.query or parts.fragment or not parts.hostname
        port = parts.port
    except ValueError:
        raise SpaceAddressUnusable from None
    if unusable or parts.scheme not in {"http", "https"}:
        raise SpaceAddressUnusable
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    address = f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"
    if parts.scheme != "https" and not is_loopback(address):
        raise SpaceNeedsHttps(space=address)
    try:
        httpx.URL(address)
    except httpx.InvalidURL:
        raise SpaceAddressUnusable from None
    return address


def origin(address: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a checked address, the port that its scheme means too."""
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def is_loopback(url: str) -> bool:
    """Whether an address is of this machine alone."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def http_client(url: str) -> httpx.AsyncClient:
    """A client that follows nothing, and asks this machine without the proxy that is named for the world."""
    return httpx.AsyncClient(timeout=limits.REQUEST, follow_redirects=False, trust_env=not is_loopback(url))


class SpaceClient:
    """A gateway that a space knows. `async with SpaceClient(entrance) as space: …`

    Raises SpaceAddressUnusable, SpaceNeedsHttps.
    """

    def __init__(self, entrance: Entrance, *, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self.base = checked_address(entrance.base)
        self.fhir = checked_address(entrance.fhir)
        self._entrance = entrance
        self._token_url = checked_address(entrance.token_url) if entrance.token_url else None
        self._clock = clock
        self._http = http_client(self.fhir)
        self._token = entrance.token
        self._holds_until: datetime | None = None
        self._renewing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *problem: Any) -> None:
        await self._http.__aexit__(*problem)

    @property
    def is_ours(self) -> bool:
        """Whether it is a Passerelle space."""
        return self._entrance.registered

    async def enter(self) -> None:
        """Get a token now, to see whether the space lets this gateway in. Raises as `request`."""
        await self._valid_token()

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Ask the space. `path`: below its address, or one that begins with `self.base` or `self.fhir`.

        A token that is over in the middle is renewed, once. Every answer is given back but those that say
        that the space is not there (SpaceUnreachable), is busy (SpaceBusy), does not know this gateway
        (SpaceRefusesGateway) or does not allow it this (SpaceForbids), or has moved (SpaceMoved).
        """
        url = path if path.startswith((self.base, self.fhir)) else self.base + path
        asked: dict[str, Any] = {"content": content} if json is None else {"json": json}
        token = await self._valid_token()
        answer = await self._send(method, url, token, headers or {}, asked)
        if answer.status_code == httpx.codes.UNAUTHORIZED and self._token_url:
            token = await self._valid_token(refused=token)
            answer = await self._send(method, url, token, headers or {}, asked)
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            known = answer.status_code == httpx.codes.FORBIDDEN
            words = answers.refusal(answer).words or None
            raise (SpaceForbids if known else SpaceRefusesGateway)(words, space=self.base)
        return answer

    async def _send(
        self, method: str, url: str, token: str | None, headers: dict[str, str], asked: dict[str, Any]
    ) -> httpx.Response:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        request = asked_of(self._http, method, url, self.base, headers={**headers, **bearer}, **asked)
        return checked_answer(await answered(self._http, request, self.base), self.base, self._clock())

    async def _valid_token(self, refused: str | None = None) -> str | None:
        """The token to show: a new one shortly before the old one's end, or when it was refused."""
        if self._token_url is None:
            return self._token
        async with self._renewing:
            over = self._holds_until is None or self._holds_until <= self._clock() + limits.TOKEN_EARLY
            if self._token is None or over or self._token == refused:
                await self._renew(self._token_url)
        return self._token

    async def _renew(self, token_url: str) -> None:
        """OAuth2 client credentials (RFC 6749, 4.4); the secret in the header (2.3.1)."""
        entrance = self._entrance
        who = httpx.BasicAuth(_encoded(entrance.client_id), _encoded(entrance.client_secret))
        grant = {"grant_type": "client_credentials"}
        request = asked_of(self._http, "POST", token_url, self.base, data=grant)
        authorised = next(who.auth_flow(request))
        answer = checked_answer(await answered(self._http, authorised, self.base), self.base, self._clock())
        if not answer.is_success:
            raise SpaceRefusesGateway(space=self.base)
        try:
            said = parsed(answer, self.base)
            token, seconds = said["access_token"], float(said.get("expires_in", limits.TOKEN_LIFE.seconds))
            life = timedelta(seconds=seconds)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise SpaceAnswersOddly(space=self.base) from None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise SpaceAnswersOddly(space=self.base)
        self._token, self._holds_until = token, self._clock() + min(life, timedelta(days=30))


def asked_of(http: httpx.AsyncClient, method: str, url: str, space: str, **what: Any) -> httpx.Request:
    """A request. Raises SpaceAnswersOddly for an address that is none: what a space names is in it."""
    try:
        return http.build_request(method, url, **what)
    except httpx.InvalidURL:
        raise SpaceAnswersOddly(space=space) from None


def parsed(answer: httpx.Response, space: str, **how: Any) -> Any:
    """The JSON of an answer; `how`: as json.loads takes it.

    Raises SpaceAnswersOddly for what is none, or is nested deeper than anything that FHIR knows.
    """
    try:
        return answer.json(**how)
    except (ValueError, RecursionError):
        raise SpaceAnswersOddly(space=space) from None


async def answered(http: httpx.AsyncClient, request: httpx.Request, space: str) -> httpx.Response:
    """The whole answer to a request, within bounds of time and size.

    Raises SpaceUnreachable; SpaceAnswersOddly for one that has no end, or points to what is no address.
    """
    received = bytearray()
    try:
        async with asyncio.timeout(limits.WHOLE_ANSWER):
            answer = await http.send(request, stream=True)
            try:
                async for part in answer.aiter_bytes():
                    received += part
                    if len(received) > limits.ANSWER_BYTES:
                        raise SpaceAnswersOddly(space=space)
            finally:
                await answer.aclose()
    except httpx.InvalidURL:
        raise SpaceAnswersOddly(space=space) from None
    except (httpx.HTTPError, TimeoutError):
        raise SpaceUnreachable(space=space) from None
    kept = [(name, value) for name, value in answer.headers.items() if name not in _OF_THE_WAY]
    return httpx.Response(answer.status_code, headers=kept, content=bytes(received), request=request)


_OF_THE_WAY: Final = {"content-encoding", "content-length", "transfer-encoding"}
"""Headers of how an answer travelled: it is unpacked by now."""


def checked_answer(answer: httpx.Response, space: str, now: datetime) -> httpx.Response:
    """An answer that is one. Raises SpaceBusy, SpaceMoved, SpaceUnreachable."""
    status = answer.status_code
    if status in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}:
        raise SpaceBusy(retry_after(answer.headers.get("Retry-After"), now), space=space)
    if status >= 500:
        raise SpaceUnreachable(space=space, answered=True)
    if 300 <= status < 400 and status != httpx.codes.NOT_MODIFIED:
        raise SpaceMoved(space=space)
    return answer


def retry_after(header: str | None, now: datetime) -> timedelta | None:
    """How long to wait (RFC 9110, 10.2.3): seconds, or a date; None where nothing usable is said."""
    if header is None:
        return None
    text = header.strip()
    try:
        if text.isascii() and text.isdigit():
            wait = timedelta(seconds=int(text[:9]))
        else:
            moment = email.utils.parsedate_to_datetime(text)
            wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), limits.LONGEST_WAIT)


def _encoded(text: str | None) -> str:
    """As RFC 6749 wants names and secrets in Basic: form-encoded first."""
    return quote_plus(text or "")

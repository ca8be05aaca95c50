"""The gateway's side of a shelf over HTTP: put a sealed link, end it, learn who opened it; and open a link.

Every call may be repeated: one that failed is sent again by the next command or by `passerelle serve`.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from device_profiles.errors import SpaceError
from device_profiles.text import one_line
from gateway.sealing import FHIR_JSON, SealedLink, unseal
from storage.shelf import RECIPIENT_MAX, Opening, Outcome

# httpx tells every address it asks; a link's address is half of what opens it.
logging.getLogger("httpx").setLevel(logging.WARNING)

# A shelf may be at the other end of the world, and the home on a phone's connection; a person waits.
_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
_PAGE: Final = 1000


class ShelfUnreachable(SpaceError):
    """The shelf does not answer, or is out of order."""

    sentence = (
        "The shelf at {shelf} does not answer. Nothing is lost: the share waits, and is sent by the next "
        "command or by passerelle serve."
    )


class ShelfNeedsHttps(SpaceError):
    """A shelf beyond this machine over plain http: its token could be read on the way."""

    sentence = (
        "The shelf at {shelf} is not on this machine, so it has to be reached over https. "
        "Correct PASSERELLE_SHELF_URL."
    )


class ShelfRefusesGateway(SpaceError):
    """The shelf does not know the token of this gateway."""

    sentence = (
        "The shelf at {shelf} does not know this gateway. Ask its operator for a token and set it as "
        "PASSERELLE_SHELF_TOKEN."
    )


class ShareTooLarge(SpaceError):
    """The shelf takes no upload of this size."""

    sentence = "This share is larger than the shelf at {shelf} takes. Share a shorter period."


class ShelfRefuses(SpaceError):
    """The shelf answers something else than was agreed."""

    sentence = "The shelf at {shelf} refuses what it was asked (status {status}). Is it a Passerelle shelf?"


class LinkClosed(SpaceError):
    """A link that does not open: unknown, expired, revoked, or closed by wrong passcodes."""

    sentence = "This link does not open any more. Ask the person who sent it for a new one."


class WrongPasscode(SpaceError):
    """A passcode that is not the link's. `remaining`: the tries left."""

    sentence = "This passcode is not the right one. Tries left before the link closes: {remaining}."


class ShelfClient:
    """A gateway that a shelf knows by its token. `async with ShelfClient(url, token) as shelf: …`

    Raises `ShelfNeedsHttps`.
    """

    def __init__(self, shelf_url: str, token: str) -> None:
        self._shelf_url = shelf_url.rstrip("/")
        if not self._shelf_url.startswith("https://") and not _is_loopback(self._shelf_url):
            raise ShelfNeedsHttps(shelf=self._shelf_url)
        self._http = _http(shelf_url, {"Authorization": f"Bearer {token}"})

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *problem: Any) -> None:
        await self._http.__aexit__(*problem)

    async def put(
        self,
        link_hash: bytes,
        files: Sequence[str],
        *,
        content_type: str = FHIR_JSON,
        flags: str = "",
        expires_at: datetime | None = None,
        passcode_hash: str | None = None,
    ) -> None:
        """Put a link with its files (compact JWEs), or newer files in the place of the older ones.

        `passcode_hash`: of `sealing.hash_passcode`; with the flags, as when the link was first put. Raises
        `ShelfUnreachable`, `ShelfRefusesGateway`, `ShareTooLarge`; `LinkClosed` for a revoked link.
        """
        body = {
            "flags": flags,
            "expires_at": expires_at.astimezone(UTC).isoformat() if expires_at else None,
            "passcode_hash": passcode_hash,
            "files": [{"content_type": content_type, "jwe": sealed} for sealed in files],
        }
        await self._call("PUT", link_hash.hex(), json=body)

    async def revoke(self, link_hash: bytes) -> None:
        """End a link at once.

        Raises `ShelfUnreachable`, `ShelfRefusesGateway`; `LinkClosed` for a link the shelf never had.
        """
        await self._call("DELETE", link_hash.hex())

    async def openings(self, link_hash: bytes, after: int = 0) -> tuple[Opening, ...]:
        """The openings of a link whose number is above `after`, in order.

        Raises `ShelfUnreachable`, `ShelfRefusesGateway`, `ShelfRefuses`.
        """
        found: list[Opening] = []
        while True:
            last = found[-1].number if found else after
            answer = await self._call("GET", f"{link_hash.hex()}/openings", params={"after": last})
            try:
                page = [_opening(entry) for entry in answer.json()["openings"]]
            except (ValueError, KeyError, TypeError):
                raise ShelfRefuses(shelf=self._shelf_url, status=answer.status_code) from None
            found += page
            if len(page) < _PAGE:
                return tuple(found)

    async def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        answer = await _send(
            self._http, self._shelf_url, method, f"{self._shelf_url}/api/links/{path}", **request
        )
        if answer.status_code in {401, 403}:
            raise ShelfRefusesGateway(shelf=self._shelf_url)
        if answer.status_code == 413:
            raise ShareTooLarge(shelf=self._shelf_url)
        return _accepted(answer, self._shelf_url)


async def open_link(link: SealedLink, recipient: str, passcode: str | None = None) -> tuple[bytes, ...]:
    """What a link carries, opened as its receiver: the FHIR files, each as JSON.

    Raises `LinkClosed`, `WrongPasscode`, `SealBroken`, `ShelfUnreachable`.
    """
    parts = urlsplit(link.manifest_url)
    shelf_url = f"{parts.scheme}://{parts.netloc}"
    asked = {"recipient": recipient} | ({"passcode": passcode} if passcode is not None else {})
    async with _http(shelf_url, {}) as http:
        answer = await _send(http, shelf_url, "POST", link.manifest_url, json=asked)
        if answer.status_code == 401:
            raise WrongPasscode(remaining=answer.json().get("remainingAttempts", 0))
        files = _accepted(answer, shelf_url).json()["files"]
        sealed = [
            file["embedded"]
            if "embedded" in file
            else _accepted(await _send(http, shelf_url, "GET", file["location"]), shelf_url).text
            for file in files
            if file["contentType"] == FHIR_JSON
        ]
    return tuple(unseal(one, link.key) for one in sealed)


def _http(shelf_url: str, headers: dict[str, str]) -> httpx.AsyncClient:
    # A shelf of this machine is never behind the proxy that the environment names for the world.
    return httpx.AsyncClient(headers=headers, timeout=_TIMEOUT, trust_env=not _is_loopback(shelf_url))


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _send(
    http: httpx.AsyncClient, shelf_url: str, method: str, url: str, **request: Any
) -> httpx.Response:
    try:
        answer = await http.request(method, url, **request)
    except httpx.HTTPError:
        raise ShelfUnreachable(shelf=shelf_url) from None
    if answer.status_code >= 500 or answer.status_code == 429:
        raise ShelfUnreachable(shelf=shelf_url)
    return answer


def _accepted(answer: httpx.Response, shelf_url: str) -> httpx.Response:
    if answer.status_code == 404:
        raise LinkClosed
    if not answer.is_success:
        raise ShelfRefuses(shelf=shelf_url, status=answer.status_code)
    return answer


def _opening(entry: dict[str, Any]) -> Opening:
    return Opening(
        number=entry["number"],
        opened_at=datetime.fromisoformat(entry["opened_at"]),
        recipient=one_line(entry["recipient"], RECIPIENT_MAX),  # a shelf may be anybody's
        outcome=Outcome[entry["outcome"].upper().replace("-", "_")],
        files=entry["files"],
    )

"""Opening and closing the page, whom it shows, and the files it is made of."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from gateway.api.problems import not_found
from gateway.language import accepted_language
from gateway.opening import Announcement
from gateway.web.app.pages import HEADERS, AnyPage, rendered, sessions_of
from gateway.web.app.security import cookie_of
from gateway.web.app.words import Words

FOLDER: Final = Path(__file__).with_name("static")
ICON: Final = Path(__file__).parent.with_name("viewer") / "icon.svg"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

router = APIRouter()


@router.get("/open")
async def open_page(request: Request, code: str = "") -> Response:
    """Exchange the code in the address for a session; the address that stays is `/`."""
    token = sessions_of(request).begin(code)
    if token is None:
        return locked(request, used=bool(code))
    answer = RedirectResponse("/", HTTPStatus.SEE_OTHER, dict(HEADERS))
    answer.headers["Set-Cookie"] = cookie_of(token, request.scope["server"][1])
    return answer


@router.post("/code")
async def give_code(
    request: Request, nonce: Annotated[str, Form()], proof: Annotated[str, Form()]
) -> Response:
    """A code for the program's own user, who proves to know the secret of the home (`gateway.opening`)."""
    announcement: Announcement | None = request.app.state.announcement
    if announcement is None or not announcement.accepts(proof, "ask", nonce):
        raise not_found()
    code = sessions_of(request).new_code()
    return JSONResponse({"code": code, "proof": announcement.proof("code", nonce, code)})


@router.post("/close")
async def close(page: AnyPage) -> Response:
    """Close the page for everybody, on every browser of this computer."""
    sessions_of(page.request).end_all()
    return rendered("closed.html", page.words)


@router.post("/person")
async def choose_person(
    page: AnyPage, person: Annotated[int, Form()], back: Annotated[str, Form()] = "/"
) -> Response:
    """Show another person."""
    if all(each.patient_id != person for each in page.people):
        raise not_found()
    page.session.person = person
    return page.go(back if back in {"/", "/devices", "/readings", "/settings"} else "/")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served."""

    media_type: str
    plain: bytes
    packed: bytes
    etag: str


@router.get("/static/{name}")
async def part(name: str, request: Request) -> Response:
    """A script, the style or the icon: the same for everybody, and nothing of anybody."""
    asset = assets().get(name)
    if asset is None:
        raise not_found()
    headers = {"Cache-Control": "no-cache", "ETag": asset.etag, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, headers=headers, media_type=asset.media_type)
    return Response(asset.plain, headers=headers, media_type=asset.media_type)


@cache
def assets() -> dict[str, Asset]:
    """All files by name, read once: only these are ever served."""
    paths = [*sorted(path for path in FOLDER.iterdir() if path.suffix in _TYPES), ICON]
    return {path.name: _asset(path) for path in paths}


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    packed = gzip.compress(content, 9, mtime=0)
    return Asset(_TYPES[path.suffix], content, packed, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def locked(request: Request, *, used: bool = False) -> Response:
    """What who has no session sees; `used`: with a code that opens nothing any more."""
    words = Words(accepted_language(request.headers.get("accept-language", "")))
    return rendered("locked.html", words, status=HTTPStatus.UNAUTHORIZED, used=used)

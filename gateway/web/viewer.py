"""Serves the viewer: a few static files, and the catalogue's sentences. It knows no link."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Final

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from gateway.api.problems import not_found
from gateway.language import languages, viewer_strings

FOLDER: Final = Path(__file__).with_name("viewer")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served."""

    media_type: str
    plain: bytes
    packed: bytes
    etag: str


@router.get("/")
async def root() -> Response:
    """Who comes without a path finds the viewer, which says what a link is."""
    return RedirectResponse("view", HTTPStatus.SEE_OTHER)


@router.get("/view")
async def page(request: Request) -> Response:
    """The viewer's page. What is behind the `#` of its address stays in the browser."""
    return _served(request, assets()["index.html"])


@router.get("/view/strings/{name}")
async def strings(name: str, request: Request) -> Response:
    """The viewer's sentences in a language: `fr.json`, by their English."""
    return _served(request, assets().get(f"strings/{name}"))


@router.get("/view/{name}")
async def part(name: str, request: Request) -> Response:
    """A script, the style or the icon of the page."""
    return _served(request, assets().get(name))


def _served(request: Request, asset: Asset | None) -> Response:
    if asset is None:
        raise not_found()
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": "no-cache",
        "ETag": asset.etag,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(asset.packed, headers=headers, media_type=asset.media_type)
    return Response(asset.plain, headers=headers, media_type=asset.media_type)


@cache
def assets() -> dict[str, Asset]:
    """All that the viewer is made of, by name under `/view/`: read once, and only these are ever served."""
    files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in _TYPES}
    for language in languages():
        files[f"strings/{language}.json"] = orjson.dumps(viewer_strings(language))
    return {name: _asset(name, content) for name, content in files.items()}


def _asset(name: str, content: bytes) -> Asset:
    packed = gzip.compress(content, 9, mtime=0)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Asset(_TYPES[Path(name).suffix], content, packed, etag)

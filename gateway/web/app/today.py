"""Today: the last value, the day, and what was read when."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from gateway.web.app.pages import OwnPage

router = APIRouter()


@router.get("/")
async def today(page: OwnPage) -> Response:
    """The first page."""
    return page.render("today.html")

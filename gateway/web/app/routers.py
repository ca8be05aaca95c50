"""The parts of the person's page, each with its own paths: one line for each."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from gateway.web.app import (
    add_device,
    devices,
    family_pages,
    frame,
    leaving_pages,
    live,
    reading_pages,
    settings_pages,
    share_pages,
    today,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    frame.router,
    live.router,
    today.router,
    add_device.router,
    devices.router,
    reading_pages.router,
    family_pages.router,
    settings_pages.router,
    share_pages.router,
    leaving_pages.router,
)

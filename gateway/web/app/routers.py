"""The parts of the person's page, each with its own paths: one line for each."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from gateway.web.app import add_device, devices, frame, live, today

ROUTERS: Final[tuple[APIRouter, ...]] = (
    frame.router,
    live.router,
    today.router,
    add_device.router,
    devices.router,
)

"""What happens, told to the pages that are open (server-sent events): that something changed, never what.

The page that hears it asks for itself again, with the rights that its session has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from gateway.events import Event, Missed, RadioChanged, RadioState
from gateway.watching import Station
from gateway.web.app.pages import sessions_of
from gateway.web.app.sessions import Session

LOOK_SECONDS: Final = 1.0
"""How often a stream looks whether its session ended: who closes the page for everybody sees it closed."""

router = APIRouter()


@router.get("/events", response_class=EventSourceResponse)
async def events(request: Request) -> AsyncIterator[ServerSentEvent]:
    """One line for each thing that changed, until the session or the program ends."""
    station: Station = request.app.state.station
    session: Session = request.scope["session"]
    sessions = sessions_of(request)
    with station.events.subscribed() as queue:
        yield ServerSentEvent(comment="open")
        while sessions.is_open(session):
            try:
                event = await asyncio.wait_for(queue.get(), LOOK_SECONDS)
            except TimeoutError:
                continue
            yield ServerSentEvent(event="changed", data=_name(event))
            if event == RadioChanged(RadioState.STOPPED):
                return  # the program ends, and waits for its answers
        yield ServerSentEvent(event="closed", data="session")


def _name(event: Event) -> str:
    return "everything" if isinstance(event, Missed) else type(event).__name__

"""What happens in a gateway's process, told to who listens: its pages and its jobs. No database, no values.

An event says that something changed and for whom, never what was measured: who wants to show it asks the
store, with the rights that they have. A listener that is too slow loses what waited for it and is told so
(`Missed`): it then asks for everything anew, as after a reload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from device_profiles.errors import PasserelleError

WAITING: Final = 256
"""Events that wait for one listener. A first read of a full meter tells its progress some hundred times; a
page that has fallen behind further than that is quicker anew."""


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A device of a person: `device_id` counts per person."""

    patient_uuid: UUID
    device_id: int


class RadioState(StrEnum):
    """What the watcher and its radio do."""

    STARTING = "starting"
    IDLE = "idle"
    """No device is known here: nothing to listen for."""
    WATCHING = "watching"
    """Listens, in windows."""
    LENT = "lent"
    """Somebody uses it: a page that adds a device, or a command in a terminal that asked for it."""
    BUSY = "busy"
    """Another process of this home holds it and does not hand it over."""
    UNAVAILABLE = "unavailable"
    """There is none that answers: off, unplugged, not allowed. It is tried again."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class DeviceHeard:
    """A known device is heard after silence: it has something, or was woken."""

    device: DeviceKey


@dataclass(frozen=True, slots=True)
class SyncBegan:
    """A device is being read."""

    device: DeviceKey


@dataclass(frozen=True, slots=True)
class RecordsArrived:
    """So many records have arrived so far in the read that runs."""

    device: DeviceKey
    count: int


@dataclass(frozen=True, slots=True)
class SyncEnded:
    """A read ended. With a `problem`, what had arrived before it is stored all the same, and counted here."""

    device: DeviceKey
    stored: int
    known: int
    missing: int
    problem: PasserelleError | None = None


@dataclass(frozen=True, slots=True)
class ReadingsStored:
    """A person has so many new readings."""

    patient_uuid: UUID
    device: DeviceKey
    count: int


@dataclass(frozen=True, slots=True)
class RadioChanged:
    """What the radio does changed."""

    state: RadioState


@dataclass(frozen=True, slots=True)
class Changed:
    """Something else of a person changed (`readings`, `devices`, `annotation`, `settings`, ...)."""

    patient_uuid: UUID
    what: str


@dataclass(frozen=True, slots=True)
class Missed:
    """This listener was too slow, and events are lost: ask for everything anew."""


Event = (
    DeviceHeard | SyncBegan | RecordsArrived | SyncEnded | ReadingsStored | RadioChanged | Changed | Missed
)


class Events:
    """The events of one process, on one event loop."""

    def __init__(self, *, waiting: int = WAITING) -> None:
        """`waiting`: how many events may wait for one listener."""
        self._waiting = waiting
        self._listeners: dict[asyncio.Queue[Event], bool] = {}

    @property
    def attended(self) -> bool:
        """Whether a person follows: a page is open."""
        return any(self._listeners.values())

    def publish(self, event: Event) -> None:
        """Tell everybody; never waits."""
        for queue in self._listeners:
            if queue.full():
                _begin_anew(queue)
            queue.put_nowait(event)

    @contextmanager
    def subscribed(self, *, person: bool = True) -> Iterator[asyncio.Queue[Event]]:
        """The events from now on, until the block ends.

        `person`: somebody looks at what comes (a page), so that the watcher listens more often.
        """
        queue: asyncio.Queue[Event] = asyncio.Queue(self._waiting)
        self._listeners[queue] = person
        try:
            yield queue
        finally:
            del self._listeners[queue]


def _begin_anew(queue: asyncio.Queue[Event]) -> None:
    """Nothing of what waited is told: who has fallen behind that far asks for everything anyway."""
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(Missed())

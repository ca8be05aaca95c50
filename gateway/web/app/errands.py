"""What somebody at the page asked for that takes a while: reading a device now. It goes on without them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from device_profiles.errors import PasserelleError
from gateway import logs
from gateway.adding import AddingUnexpected
from gateway.ble.errors import NotInRange
from gateway.events import Changed, DeviceKey, Event, SyncEnded
from gateway.setting_clock import ClockSetting
from gateway.watching import Station

logger = logging.getLogger(__name__)

FRESH: Final = timedelta(minutes=2)
"""What a reading that was asked for brought is told so long; then how the device stands counts again."""


@dataclass(frozen=True, slots=True)
class Errand:
    """How a reading that was asked for ended."""

    stored: int = 0
    clock: ClockSetting | None = None
    problem: PasserelleError | None = None
    ended_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def is_fresh(self) -> bool:
        """Whether who asked may still be waiting for the answer."""
        return datetime.now(UTC) - self.ended_at < FRESH


@dataclass(slots=True)
class Errands:
    """The readings that were asked for, one for each device."""

    station: Station
    ended: dict[DeviceKey, Errand] = field(default_factory=dict)
    """The last one of each, until it is asked for again."""
    _running: dict[DeviceKey, asyncio.Task[None]] = field(default_factory=dict)

    def is_under_way(self, device: DeviceKey) -> bool:
        """Whether a reading that was asked for has not ended yet."""
        return device in self._running

    def read(self, device: DeviceKey) -> None:
        """Read a device now; asked twice it is read once."""
        if device in self._running:
            return
        self.ended.pop(device, None)
        task = self._running[device] = asyncio.create_task(self._read(device))
        task.add_done_callback(lambda ended: self._end(device, ended))
        self._tell(device.patient_uuid)

    async def _read(self, device: DeviceKey) -> None:
        with self.station.events.subscribed(person=False) as told:
            try:
                (outcome, *_) = await self.station.sync_now(device)
            except NotInRange as error:
                self.ended[device] = _read_meanwhile(told, device) or Errand(problem=error)
            except PasserelleError as error:
                self.ended[device] = Errand(problem=error)
            else:
                self.ended[device] = Errand(outcome.stored, outcome.set_clock)

    def _end(self, device: DeviceKey, task: asyncio.Task[None]) -> None:
        del self._running[device]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logs.event(logger, "unexpected", level=logging.ERROR, error=error)
            self.ended[device] = Errand(problem=AddingUnexpected())
        self._tell(device.patient_uuid)

    def _tell(self, patient: UUID) -> None:
        self.station.events.publish(Changed(patient, "devices"))


def _read_meanwhile(told: asyncio.Queue[Event], device: DeviceKey) -> Errand | None:
    """What the watcher read while we waited for the radio: a meter that was read falls asleep at once."""
    found = None
    while not told.empty():
        event = told.get_nowait()
        if isinstance(event, SyncEnded) and event.device == device and event.problem is None:
            found = Errand(event.stored)
    return found

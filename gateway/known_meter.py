"""A known meter as its watcher has it: what happened to it, when it is due, and one read of it, told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from device_profiles.errors import PasserelleError
from gateway import logs, metrics
from gateway.attention import Attention
from gateway.ble.errors import DeviceSilent, RadioUnavailable
from gateway.ble.radio import Found, Radio
from gateway.events import DeviceKey, Events, ReadingsStored, RecordsArrived, SyncBegan, SyncEnded
from gateway.home import Home
from gateway.known_devices import sync_device
from gateway.sync import SyncOutcome
from gateway.watch_limits import WatchLimits
from storage.devices import StoredDevice
from storage.patients import Patient

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A known device as the watcher sees it. Times are ours, in UTC; None: not since the start."""

    heard_at: datetime | None = None
    """When it was last heard."""
    tried_at: datetime | None = None
    """When a read of it last began."""
    read_at: datetime | None = None
    """When a read of it last ended well."""
    problem: PasserelleError | None = None
    """How the last read failed; None: it did not."""
    next_try_at: datetime | None = None
    """Not before this it is read again, unless it falls silent and is heard anew; None: as soon as heard."""
    reading: bool = False
    """It is being read now."""


@dataclass(slots=True)
class KnownMeter:
    """A device of a person."""

    patient: Patient
    device: StoredDevice
    attention: Attention
    limits: WatchLimits
    heard_at: datetime | None = None
    tried_at: datetime | None = None
    read_at: datetime | None = None
    problem: PasserelleError | None = None
    reading: bool = False
    _told: float = field(default=0.0, init=False)
    _read_here: bool = field(default=False, init=False)

    @property
    def key(self) -> DeviceKey:
        """Whose it is, and which."""
        return DeviceKey(self.patient.uuid, self.device.device_id)

    def state(self) -> DeviceState:
        """What a page shows of it."""
        next_try = self.attention.next_try
        next_try_at = (
            None if next_try is None else datetime.now(UTC) + timedelta(seconds=next_try - time.monotonic())
        )
        return DeviceState(
            self.heard_at, self.tried_at, self.read_at, self.problem, next_try_at, self.reading
        )

    def was_read_elsewhere(self, now: StoredDevice) -> bool:
        """Whether somebody else, a command in a terminal, read it since we last asked how it stands."""
        read_here, self._read_here = self._read_here, False
        return not read_here and now.last_synced_at != self.device.last_synced_at

    async def read(self, home: Home, events: Events, radio: Radio, found: Found | None) -> SyncOutcome:
        """Read it once, and tell of it. Raises as `sync_device`; RadioUnavailable where the radio is gone.

        `found`: as it was just heard; None: it is listened for.
        """
        begun = time.monotonic()
        self.attention.began(begun)
        self.tried_at, self.reading, self._read_here = datetime.now(UTC), True, True
        events.publish(SyncBegan(self.key))
        try:
            outcome = await self._bounded(home, events, radio, found)
        except Exception as error:
            # What nobody expected is told and waited for like what was: the meter is not asked at once again.
            problem = error if isinstance(error, PasserelleError) else PasserelleError()
            problem = RadioUnavailable() if radio.gone else problem
            self._failed(events, problem, getattr(error, "details", {}))
            _measured("failed", begun, error)
            if problem is error:
                raise
            raise problem from error
        finally:
            self.reading = False
        self._succeeded(events, outcome)
        _measured("done", begun)
        return outcome

    async def _bounded(self, home: Home, events: Events, radio: Radio, found: Found | None) -> SyncOutcome:
        def progress(count: int) -> None:
            now = time.monotonic()
            if now - self._told >= self.limits.progress:
                self._told = now
                events.publish(RecordsArrived(self.key, count))

        try:
            async with asyncio.timeout(self.limits.read):
                return await sync_device(
                    home, radio, self.patient, self.device, found=found, progress=progress
                )
        except TimeoutError:
            raise DeviceSilent from None

    def _succeeded(self, events: Events, outcome: SyncOutcome) -> None:
        self.problem, self.read_at = None, datetime.now(UTC)
        self.device = outcome.device
        self.attention.succeeded(time.monotonic(), outcome.stored)
        self._tell(events, outcome.stored, outcome.known, outcome.missing)

    def _failed(self, events: Events, problem: PasserelleError, kept: Mapping[str, object]) -> None:
        self.problem = problem
        if isinstance(problem, RadioUnavailable):
            self.attention.untried()
        else:
            self.attention.failed(time.monotonic(), problem)
        stored, known = (_number(kept.get(name)) for name in ("stored", "known"))
        self._tell(events, stored, known, 0, problem)

    def _tell(
        self, events: Events, stored: int, known: int, missing: int, problem: PasserelleError | None = None
    ) -> None:
        metrics.readings_synced(stored, known)
        if stored:
            events.publish(ReadingsStored(self.key.patient_uuid, self.key, stored))
        events.publish(SyncEnded(self.key, stored, known, missing, problem))


def _number(told: object) -> int:
    return told if isinstance(told, int) else 0


def _measured(outcome: str, begun: float, problem: Exception | None = None) -> None:
    seconds = time.monotonic() - begun
    metrics.synced(outcome, seconds)
    # A meter that is carried away is no reason to write on a terminal all day: the page tells it.
    level = logging.INFO if problem is None or isinstance(problem, PasserelleError) else logging.WARNING
    logs.event(logger, "sync", level=level, outcome=outcome, ms=round(seconds * 1000), error=problem)

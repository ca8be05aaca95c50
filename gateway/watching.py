"""What one gateway process holds: its radio, its known meters, and the loop that reads them by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from device_profiles.errors import PasserelleError
from gateway.events import DeviceKey, Events, RadioState

if TYPE_CHECKING:
    from gateway.ble.radio import Radio
    from gateway.home import Home
    from gateway.sync import SyncOutcome


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


@dataclass(frozen=True, slots=True)
class StationState:
    """The watcher and its radio, now."""

    radio: RadioState
    listened_at: datetime | None = None
    """When it last listened."""
    listens_seconds: float = 0
    """How long each window of listening is, and ..."""
    every_seconds: float = 0
    """... how often one begins."""
    devices: Mapping[DeviceKey, DeviceState] = field(default_factory=dict)


class Station:
    """All that one gateway process holds. `gateway.serve` runs it; pages and jobs are given it."""

    def __init__(self, home: Home, events: Events) -> None:
        self.home = home
        self.events = events

    def state(self) -> StationState:
        """What it does now, for a page."""
        return StationState(RadioState.STARTING)

    @asynccontextmanager
    async def radio(self) -> AsyncIterator[Radio]:
        """Lends the one open radio. A read that is under way ends first; the watcher pauses meanwhile.

        Raises RadioBusy where another process holds it, RadioUnavailable.
        """
        from gateway.ble.radio import open_radio  # noqa: PLC0415 - a gateway without a radio loads none

        async with open_radio(self.home.settings.ble, self.home.settings.home) as radio:
            yield radio

    async def sync_now(self, device: DeviceKey | None = None) -> tuple[SyncOutcome, ...]:
        """Read one known device now, or all that are near, whatever pause there is.

        Raises NoDeviceYet, NotInRange, RadioBusy, RadioUnavailable, and as `sync_device`.
        """
        raise NotImplementedError

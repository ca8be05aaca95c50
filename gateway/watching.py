"""What one gateway process holds: its radio, its known meters, and the loop that reads them by itself.

`Station` listens in windows (`gateway.watch_limits` says how often, and why), reads a known meter as soon as
one is heard that is due (`gateway.attention`), and outlives what happens to a laptop: sleep, an adapter that
is unplugged, a Bluetooth service that restarts, a command in a terminal that wants the radio.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from time import monotonic

from device_profiles.errors import PasserelleError
from gateway import logs, metrics
from gateway.attention import Attention, backoff
from gateway.ble.errors import NotInRange, RadioBusy, RadioUnavailable
from gateway.ble.radio import Found, Radio, open_radio
from gateway.events import Changed, DeviceHeard, DeviceKey, Events, RadioChanged, RadioState
from gateway.home import Home
from gateway.known_devices import DeviceNotPaired, NoDeviceYet, known_devices, store_what_was_left
from gateway.known_meter import DeviceState, KnownMeter
from gateway.lending import OneRadio, Opening
from gateway.sync import SyncOutcome
from gateway.wakefulness import Wakefulness
from gateway.watch_limits import WATCH_LIMITS, WatchLimits

__all__ = ["DeviceState", "Station", "StationState"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StationState:
    """The watcher and its radio, now."""

    radio: RadioState
    problem: PasserelleError | None = None
    """Why the radio is busy or unavailable."""
    listened_at: datetime | None = None
    """When it last listened, in UTC."""
    listens_seconds: float = 0
    """How long each window of listening is, and ..."""
    every_seconds: float = 0
    """... how often one begins."""
    devices: Mapping[DeviceKey, DeviceState] = field(default_factory=dict)


class Station:
    """All that one gateway process holds. `gateway.serve` runs it; pages and jobs are given it."""

    def __init__(
        self,
        home: Home,
        events: Events,
        *,
        limits: WatchLimits = WATCH_LIMITS,
        opening: Opening | None = None,
        random: Random | None = None,
        awake: Wakefulness | None = None,
    ) -> None:
        """`opening`: opens another radio than the one of the settings; `awake`: compares other clocks."""
        self.home = home
        self.events = events
        self._limits = limits
        self._random = random or Random()  # noqa: S311 - spreads tries, keeps no secret
        self._one = OneRadio(opening or self._open, self._nudged)
        self._nudge = asyncio.Event()
        self._stop = asyncio.Event()
        self._awake = awake or Wakefulness(limits.slept)
        self._slept = False
        self._meters: dict[DeviceKey, KnownMeter] = {}
        self._known_until = 0.0
        self._listened = 0.0
        self._listened_at: datetime | None = None
        self._radio_failures = 0
        self._handed_over = False
        self._state = RadioState.STARTING
        self._problem: PasserelleError | None = None

    # --- what pages and jobs ask -------------------------------------------------------------------

    def state(self) -> StationState:
        """What it does now, for a page."""
        return StationState(
            self._state,
            self._problem,
            self._listened_at,
            self._limits.listen,
            self._limits.listen + self._usual_rest,
            {key: meter.state() for key, meter in self._meters.items()},
        )

    @asynccontextmanager
    async def radio(self) -> AsyncIterator[Radio]:
        """Lends the one open radio. A read that is under way ends first; the watcher pauses meanwhile.

        Raises RadioBusy where another process holds it, RadioUnavailable.
        """
        async with self._one.used() as radio:
            self._become(RadioState.LENT)
            try:
                yield radio
            finally:
                self._mended()
                self.known_changed()

    async def sync_now(self, device: DeviceKey | None = None) -> tuple[SyncOutcome, ...]:
        """Read one known device now, or all that are near, whatever pause there is.

        Raises NoDeviceYet, DeviceNotPaired, NotInRange, RadioBusy, RadioUnavailable, and as `sync_device`.
        """
        self._known_until = 0.0
        await self._know()
        chosen = [meter for key, meter in self._meters.items() if device in {None, key}]
        if not chosen:
            raise NoDeviceYet if device is None else DeviceNotPaired(device="?")
        async with self.radio() as radio:
            if len(chosen) == 1:
                return (await chosen[0].read(self.home, self.events, radio, None),)
            heard = {found.address: found for found in await radio.discover(radio.limits.scan / 3)}
            near = [(each, heard[at]) for each in chosen if (at := each.device.radio_address) in heard]
            if not near:
                raise NotInRange
            return tuple([await each.read(self.home, self.events, radio, found) for each, found in near])

    def known_changed(self) -> None:
        """A device was added or forgotten: ask anew which ones are known."""
        self._known_until = 0.0
        self._nudged()

    # --- the loop ----------------------------------------------------------------------------------

    async def watch(self, stop: asyncio.Event) -> None:
        """Watch until `stop`; a read that is under way then has a little time to end."""
        watching = asyncio.create_task(self._watch())
        try:
            await stop.wait()
            self._stop.set()
            self._nudged()
            await asyncio.wait({watching}, timeout=self._limits.stop)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            with suppress(TimeoutError):  # a page that has borrowed it ends with its server
                await asyncio.wait_for(self._one.close(), self._limits.stop)
            self._become(RadioState.STOPPED)

    async def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                await self._rest(await self._round())
                if self._one.wanted:
                    await self._hand_over()
                if self._slept:
                    self._slept = False
                    await self._one.close()  # no radio is what it was
            except Exception as error:  # noqa: BLE001 - whatever it is, this goes on for weeks
                logs.event(logger, "watch failed", level=logging.WARNING, error=error)
                await self._rest(self._backoff())

    async def _hand_over(self) -> None:
        self._handed_over = True
        await self._one.close()
        self._become(RadioState.LENT)

    async def _round(self) -> float | None:
        """Listen once and read what is due; how long to rest then (None: as usual)."""
        try:
            await self._know()
            if not self._meters:
                await self._one.close()
                self._become(RadioState.IDLE)
                return self._limits.known
            async with self._one.used() as radio:
                if self._handed_over:  # who had it may have added a device, or read one
                    self._handed_over, self._known_until = False, 0.0
                    await self._know()
                    self._mended()
                self._become(RadioState.WATCHING)
                self._radio_failures = 0
                return await self._listen_and_read(radio)
        except RadioBusy as error:
            self._become(RadioState.LENT if self._handed_over else RadioState.BUSY, error)
            return self._limits.lent
        except RadioUnavailable as error:
            self._become(RadioState.UNAVAILABLE, error)
        except PasserelleError as error:
            logger.warning("watching: %s", type(error).__name__)
        return self._backoff()

    def _backoff(self) -> float:
        self._radio_failures += 1
        return backoff(
            self._limits.radio_backoff,
            self._radio_failures - 1,
            self._limits.longest_radio_backoff,
            self._limits.jitter,
            self._random,
        )

    async def _listen_and_read(self, radio: Radio) -> float | None:
        await store_what_was_left(self.home)
        heard = await self._listen(radio)
        if not heard:
            return None
        self._known_until = 0.0
        await self._know()  # a device that was forgotten meanwhile is not read, which would make it known
        for key, found in heard.items():
            if key in self._meters and not self._stop.is_set():
                with suppress(PasserelleError):  # it was told; a radio that is gone is seen below
                    await self._meters[key].read(self.home, self.events, radio, found)
                if radio.gone:
                    raise RadioUnavailable
        return 0.0

    async def _listen(self, radio: Radio) -> dict[DeviceKey, Found]:
        """One window, over as soon as a meter is heard that is due: those that are, as they were heard."""
        begun = monotonic()
        by_address = {meter.device.radio_address: meter for meter in self._meters.values()}
        due: dict[DeviceKey, Found] = {}

        def hear(found: Found) -> None:
            meter = by_address.get(found.address)
            if meter is None:
                return
            now = monotonic()
            meter.heard_at = datetime.now(UTC)
            if meter.attention.heard(self._listened + now - begun):
                self.events.publish(DeviceHeard(meter.key))
            if meter.attention.due(now):
                due[meter.key] = found
                self._nudged()

        async with radio.listening(hear):
            while not (due or self._one.asked or radio.gone):
                left = begun + self._limits.listen - monotonic()
                if left <= 0 or await self._tick(min(left, self._limits.tick)):
                    break
        self._listened += monotonic() - begun
        self._listened_at = datetime.now(UTC)
        if radio.gone:
            raise RadioUnavailable
        return due

    async def _rest(self, seconds: float | None) -> None:
        """Wait so long, unless the laptop slept, what is known changes, or the radio is wanted."""
        begun, known = monotonic(), self._known_until
        while known == self._known_until:
            left = begun + (self._usual_rest if seconds is None else seconds) - monotonic()
            if left <= 0 or await self._tick(min(left, self._limits.tick)):
                return

    @property
    def _usual_rest(self) -> float:
        return self._limits.rest_attended if self.events.attended else self._limits.rest

    async def _tick(self, seconds: float) -> bool:
        """Wait a moment; whether what is being done ends: we are stopped, slept, or are to hand over."""
        self._nudge.clear()
        if not self._stop.is_set() and not self._woke(None):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nudge.wait(), seconds)
            self._woke(seconds)
        return self._stop.is_set() or self._slept or self._one.wanted

    def _woke(self, expected: float | None) -> bool:
        """Whether the laptop slept: then every wait is over, and no radio is what it was."""
        if self._awake.slept(expected):
            self._slept = True
            self._radio_failures = 0
            for meter in self._meters.values():
                meter.attention.woke()
        return self._slept

    # --- small steps -------------------------------------------------------------------------------

    async def _know(self) -> None:
        """Which devices are known, asked anew when it was long ago. Raises StorageError."""
        if monotonic() < self._known_until:
            return
        known: dict[DeviceKey, KnownMeter] = {}
        for patient, device in await known_devices(self.home):
            key = DeviceKey(patient.uuid, device.device_id)
            meter = self._meters.get(key)
            if meter is None:
                meter = KnownMeter(patient, device, Attention(self._limits, self._random), self._limits)
            elif meter.was_read_elsewhere(device):
                self.events.publish(Changed(patient.uuid, "readings"))
            meter.patient, meter.device = patient, device
            known[key] = meter
        self._meters = known
        self._known_until = monotonic() + self._limits.known

    def _mended(self) -> None:
        for meter in self._meters.values():
            meter.attention.mended()

    def _open(self) -> AbstractAsyncContextManager[Radio]:
        settings = self.home.settings
        return open_radio(settings.ble, settings.home, wait_seconds=0, yields=True)

    def _become(self, state: RadioState, problem: PasserelleError | None = None) -> None:
        self._problem = problem
        if state is not self._state:
            self._state = state
            metrics.radio_is(state in {RadioState.WATCHING, RadioState.LENT})
            self.events.publish(RadioChanged(state))

    def _nudged(self) -> None:
        self._nudge.set()

"""Adding a device, step by step, as a person does it at the page: wake it, choose it, type the passkey, done.

One at a time in a process: there is one radio, and one person in front of it. What runs is a task of its own;
who shows it asks for its `state` and hears of each change through the station's events. Nothing is kept of a
device before it was paired and read a second time (`known_devices.pair_device`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from device_profiles.errors import DeviceError, PasserelleError
from gateway import known_devices, logs
from gateway.ble.pairing import passkey as digits_of
from gateway.events import Changed, DeviceKey, ReadingsStored
from gateway.known_devices import PairingStep

if TYPE_CHECKING:
    from gateway.ble.radio import Found, Radio
    from gateway.sync import SyncOutcome
    from gateway.watching import Station
    from storage.devices import StoredDevice
    from storage.patients import Patient

logger = logging.getLogger(__name__)

LISTEN_SECONDS: Final = 300.0
"""A meter is looked for, woken and chosen within five minutes; then the radio is given back, so that a page
that was left open does not keep the other meters from being read."""

SHOWN_EVERY: Final = 10
"""Records between two changes that are told while a meter is read."""


class NothingChosen(DeviceError):
    """Nobody chose a device while we listened."""

    sentence = "No device was chosen. Wake the meter, bring it near, and try again."


class AddingUnexpected(DeviceError):
    """What went wrong is none of the errors that are expected here; it is in the log."""

    sentence = (
        "Something unexpected happened, and nothing was lost. Turn the meter off and on, and try again."
    )


class Step(StrEnum):
    """Where a person is."""

    IDLE = "idle"
    LISTENING = "listening"
    CONNECTING = "connecting"
    PASSKEY_WANTED = "passkey"
    CHECKING = "checking"
    """Paired; called a second time to be sure."""
    READING = "reading"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class State:
    """What there is to show."""

    step: Step = Step.IDLE
    patient: Patient | None = None
    """Whose device it will be."""
    found: tuple[Found, ...] = ()
    """What was heard of the kinds we know, in the order it was heard: a list that does not jump."""
    chosen: Found | None = None
    asks_for_passkey: bool = True
    """Whether we are the one who asks for it; else the system does, in a window of its own."""
    count: int = 0
    """Records read so far."""
    device: StoredDevice | None = None
    """Since it is paired."""
    outcome: SyncOutcome | None = None
    error: PasserelleError | None = None
    failed_at: Step | None = None


@dataclass(slots=True)
class Adding:
    """The one wizard of a process."""

    station: Station
    listen_seconds: float = LISTEN_SECONDS
    state: State = field(default_factory=State)
    _task: asyncio.Task[None] | None = None
    _chosen: asyncio.Future[Found] | None = None
    _typed: asyncio.Future[str | None] | None = None

    @property
    def under_way(self) -> bool:
        """Whether something runs that a person may follow or give up."""
        return self._task is not None and not self._task.done()

    async def begin(self, patient: Patient) -> None:
        """Listen for devices; what another window had under way is given up."""
        await self.cancel()
        self._start(State(Step.LISTENING, patient))

    async def again(self) -> None:
        """Try once more what failed: read a device that is paired, else listen for the chosen one."""
        before = self.state
        if before.patient is None or before.step is not Step.FAILED:
            return
        await self.cancel()
        if before.device is not None:
            self._start(replace(before, step=Step.READING, error=None, failed_at=None, count=0))
        else:
            self._start(State(Step.LISTENING, before.patient, chosen=before.chosen))

    def choose(self, address: str) -> bool:
        """Take a device that was heard; False for one that was not."""
        found = next((found for found in self.state.found if found.address == address), None)
        if found is None or self._chosen is None or self._chosen.done():
            return False
        self._chosen.set_result(found)
        self._become(step=Step.CONNECTING, chosen=found)
        return True

    def give_passkey(self, typed: str) -> None:
        """The digits that were typed. Raises PasskeyMalformed, and then waits on."""
        digits_of(typed)
        if len("".join(typed.split())) < 6:  # on a display zeros in front are shown, and typed
            digits_of("")
        if self._typed is not None and not self._typed.done():
            self._typed.set_result(typed)
            self._become(step=Step.CONNECTING)

    async def cancel(self) -> None:
        """Give up what is under way; a device that is paired already stays."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._become_idle()

    def _start(self, state: State) -> None:
        self.state = state
        self._told()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    def _become_idle(self) -> None:
        if self.state.step is not Step.IDLE:
            patient, self.state = self.state.patient, State()
            if patient is not None:
                self.station.events.publish(Changed(patient.uuid, "adding"))

    def _become(self, **changed: object) -> None:
        self.state = replace(self.state, **changed)  # type: ignore[arg-type]
        self._told()

    def _told(self) -> None:
        if self.state.patient is not None:
            self.station.events.publish(Changed(self.state.patient.uuid, "adding"))

    async def _run(self) -> None:
        try:
            async with self.station.radio() as radio:
                self._become(asks_for_passkey=getattr(radio, "asks_for_passkey", True))
                device = self.state.device or await self._pair(radio)
                await self._read(radio, device)
        except PasserelleError as error:
            self._fail(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nobody awaits a wizard that ends by itself: what was not expected is told here."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logs.event(logger, "unexpected", level=logging.ERROR, error=error)
            self._fail(AddingUnexpected())

    def _fail(self, error: PasserelleError) -> None:
        self._become(step=Step.FAILED, error=error, failed_at=self.state.step)

    async def _pair(self, radio: Radio) -> StoredDevice:
        patient = self.state.patient
        assert patient is not None  # noqa: S101 - `begin` was given one
        found = await self._choice(radio)
        device = await known_devices.pair_device(
            self.station.home, radio, found, patient, self._ask, on_step=self._on_step
        )
        self._become(step=Step.READING, device=device)
        self.station.events.publish(Changed(patient.uuid, "devices"))
        return device

    async def _choice(self, radio: Radio) -> Found:
        """The device that the person takes, of those that are heard meanwhile. Raises NothingChosen."""
        chosen: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self._chosen = chosen
        async with radio.listening(self._heard):
            try:
                async with asyncio.timeout(self.listen_seconds):
                    return await chosen
            except TimeoutError:
                raise NothingChosen from None

    def _heard(self, found: Found) -> None:
        if found.profile is None:
            return
        others = self.state.found
        known = [other.address for other in others]
        if found.address not in known:
            self._become(found=(*others, found))
        elif (at := known.index(found.address)) >= 0 and others[at].name != found.name and found.name:
            self._become(found=(*others[:at], found, *others[at + 1 :]))
        again = self.state.chosen
        if self.state.step is Step.LISTENING and again is not None and again.address == found.address:
            self.choose(found.address)

    async def _ask(self) -> str | None:
        self._typed = asyncio.get_running_loop().create_future()
        self._become(step=Step.PASSKEY_WANTED)
        return await self._typed

    def _on_step(self, step: PairingStep) -> None:
        if step in {PairingStep.PAIRED, PairingStep.AGAIN}:
            self._become(step=Step.CHECKING)

    async def _read(self, radio: Radio, device: StoredDevice) -> None:
        patient = self.state.patient
        assert patient is not None  # noqa: S101 - `begin` was given one
        outcome = await known_devices.sync_device(
            self.station.home, radio, patient, device, progress=self._count
        )
        key = DeviceKey(patient.uuid, device.device_id)
        self._become(step=Step.DONE, device=outcome.device, outcome=outcome, count=outcome.records_read)
        self.station.events.publish(ReadingsStored(patient.uuid, key, outcome.stored))

    def _count(self, count: int) -> None:
        if count % SHOWN_EVERY == 0:
            self._become(count=count)

"""Fetching stored records over a connection: the control point, what it sends, when to stop waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from device_profiles.errors import MalformedMeasurement
from device_profiles.procedures.record_access import (
    AttributeRefused,
    Collector,
    Completed,
    RecordAccessRefused,
    RecordAccessRequest,
    last_record,
)
from device_profiles.profile import DeviceProfile
from device_profiles.reading import Context, Reading
from gateway.ble.connection import Connection
from gateway.ble.errors import ConnectionLost, ControlPointSilent

Progress = Callable[[int], None]
"""Called with the number of measurements that have arrived so far."""

CONTEXT_FOLLOWS = 1 << 4
"""The flag of a measurement whose context comes too (GLS §3.1.1.1)."""


class Frame(NamedTuple):
    """A notification as received."""

    characteristic: int
    raw: bytes


class RecordReader:
    """The gateway's side of record access over one connection.

    Frames are kept in the order in which they arrived, whatever they hold and however the procedure ends;
    making sense of them comes after the radio, so that nothing here slows it down.
    """

    def __init__(self, connection: Connection, progress: Progress | None = None) -> None:
        self.frames: list[Frame] = []
        self._connection = connection
        self._access = connection.profile.records
        self._progress = progress
        self._collector = Collector()
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._measurements = 0
        self._answer: asyncio.Future[bool] = self._loop.create_future()
        self._context_came = asyncio.Event()

    async def subscribe(self) -> None:
        """Switch on what the device will send: the records first, the control point last (GLP §3.3).

        Raises PairingNeeded, ServiceMissing, ConnectionLost, DeviceSilent.
        """
        await self._connection.subscribe(self._access.measurement, self._on_measurement)
        if self._connection.has(self._access.context):
            await self._connection.subscribe(self._access.context, self._on_context)
        await self._connection.subscribe(self._access.control_point, self._on_indication)

    async def fetch(self, request: RecordAccessRequest) -> bool:
        """Ask for records and wait until the device says that all were sent; whether there were any.

        Raises ControlPointSilent when nothing more comes, ConnectionLost, RecordAccessRefused,
        AttributeRefused, DeviceSilent; what has arrived is in `frames`.
        """
        self._answer = self._loop.create_future()
        try:
            await self._connection.write(self._access.control_point, self._collector.report(request))
        except AttributeRefused:
            self._collector.refused()
            raise
        self._heard_at = self._loop.time()
        while not self._answer.done():
            left = self._heard_at + self._connection.limits.silence - self._loop.time()
            if left <= 0:
                raise ControlPointSilent
            ends: set[asyncio.Future[bool] | asyncio.Future[None]] = {self._answer, self._connection.lost}
            await asyncio.wait(ends, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self._connection.lost.done() and not self._answer.done():
                raise ConnectionLost
        return self._answer.result()

    async def newest_sequence(self) -> int | None:
        """The number of the device's newest record, which is not kept; None where it does not tell."""
        kept, progress = len(self.frames), self._progress
        self._progress = None
        try:
            await self.fetch(last_record())
        except RecordAccessRefused:
            return None
        finally:
            asked = self.frames[kept:]
            del self.frames[kept:]
            self._progress = progress
            self._measurements = 0
        numbers = [_sequence(frame) for frame in asked if frame.characteristic == self._access.measurement]
        return numbers[-1] if numbers else None

    async def wait_for_contexts(self) -> None:
        """Wait for the contexts that were announced and have not come, up to their limit."""
        measurements = self._sent_as(self._access.measurement)
        announced = {_sequence(frame) for frame in measurements if frame.raw[0] & CONTEXT_FOLLOWS}
        lost = self._connection.lost
        lost.add_done_callback(lambda _: self._context_came.set())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._connection.limits.context):
                while not lost.done() and announced - set(
                    map(_sequence, self._sent_as(self._access.context))
                ):
                    self._context_came.clear()
                    await self._context_came.wait()

    def _sent_as(self, characteristic: int) -> Iterator[Frame]:
        return (frame for frame in self.frames if frame.characteristic == characteristic and frame.raw)

    def _on_measurement(self, raw: bytearray) -> None:
        self.frames.append(Frame(self._access.measurement, bytes(raw)))
        self._heard_at = self._loop.time()
        self._measurements += 1
        if self._progress:
            self._progress(self._measurements)

    def _on_context(self, raw: bytearray) -> None:
        self.frames.append(Frame(self._access.context, bytes(raw)))
        self._heard_at = self._loop.time()
        self._context_came.set()

    def _on_indication(self, raw: bytearray) -> None:
        try:
            event = self._collector.receive(bytes(raw))
        except MalformedMeasurement:
            self.frames.append(Frame(self._access.control_point, bytes(raw)))
        except RecordAccessRefused as error:
            if not self._answer.done():
                self._answer.set_exception(error)
        else:
            if isinstance(event, Completed) and not self._answer.done():
                self._answer.set_result(event.records_found)


def _sequence(frame: Frame) -> int:
    """Measurements and contexts begin alike: flags, then the sequence number (GLS §3.1, §3.2)."""
    return int.from_bytes(frame.raw[1:3], "little")


@dataclass(frozen=True, slots=True)
class RefusedFrame:
    """A notification that cannot be read, kept as it came. `position` counts from 1 in order of arrival."""

    position: int
    frame: Frame
    reason: str


WITHOUT_MEASUREMENT = "without_measurement"
"""Why a context is refused whose measurement did not come."""


def read_frames(
    profile: DeviceProfile, frames: list[Frame]
) -> tuple[tuple[Reading, ...], tuple[RefusedFrame, ...]]:
    """The readings, with their contexts wherever these came, and what could not be read."""
    measurement, context = profile.records.measurement, profile.records.context
    readings: list[Reading] = []
    contexts: dict[int, tuple[int, Context]] = {}
    refused: list[RefusedFrame] = []
    for position, frame in enumerate(frames, start=1):
        try:
            if frame.characteristic == measurement:
                readings.append(profile.reading(frame.raw))
            elif frame.characteristic == context:
                sequence, told = profile.context(frame.raw)
                contexts[sequence] = position, told
            else:
                refused.append(RefusedFrame(position, frame, "invalid_value"))
        except MalformedMeasurement as error:
            refused.append(RefusedFrame(position, frame, error.reason))
    joined = tuple(
        profile.joined(reading, contexts[reading.identity.sequence][1])
        if reading.identity.sequence in contexts
        else reading
        for reading in readings
    )
    alone = contexts.keys() - {reading.identity.sequence for reading in readings}
    for position, _ in (contexts[sequence] for sequence in alone):
        refused.append(RefusedFrame(position, frames[position - 1], WITHOUT_MEASUREMENT))
    return joined, tuple(sorted(refused, key=lambda each: each.position))

"""Fetching stored records over a connection: the control point, what it sends, when to stop waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from device_profiles.errors import MalformedMeasurement
from device_profiles.procedures.record_access import (
    AttributeRefused,
    Collector,
    Completed,
    RecordAccessRefused,
    RecordAccessRequest,
)
from gateway.ble.connection import Connection
from gateway.ble.errors import ConnectionLost, ControlPointSilent

Progress = Callable[[int], None]
"""Called with the number of measurements that have arrived so far."""


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

    async def wait_for_contexts(self, missing: Callable[[], bool]) -> None:
        """Wait for contexts that were announced, as long as any is missing and its limit has not come."""
        try:
            async with asyncio.timeout(self._connection.limits.context):
                while missing() and not self._connection.lost.done():
                    self._context_came.clear()
                    await self._context_came.wait()
        except TimeoutError:
            return

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

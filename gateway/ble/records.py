"""Fetching stored records over a connection: the control point, what it sends, when to stop waiting."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, tzinfo

from device_profiles.errors import MalformedMeasurement
from device_profiles.procedures.record_access import (
    PROCEDURE_ALREADY_IN_PROGRESS,
    AttributeRefused,
    Collector,
    Completed,
    ProcedureInProgress,
    RecordAccessRefused,
    RecordAccessRequest,
    last_record,
)
from device_profiles.profile import Heard, RecordAccess, Source
from gateway.ble.arrivals import Arrivals
from gateway.ble.connection import Connection
from gateway.ble.errors import ConnectionLost, ControlPointSilent, ServiceMissing
from storage.errors import DiskFull

Keep = Callable[[Heard, int, bytes], None]
"""Has a value of a characteristic on the disk when it returns; raises OSError where that fails."""

Progress = Callable[[int], None]
"""Called with the number of measurements that have arrived so far."""


class RecordReader:
    """The gateway's side of record access over a connection; what came is in `arrived`, however it ends."""

    def __init__(
        self,
        connection: Connection,
        progress: Progress | None = None,
        zone: tzinfo = UTC,
        keep: Keep | None = None,
    ) -> None:
        """`zone`: of the person's clock, which says when what a device without a clock sends was measured.

        `keep`: for what comes by itself, and only once. It is called before the value is confirmed, since an
        indication is confirmed when its callback has returned.
        """
        self._zone = zone
        self._keep = keep
        self._unkept: OSError | None = None
        self._now: datetime | None = None
        self._read_before: dict[int, bytes] = {}
        self.arrived = Arrivals(connection.profile, self._heard)
        self.set_aside: Arrivals | None = None
        """What came before `start_over`."""
        self.unannounced: frozenset[bytes] = frozenset()
        """Measurements that are asked for again only to see that they are there: no progress."""
        self.connection = self._connection = connection
        self._progress = progress
        self._collector = Collector()
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._measurements = 0
        self._answer: asyncio.Future[bool] = self._loop.create_future()
        self._context_came = asyncio.Event()

    @property
    def fetches(self) -> bool:
        """Whether the device gives its records when asked; else they come by themselves: `listen`."""
        access = self._connection.profile.records
        return access is not None and (not access.optional or self._connection.has(access.control_point))

    @property
    def _access(self) -> RecordAccess:
        access = self._connection.profile.records
        if access is None:
            raise ServiceMissing
        return access

    async def subscribe(self) -> None:
        """Switch on what the device will send: the records first, the control point last (GLP §3.3).

        A device whose records come by themselves may begin at once.
        Raises PairingNeeded, ServiceMissing, ConnectionLost, DeviceSilent.
        """
        connection = self._connection
        for uuid in connection.profile.reads_before:
            if (value := await connection.read(uuid)) is not None:
                self._read_before[uuid] = value
        first, *others = self._sources()
        await connection.subscribe(first.characteristic, self._taking(first))
        if not self.fetches:
            with suppress(ConnectionLost):  # it may have said all, and goodbye, already
                for source in others:
                    await connection.subscribe(source.characteristic, self._taking(source))
            return
        for source in others:
            await connection.subscribe(source.characteristic, self._taking(source))
        if connection.has(self._access.context):
            await connection.subscribe(self._access.context, self._on_context)
        await connection.subscribe(self._access.control_point, self._on_indication)

    def _sources(self) -> list[Source]:
        """What to listen to: what the device has; of a stream only where it has nothing else.

        Where it has nothing, its first: the attempt says so.
        """
        first, *others = self._connection.profile.sources
        found = [each for each in (first, *others) if self._connection.has(each.characteristic)]
        return [each for each in found if not each.live] or found or [first]

    async def listen(self) -> None:
        """Take what a device sends by itself, until it has been silent for long or has ended the connection.

        A device that has sent everything mostly says goodbye: that is no error. One that is worn sends on and
        on: of a stream a while is taken. Raises DiskFull where something could not be kept.
        """
        lost, limits = self._connection.lost, self._connection.limits
        streams = all(source.live for source in self._sources())
        end = self._loop.time() + limits.stream if streams else math.inf
        self._heard_at = self._loop.time()
        while not lost.done() and self._unkept is None:
            left = min(self._heard_at + limits.pushed, end) - self._loop.time()
            if left <= 0:
                return
            await asyncio.wait({lost}, timeout=left)
        if self._unkept is not None:
            raise DiskFull from self._unkept

    async def fetch(self, request: RecordAccessRequest) -> bool:
        """Ask for records and wait until the device says that all were sent; whether there were any.

        Raises ControlPointSilent when nothing more comes, ConnectionLost, RecordAccessRefused,
        ProcedureInProgress, AttributeRefused, DeviceSilent.
        """
        self._answer = self._loop.create_future()
        try:
            await self._connection.write(self._access.control_point, self._collector.report(request))
        except AttributeRefused as refused:
            self._collector.refused()
            if refused.code == PROCEDURE_ALREADY_IN_PROGRESS:
                raise ProcedureInProgress from refused
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

    def start_over(self) -> None:
        """All of what came will come again: it is set aside, and what follows is counted from nothing."""
        self.arrived.end()
        self.set_aside = self.arrived
        self.arrived = Arrivals(self._connection.profile, self._heard)
        self._measurements = 0

    async def newest_sequence(self) -> int | None:
        """The number of the device's newest record, which is not kept; None where it does not tell."""
        kept, progress = self.arrived, self._progress
        asked = self.arrived = Arrivals(self._connection.profile, self._heard)
        self._progress = None
        try:
            await self.fetch(last_record())
        except RecordAccessRefused:
            return None
        finally:
            self.arrived, self._progress, self._measurements = kept, progress, len(kept.readings)
        return asked.readings[-1].identity.sequence if asked.readings else None

    async def wait_for_contexts(self) -> None:
        """Wait for the contexts that were announced and have not come, up to their limit."""
        lost = self._connection.lost
        lost.add_done_callback(lambda _: self._context_came.set())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._connection.limits.context):
                while self.arrived.expected_contexts and not lost.done():
                    self._context_came.clear()
                    await self._context_came.wait()

    def _heard(self) -> Heard:
        """What is known beside the value that came last, at its moment."""
        now = self._now or datetime.now(self._zone).replace(tzinfo=UTC)
        return Heard(now, self._zone, self._read_before)

    def _kept(self, source: Source, raw: bytes) -> None:
        """What comes only once is on the disk; else it is not confirmed."""
        if self._keep is None or self.fetches or source.live:
            return
        try:
            self._keep(self._heard(), source.characteristic, raw)
        except OSError as error:
            self._unkept = error
            raise

    def _taking(self, source: Source) -> Callable[[bytearray], None]:
        def on_measurement(raw: bytearray) -> None:
            self._heard_at = self._loop.time()
            self._now = datetime.now(self._zone).replace(tzinfo=UTC)
            self._kept(source, bytes(raw))
            announced = bytes(raw) not in self.unannounced
            self._measurements += announced
            self.arrived.measurement(bytes(raw), source.characteristic)
            if self._progress and announced:
                self._progress(self._measurements)

        return on_measurement

    def _on_context(self, raw: bytearray) -> None:
        self._heard_at = self._loop.time()
        self.arrived.context(bytes(raw))
        self._context_came.set()

    def _on_indication(self, raw: bytearray) -> None:
        try:
            event = self._collector.receive(bytes(raw))
        except MalformedMeasurement as error:
            self.arrived.refuse(self._access.control_point, bytes(raw), error.reason)
        except RecordAccessRefused as error:
            if not self._answer.done():
                self._answer.set_exception(error)
        else:
            if isinstance(event, Completed) and not self._answer.done():
                self._answer.set_result(event.records_found)

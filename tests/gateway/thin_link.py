"""A link without radio or GATT: a virtual device as bleak's client shows it, for thousands of histories.

Everything above it is the gateway's own: the connection, the control point, the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any

from bleak.exc import BleakError, BleakGATTProtocolError

from device_profiles.virtual_device import (
    AttributeRefused,
    Disconnect,
    Effect,
    Indicate,
    LinkDropped,
    Notify,
    VirtualDevice,
)
from gateway.ble.connection import Connection, long_uuid
from gateway.ble.limits import Limits

PATIENT = Limits(silence=20.0, context=20.0, operation=20.0)
"""For a device that answers: only a device that never does is waited for in vain."""
BRIEF = Limits(silence=0.05, context=0.02, operation=0.5)
"""For a device that will not answer; one that is given up too early only has to be read again."""

Callback = Callable[[Any, bytearray], None]


class ThinClient:
    """What `Connection` asks of a bleak client, answered by a virtual device in the same process."""

    def __init__(self, device: VirtualDevice, lost: asyncio.Future[None]) -> None:
        self.address = "C0:FF:EE:00:00:01"
        self.device = device
        self._lost = lost
        self._callbacks: dict[int, Callback] = {}
        self._sending: set[asyncio.Task[None]] = set()
        offered = [
            SimpleNamespace(number=each.uuid, uuid=long_uuid(each.uuid), properties=sorted(each.properties))
            for service in device.gatt_table()
            for each in service.characteristics
        ]
        self.services = SimpleNamespace(characteristics=dict(enumerate(offered)))

    async def read_gatt_char(self, characteristic: Any) -> bytearray:
        with self._answering():
            return bytearray(self.device.read(characteristic.number))

    async def write_gatt_char(self, characteristic: Any, value: bytes, *, response: bool) -> None:
        del response
        with self._answering():
            self._send(self.device.write(characteristic.number, value))

    async def start_notify(self, characteristic: Any, callback: Callback) -> None:
        self._callbacks[characteristic.number] = callback
        with self._answering():
            value = 2 if "indicate" in characteristic.properties else 1
            self._send(self.device.subscribe(characteristic.number, value))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        if self._lost.done():
            raise BleakError("Not connected")
        try:
            yield
        except AttributeRefused as refused:
            raise BleakGATTProtocolError(refused.code) from refused
        except LinkDropped:
            self.drop()
            raise BleakError("disconnected") from None

    def _send(self, effects: Iterator[Effect]) -> None:
        task = asyncio.create_task(self._perform(effects))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _perform(self, effects: Iterator[Effect]) -> None:
        for effect in effects:
            if self._lost.done():
                return
            match effect:
                case Notify(number, value) | Indicate(number, value):
                    self._callbacks[number](None, bytearray(value))
                case Disconnect():
                    self.drop()
            await asyncio.sleep(0)

    def drop(self) -> None:
        """The link ends."""
        if not self._lost.done():
            self._lost.set_result(None)
            self.device.disconnected()

    async def end(self) -> None:
        """The link ends, and with it what was being sent."""
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        self.drop()


@asynccontextmanager
async def thin_link(device: VirtualDevice, limits: Limits = PATIENT) -> Any:
    """A connection to a virtual device."""
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    client = ThinClient(device, lost)
    try:
        yield Connection(client, device.profile, lost, limits)  # type: ignore[arg-type]
    finally:
        await client.end()

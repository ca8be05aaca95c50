"""A gateway and meters on one virtual air: what the tests of the radio and of sync work with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from device_profiles.devices import glucose_meter
from device_profiles.services.device_information import DeviceInformation
from device_profiles.virtual_device import Faults, Record, VirtualDevice, generated_records
from device_profiles.wire import DateTime
from gateway.ble.connection import Connection
from gateway.ble.limits import Limits
from gateway.ble.pairing import PasskeySource
from gateway.ble.radio import Found, Radio, open_radio
from gateway.ble.virtual_peripheral import Peripheral
from gateway.ble.virtual_radio import VirtualRadio, virtual_radio

ZONE = ZoneInfo("Europe/Paris")
START = DateTime(2024, 1, 8, 0, 0, 0)

HASTY = Limits(
    scan=1.0,
    connect=1.0,
    listen_again=0.2,
    pair=2.0,
    operation=1.0,
    silence=0.2,
    pushed=0.2,
    context=0.2,
    disconnect=1.0,
)
"""For the tests that wait for nothing: on this air whoever is going to answer does so in milliseconds."""


def local_time() -> datetime:
    """What a right clock shows a person in `ZONE`."""
    return datetime.now(ZONE)


def meter(
    records: int | Sequence[Record] = 5, *, serial: str = "SN-1", protected: bool = True, **faults: int
) -> VirtualDevice:
    """A standard meter with so many records, and with faults by name."""
    stored = generated_records(records, start=START) if isinstance(records, int) else records
    return VirtualDevice(
        glucose_meter.PROFILE,
        stored,
        information=DeviceInformation("Acme", "One", serial, firmware="1.0"),
        clock=local_time,
        protected=protected,
        faults=Faults(**faults),
    )


class Bench:
    """An air with meters in it, and a person who reads the digits that they show."""

    def __init__(self, home: Path, air: VirtualRadio, shown: asyncio.Queue[str]) -> None:
        self.home, self.air = home, air
        self.shown = shown

    @property
    def peripheral(self) -> Peripheral:
        """The first meter on the air."""
        return self.air.peripherals[0]

    async def read_display(self) -> str:
        """A person types what is shown."""
        return await self.shown.get()

    async def misread_display(self) -> int:
        """A person types something else."""
        return (int(await self.shown.get()) + 1) % 1_000_000

    def fault(self, **faults: int) -> None:
        """Change what goes wrong with the first meter."""
        self.peripheral.virtual.faults = replace(Faults(), **faults)

    @asynccontextmanager
    async def radio(self, limits: Limits = HASTY) -> AsyncIterator[Radio]:
        """The gateway's radio, with an adapter of its own."""
        async with open_radio(self.air.transport(), self.home, limits) as radio:
            yield radio

    @asynccontextmanager
    async def connected(
        self, passkey: PasskeySource | str = "as shown", limits: Limits = HASTY
    ) -> AsyncIterator[Connection]:
        """The first meter, found and connected."""
        async with self.radio(limits) as radio:
            found = await radio.find(self.is_first)
            async with radio.connect(
                found, self.read_display if passkey == "as shown" else passkey
            ) as connection:
                yield connection

    def is_first(self, found: Found) -> bool:
        """Whether the first meter was heard."""
        return found.address == self.peripheral.address


@asynccontextmanager
async def bench(home: Path, *meters: VirtualDevice) -> AsyncIterator[Bench]:
    """Put meters on an air."""
    shown: asyncio.Queue[str] = asyncio.Queue()
    async with virtual_radio(meters, lambda _, digits: shown.put_nowait(digits)) as air:
        yield Bench(home, air, shown)

"""The air of the virtual machine: an adapter that the kernel drives through /dev/vhci, and our virtual meter.

A program of its own, so that the gateway under test has the kernel between itself and the meter, and its own
event loop. It takes commands on a Unix socket, one JSON list a line, and answers with one JSON line:

    python -m tests.bluez.air /run/air.sock
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from dataclasses import fields

from bumble import hci
from bumble.controller import Controller
from bumble.pairing import PairingConfig
from bumble.transport import open_transport

from device_profiles.virtual_device import Faults, generated_records
from gateway.ble.virtual_peripheral import Peripheral, _Display
from gateway.ble.virtual_radio import Adapter, VirtualRadio, virtual_radio
from tests.gateway.ble.bench import START, meter

ADAPTER_ADDRESS = "F0:0D:CA:FE:00:01"


class KernelAdapter(Adapter):
    """The controller that Linux drives, with what Linux needs of it beyond `Adapter`.

    Where a controller offers one of the two features left out, Linux waits for the enhanced event of a
    connection, and Bumble 0.0.236 always sends the plain one: connecting would time out.
    """

    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
    )

    def on_hci_reset_command(self, command):
        # Linux resets when the adapter is switched on; what it was at is over.
        self.pending_le_connection = None
        self.le_scan_enable = False
        return super().on_hci_reset_command(command)


class Trusting(_Display):
    """A meter that lets whoever cannot type pair without a passkey."""

    async def confirm(self, auto: bool = False) -> bool:
        return True


class Air:
    """The commands. Each answers something that JSON can say."""

    _radio: VirtualRadio
    _meter: Peripheral

    def __init__(self) -> None:
        self._shown: asyncio.Queue[str] = asyncio.Queue()
        self._everything = AsyncExitStack()
        self._plugged = AsyncExitStack()

    async def renew(self, serial: str) -> None:
        """Another meter in another air, and no adapter: nothing is left of what was before."""
        await self._plugged.aclose()
        await self._everything.aclose()
        made = virtual_radio([meter(serial=serial)], lambda _, digits: self._shown.put_nowait(digits))
        self._radio = await self._everything.enter_async_context(made)
        (self._meter,) = self._radio.peripherals
        self._meter._device.on("connection", self._clear_display)

    def _clear_display(self, _: object) -> None:
        """Whoever connects finds no digits of an earlier attempt."""
        self._shown = asyncio.Queue()

    async def plug(self) -> None:
        """An adapter appears."""
        vhci = await self._plugged.enter_async_context(await open_transport("vhci"))
        adapter = KernelAdapter(
            "kernel's", host_source=vhci.source, host_sink=vhci.sink, link=self._radio.air,
            public_address=hci.Address(ADAPTER_ADDRESS, hci.Address.PUBLIC_DEVICE_ADDRESS),
        )  # fmt: skip
        self._plugged.callback(self._radio.air.take_out, adapter)

    async def unplug(self) -> None:
        """It is pulled out."""
        await self._plugged.aclose()

    async def passkey(self) -> str:
        """The digits that the meter shows now, or will."""
        return await self._shown.get()

    async def forget(self) -> None:
        """The meter's battery is changed: its bonds are gone."""
        await self._meter.forget()

    async def drop(self) -> None:
        """The meter ends the connection."""
        await self._meter.disconnect()

    async def away(self) -> None:
        """The meter is carried off: both sides see their supervision timeouts run out."""
        self._radio.lose(self._meter)

    async def back(self) -> None:
        """It is in range again."""
        self._radio.bring_back(self._meter)

    async def hold(self) -> None:
        """Another phone has the meter: it is heard, and takes no connection."""
        self._radio.hold(self._meter)

    async def let_go(self) -> None:
        """It has not any more."""
        self._radio.let_go(self._meter)

    async def distrust(self) -> None:
        """The meter pairs by passkey again, and keeps what bonds it has."""
        self._meter._device.pairing_config_factory = self._meter._pairing

    async def trust(self) -> None:
        """The meter accepts pairing without a passkey; its records stay closed to such a bond."""
        self._meter._device.pairing_config_factory = lambda _: PairingConfig(
            sc=True, mitm=False, bonding=True, delegate=Trusting(self._meter, tells_identity=False)
        )

    async def fault(self, name: str, value: object) -> None:
        """What goes wrong, by name."""
        assert name in {each.name for each in fields(Faults)}
        self._meter.virtual.faults = Faults(**{name: value})

    async def measure(self, count: int) -> int:
        """So many more measurements; how many records the meter holds now."""
        held = len(self._meter.virtual._stored)
        for record in generated_records(held + count, start=START)[held:]:
            self._meter.virtual.add(record)
        return held + count

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the commands of one test."""
        while line := await reader.readline():
            name, *values = json.loads(line)
            answer = await getattr(self, name)(*values)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()


async def main(socket: str) -> None:
    server = await asyncio.start_unix_server(Air().serve, socket)
    print("air: ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

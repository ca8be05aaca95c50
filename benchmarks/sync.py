"""Syncing a meter of 1,000 records, with storing them, beside a bare bleak loop that counts notifications.

Both go over the same virtual link to a bonded meter (a process of its own, as it is on a radio), by the same
steps: scan, connect, discover, switch on what the meter sends, ask for all, hang up. Sync also reads who the
meter is, its clock and battery, decodes, places in time and stores in a real database, for a new person each
time, so that all is new. They take turns, and each pair gives one ratio: what else the machine does weighs on
both halves of a pair alike.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bleak import BleakClient, BleakScanner

from benchmarks.table import Row, print_table
from gateway.ble.radio import Radio, open_radio
from gateway.sync import Storing, sync
from storage import patients
from storage.database import Database
from storage.embedded import erase

RECORDS = 1_000
ROUNDS = 21
UUID = "0000{:04x}-0000-1000-8000-00805f9b34fb"
METER = """
import asyncio, sys
from datetime import datetime, timezone
from device_profiles.devices import glucose_meter
from device_profiles.services.device_information import DeviceInformation
from device_profiles.virtual_device import VirtualDevice, generated_records
from device_profiles.wire import DateTime
from gateway.ble.virtual_radio import served_virtual_radio

async def main():
    meter = VirtualDevice(
        glucose_meter.PROFILE,
        generated_records(int(sys.argv[1]), start=DateTime(2025, 1, 1, 0, 0, 0)),
        information=DeviceInformation("Bench", "One", "1"),
        clock=lambda: datetime.now(timezone.utc),
    )
    show = lambda _, digits: print(digits, flush=True)
    async with served_virtual_radio([meter], 0, show) as port:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


@asynccontextmanager
async def _meter() -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        METER,
        str(RECORDS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def _bare(radio: Radio, name: str) -> int:
    """How many notifications arrive."""
    count = 0
    done = asyncio.get_running_loop().create_future()

    def counted(*_: object) -> None:
        nonlocal count
        count += 1

    device = await BleakScanner.find_device_by_name(name, **radio._scanner)
    assert device is not None
    async with BleakClient(device, **radio._client) as client:
        await client.start_notify(UUID.format(0x2A18), counted)
        await client.start_notify(UUID.format(0x2A34), counted)
        await client.start_notify(UUID.format(0x2A52), lambda _, value: done.set_result(value))
        await client.write_gatt_char(UUID.format(0x2A52), b"\x01\x01", response=True)
        await done
    return count


async def _ours(radio: Radio, name: str, storing: Storing) -> int:
    outcome = await sync(radio, lambda found: found.name == name, storing)
    assert outcome.stored == RECORDS
    return outcome.notifications


async def _measure(home: Path) -> tuple[list[float], list[float]]:
    ours: list[float] = []
    bare: list[float] = []
    counted: set[int] = set()
    async with Database.open(home) as database, _meter() as process:
        port = await _line(process)
        async with open_radio(f"bumble:tcp-client:127.0.0.1:{port}", home) as radio:
            found = await radio.find(lambda found: found.profile is not None)
            async with radio.connect(found, lambda: _line(process)):
                name = str(found.name)
            for turn in range(ROUNDS + 1):
                async with database.writer() as conn:
                    patient = await patients.add(conn, f"bench-{turn}", "Europe/Paris")
                storing = Storing(database, patient)
                both = [(bare, _bare(radio, name)), (ours, _ours(radio, name, storing))]
                for seconds, work in both if turn % 2 else reversed(both):
                    began = time.perf_counter()
                    counted.add(await work)
                    seconds.append(time.perf_counter() - began)
    assert len(counted) == 1  # both heard the same
    return ours[1:], bare[1:]  # the first of each warms up


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        try:
            ours, bare = asyncio.run(_measure(home))
        finally:
            erase(home)
    mine, floor = statistics.median(ours), statistics.median(bare)
    ratio = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
    return [
        Row(
            f"sync of {RECORDS:,} records, stored, beside a bleak loop that counts",
            f"{ratio:.2f} × ({1e3 * mine:.0f} ms against {1e3 * floor:.0f} ms)",
            "<= 1.25 ×",
            ratio <= 1.25,
        )
    ]


if __name__ == "__main__":
    print_table(run())

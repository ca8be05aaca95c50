"""Draining the outbox: 100,800 sensor readings (350 days) into a space of ours, a server on each side.

The feeder runs in this process, the space in another, on the same machine and over real HTTP. Processor time
is told beside the rate: on a machine that does other work it is the figure to compare.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, perf_counter, sleep
from urllib.request import urlopen

import psutil

from benchmarks.store import ROWS, sensor_readings
from benchmarks.table import Row, print_table
from device_profiles.reading import ClockSegment, Device, DeviceIdentity, Reading, TimeSource
from gateway.home import Home, opened
from gateway.outbox import connections, feeder
from gateway.outbox.client import Entrance
from gateway.serve import free_port
from gateway.settings import Settings
from storage import devices, patients, readings, spaces
from storage.embedded import erase

FORTNIGHTS = 25
COUNT = FORTNIGHTS * ROWS
START = datetime(2025, 10, 1, tzinfo=UTC)


def fortnight(number: int) -> list[Reading]:
    first = START + timedelta(minutes=5 * ROWS * number)
    return [
        replace(
            reading,
            identity=replace(
                reading.identity, recorded_at=first + timedelta(minutes=5 * row), sequence=ROWS * number + row
            ),
        )
        for row, reading in enumerate(sensor_readings())
    ]


@contextmanager
def space_process(home: Path) -> Iterator[tuple[str, str, psutil.Process]]:
    """A space on a free port: its address, a code of it, and its process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PASSERELLE_")}
    environment = kept | {"PASSERELLE_HOME": str(home)}
    command = [sys.executable, "-m", "gateway"]
    subprocess.run([*command, "tenants", "add", "clinic"], env=environment, check=True, capture_output=True)
    made = subprocess.run(
        [*command, "tenants", "code", "clinic", "--json"], env=environment, check=True, capture_output=True
    )
    port = free_port(8422)
    serving = subprocess.Popen(
        [*command, "serve", "--role", "space", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        end = monotonic() + 30
        while monotonic() < end:
            try:
                urlopen(f"{url}/health", timeout=2).read()
                break
            except OSError:
                sleep(0.05)
        yield url, json.loads(made.stdout)["code"], psutil.Process(serving.pid)
    finally:
        serving.terminate()
        serving.wait(30)


def seconds_of(processes: list[psutil.Process]) -> dict[int, float]:
    """Processor seconds of these processes, those that ended left out."""
    found = {}
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        found[process.pid] = times.user + times.system
    return found


def servers() -> list[psutil.Process]:
    """Every PostgreSQL process: this machine's two homes, and whatever else runs."""
    return [process for process in psutil.process_iter(["name"]) if process.info["name"] == "postgres"]


def spent(before: dict[int, float], after: dict[int, float]) -> float:
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


async def stored(home: Home) -> int:
    async with home.database.writer() as conn:
        patient = await patients.add(conn, "Ada", "Europe/Paris")
        device = await devices.register(conn, patient.patient_id, Device(DeviceIdentity("serial", "a/b/c")))
    for number in range(FORTNIGHTS):
        batch = fortnight(number)
        last = batch[-1].identity
        placed = ClockSegment(0, last.sequence, START, last.recorded_at, -3600, 60, TimeSource.DEVICE)
        async with home.database.writer() as conn, readings.writing(conn, device) as writing:
            await writing.store(batch, [placed])
    return patient.patient_id


async def measure(folder: Path) -> list[Row]:
    with space_process(folder / "space") as (url, code, process):
        async with opened(Settings(home=folder / "gateway")) as home:
            patient_id = await stored(home)
            space = await connections.connect(home, "Ada", Entrance(url, url), code=code)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            ours = psutil.Process()
            before = seconds_of([ours]), seconds_of([process]), seconds_of(servers())
            begun = perf_counter()
            told = await feeder.feed(home, space)
            seconds = perf_counter() - begun
            after = seconds_of([ours]), seconds_of([process]), seconds_of(servers())
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
            async with home.database.writer() as conn:
                await spaces.advance(conn, await spaces.get(conn, patient_id, space.space_id), 0)
                again = await spaces.get(conn, patient_id, space.space_id)
            begun = perf_counter()
            told_again = await feeder.feed(home, again)
            looked = perf_counter() - begun
    feeding, serving, databases = (spent(*pair) for pair in zip(before, after, strict=True))
    rate = told.told / seconds
    whole = feeding + serving + databases
    costs = f"feeder {feeding:.1f}, space {serving:.1f}, both PostgreSQL {databases:.1f} s of processor"
    return [
        Row(
            f"outbox: {told.told} readings into our space ({costs})",
            f"{rate:.0f}/s",
            "≥ 2000/s",
            rate >= 2000,
        ),
        Row("the same, by processor time on two cores", f"{2 * COUNT / whole:.0f}/s", "told only", True),
        Row("memory that the feeder grew by", f"{grown / 1024:.0f} MB", "≤ 64 MB", grown <= 64 * 1024),
        Row(
            f"the whole history looked at again, {told_again.told} told",
            f"{COUNT / looked:.0f}/s",
            "told only",
            told_again.told == 0,
        ),
    ]


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return asyncio.run(measure(Path(folder)))
        finally:
            for name in ("gateway", "space"):
                erase(Path(folder) / name)


if __name__ == "__main__":
    print_table(run())

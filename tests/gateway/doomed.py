"""A gateway that kills itself with SIGKILL at a step of its work: nothing of it runs on, nothing is closed.

    python -m tests.gateway.doomed DATABASE_HOME

reads a line of JSON for each gateway that shall be started, forks it, and says how it ended: `killed`, or
`done` where its work had fewer steps. A step is a statement that goes to the database, a value that comes
from the device, or a write to the journal that has reached the disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from device_profiles.virtual_device import Record
from gateway import journal
from gateway.ble.arrivals import Arrivals
from gateway.home import Home
from gateway.known_devices import sync_known
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from gateway.storing import Storing
from gateway.sync import sync_connected
from storage import patients
from storage.database import Database
from tests.gateway.ble.bench import meter
from tests.gateway.thin_link import thin_link


def die_at(point: int) -> None:
    """From now on the step of this number is the last thing that this process does."""
    steps = count(1)

    def step() -> None:
        if next(steps) == point:
            os.kill(os.getpid(), signal.SIGKILL)

    _before(psycopg.AsyncCursor, "execute", step)
    _before(psycopg.AsyncCursor, "copy", step)
    _before(Arrivals, "measurement", step)
    written = os.fsync

    def write(descriptor: int) -> None:
        written(descriptor)
        step()

    journal.os.fsync = write


def _before(owner: Any, name: str, step: Any) -> None:
    real = getattr(owner, name)

    def stepped(*arguments: Any, **more: Any) -> Any:
        step()
        return real(*arguments, **more)

    setattr(owner, name, stepped)


async def read_meter(database_home: Path, patient_id: int, serial: str, records: list[list[Any]]) -> None:
    """A sync over the link without radio."""
    held = [
        Record(number, bytes.fromhex(measurement), bytes.fromhex(context))
        for number, measurement, context in records
    ]
    async with Database.open(database_home) as database:
        async with database.writer() as conn:
            patient = await patients.get(conn, patient_id)
        async with thin_link(meter(held, serial=serial, protected=False)) as connection:
            await sync_connected(connection, Storing(database, patient))


async def read_known(database_home: Path, folder: str, ble: str) -> None:
    """`passerelle sync` over the virtual radio of another process."""
    async with Database.open(database_home) as database:
        await sync_known(Home(Settings(home=folder, ble=ble), database, HomeSecret(bytes(32))), None)


def run(database_home: Path, asked: dict[str, Any]) -> None:
    """One gateway, to its end."""
    die_at(asked.pop("point"))
    work = read_known if "ble" in asked else read_meter
    asyncio.run(work(database_home, **asked))


def ends(database_home: Path, lines: Iterator[str]) -> Iterator[str]:
    """How each gateway ended."""
    for line in lines:
        child = os.fork()
        if not child:
            try:
                run(database_home, json.loads(line))
            finally:
                os._exit(1 if sys.exc_info()[0] else 0)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            yield "killed"
        else:
            yield "done" if os.waitstatus_to_exitcode(status) == 0 else "failed"


if __name__ == "__main__":
    for ended in ends(Path(sys.argv[1]), iter(sys.stdin)):
        print(ended, flush=True)

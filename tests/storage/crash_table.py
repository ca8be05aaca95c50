"""What is killed where, and what is found: `python -m tests.storage.crash_table`.

One store of 300 readings, of which 150 are there already, is stopped before each of its statements (a block
of a COPY, the COMMIT and the word that it is done count as such), and either the program or the server is
killed there with SIGKILL. What must be: everything that was acknowledged is there, nothing is half there
(readings, day, cursor, segment, outbox), and the next run completes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, astuple, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from device_profiles.errors import StorageError
from storage import daily_summary, devices, outbox, patients, readings
from storage.cluster import place_of
from storage.columns import COPY_TRAILER
from storage.daily_summary import DaySummary
from storage.database import Database
from storage.devices import StoredDevice
from storage.embedded import EmbeddedServer, erase
from storage.statements import statements
from tests.storage.samples import glucose, new_device, segment

KNOWN, ALL = 150, 300
BATCH = [glucose(sequence) for sequence in range(ALL)]
EVERY_DAY = date(1, 1, 1), date(9999, 12, 31)

Stop = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What the store says of the device."""

    readings: int
    in_days: int
    cursor: int | None
    segments: int
    told: int
    """Readings that the outbox tells of."""


BEFORE = Found(KNOWN, KNOWN, KNOWN - 1, 1, KNOWN)
AFTER = Found(ALL, ALL, ALL - 1, 1, ALL)


@dataclass(frozen=True)
class Line:
    """One kill. `acknowledged`: whether the server had told the program that the batch is stored."""

    victim: str
    before: str
    acknowledged: bool
    found: Found
    next_run: Found

    @property
    def holds(self) -> bool:
        """Nothing acknowledged is lost, nothing is half there, the next run completes."""
        whole = self.found in ({AFTER} if self.acknowledged else {BEFORE, AFTER})
        return whole and self.next_run == AFTER


def name_of(query: Any) -> str:
    """The name of a statement, as its file has it."""
    for aggregate in ("writing", "clock_segments", "outbox", "daily_summary", "contexts"):
        for name, text in statements(aggregate).items():
            if text == query:
                return f"{aggregate}.{name}"
    return str(query) or "the pool's look"


@contextmanager
def stopping(stop: Stop) -> Iterator[None]:
    """Calls `stop` with the name of each thing that is about to be sent."""
    cursor, copy, connection = psycopg.AsyncCursor, psycopg.AsyncCopy, psycopg.AsyncConnection
    execute, write, commit = cursor.execute, copy.write, connection.commit
    copying = cursor.copy

    async def executed(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        stop(name_of(query))
        return await execute(self, query, *rest, **more)

    def copied(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        stop(name_of(query))
        return copying(self, query, *rest, **more)

    async def written(self: Any, block: Any) -> None:
        stop("the end of the COPY" if block == COPY_TRAILER else f"{len(block)} bytes of the COPY")
        await write(self, block)

    async def committed(self: Any) -> None:
        stop("COMMIT")
        await commit(self)

    cursor.execute, cursor.copy = executed, copied  # type: ignore[method-assign, assignment]
    copy.write, connection.commit = written, committed  # type: ignore[method-assign, assignment]
    yield


async def store(home: Path, device: StoredDevice, stop: Stop | None = None) -> None:
    async with Database.open(home) as database:
        async with database.writer() as conn:
            await conn.execute("SELECT 1")
        if stop is not None:
            with stopping(stop):
                await _store(database, device)
            stop("the answer")
        else:
            await _store(database, device)


async def _store(database: Database, device: StoredDevice) -> None:
    async with database.writer() as conn, readings.writing(conn, device) as writing:
        await writing.store(BATCH, [segment(BATCH)])


async def prepare(home: Path) -> StoredDevice:
    """A device half of whose records are known."""
    async with Database.open(home) as database:
        async with database.writer() as conn:
            patient = await patients.find_or_add(conn, "Crash test", "Europe/Paris")
        device = await new_device(database, patient)
        async with database.writer() as conn, readings.writing(conn, device) as writing:
            await writing.store(BATCH[:KNOWN], [segment(BATCH[:KNOWN])])
        return device


async def look(home: Path, device: StoredDevice) -> Found:
    async with Database.open(home) as database, database.writer() as conn:
        series = await readings.series(conn, device.patient_id)
        days = await daily_summary.days(conn, device.patient_id, *EVERY_DAY)
        stored = await devices.get(conn, device.patient_id, device.device_id)
        entries = await outbox.entries_after(conn, device.patient_id, 0, 100_000)
        async with readings.writing(conn, device) as writing:
            segments = len(writing.history)
    own: list[DaySummary] = [day for day in days if day.device_id == device.device_id]
    return Found(
        int((series.device_id == device.device_id).sum()),
        sum(day.readings for day in own),
        stored.last_sequence,
        segments,
        sum(entry.readings for entry in entries if entry.device_id == device.device_id),
    )


def steps_of(home: Path) -> list[str]:
    """What a store sends, in order."""
    names: list[str] = []
    device = asyncio.run(prepare(home))
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _as_child(lambda: asyncio.run(store(home, device, names.append)), writer, lambda: json.dumps(names))
    os.close(writer)
    told = b"".join(iter(lambda: os.read(reader, 65536), b""))
    os.waitpid(child, 0)
    return list(json.loads(told))


def _as_child(work: Callable[[], None], writer: int, answer: Callable[[], str]) -> None:
    """In the process that was forked: never returns."""
    status = 1
    try:
        work()
        os.write(writer, answer().encode())
        status = 0
    finally:
        os._exit(status)


def kill(home: Path, number: int, name: str, victim: str) -> Line:
    """One store, stopped before its statement `number`."""
    device = asyncio.run(prepare(home))
    here, gone_on = os.pipe(), os.pipe()
    left = iter(range(number))

    def stop(_: str) -> None:
        if next(left, None) is None and number >= 0:
            os.write(here[1], b"stopped")
            os.read(gone_on[0], 1)

    child = os.fork()
    if not child:
        # What it says of a lost server is no matter here: that it said nothing of success is.
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        _as_child(lambda: asyncio.run(store(home, device, stop)), here[1], lambda: "acknowledged")
    assert os.read(here[0], 7) == b"stopped"
    if victim == "program":
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        acknowledged = False
    else:
        server = EmbeddedServer(place_of(home)).pid
        os.kill(server, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(server, 0)  # a dead child that nobody waited for looks alive to the next server
        os.write(gone_on[1], b"x" * 1000)
        status = os.waitpid(child, 0)[1]
        acknowledged = os.waitstatus_to_exitcode(status) == 0
    for end in (*here, *gone_on):
        os.close(end)
    found = asyncio.run(_in_the_end(lambda: look(home, device)))
    asyncio.run(_in_the_end(lambda: store(home, device)))
    return Line(victim, name, acknowledged or name == "the answer", found, asyncio.run(look(home, device)))


async def _in_the_end(work: Callable[[], Any]) -> Any:
    """A server that was killed is started again by whoever asks next; the one asked meanwhile may hear so."""
    for _ in range(20):
        try:
            return await work()
        except StorageError:
            await asyncio.sleep(0.2)
    return await work()


def table(home: Path, victims: list[str], every: int = 1) -> list[Line]:
    """All kills; `every`: only each so manieth statement, and the last two."""
    names = steps_of(home)
    chosen = sorted({*range(0, len(names), every), len(names) - 2, len(names) - 1})
    return [kill(home, number, names[number], victim) for victim in victims for number in chosen]


def shown(lines: list[Line]) -> str:
    fields = "readings, in days, cursor, segments, told"
    head = f"| killed | before | acknowledged | found ({fields}) | next run | equal |"
    rows = [
        f"| {line.victim} | {line.before} | {'yes' if line.acknowledged else 'no'} "
        f"| {', '.join(map(str, astuple(line.found)))} | {', '.join(map(str, astuple(line.next_run)))} "
        f"| {'yes' if line.holds else 'NO'} |"
        for line in lines
    ]
    return "\n".join((head, "|---|---|---|---|---|---|", *rows))


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    asked.add_argument("--victims", nargs="+", default=["program", "server"], choices=["program", "server"])
    asked.add_argument("--every", type=int, default=1, help="only each so manieth statement")
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        server = EmbeddedServer.hold(home)
        try:
            lines = table(home, given.victims, given.every)
        finally:
            server.release()
            erase(home)
    if given.json:
        print(json.dumps([{**asdict(line), "holds": line.holds} for line in lines]))
    else:
        print(shown(lines))
    return 0 if all(line.holds for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())

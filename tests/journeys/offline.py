"""A gateway that was offline for six weeks, a space that comes back, and a feeder that is killed three times.

`python -m tests.journeys.offline` prints the run.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from storage.embedded import erase
from tests import servers
from tests.journeys.conftest import CommandLine, free_port

WEEKS = 6
A_WEEK = 7 * 288
NAME = "Ada"

Narrate = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What both sides hold at the end, and how the kills went."""

    stored: int
    at_the_space: int
    same: bool
    changed_versions: int
    told: int
    waiting: int
    seen_at_kills: tuple[int, ...]
    acknowledged_at_kills: tuple[int, ...]


def sensor_weeks(folder: Path, number: int, weeks: int) -> Path:
    """A reading every five minutes for some weeks, after `number` others."""
    start = datetime(2026, 9, 7) + timedelta(weeks=number)  # noqa: DTZ001 - a file's own clock
    rows = [
        f"{start + timedelta(minutes=5 * row):%Y-%m-%dT%H:%M:%S},{70 + (row * 7 + number) % 180}"
        for row in range(weeks * A_WEEK)
    ]
    path = folder / f"week{number}.csv"
    path.write_text("time,mg_dl\n" + "\n".join(rows) + "\n")
    return path


async def rows_of(home: Path, table: str) -> list[tuple[object, ...]]:
    columns = "recorded_at, sequence, ordinal, mantissa" if table == "reading" else "*"
    async with servers.database_of(home) as database, database.owner() as conn:
        cursor = await conn.execute(f"SELECT {columns} FROM passerelle.{table} ORDER BY 1, 2, 3")
        return list(await cursor.fetchall())


async def until(home: Path, query: str, reached: int, process: subprocess.Popen[bytes]) -> int:
    """Looks until a count is reached, or the process ends by itself."""
    async with servers.database_of(home) as database:
        while True:
            async with database.owner() as conn:
                row = await (await conn.execute(query)).fetchone()
            assert row is not None
            if int(row[0]) >= reached or process.poll() is not None:
                return int(row[0])
            await asyncio.sleep(0.01)


def killed_feeder(gateway: CommandLine, space: CommandLine, more: int) -> tuple[int, int]:
    """Feeds until so many more readings are at the space, and kills it; what the two sides know then."""
    count = "SELECT count(*) FROM passerelle.reading"
    known = "SELECT count(*) FROM passerelle.delivery WHERE state = 1"
    before = len(asyncio.run(rows_of(space.home, "reading")))
    feeder = subprocess.Popen(
        [sys.executable, "-m", "gateway", "space", "feed"],
        env=gateway.environment,
        cwd=gateway.home.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    asyncio.run(until(space.home, count, before + more, feeder))
    assert feeder.poll() is None, "it ended before it could be killed"
    feeder.send_signal(signal.SIGKILL)
    feeder.wait()
    seen = len(asyncio.run(rows_of(space.home, "reading")))
    acknowledged = asyncio.run(until(gateway.home, known, 0, feeder))
    return seen, acknowledged


def go(
    gateway: CommandLine, space: CommandLine, folder: Path, narrate: Narrate, weeks_at_once: int = 1
) -> Outcome:
    """The whole run. `weeks_at_once`: in each import."""
    port = free_port()
    space.json("tenants", "add", "clinic")
    code = space.json("tenants", "code", "clinic")["code"]
    gateway.run("patients", "add", NAME, "--timezone", "Europe/Paris")
    with space.serving("--role", "space", port=port) as address:
        gateway.run("space", "connect", address, "--patient", NAME, "--code", code)
    narrate("connected; the space goes away")
    for number in range(0, WEEKS, weeks_at_once):
        file = sensor_weeks(folder, number, weeks_at_once)
        stored = gateway.json("import", str(file), "--patient", NAME, "--timezone", "Europe/Paris")["stored"]
        narrate(f"week {number + weeks_at_once}: {stored} readings stored")
    gateway.run("space", "feed", status=1)
    (status,) = gateway.json("space", "status")
    narrate(f"offline: told {status['told']}, waiting {status['waiting']}, state {status['state']}")
    seen: list[tuple[int, int]] = []
    with space.serving("--role", "space", port=port):
        narrate("the space is back")
        for _ in range(3):
            seen.append(killed_feeder(gateway, space, A_WEEK))
            narrate(f"killed -9: the space holds {seen[-1][0]}, the gateway knows of {seen[-1][1]}")
        begun = time.monotonic()
        gateway.run("space", "feed")
        narrate(f"fed to the end in {time.monotonic() - begun:.1f} s")
        (status,) = gateway.json("space", "status")
    return _compared(gateway, space, status, seen, narrate)


def _compared(
    gateway: CommandLine,
    space: CommandLine,
    status: dict[str, int],
    seen: list[tuple[int, int]],
    narrate: Narrate,
) -> Outcome:
    here = asyncio.run(rows_of(gateway.home, "reading"))
    there = asyncio.run(rows_of(space.home, "reading"))
    versions = asyncio.run(rows_of(space.home, "observation_version"))
    narrate(f"stored here {len(here)}, there {len(there)}, equal row for row: {here == there}")
    narrate(f"told {status['told']}, waiting {status['waiting']}; versions above the first: {len(versions)}")
    return Outcome(
        len(here),
        len(there),
        here == there,
        len(versions),
        status["told"],
        status["waiting"],
        tuple(one for one, _ in seen),
        tuple(one for _, one in seen),
    )


@contextmanager
def two_homes(folder: Path) -> Iterator[tuple[CommandLine, CommandLine]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PASSERELLE_")}
    root = str(Path(__file__).parents[2])
    homes = []
    with ExitStack() as made:
        for name in ("gateway", "space"):
            home = folder / name / "home"
            home.parent.mkdir()
            made.callback(erase, home)
            environment = kept | {"PASSERELLE_HOME": str(home), "LC_ALL": "C.UTF-8", "PYTHONPATH": root}
            environment |= made.enter_context(servers.fresh_for(home))
            homes.append(CommandLine(home, environment | {"PASSERELLE_SHELF_URL": "http://127.0.0.1:9"}))
        yield homes[0], homes[1]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made, two_homes(Path(made)) as (of_gateway, of_space):
        print(go(of_gateway, of_space, Path(made), print))

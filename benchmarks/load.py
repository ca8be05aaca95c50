"""A space under many gateways: `python -m benchmarks.load --gateways 1000 --seconds 60 [--kill] [--json]`.

Real processes on loopback: the space (`passerelle serve --role space`, with its embedded PostgreSQL), and the
gateways in a process of their own (`benchmarks.gateways`). Each gateway registers by a code and feeds one
person's sensor at a rhythm; whoever is told to come back later does. At the end both sides are counted: each
reading that was acknowledged is there, none is there twice, and no person either.

With `--kill` two processes serve one database, and one of them is killed (SIGKILL) in the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import work
from benchmarks.gateways import Outcome, Task
from storage import tenants
from storage.database import Database
from storage.embedded import erase

COUNTED = """
SELECT p.uuid::text, count(r.recorded_at), count(DISTINCT (r.recorded_at, r.sequence, r.device_id))
FROM passerelle.space_patient p LEFT JOIN passerelle.reading r USING (patient_id) GROUP BY p.uuid, p.tenant_id
"""


@dataclass
class Server:
    """One process of the space."""

    url: str
    process: subprocess.Popen[bytes]


@dataclass
class Report:
    """What a run found."""

    gateways: int
    processes: int
    seconds: float
    transactions: int
    acknowledged: int
    found: int
    lost: int
    twice: int
    unasked: int
    """Readings that are there and were never sent."""
    people: int
    unserved: int
    """Gateways that were never acknowledged anything within the time."""
    readings_per_second: float
    milliseconds: dict[str, float]
    answers: dict[str, int]
    bytes_per_reading: float
    cpu_seconds: dict[str, float]
    longest_wait: float
    """Seconds that a refused one was sent away for at most."""
    registering: float
    """Seconds until all were registered."""
    killed: bool = False
    exit_codes: list[int] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether both sides agree: of readings, and of the people of those that were acknowledged."""
        return self.lost == self.twice == self.unasked == 0 and self.people >= self.gateways - self.unserved


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def space(home: Path, settings: dict[str, str] | None = None) -> Iterator[Server]:
    """A process that serves the space of this home."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PASSERELLE_")}
    environment |= {"PASSERELLE_HOME": str(home), **(settings or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--role", "space", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        answers(server)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def answers(server: Server, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise RuntimeError(f"the space ended with {server.process.returncode}")
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{server.url}/health", timeout=2).read()
            return
        time.sleep(0.1)
    raise TimeoutError(server.url)


async def codes(database: Database, count: int) -> list[str]:
    """A code for each gateway, as the operator of a space hands them out."""
    now = datetime.now(UTC)
    async with database.writer() as conn:
        tenant = await tenants.add(conn, f"load {now.timestamp()}", now)
        return [await tenants.new_code(conn, tenant, now, now + timedelta(days=1)) for _ in range(count)]


@asynccontextmanager
async def fed(task: Task) -> AsyncIterator[asyncio.subprocess.Process]:
    """The gateways at work: registered when the block begins."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.gateways"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 28,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
        await process.stdin.drain()
        if await process.stdout.readline() != b"registered\n":
            raise RuntimeError("the gateways could not register")
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def outcome_of(process: asyncio.subprocess.Process) -> Outcome:
    assert process.stdout is not None
    return Outcome(**json.loads(await process.stdout.readline()))


def spent(home: Path, servers: Sequence[Server]) -> dict[str, float]:
    """Seconds of processor time so far; a process that was killed counts no more."""
    return {
        "space": sum(work.of_process(server.process.pid) for server in servers),
        "postgres": work.of_postgres(home),
    }


async def counted(database: Database, outcome: Outcome) -> tuple[int, int, int, int, int]:
    """Readings found, lost, there twice and never sent; and how many people there are."""
    async with database.owner() as conn:
        rows = await (await conn.execute(COUNTED)).fetchall()
    there = {uuid: (count, distinct) for uuid, count, distinct in rows}
    found = lost = twice = unasked = 0
    for patient, acknowledged, sent in zip(outcome.patients, outcome.acknowledged, outcome.sent, strict=True):
        count, distinct = there.get(patient, (0, 0))
        found += count
        lost += max(0, acknowledged - distinct)
        twice += count - distinct
        unasked += max(0, distinct - sent)
    return found, lost, twice, unasked, sum(patient in there for patient in outcome.patients)


async def measured(
    home: Path,
    *,
    gateways: int,
    seconds: float,
    every: float,
    readings: int,
    kill: bool = False,
    settings: dict[str, str] | None = None,
) -> Report:
    """One run."""
    async with Database.open(home) as database:
        handed = await codes(database, gateways)
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(space(home, settings)) for _ in range(2 if kill else 1)]
            task = Task([server.url for server in servers], handed, seconds, every, readings)
            async with fed(task) as process:
                before = spent(home, servers)
                if kill:
                    await asyncio.sleep(seconds / 2)
                    servers[0].process.kill()
                outcome = await outcome_of(process)
                worked = {name: total - before[name] for name, total in spent(home, servers).items()}
        found, lost, twice, unasked, people = await counted(database, outcome)
    times = np.array(outcome.milliseconds or [0.0])
    acknowledged = sum(outcome.acknowledged)
    return Report(
        gateways=gateways,
        processes=len(servers),
        seconds=round(outcome.seconds, 1),
        transactions=len(outcome.milliseconds),
        acknowledged=acknowledged,
        found=found,
        lost=lost,
        twice=twice,
        unasked=unasked,
        people=people,
        unserved=outcome.acknowledged.count(0),
        readings_per_second=round(acknowledged / outcome.seconds, 1),
        milliseconds={f"p{q:g}": round(float(np.percentile(times, q)), 1) for q in (50, 90, 99, 99.9)},
        answers=outcome.answers,
        bytes_per_reading=round(outcome.bytes_sent / max(1, acknowledged), 1),
        cpu_seconds={name: round(total, 2) for name, total in worked.items()},
        longest_wait=outcome.longest_wait,
        registering=round(outcome.registering, 1),
        killed=kill,
        exit_codes=[server.process.returncode for server in servers],
    )


def shown(report: Report) -> str:
    """A report in words."""
    refused = {name: count for name, count in report.answers.items() if not name.endswith((" 200", " 201"))}
    times = ", ".join(f"{name} {value:g} ms" for name, value in report.milliseconds.items())
    lines = [
        f"{report.gateways} gateways, {report.processes} process(es) of the space, {report.seconds} s"
        + (", one killed in the middle" if report.killed else ""),
        f"  {report.transactions} transactions, {report.acknowledged} readings acknowledged, "
        f"{report.readings_per_second:g}/s; {report.bytes_per_reading:g} bytes of JSON a reading",
        f"  latency: {times}",
        f"  refused, lost on the way, tried again: {refused or 'none'}; "
        f"sent away for {report.longest_wait:g} s at most; registered within {report.registering:g} s",
        f"  work: space {report.cpu_seconds['space']} s, PostgreSQL {report.cpu_seconds['postgres']} s",
        f"  found {report.found}: lost {report.lost}, twice {report.twice}, never sent {report.unasked}; "
        f"{report.people} people, {report.unserved} gateways never served. "
        + ("EQUAL" if report.equal else "NOT EQUAL"),
    ]
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return asyncio.run(
                measured(
                    Path(folder),
                    gateways=arguments.gateways,
                    seconds=arguments.seconds,
                    every=arguments.every,
                    readings=arguments.readings,
                    kill=arguments.kill,
                )
            )
        finally:
            erase(Path(folder))


def parsed(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gateways", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--every", type=float, default=10, help="seconds between two batches of a gateway")
    parser.add_argument("--readings", type=int, default=12, help="readings of a batch: 12 are an hour")
    parser.add_argument("--kill", action="store_true", help="two processes, one of them killed half-way")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(given)


def main() -> int:
    arguments = parsed()
    report = run(arguments)
    told: Any = json.dumps(asdict(report)) if arguments.json else shown(report)
    print(told)
    return 0 if report.equal else 1


if __name__ == "__main__":
    sys.exit(main())

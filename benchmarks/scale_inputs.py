"""The inputs of the model, measured in one short run: a real space, fed over HTTP, counted in processor time.

Wall time is used for the disk's flush only. All else is seconds of work (`benchmarks.work`) and bytes, so
that a busy machine changes little. People have a day of readings already when counting begins, and the server
is stopped and started before each round, for the checkpoint in it: at scale each person's pages are touched
once between two checkpoints, and go whole into the log then. So they do here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import httpx
import psutil

from benchmarks import load, work
from benchmarks.gateways import FIVE_MINUTES, START, Task, batch
from benchmarks.scale_model import Cost, Inputs
from device_profiles.reading import Device, DeviceIdentity
from fhir_mapping import bundle
from fhir_mapping.opaque import ReadingIds
from storage import readings
from storage.cluster import ROOT_PARENT, place_of
from storage.columns import moment
from storage.database import Database
from storage.embedded import EmbeddedServer, erase

RECORDED = Path(__file__).with_name("scale_inputs.json")
PEOPLE = 200
DAY, HOUR, NIGHT = 288, 12, 96
FORTNIGHT = 14 * DAY
QUEUE = 9
"""Of a space that takes in one at once: it, and eight that wait."""
FULL_SECONDS = 1.0
"""Within the two seconds that the queue waits."""
FHIR = "application/fhir+json"
DEVICE = Device(DeviceIdentity("serial", "Bench/One/1"), "Bench", "One", "1")
HOLD = "LOCK TABLE passerelle.space_patient IN ACCESS EXCLUSIVE MODE"
PAGES = 12

LSN = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
SIZE = """
SELECT (SELECT sum(pg_total_relation_size(i.inhrelid)) FROM pg_inherits i WHERE i.inhparent =
        'passerelle.reading'::regclass), (SELECT count(*) FROM passerelle.reading)
"""
# The rows themselves and their keys: what is left of a day's earlier versions is used again after a vacuum.
SUMMARY = """
SELECT sum(pg_column_size(d) + 4) + count(*) * 40, count(*) FROM passerelle.daily_summary d
"""
ONE_PATIENT = "SELECT patient_id FROM passerelle.space_patient ORDER BY 1 LIMIT 1"
DELETE = "DELETE FROM passerelle.reading"


@dataclass(frozen=True)
class Counted:
    """What a round cost, in all."""

    space: float
    server: float
    wal: float

    def per(self, count: float) -> Counted:
        return Counted(self.space / count, self.server / count, self.wal / count)


def recorded() -> Inputs:
    """The inputs of the last run that was kept."""
    return from_json(json.loads(RECORDED.read_text()))


def from_json(told: dict[str, Any]) -> Inputs:
    return Inputs(
        **{name: Cost(**value) if isinstance(value, dict) else value for name, value in told.items()}
    )


def record(inputs: Inputs) -> None:
    RECORDED.write_text(json.dumps(asdict(inputs), indent=2) + "\n")


def measure() -> Inputs:
    """Measure on this machine; takes about a minute."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        try:
            return asyncio.run(_measured(home))
        finally:
            erase(home)


async def _measured(home: Path) -> Inputs:
    async with Database.open(home) as database:
        with load.space(home) as server:
            hour, night, sizes = await _rounds(home, database, server)
        refusal = await _refusal(home, database)
        size = await _one(database, SIZE)
        summary = await _one(database, SUMMARY)
        page_client, page_server, page_bytes = await _page(home, database)
        erased = await _erased(home, database)
    return Inputs(
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        measured=datetime.now(UTC).date().isoformat(),
        row_bytes=float(size[0] / size[1]),
        summary_bytes=float(summary[0] / summary[1]),
        wal=_line(hour.wal, night.wal),
        flush=_flush(home),
        ingest_space=_line(hour.space, night.space),
        ingest_server=_line(hour.server, night.server),
        json=_line(*sizes),
        refusal=refusal,
        page_client=page_client,
        page_server=page_server,
        page_bytes=page_bytes,
        erase_server=erased,
    )


def _line(hour: float, night: float) -> Cost:
    """The line through what an hour and a night cost, neither end below zero."""
    slope = max(0.0, (night - hour) / (NIGHT - HOUR))
    return Cost(max(0.0, hour - slope * HOUR), slope)


async def _rounds(
    home: Path, database: Database, server: load.Server
) -> tuple[Counted, Counted, tuple[float, float]]:
    """What an hour and a night of each person cost, and the bytes of their transactions."""
    codes = await load.codes(database, PEOPLE)
    # Hours and nights again and again: the first of each is warm-up, as are the pages it makes.
    sizes = [DAY, HOUR, NIGHT, HOUR, NIGHT]
    counted: list[Counted] = []
    async with load.fed(Task([server.url], codes, rounds=sizes)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        before = await _so_far(home, database, server)
        for _ in sizes:
            if await process.stdout.readline() != b"round\n":
                raise RuntimeError("the gateways stopped")
            after = await _so_far(home, database, server)
            counted.append(
                Counted(after.space - before.space, after.server - before.server, after.wal - before.wal).per(
                    PEOPLE
                )
            )
            await _restart(home, server)
            before = await _so_far(home, database, server)
            process.stdin.write(b"\n")
        outcome = await load.outcome_of(process)
    if sum(outcome.acknowledged) != PEOPLE * sum(sizes):
        raise RuntimeError(f"not all was acknowledged: {outcome.answers}")
    return counted[3], counted[4], _bytes()


def _bytes() -> tuple[float, float]:
    ids = ReadingIds(bytes(16))
    hour, night = (len(batch(uuid4(), ids, DEVICE, 0, count)) for count in (HOUR, NIGHT))
    return float(hour), float(night)


async def _so_far(home: Path, database: Database, server: load.Server) -> Counted:
    lsn = float((await _one(database, LSN))[0])
    return Counted(work.of_process(server.process.pid), work.of_postgres(home), lsn)


async def _restart(home: Path, server: load.Server) -> None:
    """Stop the database as its owner would; the space starts it again when it needs it."""
    postmaster = EmbeddedServer(place_of(home, ROOT_PARENT)).pid
    os.kill(postmaster, signal.SIGINT)
    with contextlib.suppress(psutil.NoSuchProcess):
        await asyncio.to_thread(psutil.Process(postmaster).wait, 60)
    await asyncio.to_thread(load.answers, server)


async def _one(database: Database, statement: str, *values: object) -> tuple[Any, ...]:
    async with database.owner() as conn:
        row = await (await conn.execute(statement, values or None)).fetchone()
    assert row is not None
    return row


async def _refusal(home: Path, database: Database) -> float:
    """Of a space's process to tell one that there is no room, before more is spent on them.

    One transaction is held up by a lock, so that it keeps the only place, and the queue behind it is filled.
    """
    (code,) = await load.codes(database, 1)
    narrow = {"PASSERELLE_INGEST_AT_ONCE": "1", "PASSERELLE_GATEWAY_RATE": "1000"}
    with load.space(home, narrow) as server:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {await _token(client, code)}", "Content-Type": FHIR}
            body = batch(uuid4(), ReadingIds(bytes(16)), DEVICE, 0, HOUR)
            async with database.owner() as conn:
                await conn.execute(HOLD)
                queued = [
                    asyncio.create_task(client.post("/fhir", content=body, headers=headers, timeout=30))
                    for _ in range(QUEUE)
                ]
                await asyncio.sleep(0.7)
                spent = await _refused(client, server, body, headers)
            await asyncio.gather(*queued)
            return spent


async def _refused(
    client: httpx.AsyncClient, server: load.Server, body: bytes, headers: dict[str, str]
) -> float:
    count, before, end = 0, work.of_process(server.process.pid), time.monotonic() + FULL_SECONDS
    while time.monotonic() < end:
        answer = await client.post("/fhir", content=body, headers=headers)
        if answer.status_code != 429:
            raise RuntimeError(f"not refused: {answer.status_code}")
        count += 1
    return (work.of_process(server.process.pid) - before) / count


async def _token(client: httpx.AsyncClient, code: str) -> str:
    told = (await client.post("/gateways", json={"code": code, "name": "", "software": ""})).json()
    known = (told["client_id"], told["client_secret"])
    granted = await client.post("/token", data={"grant_type": "client_credentials"}, auth=known)
    return str(granted.json()["access_token"])


async def _page(home: Path, database: Database) -> tuple[float, float, float]:
    """A fortnight of one person: read, placed in time and rendered as FHIR."""
    (patient,) = await _one(database, ONE_PATIENT)
    ids = ReadingIds(bytes(16))
    start = moment(START)
    end = start + timedelta(microseconds=FIVE_MINUTES) * FORTNIGHT
    length = rows = 0

    async def page() -> None:
        nonlocal length, rows
        async with database.writer() as conn:
            series = await readings.series(conn, patient, start=start, end=end)
        rows = len(series)
        length = len(bundle.searchset(series, ids, base="https://space.example/fhir", links={}))

    client, server = await _work(home, page, PAGES)
    share = FORTNIGHT / max(
        1, rows
    )  # there are fewer readings than a fortnight: their cost is by the reading
    return client * share, server * share, length * share


async def _erased(home: Path, database: Database) -> float:
    """Of PostgreSQL to delete a reading: everybody's, since one person's are done too soon to be counted."""
    before = work.of_postgres(home)
    async with database.owner() as conn:
        gone = (await conn.execute(DELETE)).rowcount
    return (work.of_postgres(home) - before) / gone


async def _work(home: Path, done: Callable[[], Awaitable[None]], times: int) -> tuple[float, float]:
    """Seconds of this process's and of PostgreSQL's work for it, by the time."""
    await done()
    own, server = time.process_time(), work.of_postgres(home)
    for _ in range(times):
        await done()
    return (time.process_time() - own) / times, (work.of_postgres(home) - server) / times


def _flush(home: Path) -> float:
    """Seconds of one flush of 8 KiB: the median of two hundred."""
    path = home / "flush"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        times = []
        for _ in range(200):
            os.pwrite(file, bytes(8192), 0)
            begun = time.perf_counter()
            os.fdatasync(file)
            times.append(time.perf_counter() - begun)
        return median(times)
    finally:
        os.close(file)
        path.unlink()

"""A page of 1 000 Observations over HTTP, beside a bare route that answers the same bytes from memory.

Both in one server process, asked by turns by the same client. What is counted is processor time, of the
server's process and of its connections' backends, since other programs may run: the bare route's is what
HTTP costs, the rest is what finding, reading, dressing, rendering and logging a page costs.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import threading
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import thread_time
from uuid import uuid4

import httpx
import psutil
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response

from benchmarks.store import segment, sensor_readings
from benchmarks.table import Row, print_table
from device_profiles.reading import Device, DeviceIdentity, Kind
from gateway.api.pressure import Pressure
from gateway.api.space import SpaceSettings, create_space_app, ids_of
from storage import devices, grants, pages, patients, readings
from storage.database import Database
from storage.embedded import erase
from storage.grants import Grant
from storage.pages import Wanted

ROUNDS = 7
ASKED = 20
TOKEN = "a token only for measurements"
FOREVER = datetime(2100, 1, 1, tzinfo=UTC)


async def _furnished(database: Database) -> bytes:
    """A fortnight of a sensor, and a grant of it; the hash of its token."""
    batch = sensor_readings()
    hashed = sha256(TOKEN.encode()).digest()
    now = datetime.now(UTC)
    async with database.writer() as conn:
        patient = await patients.add(conn, "bench", "Europe/Paris")
        device = await devices.register(
            conn, patient.patient_id, Device(DeviceIdentity("file", "generic/interstitial-glucose"))
        )
        async with readings.writing(conn, device) as writing:
            await writing.store(batch, [segment(batch)])
        grant = Grant(patient.patient_id, uuid4(), "clinic", None, "care", None, None, None, FOREVER, now)
        await grants.create(conn, grant)
        await grants.add_token(conn, hashed, patient.patient_id, now, FOREVER, grant.grant_id)
    return hashed


class _Serving:
    """The space and the bare route on a loopback port, in a thread of their own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.same = b""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait(60)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with Database.open(self._home) as self.database:
            self.hashed = await _furnished(self.database)
            app: FastAPI = create_space_app(
                self.database, SpaceSettings(self.url, Pressure.of(4, 10_000)), await ids_of(self.database)
            )

            @app.get("/bare")
            async def bare(request: Request) -> Response:
                del request
                return Response(self.same, media_type="application/fhir+json")

            config = uvicorn.Config(app, access_log=False, log_config=None, lifespan="off")
            self._server = uvicorn.Server(config)
            self._loop.call_later(0, self._ready.set)
            await self._server.serve(sockets=[self._socket])

    def close(self) -> None:
        self._loop.call_soon_threadsafe(setattr, self._server, "should_exit", True)
        self._thread.join(30)

    def cpu(self) -> float:
        """Seconds of the server's thread."""

        async def spent() -> float:
            return thread_time()

        return asyncio.run_coroutine_threadsafe(spent(), self._loop).result(30)

    def backends(self) -> float:
        """Seconds of the database's processes."""
        found = 0.0
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "postgres" and process.ppid() in self.postmasters():
                times = process.cpu_times()
                found += times.user + times.system
        return found

    def postmasters(self) -> set[int]:
        """The database server of this home."""
        if not hasattr(self, "_postmasters"):
            mine = [
                process
                for process in psutil.process_iter(["name", "create_time"])
                if process.info["name"] == "postgres" and process.create_time() > _STARTED
            ]
            self._postmasters = {process.pid for process in mine} & {process.ppid() for process in mine}
        return self._postmasters


_STARTED = psutil.Process(os.getpid()).create_time()


def _measured(serving: _Serving, client: httpx.Client, path: str) -> tuple[float, float]:
    """Milliseconds of processor time of one answer: of the server's thread, and of the database."""
    before, backends = serving.cpu(), serving.backends()
    for _ in range(ASKED):
        client.get(serving.url + path).raise_for_status()
    spent, in_database = serving.cpu() - before, serving.backends() - backends
    return spent / ASKED * 1000, in_database / ASKED * 1000


async def _rendering(serving: _Serving) -> float:
    """Milliseconds to render the page alone, from a series that is in memory."""
    from fhir_mapping import bundle  # noqa: PLC0415
    from fhir_mapping.opaque import ReadingIds  # noqa: PLC0415

    async with serving.database.reader() as conn:
        who = await pages.reader_of(conn, serving.hashed)
        assert who is not None
        page = await pages.page(conn, who, Wanted(kinds=(int(Kind.INTERSTITIAL_GLUCOSE),)), 1000)
    ids = ReadingIds(b"a secret only for measurements")
    begin = thread_time()
    for _ in range(ASKED):
        bundle.searchset(page.series, ids, base=serving.url, links={"self": serving.url}, versions={})
    return (thread_time() - begin) / ASKED * 1000


def measure(home: Path) -> list[Row]:
    serving = _Serving(home)
    try:
        path = "/fhir/Observation?_count=1000"
        with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client:
            serving.same = client.get(serving.url + path).content
            for _ in range(8):  # plans are made once for a connection
                client.get(serving.url + path).raise_for_status()
                client.get(f"{serving.url}/bare").raise_for_status()
            rounds = [
                (_measured(serving, client, path), _measured(serving, client, "/bare")) for _ in range(ROUNDS)
            ]
            rendering = asyncio.run_coroutine_threadsafe(_rendering(serving), serving._loop).result(60)
    finally:
        serving.close()
    ours = median(page[0] for page, _ in rounds)
    bare = median(plain[0] for _, plain in rounds)
    database = median(page[1] for page, _ in rounds)
    size = len(serving.same) / 1e6
    name = (
        f"Page of 1 000 Observations over HTTP ({ours:.1f} ms of the server's processor, of which rendering "
        f"{rendering:.1f}; database {database:.1f}; {size:.1f} MB) / the same bytes from memory "
        f"({bare:.1f} ms)"
    )
    beside = f"All but HTTP and rendering ({ours - bare - rendering:.1f} ms) / rendering"
    return [
        Row(name, f"{ours / bare:.1f}", "≤ 6", ours / bare <= 6),
        Row(
            beside,
            f"{(ours - bare - rendering) / rendering:.1f}",
            "≤ 4",
            ours - bare <= 5 * rendering,
        ),
    ]


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return measure(Path(folder))
        finally:
            erase(Path(folder))


if __name__ == "__main__":
    print_table(run())
    sys.exit(0)

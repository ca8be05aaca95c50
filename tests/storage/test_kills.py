"""`kill -9` of anything: a backend, a migration half-way, everything at once. The next command works.

A power cut is approximated by killing every process of the gateway and of its server together. What a disk
does with what it had said was written is beyond that: there `fsync` is on, and is asserted.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from device_profiles.errors import StorageError
from storage import patients, readings
from storage.database import Database
from storage.embedded import EmbeddedServer, erase
from tests.storage.samples import glucose, new_device, store
from tests.storage.test_embedded import HOLDER

pytestmark = pytest.mark.embedded

STORING = """
import asyncio, sys
from pathlib import Path
from storage import patients
from storage.database import Database
from tests.storage.samples import glucose, new_device, segment, store

async def main():
    async with Database.open(Path(sys.argv[1])) as database:
        async with database.writer() as conn:
            patient = await patients.find_or_add(conn, "At work", "Europe/Paris")
        device = await new_device(database, patient)
        stored = 0
        while True:
            batch = [glucose(stored + n) for n in range(40)]
            await store(database, device, batch, segment([glucose(0), *batch]))
            stored += 40
            print(stored, flush=True)

asyncio.run(main())
"""

MIGRATING = """
import asyncio, sys
from pathlib import Path
from storage import migrate
from storage.database import Database

real = migrate.migrations
text = "CREATE TABLE passerelle.half (); SELECT pg_sleep(60)"
half_way = migrate.Migration(9000, "base/9000_half.sql", text)
migrate.migrations = lambda *folders: (*real(*folders), *((half_way,) if "base" in folders else ()))

async def main():
    async with Database.open(Path(sys.argv[1])):
        pass

asyncio.run(main())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "home"
        yield place
        erase(place)


def started(program: str, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def says(command: subprocess.Popen[str]) -> str:
    assert command.stdout is not None
    return command.stdout.readline().strip()


def rows_of(home: Path, table: str) -> int:
    server = EmbeddedServer.hold(home)
    try:
        with closing(psycopg.connect(server.address("owner"))) as conn:
            row = conn.execute(f"SELECT count(*) FROM passerelle.{table}").fetchone()
        assert row is not None
        return int(row[0])
    finally:
        server.release()


def kill_all(*pids: int) -> None:
    """Nobody of them sees another one die: all are stopped first."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def test_everything_killed_at_once_loses_nothing_acknowledged_and_two_commands_may_come_back_at_once(
    home: Path,
) -> None:
    storing = started(STORING, home)
    told = [int(says(storing)) for _ in range(5)]
    server = psutil.Process(EmbeddedServer.hold(home).pid)
    kill_all(storing.pid, server.pid, *(child.pid for child in server.children(recursive=True)))
    rest, _ = storing.communicate()
    acknowledged = [*told, *(int(line) for line in rest.split())][-1]
    back = [started(HOLDER, home) for _ in range(2)]
    assert len({says(command) for command in back}) == 1
    for command in back:
        command.communicate("\n")
    stored = rows_of(home, "reading")
    # The last one may have been kept and its answer lost: then it is known when it is read again.
    assert stored in {acknowledged, acknowledged + 40}
    server = EmbeddedServer.hold(home)
    with psycopg.connect(server.address("owner")) as conn:
        assert conn.execute("SHOW fsync").fetchone() == ("on",)
        assert conn.execute("SHOW full_page_writes").fetchone() == ("on",)
        assert conn.execute("SHOW synchronous_commit").fetchone() == ("on",)
        assert conn.execute("SELECT sum(readings) FROM passerelle.daily_summary").fetchone() == (stored,)
    server.release()


async def test_a_backend_that_is_killed_costs_the_open_transactions_and_no_more(home: Path) -> None:
    async with Database.open(home) as database:
        async with database.writer() as conn:
            patient = await patients.add(conn, "Somebody", "Europe/Paris")
        device = await new_device(database, patient)
        batch = [glucose(number) for number in range(100)]
        await store(database, device, batch)

        async def killed() -> None:
            async with database.writer() as conn:
                os.kill(conn.info.backend_pid, signal.SIGKILL)
                await conn.execute("SELECT pg_sleep(60)")

        with pytest.raises(StorageError):
            await killed()
        stored = None
        for _ in range(3):  # the server ends all others and recovers: who comes meanwhile is told so
            with suppress(StorageError):
                stored = await store(database, device, batch)
                break
        assert stored is not None
        assert (stored.stored, stored.known) == (0, 100)
        async with database.writer() as conn:
            assert len(await readings.series(conn, patient.patient_id)) == 100


def test_a_migration_that_is_killed_half_way_is_not_there_and_the_next_command_goes_on(home: Path) -> None:
    migrating = started(MIGRATING, home)
    server = EmbeddedServer.hold(home)
    with psycopg.connect(server.address("owner"), autocommit=True) as conn:
        while not conn.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").fetchone():
            assert migrating.poll() is None
    migrating.kill()
    migrating.communicate()

    async def opened() -> int:
        async with Database.open(home) as database, database.owner() as conn:
            row = await (await conn.execute("SELECT to_regclass('passerelle.half') IS NULL")).fetchone()
            assert row == (True,)
            row = await (
                await conn.execute("SELECT count(*) FROM passerelle.migration WHERE number = 9000")
            ).fetchone()
            assert row is not None
            return int(row[0])

    # The server runs on, and has to notice that nobody waits for the killed one's statement.
    assert asyncio.run(opened()) == 0
    server.release()

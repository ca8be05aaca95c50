"""Whatever is killed: what was acknowledged is there, nothing is half there, the next run completes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from psycopg.errors import DiskFull as PostgresDiskFull

from device_profiles.errors import StorageError
from storage import patients, readings
from storage.addresses import Addresses
from storage.cluster import ROOT_PARENT, place_of
from storage.database import Database
from storage.embedded import EmbeddedServer, erase
from storage.errors import DatabaseInterrupted, DiskFull
from storage.patients import Patient
from storage.readings import Stored
from tests.storage.samples import glucose, new_device, segment, store
from tests.storage.test_embedded import mounted

pytestmark = pytest.mark.embedded

KILLED = """
import asyncio, sys
from pathlib import Path
from storage import devices, readings
from storage.database import Database
from tests.storage.samples import glucose, segment

async def main():
    batch = [glucose(sequence) for sequence in range(500)]
    async with Database.open(Path(sys.argv[1])) as database, database.writer() as conn:
        device = await devices.get(conn, int(sys.argv[2]), int(sys.argv[3]))
        async with readings.writing(conn, device) as writing:
            await writing.store(batch, [segment(batch)])
            print("stored, not committed", flush=True)
            sys.stdin.readline()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def own_home() -> Iterator[Path]:
    """A home whose server may be killed."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        yield home
        erase(home)


@asynccontextmanager
async def opened(home: Path, parent: Path = ROOT_PARENT) -> AsyncIterator[tuple[Database, Patient]]:
    async with Database.open(home, root_parent=parent) as database:
        async with database.writer() as conn:
            patient = await patients.find_or_add(conn, "Test patient", "Europe/Paris")
        yield database, patient


def kill_server(home: Path) -> None:
    os.kill(EmbeddedServer(place_of(home)).pid, signal.SIGKILL)


async def stored_rows(database: Database, patient: Patient) -> int:
    async with database.writer() as conn:
        return len(await readings.series(conn, patient.patient_id))


async def test_a_server_killed_between_two_transactions_is_back_for_the_next(own_home: Path) -> None:
    async with opened(own_home) as (database, patient):
        device = await new_device(database, patient)
        batch = [glucose(sequence) for sequence in range(300)]
        await store(database, device, batch[:150])
        before = await stored_rows(database, patient)
        kill_server(own_home)
        with suppress(DatabaseInterrupted):
            await stored_rows(database, patient)
        assert await stored_rows(database, patient) == before
        assert await store(database, device, batch) == Stored(150, 150)


async def test_a_server_killed_between_two_statements_leaves_nothing_half_stored(own_home: Path) -> None:
    async with opened(own_home) as (database, patient):
        device = await new_device(database, patient)
        before = await stored_rows(database, patient)
        batch = [glucose(sequence) for sequence in range(300)]

        async def interrupted() -> None:
            async with database.writer() as conn, readings.writing(conn, device) as writing:
                await writing.store(batch, [segment(batch)])
                kill_server(own_home)
                await conn.execute("SELECT pg_sleep(60)")  # a waiting process notices

        with pytest.raises(DatabaseInterrupted):
            await interrupted()
        assert await stored_rows(database, patient) == before
        assert await store(database, device, batch) == Stored(300, 0)


async def test_a_program_killed_in_its_transaction_leaves_nothing_and_the_next_completes(
    own_home: Path,
) -> None:
    async with opened(own_home) as (database, patient):
        device = await new_device(database, patient)
        before = await stored_rows(database, patient)
    arguments = [sys.executable, "-c", KILLED, str(own_home), str(patient.patient_id), str(device.device_id)]
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe)
    assert program.stdout is not None
    assert await program.stdout.readline() == b"stored, not committed\n"
    program.kill()
    await program.wait()
    async with opened(own_home) as (database, patient):
        assert await stored_rows(database, patient) == before
        batch = [glucose(sequence) for sequence in range(500)]
        assert await store(database, device, batch) == Stored(500, 0)


async def test_a_server_killed_again_and_again_loses_no_acknowledged_batch(own_home: Path) -> None:
    async with opened(own_home) as (database, patient):
        device = await new_device(database, patient)
        before = await stored_rows(database, patient)
        acknowledged = 0
        for turn in range(12):
            if turn % 4 == 1:
                kill_server(own_home)
            batch = [glucose(turn * 120 + number) for number in range(120)]
            with suppress(StorageError):
                await store(database, device, batch)
                acknowledged += len(batch)
        assert acknowledged >= 9 * 120
        assert await stored_rows(database, patient) == before + acknowledged


@pytest.mark.parametrize(("victim", "every"), [("program", 1), ("server", 5)])
async def test_killed_between_any_two_statements_of_a_store_nothing_is_half_there(
    victim: str, every: int
) -> None:
    """The whole table for both: `python -m tests.storage.crash_table`."""
    command = [sys.executable, "-m", "tests.storage.crash_table", "--victims", victim, "--every", str(every)]
    table = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told, _ = await table.communicate()
    assert table.returncode == 0, told.decode()
    assert told.decode().count("| yes |\n") >= 4


async def test_a_disk_that_fills_up_loses_nothing_and_the_next_run_completes(own_home: Path) -> None:
    with mounted("size=100m") as disk:
        if disk is None:
            # Nobody but root can make a small disk; what can be shown is that the words are understood.
            assert isinstance(meaning_of_a_full_disk(), DiskFull)
            return
        home = disk / "home"
        try:
            async with opened(home, disk) as (database, patient):
                await fill_up(database, patient, disk)
        finally:
            erase(home, disk)


async def fill_up(database: Database, patient: Patient, disk: Path) -> None:
    device = await new_device(database, patient)
    batch = [glucose(sequence) for sequence in range(4000)]
    await store(database, device, batch[:200])
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 16)):
            pass

    async def until_full() -> None:
        for turn in range(40):
            await store(database, device, [glucose(number + 10_000 * turn) for number in range(4000)])

    with pytest.raises(DiskFull):
        await until_full()
    filler.unlink()
    # The server may have ended for want of space; it is back for whoever asks next.
    for _ in range(3):
        with suppress(StorageError):
            await stored_rows(database, patient)
            break
    assert (await store(database, device, batch)).stored + 200 in {4000, 200}
    assert await stored_rows(database, patient) >= 4000


def meaning_of_a_full_disk() -> StorageError:
    return Database(Addresses("", "", "", "", ""), None)._meaning(PostgresDiskFull("full"))

"""The data of an older PostgreSQL move to the one that is here; or it is said what to do."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from storage import binaries, embedded, patients, shelf, upgrade
from storage.cluster import place_of
from storage.database import Database
from storage.embedded import EmbeddedServer, erase
from storage.errors import ServerOfAnotherMajor, UpgradeFailed
from tests.storage.samples import START, glucose, new_device, store

pytestmark = pytest.mark.embedded

OLDER = 15

UPGRADING = """
import sys
from pathlib import Path
from storage.embedded import EmbeddedServer
print("starting", flush=True)
EmbeddedServer.hold(Path(sys.argv[1])).release()
"""


async def filled(home: Path) -> None:
    async with Database.open(home) as database:
        async with database.writer() as conn:
            patient = await patients.add(conn, "Somebody", "Europe/Paris")
        device = await new_device(database, patient)
        await store(database, device, [glucose(number) for number in range(300)])
        async with database.shelf() as conn:
            await shelf.enrol(conn, b"token", "a gateway", START)


async def added(home: Path) -> tuple[int, int]:
    """The number of the patient who is there, and of one who comes."""
    async with Database.open(home) as database, database.writer() as conn:
        (patient,) = await patients.list_all(conn)
        return patient.patient_id, (await patients.add(conn, "Somebody else", "UTC")).patient_id


@pytest.fixture
def older_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home that was filled with PostgreSQL 15, Debian's."""
    if binaries.binaries_of(OLDER) is None:
        pytest.skip("needs PostgreSQL 15: apt install postgresql-15")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        try:
            with monkeypatch.context() as older:
                older.setattr(binaries, "_embedded", lambda: iter(()))
                older.setattr(binaries, "_DEBIAN", Path("/nowhere"))
                older.setenv("PATH", f"/usr/lib/postgresql/{OLDER}/bin:{os.environ['PATH']}")
                asyncio.run(filled(home))
            yield home
        finally:
            erase(home)


def version_and_rows(home: Path) -> tuple[int, int, int]:
    """The server's major version, its readings, and the uploaders of its shelf."""
    server = EmbeddedServer.hold(home)
    try:
        with (
            closing(psycopg.connect(server.address("owner"))) as space,
            closing(psycopg.connect(server.shelf_owner_address())) as shelf_,
        ):
            (readings,) = space.execute("SELECT count(*) FROM passerelle.reading").fetchone() or (0,)
            (uploaders,) = shelf_.execute("SELECT count(*) FROM shelf.uploader").fetchone() or (0,)
            return space.info.server_version // 10_000, readings, uploaders
    finally:
        server.release()


def made_by(home: Path) -> str:
    return (place_of(home).data / "PG_VERSION").read_text().strip()


def test_the_data_of_an_older_server_are_moved_over_and_compared(older_home: Path) -> None:
    assert made_by(older_home) == str(OLDER)
    major, readings, uploaders = version_and_rows(older_home)
    assert (readings, uploaders) == (300, 1)
    assert major == binaries.find_binaries().major > OLDER
    left = {path.name for path in place_of(older_home).folder.iterdir()}
    assert left <= {"data", "in-use", "starting", "server.log", "socket", "socket.at"}
    here, new = asyncio.run(added(older_home))
    assert new > here


def test_an_older_server_whose_programs_are_gone_is_refused_with_what_to_install(
    older_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as gone:
        gone.setattr(embedded, "binaries_of", lambda _: None)
        with pytest.raises(ServerOfAnotherMajor) as refused:
            EmbeddedServer.hold(older_home)
    assert f"Install version {OLDER}" in str(refused.value)
    assert made_by(older_home) == str(OLDER)


def test_rows_that_come_over_otherwise_leave_the_older_server_as_it_is(
    older_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as wrong:

        async def another(*_: object) -> object:
            return object()

        wrong.setattr(upgrade, "extent_of", another)
        with pytest.raises(UpgradeFailed):
            EmbeddedServer.hold(older_home)
    assert made_by(older_home) == str(OLDER)
    assert version_and_rows(older_home)[1:] == (300, 1)


@pytest.mark.parametrize("seconds", [0.6, 1.6])
def test_an_upgrade_that_is_killed_is_completed_by_the_next_command(older_home: Path, seconds: float) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", UPGRADING, str(older_home)], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        command.stdout.readline()
        time.sleep(seconds)  # anywhere in it
        command.send_signal(signal.SIGKILL)
    assert version_and_rows(older_home) == (binaries.find_binaries().major, 300, 1)
    assert not (place_of(older_home).folder / "upgrade").exists()

"""`kill -9` of a gateway between any two statements, and of the database under a read; then read again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from device_profiles.errors import StorageError
from gateway import journal
from gateway.ble.radio import open_radio
from gateway.ble.virtual_radio import served_virtual_radio
from gateway.home import Home
from gateway.known_devices import known_devices, pair_device, sync_known
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from gateway.storing import Storing
from gateway.sync import sync_connected
from storage import devices, patients
from storage.database import Database
from storage.embedded import EmbeddedServer, erase
from tests.gateway.ble.bench import HASTY, meter
from tests.gateway.test_faults import contexts_of, held, with_contexts
from tests.gateway.test_once import cuff, raws
from tests.gateway.test_sync import sequences
from tests.gateway.thin_link import thin_link

pytestmark = pytest.mark.embedded

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
EACH = 1 if LONG else 3
"""Each step of a read is tried by `make test-long`, every third in the ordinary suite."""
RECORDS = with_contexts(held(5))


class Doomed:
    """Gateways that are killed at a step (see `tests.gateway.doomed`)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, **asked: Any) -> str:
        """Start one; how it ended."""
        process = self._process
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()


@pytest.fixture(scope="module")
def doomed(database_home: Path) -> Iterator[Doomed]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.doomed", str(database_home)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Doomed(process)
        assert process.stdin
        process.stdin.close()


async def test_a_gateway_that_is_killed_at_any_step_reads_again_and_has_each_record_once(
    database, patient, doomed
):
    records = [[each.sequence, each.measurement.hex(), each.context.hex()] for each in RECORDS]
    storing = Storing(database, patient)
    ends = []
    for meters, point in enumerate(range(1, 400, EACH), start=1):
        asked = {"patient_id": patient.patient_id, "serial": f"SN-{point}", "records": records}
        ends.append(await asyncio.to_thread(doomed.run, point=point, **asked))
        async with thin_link(meter(RECORDS, serial=f"SN-{point}", protected=False)) as connection:
            await sync_connected(connection, storing)
        assert await sequences(storing) == sorted([1, 2, 3, 4, 5] * meters)
        assert len(await contexts_of(storing)) == 5 * meters
        if ends[-1] == "done":
            break
    assert set(ends[:-1]) == {"killed"}
    assert len(ends) * EACH > 20


@pytest.mark.parametrize("point", [3, 5])
async def test_a_gateway_that_is_killed_while_a_cuff_gives_its_readings_loses_none(
    database, patient, doomed, tmp_path, point
):
    """Some were confirmed and are nowhere but in the journal; one was written down and not yet confirmed."""
    shown: asyncio.Queue[str] = asyncio.Queue()
    device = cuff()
    async with served_virtual_radio([device], 0, lambda _, digits: shown.put_nowait(digits)) as port:
        ble = f"bumble:tcp-client:127.0.0.1:{port}"
        home = Home(Settings(home=tmp_path, ble=ble), database, HomeSecret(bytes(32)))
        await forget_all(home)
        async with open_radio(ble, tmp_path, HASTY) as radio:
            found = await radio.find(lambda other: True)
            await pair_device(home, radio, found, patient, shown.get)
        written = await killed_with_something_written(doomed, tmp_path, ble, point)
        assert len(device) <= 3  # what was confirmed the cuff has no more
        await sync_known(home, None)
    assert written
    assert len(await raws(home, patient)) == 3
    assert not list((tmp_path / journal.FOLDER).iterdir())


async def killed_with_something_written(doomed: Doomed, folder: Path, ble: str, values: int) -> bool:
    """Kill a gateway when it has written something down; whether it had."""
    for point in range(10 + 4 * values, 400, 2):
        ended = await asyncio.to_thread(doomed.run, point=point, folder=str(folder), ble=ble)
        assert ended == "killed"
        if list((folder / journal.FOLDER).glob("*")):
            return True
    return False


async def forget_all(home: Home) -> None:
    for patient, known in await known_devices(home):
        async with home.database.writer() as conn:
            await devices.forget(conn, patient.patient_id, known.device_id)


@pytest.fixture
def own_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "home"
        yield place
        erase(place)


def cut_power(server: psutil.Process) -> None:
    """Every process of the database at once; nobody of them sees another one die."""
    everyone = [server, *server.children(recursive=True)]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in everyone:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


@contextmanager
def power_cut_at(words: str, server: psutil.Process) -> Iterator[None]:
    """The database dies before the statement that has these words."""
    execute = psycopg.AsyncCursor.execute

    async def executed(self: Any, query: Any, *arguments: Any, **more: Any) -> Any:
        if words in str(query) and server.is_running():
            cut_power(server)
        return await execute(self, query, *arguments, **more)

    psycopg.AsyncCursor.execute = executed  # type: ignore[method-assign]
    try:
        yield
    finally:
        psycopg.AsyncCursor.execute = execute  # type: ignore[method-assign]


async def test_a_power_cut_of_the_database_under_a_read_costs_that_read_and_no_record(own_home):
    device = meter(RECORDS, protected=False)

    async def read() -> int:
        async with Database.open(own_home) as database:
            async with database.writer() as conn:
                patient = await patients.find_or_add(conn, "Somebody", "Europe/Paris")
            storing = Storing(database, patient)
            async with thin_link(device) as connection:
                stored = (await sync_connected(connection, storing)).stored
            assert await sequences(storing) == [1, 2, 3, 4, 5]
            assert len(await contexts_of(storing)) == 5
        return stored

    server = EmbeddedServer.hold(own_home)
    try:
        with power_cut_at("last_synced_at = now()", psutil.Process(server.pid)), pytest.raises(StorageError):
            await read()
    finally:
        with suppress(StorageError):
            server.release()
    assert await read() == 5
    assert await read() == 0

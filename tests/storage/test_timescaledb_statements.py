"""Our statements on TimescaleDB, where there is no server of it: in WebAssembly, by npm's pglite.

It is the contract of the statements and no more: no COPY, no pipeline mode, no message over 64 KiB, one
connection, no background worker. A real server is what `make test-database` is for.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from device_profiles.reading import Device, DeviceIdentity
from storage import devices, engine_report, erasure, migrate, patients, readings
from storage.annotations import ReadingKey
from storage.arrays import register_arrays
from storage.connection import Connection
from storage.devices import StoredDevice
from storage.migrate import Engine, migrations
from storage.readings import Stored
from storage.receipts import Scope
from tests.storage.samples import START, glucose, meal, segment

NODE = Path(__file__).parents[1] / "node"

pytestmark = [
    pytest.mark.node,
    pytest.mark.embedded,
    pytest.mark.skipif(
        shutil.which("node") is None or not (NODE / "node_modules" / "@unni-craftsman").is_dir(),
        reason="TimescaleDB in WebAssembly is missing: install Node.js and run make test",
    ),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = ["node", "timescaledb.mjs", str(port)]
    with subprocess.Popen(command, cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as serving:
        assert serving.stdout is not None
        assert serving.stdin is not None
        assert serving.stdout.readline() == b"ready\n"
        yield f"host=127.0.0.1 port={port} user=postgres password=any dbname=postgres sslmode=disable"
        serving.stdin.close()


class OneByOne(AsyncConnection[TupleRow]):
    """What our code sends in a pipeline is sent one statement after the other."""

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[None]:  # type: ignore[override]
        yield


@pytest.fixture
async def conn(address: str) -> AsyncIterator[Connection]:
    async with await OneByOne.connect(address, autocommit=True, prepare_threshold=None) as opened:
        register_arrays(opened)
        await migrate.migrate_space(opened, None, None)
        yield opened


async def stored(conn: Connection, readings_count: int = 90) -> tuple[StoredDevice, Stored]:
    """A device with a batch that is small enough to go without COPY, some of it with further quantities."""
    batch = [glucose(number, context=meal(1)) for number in range(readings_count)]
    async with conn.transaction():
        patient = await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")
        identity = DeviceIdentity("serial", f"maker/model/{uuid4()}")
        device = await devices.register(conn, patient.patient_id, Device(identity, model="model"))
        async with readings.writing(conn, device) as writing:
            return device, await writing.store(batch, [segment(batch)])


async def rows(conn: Connection, query: str, *values: object) -> list[tuple[object, ...]]:
    return await (await conn.execute(query, values)).fetchall()


async def compress(conn: Connection) -> None:
    for (chunk,) in await rows(conn, "SELECT show_chunks('passerelle.reading')::text"):
        await conn.execute("CALL convert_to_columnstore(%s::regclass, true)", (chunk,))


async def test_the_schema_stands_with_its_policies(conn: Connection) -> None:
    server = await migrate.server_of(conn)
    assert server.engine is Engine.TIMESCALE
    assert server.extension.startswith("2.23")
    standing = await migrate.standing_of_space(conn, None, None)
    assert standing.pending == ()
    assert len(standing.applied) == len(migrations("base", "timescale"))
    compressed = (
        "SELECT hypertable::text, segmentby FROM timescaledb_information.hypertable_columnstore_settings"
    )
    assert sorted(await rows(conn, compressed)) == [
        ("passerelle.reading", "patient_id"),
        ("passerelle.reading_quantity", "patient_id"),
    ]
    policies = "SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'"
    assert await rows(conn, policies) == [(2,)]


async def test_a_batch_is_stored_once_in_rows_and_again_in_columns(conn: Connection) -> None:
    device, outcome = await stored(conn)
    assert outcome == Stored(90, 0)
    before = await readings.series(conn, device.patient_id)
    await compress(conn)
    after = await readings.series(conn, device.patient_id)
    assert np.array_equal(before.effective_time, after.effective_time)
    assert np.array_equal(before.mantissa, after.mantissa)
    batch = [glucose(number, context=meal(1)) for number in range(95)]
    async with conn.transaction(), readings.writing(conn, device) as writing:
        assert await writing.store(batch, [segment(batch)]) == Stored(5, 90)
    assert len(await readings.series(conn, device.patient_id)) == 95


async def test_one_person_is_erased_from_columns(conn: Connection) -> None:
    device, _ = await stored(conn)
    other, _ = await stored(conn)
    await compress(conn)
    async with conn.transaction():
        await erasure.erase(conn, await patients.get(conn, device.patient_id), Scope(), START)
    assert len(await readings.series(conn, device.patient_id)) == 0
    assert len(await readings.series(conn, other.patient_id)) == 90


async def test_some_readings_are_erased_from_columns_and_do_not_come_back(conn: Connection) -> None:
    device, _ = await stored(conn)
    await compress(conn)
    batch = [glucose(number, context=meal(1)) for number in range(90)]
    keys = [ReadingKey(batch[row].identity.recorded_at, row, device.device_id) for row in (3, 50, 89)]
    async with conn.transaction():
        receipt = await erasure.erase_records(conn, device.patient_id, keys)
    assert (receipt.readings, receipt.contexts) == (3, 3)
    assert len(await readings.series(conn, device.patient_id)) == 87
    async with conn.transaction(), readings.writing(conn, device) as writing:
        assert (await writing.store(batch, writing.history)).erased == 3


async def test_a_month_that_is_empty_goes_as_a_whole(conn: Connection) -> None:
    await stored(conn)
    months = "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'reading'"
    ((count,),) = await rows(conn, months)
    await conn.execute("DELETE FROM passerelle.reading")
    await conn.execute("SELECT passerelle.drop_empty_months(%s)", (START + timedelta(days=400),))
    ((left,),) = await rows(conn, months)
    assert (count, left) == (1, 0)


async def test_a_look_finds_what_is_to_be_found(conn: Connection) -> None:
    await stored(conn)
    found = await engine_report._holdings(conn, Engine.TIMESCALE)
    assert found.months.count >= 1
    assert {job.table for job in found.jobs} == {"reading", "reading_quantity"}
    said = [type(each).__name__ for each in await engine_report._of_timescale(conn, found.jobs)]
    assert "PolicyMissing" not in said

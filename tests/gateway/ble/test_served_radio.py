"""A virtual radio that gateways in other processes reach over TCP."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from device_profiles.procedures.record_access import all_records
from gateway.ble.errors import ConnectionLost, RadioPortTaken, RadioUnavailable
from gateway.ble.limits import Limits
from gateway.ble.radio import open_radio
from gateway.ble.records import RecordReader
from gateway.ble.virtual_radio import served_virtual_radio
from tests.gateway.ble.bench import HASTY, meter

METER_IN_A_PROCESS = """
import asyncio, sys
from gateway.ble.virtual_radio import served_virtual_radio
from tests.gateway.ble.bench import meter

async def main():
    show = lambda _, digits: print("shows", digits, flush=True)
    async with served_virtual_radio([meter(int(sys.argv[1]))], 0, show) as port:
        print("port", port, flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


async def read_all(port: int, home: Path, passkey=None, limits: Limits = HASTY) -> int:
    async with open_radio(f"bumble:tcp-client:127.0.0.1:{port}", home, limits) as radio:
        found = await radio.find(lambda found: found.profile is not None)
        async with radio.connect(found, passkey) as connection:
            reader = RecordReader(connection)
            await reader.subscribe()
            await reader.fetch(all_records())
    return reader.arrived.count


async def test_a_meter_in_another_process_is_paired_and_read(tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", METER_IN_A_PROCESS, "5", stdout=asyncio.subprocess.PIPE
    )
    try:
        port = int((await process.stdout.readline()).split()[1])

        async def read_display() -> str:
            return (await process.stdout.readline()).split()[1].decode()

        unhurried = Limits(operation=5.0, silence=5.0)
        frames = await read_all(port, tmp_path, read_display, unhurried)
        assert frames >= 5
        assert await read_all(port, tmp_path, None, unhurried) == frames
    finally:
        process.terminate()
        await process.wait()


async def test_gateways_come_one_after_another_and_at_once(tmp_path):
    shown: asyncio.Queue[str] = asyncio.Queue()
    came = []
    async with served_virtual_radio(
        [meter(3)], 0, lambda _, digits: shown.put_nowait(digits), lambda: came.append(1)
    ) as port:
        frames = await read_all(port, tmp_path / "a", shown.get)
        assert await read_all(port, tmp_path / "a") == frames
        assert await read_all(port, tmp_path / "b", shown.get) == frames
        both = await asyncio.gather(read_all(port, tmp_path / "a"), read_all(port, tmp_path / "b"))
        assert both == [frames, frames]
    assert len(came) == 5


async def test_a_gateway_that_is_killed_leaves_the_meter_free_for_the_next(tmp_path):
    shown: asyncio.Queue[str] = asyncio.Queue()
    async with served_virtual_radio([meter(3)], 0, lambda _, digits: shown.put_nowait(digits)) as port:
        assert await read_all(port, tmp_path, shown.get)
        program = (
            "import asyncio, os, sys\n"
            "from pathlib import Path\n"
            "from gateway.ble.radio import open_radio\n"
            "async def main():\n"
            f"    async with open_radio('bumble:tcp-client:127.0.0.1:{port}', Path(sys.argv[1])) as radio:\n"
            "        found = await radio.find(lambda found: found.profile is not None)\n"
            "        async with radio.connect(found):\n"
            "            os.kill(os.getpid(), 9)\n"
            "asyncio.run(main())\n"
        )
        killed = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(tmp_path))
        assert await killed.wait() == -9
        assert await read_all(port, tmp_path)


async def test_a_radio_that_is_switched_off_ends_the_connections(tmp_path):
    shown: asyncio.Queue[str] = asyncio.Queue()
    serving = served_virtual_radio([meter(3)], 0, lambda _, digits: shown.put_nowait(digits))
    port = await serving.__aenter__()
    async with open_radio(f"bumble:tcp-client:127.0.0.1:{port}", tmp_path, HASTY) as radio:
        found = await radio.find(lambda found: found.profile is not None)
        async with radio.connect(found, shown.get) as connection:
            await serving.__aexit__(None, None, None)
            with pytest.raises(ConnectionLost):
                await connection.read(0x2A25)


async def test_a_port_in_use_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RadioPortTaken, match=str(port)):
            async with served_virtual_radio([meter()], port):
                pass


async def test_a_program_that_speaks_no_hci_is_sent_away_and_the_radio_goes_on(tmp_path):
    shown: asyncio.Queue[str] = asyncio.Queue()
    async with served_virtual_radio([meter(2)], 0, lambda _, digits: shown.put_nowait(digits)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        assert await read_all(port, tmp_path, shown.get)


async def test_a_port_where_something_else_listens_is_no_radio(tmp_path):
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(RadioUnavailable):
            async with open_radio(f"bumble:tcp-client:127.0.0.1:{port}", tmp_path, Limits(open=0.3)):
                pass
        await left.wait()

"""What goes wrong with the radio, the air and the computer: told in words, and over with the next try."""

from __future__ import annotations

import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from dbus_fast import Message

from gateway.ble.bluez import system_bus
from gateway.ble.errors import (
    ConnectionLost,
    HeldByAnother,
    MeterAsleep,
    NotInRange,
    RadioAbsent,
    RadioOff,
    RadioServiceStopped,
)
from tests.bluez.bench import SHORT, Bench

SERIAL = 0x2A25


async def syncs(at: Bench) -> None:
    """The next try completes: one more measurement, and everything is stored once."""
    held = await at.air("measure", 1)
    await at.sync(await at.known())
    assert await at.count() == held


POLICY = """<busconfig><policy user="{user}"><deny send_destination="org.bluez"/></policy></busconfig>"""


async def forbid(user: str) -> None:
    """Have D-Bus refuse somebody's calls of bluetoothd."""
    Path("/etc/dbus-1/system.d/forbid.conf").write_text(POLICY.format(user=user))  # noqa: ASYNC240 - short
    async with system_bus() as bus:
        name = "org.freedesktop.DBus"
        await bus.call(
            Message(destination=name, path="/org/freedesktop/DBus", interface=name, member="ReloadConfig")
        )


@pytest.fixture
async def paired(at: Bench) -> Bench:
    device = await at.pair()
    assert (await at.sync(device)).stored == 5
    return at


async def test_a_meter_that_is_not_there_is_not_found(paired: Bench):
    await paired.air("away")
    with pytest.raises(NotInRange):
        await paired.sync(await paired.known(), SHORT)
    await paired.air("back")
    await syncs(paired)


async def test_a_meter_carried_off_ends_a_read_that_is_under_way(paired: Bench):
    async with paired.radio() as radio, radio.connect(await paired.find(radio)) as connection:
        await paired.air("away")
        with pytest.raises(ConnectionLost):
            await connection.read(SERIAL)
    await paired.air("back")
    await syncs(paired)


async def test_a_meter_that_falls_asleep_before_it_answers_is_told(paired: Bench):
    async with paired.radio(SHORT) as radio:
        found = await paired.find(radio)
        await paired.air("away")
        with pytest.raises(MeterAsleep):
            async with radio.connect(found):
                pass
    await paired.air("back")
    await syncs(paired)


async def test_a_meter_that_a_phone_holds_is_told(paired: Bench):
    await paired.air("hold")
    with pytest.raises(HeldByAnother):
        await paired.sync(await paired.known(), SHORT)
    await paired.air("let_go")
    await syncs(paired)


async def test_bluetooth_that_is_off_is_told(paired: Bench):
    await paired.power(on=False)
    with pytest.raises(RadioOff):
        await paired.sync(await paired.known())
    await paired.power(on=True)
    await syncs(paired)


async def test_bluetooth_switched_off_during_a_read_ends_it(paired: Bench):
    async with paired.radio() as radio:
        found = await paired.find(radio)
        async with radio.connect(found) as connection:
            await paired.power(on=False)
            with pytest.raises(ConnectionLost):
                await connection.read(SERIAL)
        with pytest.raises(RadioOff):  # what was heard before it went off
            async with radio.connect(found):
                pass
    await paired.power(on=True)
    await syncs(paired)


async def test_an_adapter_that_was_pulled_out_is_told(paired: Bench):
    await paired.air("unplug")
    await paired.wait_for_adapter(there=False)
    with pytest.raises(RadioAbsent):
        await paired.sync(await paired.known())
    await paired.air("plug")
    await paired.power(on=True)
    await syncs(paired)


async def test_a_bluetoothd_that_does_not_run_is_told(paired: Bench):
    await paired.bluetoothd.stop()
    try:
        with pytest.raises(RadioServiceStopped):
            await paired.sync(await paired.known())
    finally:
        await paired.bluetoothd.start()
    await paired.power(on=True)
    await syncs(paired)


async def test_somebody_who_may_not_use_bluetooth_is_told(paired: Bench):
    """Debian lets everybody talk to bluetoothd; here nobody may not."""
    await forbid("nobody")
    program = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from gateway.ble.errors import RadioUnavailable\n"
        "from gateway.ble.radio import open_radio\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "async def main():\n"
        "    async with open_radio(None, Path(sys.argv[1])) as radio:\n"
        "        try: await radio.discover(1)\n"
        "        except RadioUnavailable as error: print(type(error).__name__)\n"
        "asyncio.run(main())\n"
    )
    nobody = await create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        "/tmp/of nobody",
        stdout=PIPE,
    )
    said, _ = await nobody.communicate()
    assert said == b"RadioNotAllowed\n"
    await syncs(paired)

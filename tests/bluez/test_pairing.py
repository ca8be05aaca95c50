"""Pairing through our agent: who is asked, who is refused, what goes wrong; the next try completes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from bleak import BleakClient
from bleak.exc import BleakDBusError

from gateway.ble.bluez import call, system_bus
from gateway.ble.bluez_agent import MANAGER, PairingAgent, pairing_agent
from gateway.ble.errors import (
    BondLost,
    PairingInterrupted,
    PairingNeeded,
    PasskeyMalformed,
    PasskeyRefused,
    PasskeyTooLate,
    RadioStuck,
    RecordsClosed,
)
from gateway.ble.limits import Limits
from gateway.ble.records import RecordReader
from tests.bluez.bench import ADAPTER, METER, SHORT, SLOW, Bench

DEVICE = f"{ADAPTER}/dev_{METER.replace(':', '_')}"
KEYLESS = "/keyless/agent"
OTHER = f"{ADAPTER}/dev_C0_FF_EE_00_00_99"


async def pairs_and_syncs(at: Bench, limits: Limits = SLOW) -> None:
    """The next try completes, to the last record."""
    device = await at.pair(limits=limits)
    assert (await at.sync(device)).stored == 5
    assert await at.count() == 5


@asynccontextmanager
async def plainly_connected(at: Bench):
    """A link as any other program of this computer makes it, bare of ours."""
    async with at.radio() as radio:
        found = await at.find(radio)
    async with BleakClient(found.device, timeout=40) as client:
        yield client


@asynccontextmanager
async def keyless_agent():
    """The agent of a program that can show and type nothing: with it, pairing is Just Works."""
    async with system_bus() as bus:
        bus.export(KEYLESS, PairingAgent(DEVICE, give_nothing))
        await call(bus, *MANAGER, "RegisterAgent", "os", KEYLESS, "NoInputNoOutput")
        await call(bus, *MANAGER, "RequestDefaultAgent", "o", KEYLESS)
        yield


async def give_nothing() -> None:
    return None


async def test_another_passkey_is_refused(at: Bench):
    with pytest.raises(PasskeyRefused):
        await at.pair(at.misread_display)
    await pairs_and_syncs(at)


async def test_giving_up_is_a_refusal(at: Bench):
    async def give_up() -> None:
        await at.read_display()

    with pytest.raises(PasskeyRefused):
        await at.pair(give_up)
    await pairs_and_syncs(at)


async def test_what_is_no_passkey_is_told_as_such(at: Bench):
    async def letters() -> str:
        await at.read_display()
        return "abc"

    with pytest.raises(PasskeyMalformed):
        await at.pair(letters)
    await pairs_and_syncs(at)


async def test_nobody_who_types_ends_at_the_limit_and_is_asked_no_longer(at: Bench):
    stopped = asyncio.Event()

    async def nobody() -> int:
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()

    with pytest.raises(PasskeyTooLate):
        await at.pair(nobody, SHORT)
    async with asyncio.timeout(5):
        await stopped.wait()
    await pairs_and_syncs(at)


async def test_pairing_that_is_cancelled_leaves_nothing_behind(at: Bench):
    asked = asyncio.Event()

    async def slow() -> int:
        asked.set()
        return await asyncio.get_running_loop().create_future()

    pairing = asyncio.create_task(at.pair(slow))
    async with asyncio.timeout(60):
        await asked.wait()
    pairing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pairing
    await pairs_and_syncs(at)


async def test_a_link_lost_while_pairing_is_told(at: Bench):
    async def drop() -> int:
        digits = await at.read_display()
        await at.air("drop")
        await asyncio.sleep(1)
        return int(digits)

    with pytest.raises(PairingInterrupted):
        await at.pair(drop)
    try:
        await pairs_and_syncs(at)
    except RadioStuck:  # what it says to do
        await at.power(on=False)
        await at.power(on=True)
        await pairs_and_syncs(at)


async def test_without_a_bond_the_records_are_closed_and_no_call_hangs(at: Bench):
    async with at.radio(SHORT) as radio:
        found = await at.find(radio)
        with pytest.raises(PairingNeeded):
            async with radio.connect(found) as connection:
                await RecordReader(connection).subscribe()
    await pairs_and_syncs(at)


async def test_a_bond_without_a_passkey_is_useless_and_made_anew(at: Bench):
    await at.air("trust")
    async with plainly_connected(at) as client, keyless_agent():
        await asyncio.wait_for(client.pair(), 30)
    await at.air("distrust")
    async with at.radio(SHORT) as radio:
        found = await at.find(radio)
        with pytest.raises(RecordsClosed):
            async with radio.connect(found) as connection:
                await RecordReader(connection).subscribe()
    await pairs_and_syncs(at, replace(SLOW, operation=SHORT.operation))  # the useless bond is tried first


async def test_a_bond_that_the_meter_has_forgotten_is_told_and_made_anew(at: Bench):
    device = await at.pair()
    assert (await at.sync(device)).stored == 5
    await at.air("forget")
    with pytest.raises(BondLost):
        await at.sync(device)
    await at.pair()
    assert await at.air("measure", 1) == 6
    assert (await at.sync(await at.known())).stored == 1
    assert await at.count() == 6


# --- the agent itself --------------------------------------------------------------------------------------


async def test_the_agent_refuses_every_other_device(at: Bench):
    asked = []

    async def never() -> int:
        asked.append(True)
        return 0

    async with plainly_connected(at) as client, pairing_agent(OTHER, never):
        with pytest.raises(BleakDBusError, match="AuthenticationFailed"):
            await asyncio.wait_for(client.pair(), 30)
    assert not asked
    await pairs_and_syncs(at)


async def test_the_desktop_is_asked_again_after_our_pairing_and_after_one_that_failed(at: Bench):
    async with pairing_agent(DEVICE, type_what_is_shown(at)) as desktop:
        with pytest.raises(PasskeyRefused):
            await at.pair(at.misread_display)
        await at.pair()
        assert not desktop.asked.is_set()
        await at.air("forget")
        async with at.radio() as radio:
            await radio.forget(await at.find(radio))
        async with plainly_connected(at) as client:
            await asyncio.wait_for(client.pair(), 30)
        assert desktop.asked.is_set()


def type_what_is_shown(at: Bench):
    async def typed() -> int:
        return int(await at.read_display())

    return typed

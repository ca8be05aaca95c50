"""Finding, pairing with and keeping a meter over a real GATT link."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from dataclasses import replace

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakDeviceNotFoundError, BleakError, BleakGATTProtocolError

from device_profiles.procedures.record_access import AttributeRefused, all_records
from gateway.ble.bumble_backend import BumbleClient, BumbleScanner
from gateway.ble.bumble_host import bumble_host
from gateway.ble.errors import (
    BondLost,
    ConnectionLost,
    DeviceSilent,
    HeldByAnother,
    MeterAsleep,
    NotInRange,
    OutOfRange,
    PairingNeeded,
    PasskeyMalformed,
    PasskeyRefused,
    RadioBusy,
    RadioUnavailable,
    ServiceMissing,
)
from gateway.ble.pairing import passkey
from gateway.ble.radio import open_radio
from gateway.ble.records import RecordReader
from tests.gateway.ble.bench import HASTY, ZONE, bench, meter

CONTROL_POINT, SERIAL = 0x2A52, 0x2A25
LONG = "0000{:04x}-0000-1000-8000-00805f9b34fb"


async def test_a_meter_is_heard_with_its_name_services_and_profile(tmp_path):
    async with bench(tmp_path, meter()) as at, at.radio() as radio:
        (found,) = await radio.discover(0.2)
    assert found.profile.name == "glucose-meter"
    assert found.advertisement.services == (0x1808,)
    assert found.name == "Virtual meter"


async def test_two_meters_on_one_radio_are_two(tmp_path):
    async with bench(tmp_path, meter(serial="A"), meter(serial="B")) as at, at.radio() as radio:
        found = await radio.discover(0.2)
        devices = []
        for each in sorted(found, key=lambda found: found.address):
            async with radio.connect(each, at.read_display) as connection:
                devices.append(await connection.identify())
    assert [device.identity.value for device in devices] == ["Acme/One/A", "Acme/One/B"]


async def test_a_meter_that_is_away_is_not_in_range(tmp_path):
    async with bench(tmp_path, meter()) as at, at.radio() as radio:
        at.air.lose(at.peripheral)
        with pytest.raises(NotInRange):
            await radio.find(at.is_first, 0.2)


async def test_a_meter_that_leaves_before_it_is_connected_is_not_in_range_and_comes_back(tmp_path):
    async with bench(tmp_path, meter()) as at, at.radio() as radio:
        found = await radio.find(at.is_first)
        at.air.lose(at.peripheral)
        with pytest.raises(NotInRange):
            async with radio.connect(found):
                pass
        at.air.bring_back(at.peripheral)
        async with radio.connect(found, at.read_display) as connection:
            assert await connection.battery_percent() == 80


async def test_a_meter_that_fell_asleep_one_that_is_far_and_one_that_a_phone_holds_are_told_apart(tmp_path):
    async with bench(tmp_path, meter()) as at, at.radio() as radio:
        found = await radio.find(at.is_first)
        at.air.lose(at.peripheral)
        with pytest.raises(MeterAsleep):
            async with radio.connect(found):
                pass
        with pytest.raises(OutOfRange):
            async with radio.connect(replace(found, signal_dbm=-95)):
                pass
        at.air.bring_back(at.peripheral)
        at.air.hold(at.peripheral)
        with pytest.raises(HeldByAnother):
            async with radio.connect(found):
                pass
        at.air.let_go(at.peripheral)
        async with radio.connect(found, at.read_display) as connection:
            assert await connection.battery_percent() == 80


async def test_records_are_refused_before_pairing(tmp_path):
    async with bench(tmp_path, meter()) as at, at.connected(None) as connection:
        with pytest.raises(PairingNeeded):
            await RecordReader(connection).subscribe()
        with pytest.raises(PairingNeeded):
            await connection.write(CONTROL_POINT, b"\x01\x01")
        with pytest.raises(PairingNeeded):
            await connection.read(0x2A51)
        assert (await connection.identify()).serial == "SN-1"


async def test_an_encrypted_link_without_an_authenticated_key_is_not_enough(tmp_path):
    async with bench(tmp_path, meter()) as at, at.connected() as connection:
        for keys in at.peripheral.bonds.all_keys.values():
            keys.ltk.authenticated = False
        with pytest.raises(PairingNeeded):
            await connection.write(CONTROL_POINT, b"\x01\x01")


async def test_the_passkey_that_is_shown_opens_the_records(tmp_path):
    async with bench(tmp_path, meter(5)) as at, at.connected() as connection:
        reader = RecordReader(connection)
        await reader.subscribe()
        assert await reader.fetch(all_records())
    assert len(reader.arrived.readings) == 5


async def test_another_passkey_is_refused_and_the_next_try_completes(tmp_path):
    async with bench(tmp_path, meter()) as at:
        with pytest.raises(PasskeyRefused):
            async with at.connected(at.misread_display):
                pass
        async with at.connected() as connection:
            await RecordReader(connection).subscribe()


async def test_a_passkey_that_is_given_is_typed(tmp_path):
    async with bench(tmp_path, meter()) as at:
        with pytest.raises(PasskeyRefused):  # one in a million opens
            async with at.connected(0):
                pass


async def test_a_meter_that_refuses_every_passkey_is_told(tmp_path):
    async with bench(tmp_path, meter(refuse_passkey=True)) as at:
        with pytest.raises(PasskeyRefused):
            async with at.connected():
                pass


async def test_nobody_who_types_is_a_refusal_in_time(tmp_path):
    async def nobody() -> int:
        return await asyncio.get_running_loop().create_future()

    async with bench(tmp_path, meter()) as at:
        with pytest.raises(PasskeyRefused):
            async with at.connected(nobody):
                pass


async def test_giving_up_at_the_passkey_is_a_refusal(tmp_path):
    async def give_up() -> None:
        return None

    async with bench(tmp_path, meter()) as at:
        with pytest.raises(PasskeyRefused):
            async with at.connected(give_up):
                pass


async def test_what_is_no_passkey_is_told_as_such_even_when_it_is_typed_late(tmp_path):
    async def letters() -> str:
        return "abc"

    async with bench(tmp_path, meter()) as at:
        with pytest.raises(PasskeyMalformed):
            async with at.connected(letters):
                pass
        with pytest.raises(PasskeyMalformed):
            async with at.connected("1234567"):
                pass
    assert passkey("012 345") == 12345


async def test_a_bond_is_kept_and_asks_for_no_passkey(tmp_path):
    async with bench(tmp_path, meter()) as at:
        async with at.connected() as connection:
            await connection.battery_percent()
        async with at.connected(None) as connection:
            await RecordReader(connection).subscribe()
        assert at.shown.empty()


async def test_bonds_are_readable_by_their_owner_only(tmp_path):
    async with bench(tmp_path, meter()) as at, at.connected():
        pass
    bonds = tmp_path / "bonds.json"
    assert stat.S_IMODE(bonds.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "radio.lock").stat().st_mode) == 0o600


async def test_bonds_that_cannot_be_read_are_put_aside_and_made_anew(tmp_path):
    (tmp_path / "bonds.json").write_text("{ not json")
    async with bench(tmp_path, meter()) as at, at.connected() as connection:
        await RecordReader(connection).subscribe()
    assert (tmp_path / "bonds.json.unreadable").exists()
    assert json.loads((tmp_path / "bonds.json").read_text())


async def test_a_meter_that_forgot_its_bond_is_told_as_such(tmp_path):
    async with bench(tmp_path, meter()) as at:
        async with at.connected():
            pass
        await at.peripheral.forget()
        with pytest.raises(BondLost):
            async with at.connected(None):
                pass


async def test_a_lost_bond_is_made_anew_by_whoever_reads_the_display(tmp_path):
    async with bench(tmp_path, meter()) as at:
        async with at.connected():
            pass
        await at.peripheral.forget()
        async with at.connected() as connection:
            await RecordReader(connection).subscribe()
        async with at.connected(None) as connection:
            await RecordReader(connection).subscribe()


async def test_a_link_that_ends_ends_the_wait(tmp_path):
    async with bench(tmp_path, meter()) as at, at.connected() as connection:
        at.air.lose(at.peripheral)
        await connection.lost
        with pytest.raises(ConnectionLost):
            await connection.read(SERIAL)


async def test_a_read_in_flight_ends_with_the_link(tmp_path):
    async with bench(tmp_path, meter()) as at, at.connected() as connection:
        reading = asyncio.create_task(connection.read(SERIAL))
        await asyncio.sleep(0)
        at.air.lose(at.peripheral)
        with pytest.raises(ConnectionLost):
            await reading


async def test_a_call_that_never_returns_ends_at_its_limit(tmp_path):
    async with (
        bench(tmp_path, meter()) as at,
        at.connected(limits=replace(HASTY, operation=0.2)) as connection,
    ):
        at.air.air.away.add(at.peripheral.controller)  # it says nothing, and the link stays
        with pytest.raises(DeviceSilent):
            await connection.read(SERIAL)
        assert not connection.lost.done()


async def test_the_link_is_ended_whatever_happens_in_the_block(tmp_path):
    async with bench(tmp_path, meter()) as at:
        with pytest.raises(ZeroDivisionError):
            async with at.connected():
                raise ZeroDivisionError
        async with at.radio() as radio:
            assert await radio.find(at.is_first)  # it advertises again


async def test_a_request_before_subscribing_is_refused_by_the_device(tmp_path):
    async with bench(tmp_path, meter()) as at, at.connected() as connection:
        with pytest.raises(AttributeRefused, match="0xFD"):
            await connection.write(CONTROL_POINT, b"\x01\x01")


async def test_what_a_device_does_not_have_is_none_and_its_error_is_known(tmp_path):
    async with bench(tmp_path, meter()) as at, at.connected() as connection:
        assert await connection.read(0x2A08) is None
        assert await connection.read(CONTROL_POINT) is None  # it may only be written
        with pytest.raises(ServiceMissing):
            await connection.write(0x2A08, b"")


async def test_the_clock_is_compared_with_the_zone(tmp_path):
    async with bench(tmp_path, meter(clock_error_seconds=600)) as at, at.connected() as connection:
        assert abs(await connection.clock_error(ZONE) - 600) <= 1


async def test_a_process_that_was_killed_holds_no_radio(tmp_path):
    program = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from gateway.ble.radio import open_radio\n"
        "async def main():\n"
        "    async with open_radio(None, Path(sys.argv[1])):\n"
        "        print('held', flush=True)\n"
        "        await asyncio.get_running_loop().create_future()\n"
        "asyncio.run(main())\n"
    )
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert await holder.stdout.readline() == b"held\n"
    async with bench(tmp_path, meter()) as at:
        with pytest.raises(RadioBusy):
            async with at.radio():
                pass
        holder.kill()
        await holder.wait()
        async with at.radio() as radio:
            assert await radio.find(at.is_first)


async def test_a_meter_that_changes_its_address_is_known_by_its_identity(tmp_path):
    async with bench(tmp_path, meter()) as at, at.radio() as radio:
        await at.peripheral.use_changing_addresses()
        found = await radio.find(lambda found: found.profile is not None)
        async with radio.connect(found, at.read_display) as connection:
            await connection.battery_percent()
        await at.peripheral.change_address()
        assert await radio.find(at.is_first)
        async with radio.connect(await radio.find(at.is_first)) as connection:
            await RecordReader(connection).subscribe()


async def test_a_second_radio_of_the_same_home_is_busy(tmp_path):
    async with bench(tmp_path, meter()) as at, at.radio():
        with pytest.raises(RadioBusy):
            async with at.radio():
                pass
    async with bench(tmp_path, meter()) as at, at.radio():
        pass


@pytest.mark.parametrize(
    "setting", ["bumble:tcp-client:127.0.0.1:1", "bumble:no-such:1", "nothing", "bumble:"]
)
async def test_a_radio_that_is_not_there_is_told(tmp_path, setting):
    with pytest.raises(RadioUnavailable):
        async with open_radio(setting, tmp_path, HASTY):
            pass


# --- the backend, as any program that uses bleak meets it ----------------------------------------------


async def test_bleak_itself_scans_and_reads_over_the_backend(tmp_path):
    async with bench(tmp_path, meter()) as at, bumble_host(at.air.transport()) as host:
        device = await BleakScanner.find_device_by_name(
            "Virtual meter", timeout=2, backend=BumbleScanner, host=host
        )
        async with BleakClient(device, backend=BumbleClient) as client:
            assert client.mtu_size == 517
            assert client.name == "Virtual meter"
            assert await client.read_gatt_char(LONG.format(SERIAL)) == b"SN-1"
            with pytest.raises(BleakGATTProtocolError):
                await client.read_gatt_char(LONG.format(0x2A51))
            assert sorted(service.uuid[4:8] for service in client.services) == [
                "1805",
                "1808",
                "180a",
                "180f",
            ]
        assert not client.is_connected
        with pytest.raises(BleakError):
            await client.read_gatt_char(LONG.format(SERIAL))


async def test_bleak_pairs_over_the_backend_and_unpairs(tmp_path):
    async with bench(tmp_path, meter()) as at, bumble_host(at.air.transport()) as host:
        host.enter_passkey = lambda: asyncio.sleep(0, None)
        device = (await BleakScanner.discover(0.2, backend=BumbleScanner, host=host))[0]

        async def read_display() -> int:
            return int(await at.read_display())

        host.enter_passkey = read_display
        async with BleakClient(device, backend=BumbleClient, pair=True) as client:
            assert await client.read_gatt_char(LONG.format(0x2A51))
            values = []
            await client.start_notify(LONG.format(CONTROL_POINT), lambda _, value: values.append(value))
            await client.stop_notify(LONG.format(CONTROL_POINT))
            await client.unpair()
        assert await host.keystore.get_all() == []


async def test_an_address_alone_needs_a_host(tmp_path):
    async with bench(tmp_path, meter()) as at, bumble_host(at.air.transport()) as host:
        with pytest.raises(BleakDeviceNotFoundError):
            BleakClient(at.peripheral.address, backend=BumbleClient)
        async with BleakClient(at.peripheral.address, backend=BumbleClient, host=host) as client:
            assert client.name == at.peripheral.address.replace(":", "-")


async def test_a_scan_for_a_service_leaves_the_others_out(tmp_path):
    async with bench(tmp_path, meter()) as at, bumble_host(at.air.transport()) as host:
        for service, expected in ((0x1808, 1), (0x1810, 0)):
            found = await BleakScanner.discover(
                0.1, service_uuids=[LONG.format(service)], backend=BumbleScanner, host=host
            )
            assert len(found) == expected

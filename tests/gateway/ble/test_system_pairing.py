"""Where the system asks for the passkey by itself: the way our code takes on a Mac and on Windows.

The link, the keys and the meter are real (the virtual air). What stands in are the two systems: how bleak's
CoreBluetooth and WinRT backends answer, by their source; nobody has run this on such a machine yet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bleak.exc import BleakError, BleakGATTProtocolError

from device_profiles.procedures.record_access import all_records
from gateway.ble.bumble_backend import BumbleClient, BumbleScanner
from gateway.ble.bumble_host import bumble_host
from gateway.ble.connection import Connection
from gateway.ble.errors import PairingBySystem, PasskeyRefused
from gateway.ble.radio import Radio
from gateway.ble.records import RecordReader
from tests.gateway.ble.bench import HASTY, Bench, bench, meter

Typed = Callable[[Bench], Awaitable[int]]


class LikeAMac(BumbleClient):
    """CoreBluetooth has no call to pair: it asks the person when something protected is asked for."""

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError("Pairing is not available in Core Bluetooth.")

    async def unpair(self) -> None:
        raise NotImplementedError("Pairing is not available in Core Bluetooth.")

    async def start_notify(self, *args: Any, **kwargs: Any) -> None:
        try:
            await super().start_notify(*args, **kwargs)
        except BleakGATTProtocolError:
            await super().pair()  # the window of the system, in which the person types
            await super().start_notify(*args, **kwargs)


class LikeWindows(BumbleClient):
    """bleak's WinRT backend pairs without a passkey only, and is content with what the settings paired."""

    in_settings = False

    async def pair(self, *args: Any, **kwargs: Any) -> None:
        if self.in_settings:
            await super().pair()
        elif not self._linked().is_encrypted:
            raise BleakError("Could not pair with device: FAILED")


@asynccontextmanager
async def system(
    home: Path, monkeypatch: pytest.MonkeyPatch, platform: str, client: type[BumbleClient], typed: Typed
) -> AsyncIterator[tuple[Bench, Radio]]:
    """A meter of five records, and the radio of another system: it asks the person by itself."""
    monkeypatch.setattr("gateway.ble.linking.sys", SimpleNamespace(platform=platform))
    monkeypatch.setattr("gateway.ble.radio.sys", SimpleNamespace(platform=platform))
    async with (
        bench(home, meter(5)) as at,
        bumble_host(at.air.transport(), home / "of-the-system.json", HASTY) as host,
    ):
        host.enter_passkey = lambda: typed(at)
        radio = Radio(None, HASTY)
        radio._scanner = {"backend": BumbleScanner, "host": host}
        radio._client = {"backend": client, "host": host}
        assert not radio.asks_for_passkey
        yield at, radio


async def never_asked() -> str:
    raise AssertionError("the system asks, not we")


async def read_all(connection: Connection) -> int:
    reader = RecordReader(connection)
    await reader.subscribe()
    await reader.fetch(all_records())
    return len(reader.arrived.readings)


async def right(at: Bench) -> int:
    return int(await at.read_display())


async def wrong(at: Bench) -> int:
    return await at.misread_display()


async def test_a_mac_asks_in_its_own_window_and_the_records_come(tmp_path, monkeypatch):
    async with system(tmp_path, monkeypatch, "darwin", LikeAMac, right) as (at, radio):
        async with radio.connect(await radio.find(at.is_first), never_asked) as connection:
            assert await read_all(connection) == 5
        async with radio.connect(await radio.find(at.is_first)) as connection:
            assert await read_all(connection) == 5


async def test_digits_typed_wrong_into_the_window_of_a_mac_are_told(tmp_path, monkeypatch):
    async with system(tmp_path, monkeypatch, "darwin", LikeAMac, wrong) as (at, radio):
        found = await radio.find(at.is_first)
        with pytest.raises(PasskeyRefused):
            async with radio.connect(found, never_asked):
                pass


async def test_windows_sends_the_person_to_its_settings_and_then_the_records_come(tmp_path, monkeypatch):
    async with system(tmp_path, monkeypatch, "win32", LikeWindows, right) as (at, radio):
        found = await radio.find(at.is_first)
        with pytest.raises(PairingBySystem):
            async with radio.connect(found, never_asked):
                pass
        monkeypatch.setattr(LikeWindows, "in_settings", True)
        async with radio.connect(await radio.find(at.is_first), never_asked) as connection:
            assert await read_all(connection) == 5

"""The main procedure: find a device, pair if needed, and store what it recorded, once, placed in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from device_profiles.errors import DeviceError
from gateway.ble.connection import Connection
from gateway.ble.pairing import PasskeySource
from gateway.ble.radio import Found, Radio
from gateway.ble.records import Progress, RecordReader
from gateway.fetching import Fetch
from gateway.journal import keeping
from gateway.outcomes import Laps, Refused, SyncOutcome
from gateway.setting_clock import set_and_keep
from gateway.storing import DeviceSwapped, Storing

__all__ = [
    "DeviceSwapped",
    "Laps",
    "Refused",
    "Storing",
    "SyncOutcome",
    "sync",
    "sync_connected",
    "sync_found",
]


async def sync(
    radio: Radio,
    wanted: Callable[[Found], bool],
    storing: Storing,
    *,
    passkey: PasskeySource = None,
    full: bool = False,
    progress: Progress | None = None,
) -> SyncOutcome:
    """Find the device that is wanted, connect, pair if a passkey is given and needed, and `sync_connected`.

    Raises NotInRange, PasskeyRefused, BondLost, RadioUnavailable, and as `sync_connected`.
    """
    laps = Laps()
    found = await radio.find(wanted)
    laps.end("scan")
    return await sync_found(radio, found, storing, passkey=passkey, full=full, progress=progress, laps=laps)


async def sync_found(
    radio: Radio,
    found: Found,
    storing: Storing,
    *,
    passkey: PasskeySource = None,
    full: bool = False,
    progress: Progress | None = None,
    laps: Laps | None = None,
) -> SyncOutcome:
    """Connect to a device that was heard, and `sync_connected`.

    Raises as `Radio.connect` and `sync_connected`.
    """
    laps = laps or Laps()
    async with radio.connect(found, passkey) as connection:
        laps.end("pair")
        return await sync_connected(connection, storing, full=full, progress=progress, laps=laps)


async def sync_connected(
    connection: Connection,
    storing: Storing,
    *,
    full: bool = False,
    progress: Progress | None = None,
    laps: Laps | None = None,
) -> SyncOutcome:
    """Read what is new (with `full`, all), and store it in one transaction.

    What arrived before something went wrong is stored all the same; then that is raised, `stored` and `known`
    in its `details`: ConnectionLost, ControlPointSilent, DeviceSilent, RecordAccessRefused. The next run
    completes.
    Raises PairingNeeded, ServiceMissing, AttributeRefused, StorageError.
    """
    laps = laps or Laps()
    (device, mark), clock_error, battery = await asyncio.gather(
        storing.register(storing.known_as(await connection.identify())),
        connection.clock_error(storing.clock_zone),
        connection.battery_percent(),
    )
    journal = storing.journal(device)
    reader = RecordReader(connection, progress, storing.clock_zone, journal.keep if journal else None)
    fetch = Fetch(reader, mark, full=full)
    with keeping(journal):
        went_wrong = None
        await reader.subscribe()
        try:
            await fetch.run()
        except DeviceError as error:
            went_wrong = error
        fetched = fetch.end()
        laps.end("read")
        kept = await storing.store(device, fetched, clock_error, battery)
    laps.end("store")
    outcome = SyncOutcome.of(fetched, kept, laps)
    if went_wrong is not None:
        went_wrong.details |= outcome.counts()
        raise went_wrong
    with suppress(DeviceError):  # a meter that has gone is set another time
        ahead, zone = kept.device.clock_error_seconds, storing.clock_zone
        setting = await set_and_keep(connection, storing.database, kept.device, ahead, zone)
        return replace(outcome, set_clock=setting)
    return outcome

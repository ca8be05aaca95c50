"""`replay`: a captured sync, played by a virtual meter and synced for real."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from pathlib import Path

from device_profiles.reading import Device, DeviceIdentity
from device_profiles.transcript import read_sessions
from device_profiles.virtual_device import VirtualDevice, from_transcript
from gateway.ble.limits import REPLAYED
from gateway.ble.radio import open_radio
from gateway.ble.records import Progress
from gateway.ble.virtual_radio import virtual_radio
from gateway.home import Home, zone_named
from gateway.sync import Storing, SyncOutcome, sync
from gateway.virtual_meter import read_capture
from storage import patients


async def replay_transcript(
    home: Home, path: Path, patient_name: str, zone_name: str | None, progress: Progress | None = None
) -> SyncOutcome:
    """Sync every session of a capture for a person, who is added if they are new.

    The zone is the capture's clock: base time and offset together are wall time there; without one the
    person's own. Raises `CaptureMissing`, `CaptureUnreadable`, `UnknownZone`, and as `sync`.
    """
    capture = read_capture(path)
    meters = from_transcript(capture)
    zone = zone_named(zone_name)
    async with home.database.writer() as connection:
        patient = await patients.find_or_add(connection, patient_name, zone.key)
    storing = Storing(
        home.database,
        patient,
        zone=zone if zone_name else patient.zone,
        device=Device(_identity(capture), model=_title(capture), profile="glucose-meter"),
    )
    return SyncOutcome.together([await _play(meter, storing, progress) for meter in meters])


async def _play(meter: VirtualDevice, storing: Storing, progress: Progress | None) -> SyncOutcome:
    meter.protected = True  # a meter keeps its records for who typed its passkey, this one too
    shown: asyncio.Queue[str] = asyncio.Queue()
    with tempfile.TemporaryDirectory() as bonds:
        async with (
            virtual_radio([meter], on_passkey=lambda _, digits: shown.put_nowait(digits)) as air,
            open_radio(air.transport(), Path(bonds), REPLAYED) as radio,
        ):
            return await sync(radio, lambda _: True, storing, passkey=shown.get, full=True, progress=progress)


def _identity(capture: dict[str, object]) -> DeviceIdentity:
    """The same capture is the same device, however its file is written: the hash of what the device sent."""
    sent = [[(op, char, raw.hex()) for op, char, raw in session] for session in read_sessions(capture)]
    return DeviceIdentity("capture", hashlib.sha256(json.dumps(sent).encode()).hexdigest())


def _title(capture: dict[str, object]) -> str | None:
    title = capture.get("device")
    return title[:80] if isinstance(title, str) else None

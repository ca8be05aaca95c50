"""Virtual meters for people and for `replay`: which records they hold, and what they say on the terminal."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from device_profiles import catalogue
from device_profiles.errors import PasserelleError
from device_profiles.profile import DeviceProfile
from device_profiles.services import glucose
from device_profiles.services.device_information import DeviceInformation
from device_profiles.transcript import read_sessions
from device_profiles.virtual_device import Record, VirtualDevice, from_transcript
from device_profiles.virtual_measurements import generated, session_values, spanned
from device_profiles.wire import DateTime
from gateway import terminal
from gateway.ble.virtual_radio import VirtualRadio, served, virtual_radio
from gateway.file_errors import why

DEFAULT_RECORDS = 30
USUAL = "119"
"""mg/dL of a finger-stick of which nothing is said."""


class CaptureMissing(PasserelleError):
    """A capture that cannot be opened, or that is no JSON."""

    sentence = "{file} cannot be read: {why}. Nothing was stored."


def read_capture(path: Path) -> dict[str, Any]:
    """A transcript from its file. Raises `CaptureMissing`."""
    try:
        capture = json.loads(path.read_bytes())
    except OSError as error:
        raise CaptureMissing(file=path.name, why=why(error)) from None
    except ValueError:
        raise CaptureMissing(file=path.name, why="it is not JSON") from None
    if not isinstance(capture, dict):
        raise CaptureMissing(file=path.name, why="it is not a captured sync")
    return capture


def captured_records(capture: object) -> tuple[Record, ...]:
    """The records that a captured sync brought, each with its context. Raises `CaptureUnreadable`."""
    records: dict[int, Record] = {}
    for session in read_sessions(capture):
        for operation, characteristic, value in session:
            if operation != "notify":
                continue
            sequence = int.from_bytes(value[1:3], "little")
            if characteristic == glucose.MEASUREMENT:
                records[sequence] = Record(sequence, value)
            elif characteristic == glucose.MEASUREMENT_CONTEXT and sequence in records:
                records[sequence] = records[sequence]._replace(context=value)
    return tuple(records.values())


def information_of(profile: DeviceProfile, serial: str = "VIRTUAL-1") -> DeviceInformation:
    """What a virtual meter says of itself: plainly that it is one."""
    return DeviceInformation(
        manufacturer=profile.manufacturer or "Passerelle", model=profile.title, serial=serial
    )


def virtual_meter_of(
    profile: DeviceProfile, records: Path | None, generate: int | None, serial: str
) -> VirtualDevice:
    """A meter with the records of a capture, or with made-up ones. Raises `CaptureMissing`."""
    if records is not None:
        (device, *_) = from_transcript(read_capture(records), profile)
        device.protected = True
        return device
    count = DEFAULT_RECORDS if generate is None else generate
    start = datetime.now().astimezone() - spanned(profile, count)
    offset = start.utcoffset() or timedelta()
    return VirtualDevice(
        profile,
        generated(profile, count, start=DateTime.of(start)),
        information=information_of(profile, serial),
        clock=lambda: datetime.now().astimezone(),
        values=session_values(DateTime.of(start), int(offset.total_seconds()) // 60),
    )


async def serve_virtual_meter(
    profile_names: Sequence[str],
    records: Path | None,
    generate: int | None,
    port: int,
    serial: str,
    stop: asyncio.Event,
) -> None:
    """Advertise meters until `stop`, telling on the terminal how to reach them and what they show."""
    profiles = [catalogue.by_name(name) for name in profile_names]
    devices = [virtual_meter_of(profile, records, generate, serial) for profile in profiles]

    def on_passkey(_: VirtualDevice, digits: str) -> None:
        terminal.say("The meter shows the passkey {digits}", digits=digits)

    async with virtual_radio(devices, on_passkey) as radio, served(radio, port) as taken:
        for device in devices:
            terminal.say(
                "A virtual meter named {name} holds {count} records.", name=device.name, count=len(device)
            )
        terminal.say("In another terminal:")
        print(f"  export PASSERELLE_BLE=bumble:tcp-client:127.0.0.1:{taken}", flush=True)  # noqa: T201
        for device in devices:
            print(f"  passerelle pair '{device.name}' --patient NAME", flush=True)  # noqa: T201
        terminal.say("Type measure 119 here to take a measurement: it then advertises for a while.")
        terminal.say("Stop it with Ctrl-C.")
        using = asyncio.create_task(_used(radio))
        await stop.wait()
        using.cancel()


async def _used(radio: VirtualRadio) -> None:
    """Take a measurement for each line `measure VALUE` on standard input. Never ends."""
    lines = typed_lines()
    while True:
        command, *values = (await lines.get()).split() or [""]
        if command != "measure":
            continue
        peripheral = radio.peripherals[0]
        with suppress(ArithmeticError, ValueError):  # what is no value is no measurement
            peripheral.virtual.add(measurement(peripheral.virtual, *values[:1]))
            await peripheral.wake()
            terminal.say("Measured.")


def measurement(device: VirtualDevice, value: str = USUAL) -> Record:
    """A record of now, the next of a device: of this value in mg/dL for a finger-stick, else made up.

    Raises ArithmeticError and ValueError for what cannot be one.
    """
    now = DateTime.of(datetime.now().astimezone())
    sequence = device.last_sequence + 1
    if device.profile.measurement != glucose.MEASUREMENT:
        return generated(device.profile, 1, start=now, seed=sequence)[0]._replace(sequence=sequence)
    kg_l = Decimal(value).scaleb(-5)
    made = glucose.GlucoseMeasurement.of(sequence, now, concentration=kg_l, type=1, sample_location=1)
    return Record(sequence, made.encode())


def typed_lines() -> asyncio.Queue[str]:
    """The lines of standard input, as they are typed; none after its end."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        # Not through sys.stdin: this thread waits still when Python ends, and would hold its lock.
        typed = b""
        while more := os.read(0, 1024):
            *whole, typed = (typed + more).split(b"\n")
            for line in whole:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(lines.put_nowait, line.decode("utf-8", "replace"))

    threading.Thread(target=read, daemon=True).start()
    return lines

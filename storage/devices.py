"""Devices as their persons have them: a meter that two people share is a row for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from psycopg.rows import dict_row

from device_profiles.reading import Device, DeviceIdentity
from storage.connection import Connection
from storage.errors import UnknownDevice
from storage.statements import statements

_SQL = statements("devices")


class ClockPolicy(IntEnum):
    """Whether the clock of a device may be set. Stored: add, never renumber."""

    NEVER = 1
    """Not even where it is asked for."""
    TELL = 2
    """Only where the person asks for it; else an error is told."""
    AUTO = 3
    """Also where it is plainly wrong."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that a device has passed over, both ends included: records that were made and that nobody has.

    Numbers have 16 bits, and after 65 535 comes 0. `found_at`: when it was first seen; None: just now.
    """

    first: int
    last: int
    found_at: datetime | None = None

    @property
    def count(self) -> int:
        """How many records are missing."""
        return (self.last - self.first) % 0x1_0000 + 1


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """A device of one patient. `device_id` counts per patient.

    `last_sequence`: the cursor; the next sync asks for what follows it. `clock_error_seconds`: the device's
    clock minus the true time, when it was last read. `radio_address`, `radio_name`: where and under which
    name it was last heard on this machine, to find it again; never who it is. `clock_policy`,
    `clock_set_asked_at`: whether its clock may be set, and since when that is asked for. `clock_read_at`,
    `clock_read_sequence`, `clock_read_error`: the last time that everything on it was read, the highest
    number then, and how far its clock was ahead (None: not read). `gaps`: what is missing, in the order it
    was found.
    """

    device_id: int
    patient_id: int
    device: Device
    last_sequence: int | None = None
    clock_error_seconds: int | None = None
    battery_percent: int | None = None
    last_synced_at: datetime | None = None
    radio_address: str | None = None
    radio_name: str | None = None
    clock_policy: ClockPolicy = ClockPolicy.TELL
    clock_set_asked_at: datetime | None = None
    clock_read_at: datetime | None = None
    clock_read_sequence: int | None = None
    clock_read_error: int | None = None
    gaps: tuple[Gap, ...] = ()


async def hold(conn: Connection, patient_id: int) -> None:
    """Until the transaction ends nobody else registers a device of this patient."""
    await conn.execute(_SQL["lock_patient"], {"patient_id": patient_id})


async def register(conn: Connection, patient_id: int, device: Device) -> StoredDevice:
    """The device of this patient, known from now on. Idempotent; what it says of itself is renewed."""
    await hold(conn, patient_id)
    values = {
        "patient_id": patient_id,
        "scheme": device.identity.scheme,
        "identity": device.identity.value,
        "manufacturer": device.manufacturer,
        "model": device.model,
        "serial": device.serial,
        "firmware": device.firmware,
        "profile": device.profile,
    }
    found = await _devices(conn, "renew", values) or await _devices(conn, "insert", values)
    return found[0]


async def of_patient(
    conn: Connection, patient_id: int, *, forgotten: bool = False
) -> tuple[StoredDevice, ...]:
    """A patient's devices in the order they came; `forgotten` ones too if asked for."""
    return await _devices(conn, "of_patient", {"patient_id": patient_id, "forgotten": forgotten})


async def on_the_air(conn: Connection) -> tuple[StoredDevice, ...]:
    """Everybody's devices that a radio of this machine has heard, forgotten ones left out."""
    return await _devices(conn, "on_the_air", {})


async def by_identity(conn: Connection, identity: DeviceIdentity) -> tuple[StoredDevice, ...]:
    """The rows of one device, one for each person who has it, forgotten ones left out."""
    return await _devices(conn, "by_identity", {"scheme": identity.scheme, "identity": identity.value})


async def get(conn: Connection, patient_id: int, device_id: int) -> StoredDevice:
    """One device. Raises UnknownDevice."""
    found = await _devices(conn, "get", {"patient_id": patient_id, "device_id": device_id})
    if not found:
        raise UnknownDevice
    return found[0]


async def passed_over(conn: Connection, device: StoredDevice, gaps: Sequence[Gap], now: datetime) -> None:
    """Numbers that were just found missing, beside those that were before."""
    found = [{"first": each.first, "last": each.last, "found_at": now.isoformat()} for each in gaps]
    key = {"patient_id": device.patient_id, "device_id": device.device_id}
    await conn.execute(_SQL["passed_over"], {**key, "gaps": json.dumps(found)})


async def records_of_number(conn: Connection, device: StoredDevice, number: int) -> frozenset[bytes]:
    """The records with this number that are stored, as the device sent them; two where it began again."""
    key = {"patient_id": device.patient_id, "device_id": device.device_id}
    rows = await (await conn.execute(_SQL["records_of_number"], {**key, "number": number})).fetchall()
    return frozenset(row[0] for row in rows)


async def battery(conn: Connection, device: StoredDevice, percent: int) -> None:
    """What the device last said of its battery."""
    key = {"patient_id": device.patient_id, "device_id": device.device_id}
    await conn.execute(_SQL["battery"], {**key, "percent": percent})


async def allow_setting(
    conn: Connection, device: StoredDevice, policy: ClockPolicy, *, asked: bool = False
) -> None:
    """Whether its clock may be set from now on, and whether it shall be at the next reading."""
    key = {"patient_id": device.patient_id, "device_id": device.device_id}
    await conn.execute(
        _SQL["allow_setting"], {**key, "policy": int(policy), "asked": asked, "now": datetime.now(UTC)}
    )


async def clock_was_set(conn: Connection, device: StoredDevice, error_seconds: int) -> None:
    """Its clock was set and read back: how far it is ahead now. What was asked for is done."""
    key = {"patient_id": device.patient_id, "device_id": device.device_id}
    await conn.execute(_SQL["clock_was_set"], {**key, "error_seconds": error_seconds})


async def heard(conn: Connection, device: StoredDevice, address: str, name: str | None) -> StoredDevice:
    """Where and under which name it was heard, so that the next sync finds it. Raises UnknownDevice."""
    values = {
        "patient_id": device.patient_id,
        "device_id": device.device_id,
        "address": address,
        "name": name,
    }
    found = await _devices(conn, "heard", values)
    if not found:
        raise UnknownDevice
    return found[0]


async def forget(conn: Connection, patient_id: int, device_id: int) -> None:
    """The device is no longer the patient's; its readings stay. Raises UnknownDevice."""
    if not await _devices(conn, "forget", {"patient_id": patient_id, "device_id": device_id}):
        raise UnknownDevice


def device_of(row: dict[str, Any]) -> Device:
    """A Device from its columns."""
    return Device(
        identity=DeviceIdentity(row["scheme"], row["identity"]),
        manufacturer=row["manufacturer"],
        model=row["model"],
        serial=row["serial"],
        firmware=row["firmware"],
        profile=row["profile"],
    )


async def _devices(conn: Connection, statement: str, values: dict[str, object]) -> tuple[StoredDevice, ...]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL[statement], values)
        rows = await cursor.fetchall()
    return tuple(
        StoredDevice(
            device_id=row["device_id"],
            patient_id=row["patient_id"],
            device=device_of(row),
            last_sequence=row["last_sequence"],
            clock_error_seconds=row["clock_error_seconds"],
            battery_percent=row["battery_percent"],
            last_synced_at=row["last_synced_at"],
            radio_address=row["radio_address"],
            radio_name=row["radio_name"],
            clock_policy=ClockPolicy(row["clock_policy"] or ClockPolicy.TELL),
            clock_set_asked_at=row["clock_set_asked_at"],
            clock_read_at=row["clock_read_at"],
            clock_read_sequence=row["clock_read_sequence"],
            clock_read_error=row["clock_read_error"],
            gaps=_gaps(row["gaps"]),
        )
        for row in rows
    )


def _gaps(stored: list[dict[str, Any]] | None) -> tuple[Gap, ...]:
    return tuple(
        Gap(each["first"], each["last"], datetime.fromisoformat(each["found_at"])) for each in stored or ()
    )

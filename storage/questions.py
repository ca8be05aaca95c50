"""Whose is a reading of a device that several people measure with: asked, never guessed.

Every reading of a shared device that was looked at has a row here, so what has none is new, whatever was
killed when: looking again finds it. A reading stays with whom it was stored for until somebody answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from uuid import UUID

from device_profiles.reading import UNITS, Kind
from storage.annotations import ReadingKey
from storage.connection import Connection
from storage.devices import StoredDevice
from storage.errors import UnknownDevice
from storage.statements import statements

_SQL = statements("questions")


class State(IntEnum):
    """What became of a reading that was looked at. Stored: add, never renumber."""

    NOT_ASKED = 0
    OPEN = 1
    ANSWERED = 2


@dataclass(frozen=True, slots=True)
class NewReading:
    """A reading that nobody has looked at yet. `value` None where it has none."""

    key: ReadingKey
    kind: Kind
    value: Decimal | None
    unit: str


@dataclass(frozen=True, slots=True)
class Question:
    """Whose is this reading?"""

    key: ReadingKey
    asked_at: datetime


async def users(conn: Connection, patient_id: int) -> dict[int, tuple[UUID, ...]]:
    """Who measures with a person's devices besides them, by device_id; only devices that others use."""
    rows = await (await conn.execute(_SQL["users"], {"patient_id": patient_id})).fetchall()
    found: dict[int, tuple[UUID, ...]] = {}
    for device_id, user in rows:
        found[device_id] = (*found.get(device_id, ()), user)
    return found


async def share(conn: Connection, device: StoredDevice, wanted: Collection[UUID], now: datetime) -> None:
    """These measure with a device besides its keeper, and nobody else. What it brought before is no question.

    Raises UnknownDevice.
    """
    key = {"patient_id": device.patient_id, "device_id": device.device_id}
    if await (await conn.execute(_SQL["lock_device"], key)).fetchone() is None:
        raise UnknownDevice
    before = device.device_id in await users(conn, device.patient_id)
    await conn.execute(_SQL["remove_users"], {**key, "users": list(wanted)})
    for user in wanted:
        await conn.execute(_SQL["add_user"], {**key, "user": user, "now": now})
    if bool(wanted) != before:
        await conn.execute(_SQL["settle_all" if wanted else "forget_device"], key)


async def forget_user(conn: Connection, patient_id: int, user: UUID) -> None:
    """No trace stays of somebody who was erased."""
    await conn.execute(_SQL["forget_user"], {"patient_id": patient_id, "user": user})


async def not_seen(conn: Connection, patient_id: int, device_id: int) -> tuple[NewReading, ...]:
    """The readings of a device that nobody has looked at, in the order of their keys."""
    key = {"patient_id": patient_id, "device_id": device_id}
    rows = await (await conn.execute(_SQL["not_seen"], key)).fetchall()
    return tuple(
        NewReading(
            ReadingKey(recorded_at.astimezone(UTC), sequence, device_id, ordinal),
            Kind(kind),
            None if absent else Decimal(mantissa).scaleb(exponent),
            UNITS[unit],
        )
        for recorded_at, sequence, ordinal, kind, mantissa, exponent, unit, absent in rows
    )


async def see(
    conn: Connection, patient_id: int, seen: Iterable[tuple[ReadingKey, State]], now: datetime
) -> None:
    """These were looked at, and are asked about or not. One that was seen before stays as it is."""
    values = [
        {
            **_named(patient_id, key),
            "state": int(state),
            "asked_at": now if state is State.OPEN else None,
        }
        for key, state in seen
    ]
    async with conn.cursor() as cursor:
        await cursor.executemany(_SQL["see"], values)


async def open_of(conn: Connection, patient_id: int) -> tuple[Question, ...]:
    """What is asked of a person's readings and not answered, the newest first."""
    rows = await (await conn.execute(_SQL["open"], {"patient_id": patient_id})).fetchall()
    return tuple(
        Question(ReadingKey(at.astimezone(UTC), *key), asked_at.astimezone(UTC))
        for at, *key, asked_at in rows
    )


async def answer(conn: Connection, patient_id: int, key: ReadingKey, author: str, now: datetime) -> bool:
    """Somebody said whose it is. Whether it was asked; False where it was answered before."""
    values = {**_named(patient_id, key), "author": author, "now": now}
    return await (await conn.execute(_SQL["answer"], values)).fetchone() is not None


async def erase(conn: Connection, patient_id: int) -> None:
    """Nothing is asked of readings that were erased."""
    await conn.execute(_SQL["erase"], {"patient_id": patient_id})


async def erase_users(conn: Connection, patient_id: int) -> None:
    """A person who is erased leaves nobody who measured with their devices."""
    await conn.execute(_SQL["erase_users"], {"patient_id": patient_id})


def _named(patient_id: int, key: ReadingKey) -> dict[str, object]:
    return {
        "patient_id": patient_id,
        "recorded_at": key.recorded_at,
        "sequence": key.sequence,
        "device_id": key.device_id,
        "ordinal": key.ordinal,
    }

"""A reading that is another's: it is annotated where it was stored, and copied to whom it belongs.

Two transactions, since no invariant spans two persons (they may lie on two machines). Each can be repeated:
the annotation comes first and says what is to be done, so that a kill in between is made good by whoever
looks at what was moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import numpy as np

from device_profiles.flags import flags_of
from device_profiles.reading import (
    FIRST_MEASURAND,
    UNITS,
    Absent,
    ClockSegment,
    DeviceTime,
    Kind,
    Quantity,
    Reading,
    RecordIdentity,
    Sample,
)
from device_profiles.wire import DateTime
from storage import annotations as remarks
from storage import clock_segments, contexts, devices, shares
from storage.annotations import AnnotationKind, ReadingKey
from storage.columns import NO_OFFSET, NO_SAMPLE, microseconds
from storage.connection import Connection
from storage.devices import StoredDevice
from storage.errors import UnknownReading
from storage.patients import Patient
from storage.statements import statements
from storage.writing import writing

_SQL = statements("moving")

ELSEWHERE = (AnnotationKind.MOVED_TO, AnnotationKind.NOT_MINE)
"""What is taken back where a reading arrives: it is theirs after all."""


@dataclass(frozen=True, slots=True)
class Move:
    """A reading of a patient that was moved: which, to whom, and when that was said."""

    patient_id: int
    key: ReadingKey
    to: UUID
    made_at: datetime


async def moves(conn: Connection, patient_id: int) -> tuple[Move, ...]:
    """What was moved away from a patient."""
    rows = await (await conn.execute(_SQL["moved"], {"patient_id": patient_id})).fetchall()
    return tuple(Move(patient_id, ReadingKey(*key), UUID(to), made_at) for *key, to, made_at in rows)


async def patient_of(conn: Connection, uuid: UUID) -> int | None:
    """The number of the person of this home whom a UUID names."""
    row = await (await conn.execute(_SQL["patient_of_uuid"], {"uuid": uuid})).fetchone()
    return None if row is None else int(row[0])


async def give(conn: Connection, patient_id: int, key: ReadingKey, to: Patient, author: str) -> None:
    """The first half: here it is said where the reading went. Idempotent. Raises UnknownReading."""
    await remarks.say(conn, patient_id, key, AnnotationKind.MOVED_TO, author, str(to.uuid))


async def is_done(conn: Connection, move: Move, to: int) -> bool:
    """Whether the second half was done: `to` has this very measurement, and has not sent it away before."""
    reading, device = await _measured(conn, move)
    row = await _row_of(conn, to, device)
    there = None if row is None else await _key_there(conn, to, row[0], move.key, reading.raw)
    if there is None:
        return False
    return not any(
        said.kind in ELSEWHERE and said.withdrawn_at is None and said.made_at < move.made_at
        for said in await remarks.of_reading(conn, to, there)
    )


async def receive(conn: Connection, move: Move, to: int) -> None:
    """The second half: the reading is stored for `to`, placed in time as it was. Idempotent.

    The device gets a row of that person's that is not read by itself: a meter has one keeper. Raises
    UnknownReading.
    """
    reading, device = await _measured(conn, move)
    segment = await _segment_of(conn, move)
    before = await _row_of(conn, to, device)
    theirs = await devices.register(conn, to, device.device)
    if before is None or before[1]:
        await devices.forget(conn, to, theirs.device_id)
    async with writing(conn, theirs) as work:
        at = microseconds((move.key.recorded_at,)), np.array([move.key.sequence], np.int32)
        known = clock_segments.covered(*at, work.history)[0]
        segments = work.history if known or segment is None else (*work.history, segment)
        await work.store([reading], segments, moves_cursor=False)
    there = await _key_there(conn, to, theirs.device_id, move.key, reading.raw)
    if there is not None:
        await remarks.take_back(conn, to, there, ELSEWHERE, move.made_at)
    await shares.mark_stale(conn, to)


async def _measured(conn: Connection, move: Move) -> tuple[Reading, StoredDevice]:
    reading = await reading_of(conn, move.patient_id, move.key)
    return reading, await devices.get(conn, move.patient_id, move.key.device_id)


async def reading_of(conn: Connection, patient_id: int, key: ReadingKey) -> Reading:
    """A reading from the store, as its device said it. Raises UnknownReading."""
    values = {"patient_id": patient_id, "first": key.recorded_at, "last": key.recorded_at}
    row = await (await conn.execute(_SQL["reading"], {**values, **_named(key)})).fetchone()
    if row is None:
        raise UnknownReading
    kind, mantissa, exponent, unit, absent, sample, offset, flags, raw = row
    beside = statements("readings")
    of_context = await (await conn.execute(beside["contexts_of_patient"], values)).fetchall()
    of_quantity = await (await conn.execute(beside["quantities_of_patient"], values)).fetchall()
    own = (int(microseconds((key.recorded_at,))[0]), key.sequence, key.device_id, key.ordinal)
    value = None if absent else Decimal(mantissa).scaleb(exponent)
    first = Quantity(FIRST_MEASURAND[Kind(kind)], value, UNITS[unit], Absent(absent) if absent else None)
    at = key.recorded_at
    base = DateTime(at.year, at.month, at.day, at.hour, at.minute, at.second)
    return Reading(
        kind=Kind(kind),
        quantities=(first, *contexts.quantities_of(of_quantity).get(own, ())),
        device_time=None if offset == NO_OFFSET else DeviceTime(base, offset),
        identity=RecordIdentity(key.recorded_at, key.sequence),
        raw=raw,
        sample=None if sample == NO_SAMPLE else Sample(sample & 15, sample >> 4),
        context=contexts.contexts_of(of_context).get(own),
        flags=flags_of(Kind(kind), sample)(flags),
    )


async def _row_of(conn: Connection, patient_id: int, device: StoredDevice) -> tuple[int, bool] | None:
    """A person's own row of a device: its number, and whether it is forgotten."""
    identity = device.device.identity
    values = {"patient_id": patient_id, "scheme": identity.scheme, "identity": identity.value}
    row = await (await conn.execute(_SQL["device"], values)).fetchone()
    return None if row is None else (row[0], row[1] is not None)


async def _key_there(
    conn: Connection, patient_id: int, device_id: int, key: ReadingKey, raw: bytes
) -> ReadingKey | None:
    values = {**_named(key), "patient_id": patient_id, "device_id": device_id, "raw": raw}
    row = await (await conn.execute(_SQL["ordinal"], values)).fetchone()
    return None if row is None else ReadingKey(key.recorded_at, key.sequence, device_id, row[0])


async def _segment_of(conn: Connection, move: Move) -> ClockSegment | None:
    """What places this one reading, as a segment of its own; None for one that nothing places."""
    patient_id, key = move.patient_id, move.key
    at, number = microseconds((key.recorded_at,)), np.array([key.sequence], np.int32)
    of_device = (await clock_segments.of_patient(conn, patient_id)).get(key.device_id, ())
    for segment in reversed(of_device):
        if clock_segments.covered(at, number, (segment,))[0]:
            return ClockSegment(
                key.sequence,
                key.sequence,
                key.recorded_at,
                key.recorded_at,
                segment.shift_seconds,
                segment.utc_offset_minutes,
                segment.source,
            )
    return None


def _named(key: ReadingKey) -> dict[str, object]:
    return {
        "recorded_at": key.recorded_at,
        "sequence": key.sequence,
        "device_id": key.device_id,
        "ordinal": key.ordinal,
    }

"""What people say of readings: never in the reading, always with who said it and when."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import numpy as np

from storage import clock_segments, outbox
from storage.columns import microseconds
from storage.connection import Connection
from storage.errors import UnknownReading
from storage.statements import statements
from storage.touched_days import TouchedDays

_SQL = statements("annotations")


class AnnotationKind(IntEnum):
    """What is said. Stored: add, never renumber. 2, 3 and 4 leave a reading out of statistics."""

    NOTE = 1
    EXCLUDED = 2
    NOT_MINE = 3
    MOVED_TO = 4
    """`value` is the UUID of the patient it was moved to."""
    MEAL = 5


LEAVES_OUT = (AnnotationKind.EXCLUDED, AnnotationKind.NOT_MINE, AnnotationKind.MOVED_TO)


@dataclass(frozen=True, slots=True)
class ReadingKey:
    """Which reading, within its patient."""

    recorded_at: datetime
    sequence: int
    device_id: int
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Annotation:
    """One thing said of a reading. `withdrawn_at`: when it was taken back."""

    annotation_id: UUID
    key: ReadingKey
    kind: AnnotationKind
    value: str | None
    author: str
    made_at: datetime
    withdrawn_at: datetime | None = None


async def add(
    conn: Connection,
    patient_id: int,
    key: ReadingKey,
    kind: AnnotationKind,
    author: str,
    value: str | None = None,
) -> Annotation:
    """Says something of a reading; the day's summary follows at once. Raises UnknownReading."""
    values: dict[str, object] = {**_key(patient_id, key), "kind": int(kind), "annotation_id": uuid4()}
    zone = await _lock(conn, patient_id, key)
    row = await (await conn.execute(_SQL["add"], {**values, "value": value, "author": author})).fetchone()
    if row is None:
        raise UnknownReading
    if kind in LEAVES_OUT:
        await _renew_day(conn, patient_id, key, zone)
    await outbox.annotated(conn, patient_id, key.device_id, key.recorded_at)
    return Annotation(row[0], key, kind, value, author, row[1].astimezone(UTC))


async def say(
    conn: Connection,
    patient_id: int,
    key: ReadingKey,
    kind: AnnotationKind,
    author: str,
    value: str | None = None,
) -> None:
    """Says something of a reading unless just that is said already. Raises UnknownReading."""
    await _lock(conn, patient_id, key)
    for said in await of_reading(conn, patient_id, key):
        if said.withdrawn_at is None and (said.kind, said.value) == (kind, value):
            return
    await add(conn, patient_id, key, kind, author, value)


async def take_back(
    conn: Connection,
    patient_id: int,
    key: ReadingKey,
    kinds: Collection[AnnotationKind],
    before: datetime | None = None,
) -> int:
    """Takes back all that is said of these kinds (and was said `before`); how many there were.

    Raises UnknownReading.
    """
    await _lock(conn, patient_id, key)
    said = [each for each in await of_reading(conn, patient_id, key) if each.kind in kinds]
    standing = [
        each for each in said if each.withdrawn_at is None and (before is None or each.made_at < before)
    ]
    for annotation in standing:
        await withdraw(conn, patient_id, annotation)
    return len(standing)


async def in_force(
    conn: Connection, patient_id: int, first: datetime, last: datetime
) -> tuple[Annotation, ...]:
    """What is said of the readings between two `recorded_at`, both included, in the order it was said."""
    values = {"patient_id": patient_id, "first": first, "last": last}
    rows = await (await conn.execute(_SQL["in_force"], values)).fetchall()
    return tuple(
        Annotation(number, ReadingKey(at, sequence, device_id, ordinal), AnnotationKind(kind), *rest)
        for at, sequence, device_id, ordinal, number, kind, *rest in rows
    )


async def withdraw(conn: Connection, patient_id: int, annotation: Annotation) -> None:
    """Takes an annotation back; it stays, marked. Idempotent. Raises UnknownReading."""
    zone = await _lock(conn, patient_id, annotation.key)
    values = {**_key(patient_id, annotation.key), "annotation_id": annotation.annotation_id}
    if await (await conn.execute(_SQL["withdraw"], values)).fetchone() is None:
        raise UnknownReading
    if annotation.kind in LEAVES_OUT:
        await _renew_day(conn, patient_id, annotation.key, zone)
    await outbox.annotated(conn, patient_id, annotation.key.device_id, annotation.key.recorded_at)


async def of_reading(conn: Connection, patient_id: int, key: ReadingKey) -> tuple[Annotation, ...]:
    """All that was said of a reading, taken back or not, in order."""
    rows = await (await conn.execute(_SQL["of_reading"], _key(patient_id, key))).fetchall()
    return tuple(Annotation(row[0], key, AnnotationKind(row[1]), *row[2:]) for row in rows)


async def _lock(conn: Connection, patient_id: int, key: ReadingKey) -> ZoneInfo:
    """The device's row, so that the day's summary has one writer; the person's zone."""
    values = {"patient_id": patient_id, "device_id": key.device_id}
    row = await (await conn.execute(statements("writing")["lock_device"], values)).fetchone()
    if row is None:
        raise UnknownReading
    return ZoneInfo(row[0])


async def _renew_day(conn: Connection, patient_id: int, key: ReadingKey, zone: ZoneInfo) -> None:
    in_force = (await clock_segments.of_patient(conn, patient_id)).get(key.device_id, ())
    recorded_at, sequence = microseconds((key.recorded_at,)), np.array([key.sequence], np.int32)
    times = clock_segments.place(recorded_at, sequence, in_force).effective_time
    device = {"patient_id": patient_id, "device_id": key.device_id}
    await TouchedDays.of(device, zone, in_force, times).renew(conn)


def _key(patient_id: int, key: ReadingKey) -> Mapping[str, object]:
    return {
        "patient_id": patient_id,
        "recorded_at": key.recorded_at,
        "sequence": key.sequence,
        "device_id": key.device_id,
        "ordinal": key.ordinal,
    }

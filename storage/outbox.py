"""What spaces are to be told: versions of readings, in order.

An entry stands for a whole batch: the readings of one device within a range of `recorded_at`. It is opened up
when it is drained, against what `delivery` says a space has already; see docs/decisions/0013.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from storage import clock_segments
from storage.columns import microseconds, moment
from storage.connection import Connection
from storage.devices import StoredDevice
from storage.statements import statements

VERSION = 1
"""Of the rules by which an entry is opened up."""

_SQL = statements("outbox")


class Change(IntEnum):
    """What happened to the readings of an entry. Stored: add, never renumber."""

    CREATED = 1
    JOINED = 2
    """A context came late."""
    RETIMED = 3
    """A better clock segment places them otherwise."""
    ANNOTATED = 4
    """A note, an exclusion, a mark of a meal, or its withdrawal."""
    ERASED = 5


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. The range of `recorded_at` includes both ends; `readings` is how many the change touched."""

    entry_id: int
    device_id: int
    change: Change
    first_recorded_at: datetime
    last_recorded_at: datetime
    readings: int
    version: int
    made_at: datetime


async def add(
    conn: Connection, device: StoredDevice, change: Change, recorded_at: npt.NDArray[np.int64]
) -> None:
    """Adds one entry for readings at these times (microseconds since 1970); none for no reading."""
    if len(recorded_at):
        bounds = (int(recorded_at.min()), int(recorded_at.max()))
        await _add(conn, device.patient_id, device.device_id, change, bounds, len(recorded_at))


async def retimed(conn: Connection, device: StoredDevice, difference: clock_segments.Change) -> None:
    """Adds an entry for each segment that no longer holds."""
    for segment in difference.superseded.values():
        bounds = clock_segments.recorded_range(segment)
        await _add(conn, device.patient_id, device.device_id, Change.RETIMED, bounds, 0)


async def annotated(conn: Connection, patient_id: int, device_id: int, recorded_at: datetime) -> None:
    """Adds an entry for one reading of which something was said."""
    time = int(microseconds((recorded_at,))[0])
    await _add(conn, patient_id, device_id, Change.ANNOTATED, (time, time), 1)


async def erased(conn: Connection, patient_id: int, device_id: int) -> None:
    """Adds an entry for a device of which readings were erased that a space holds: `delivery` says which.

    Its range is all of time: when they were is erased too.
    """
    await _add(conn, patient_id, device_id, Change.ERASED, clock_segments.ALL_TIMES, 0)


async def entries_after(
    conn: Connection, patient_id: int, entry_id: int, limit: int = 1000
) -> tuple[Entry, ...]:
    """A patient's entries that follow one (0 for all), in order."""
    values = {"patient_id": patient_id, "entry_id": entry_id, "limit": limit}
    rows = await (await conn.execute(_SQL["entries_after"], values)).fetchall()
    return tuple(
        Entry(number, device_id, Change(change), first, last, readings, version, made_at)
        for number, device_id, change, first, last, readings, version, made_at in rows
    )


async def _add(
    conn: Connection, patient_id: int, device_id: int, change: Change, bounds: tuple[int, int], readings: int
) -> None:
    values = {
        "patient_id": patient_id,
        "device_id": device_id,
        "change": int(change),
        "first_recorded_at": moment(bounds[0]),
        "last_recorded_at": moment(bounds[1]),
        "readings": readings,
        "version": VERSION,
    }
    await conn.execute(_SQL["add"], values)

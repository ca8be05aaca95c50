"""Versions of readings as Observations. A reading never changes; what is said of it does, and counts here.

Most readings have one version: only those above 1 have a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from storage.columns import microseconds, moment
from storage.connection import Connection
from storage.statements import statements

_SQL = statements("observation_versions")

Key = tuple[int, int, int]
"""Of a reading within its device: recorded_at in microseconds since 1970, sequence, ordinal."""


class Version(NamedTuple):
    """A version, and since when; None for the first one, of which only the reading is known."""

    number: int
    changed_at: datetime | None


FIRST = Version(1, None)


async def of_records(
    conn: Connection, patient_id: int, device_id: int, recorded_at: npt.NDArray[np.int64]
) -> Mapping[Key, Version]:
    """The versions above 1 of a device's readings around these times; all others have the first."""
    if not len(recorded_at):
        return {}
    values = {
        "patient_id": patient_id,
        "device_id": device_id,
        "first": moment(int(recorded_at.min())),
        "last": moment(int(recorded_at.max())),
    }
    rows = await (await conn.execute(_SQL["of_range"], values)).fetchall()
    times = microseconds([row[0] for row in rows]).tolist()
    return {
        (time, sequence, ordinal): Version(number, changed_at.astimezone(UTC))
        for time, (_, sequence, ordinal, number, changed_at) in zip(times, rows, strict=True)
    }


async def count_up(
    conn: Connection, patient_id: int, device_id: int, keys: Sequence[Key], now: datetime
) -> None:
    """The next version of these readings, each named once."""
    if keys:
        values = {
            "patient_id": patient_id,
            "device_id": device_id,
            "recorded_at": [moment(at) for at, _, _ in keys],
            "sequence": [sequence for _, sequence, _ in keys],
            "ordinal": [ordinal for _, _, ordinal in keys],
            "now": now,
        }
        await conn.execute(_SQL["next"], values)

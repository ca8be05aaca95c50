"""Columns of times as text: each row costs a few table look-ups, no object of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from device_profiles.reading import ReadingSeries

MICROSECONDS: Final = 1_000_000
_DAY: Final = 86_400
MAX_OFFSET_MINUTES: Final = 14 * 60
"""FHIR's dateTime holds no offset beyond ±14 h, and no zone has one."""


@cache
def _minutes() -> npt.NDArray[np.bytes_]:
    return np.array([f"T{minute // 60:02}:{minute % 60:02}:" for minute in range(1440)], dtype="S7")


@cache
def _seconds() -> npt.NDArray[np.bytes_]:
    return np.array([f"{second:02}" for second in range(60)], dtype="S2")


def wall_clock(micros: npt.NDArray[np.int64]) -> list[bytes]:
    """`2021-10-19T08:03:35` for each count of microseconds since 1970, with a fraction where there is one."""
    total_seconds, fraction = np.divmod(micros, MICROSECONDS)
    day, second = np.divmod(total_seconds, _DAY)
    days, which = np.unique(day, return_inverse=True)
    text = np.empty(len(micros), dtype=[("date", "S10"), ("minute", "S7"), ("second", "S2")])
    text["date"] = np.datetime_as_string(days.astype("datetime64[D]")).astype("S10")[which]
    text["minute"] = _minutes()[second // 60]
    text["second"] = _seconds()[second % 60]
    whole: list[bytes] = text.view("S19").tolist()
    for row in np.flatnonzero(fraction).tolist():
        whole[row] += b".%06d" % fraction[row]
    return whole


def own_offsets(series: ReadingSeries) -> npt.NDArray[np.int64]:
    """Each row's offset of the person's clock from UTC, in minutes; 0 where no clock can have it."""
    minutes = series.utc_offset_minutes.astype(np.int64)
    return np.where(np.abs(minutes) > MAX_OFFSET_MINUTES, 0, minutes)


def offset(minutes: int) -> bytes:
    """`+02:00`, and `Z` for UTC."""
    if minutes == 0:
        return b"Z"
    return b"%c%02d:%02d" % (b"+-"[minutes < 0], *divmod(abs(minutes), 60))


def instant(moment: datetime) -> str:
    """A FHIR instant in UTC. Raises ValueError for a naive time."""
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

"""The records in a virtual device, as its control point chooses them and as the link carries them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from device_profiles.errors import MalformedMeasurement
from device_profiles.services.glucose import GlucoseMeasurement
from device_profiles.virtual_effects import Frame
from device_profiles.wire import DateTime


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the control point chooses it and as the link carries it."""

    sequence: int
    user_facing_time: DateTime | None
    frames: tuple[Frame, ...]


def stored_record(sequence: int, frames: Sequence[Frame]) -> StoredRecord:
    """A record of these frames; what it shows of the time is known of a meter only."""
    try:
        measurement = GlucoseMeasurement.decode(frames[0].value)
        base = measurement.base_time.as_if_utc()
        offset = timedelta(minutes=measurement.time_offset_min or 0)
        shown = None if base is None else DateTime.of(base + offset)
    except (MalformedMeasurement, OverflowError):
        shown = None
    return StoredRecord(sequence, shown, tuple(frames))

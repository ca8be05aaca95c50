"""What a judge that is not ours says of our Observations: `fhir.resources`, the models of FHIR R4B."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNKNOWN_DATE, UNKNOWN_TIME, Device, Reading, ReadingSeries, TimeSource
from fhir_mapping import received
from fhir_mapping.observation import render, to_reading
from fhir_mapping.opaque import ReadingIds
from fhir_mapping.received import Received

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def series_of(readings: Sequence[Reading], device: Device) -> ReadingSeries:
    """Readings of one device as columns, each at the time that the device wrote; nobody's yet."""
    placed = [
        Received(
            digest="",
            ordinal=0,
            reading=reading,
            effective=UNKNOWN_TIME if reading.identity.recorded_at == UNKNOWN_DATE else _micros(reading),
            utc_offset_minutes=0,
            source=TimeSource.DEVICE,
            excluded=False,
            note=None,
            in_error=False,
            subject="",
            device="",
        )
        for reading in readings
    ]
    return replace(received.series_of(placed), devices={0: device})


def observations(readings: Sequence[Reading], device: Device) -> list[bytes]:
    """The Observation of each reading, as it would be shared."""
    series, ids = series_of(readings, device), ReadingIds(b"of nobody: only to be judged")
    return [render(series.take(_row(row)), ids) for row in range(len(series))]


def objection(observation: bytes) -> str | None:
    """What `fhir.resources` finds wrong with it; None where it accepts it."""
    # A second of imports that only a judge needs.
    from fhir.resources.R4B.observation import Observation  # noqa: PLC0415

    try:
        Observation.model_validate_json(observation)
    except ValueError as error:
        return " ".join(str(error).split())[:300]
    return None


def read_back(observation: bytes) -> Reading:
    """The reading that an Observation tells. Raises MappingError, and KeyError for one that is not ours."""
    return to_reading(json.loads(observation, parse_float=Decimal))


def without_bytes(reading: Reading) -> Reading:
    """The reading as an Observation tells it: without the device's bytes and its own way to write time."""
    context = None if reading.context is None else replace(reading.context, raw=b"")
    return replace(reading, raw=b"", device_time=None, context=context)


def _micros(reading: Reading) -> int:
    return (reading.identity.recorded_at - _EPOCH) // timedelta(microseconds=1)


def _row(number: int) -> npt.NDArray[np.intp]:
    return np.array([number], dtype=np.intp)


def kinds_told(found: Iterable[Reading]) -> str:
    """The kinds of readings, each once, for a sentence."""
    return ", ".join(dict.fromkeys(reading.kind.slug for reading in found))

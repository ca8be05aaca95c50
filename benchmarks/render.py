"""Rendering a fortnight of sensor readings, 4,032, as a FHIR Bundle, beside `fhir.resources` objects.

The peer builds the same resources as validated objects, from rows already in memory, and dumps them; both
outputs are equal as JSON. Ours is timed with the fetch from the database.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from fhir.resources.R4B.bundle import Bundle, BundleEntry, BundleEntrySearch, BundleLink
from fhir.resources.R4B.observation import Observation

from benchmarks.table import Row, print_table
from device_profiles.reading import UNITS, Device, DeviceIdentity, Kind, ReadingSeries
from fhir_mapping import bundle
from fhir_mapping.opaque import ReadingIds
from fhir_mapping.references import Address

READINGS = 4_032
INTERVAL = timedelta(minutes=5)
START = datetime(2025, 3, 3, tzinfo=UTC)
ROUNDS = 15
PEER_ROUNDS = 3
BASE = "https://space.example/fhir"
IDS = ReadingIds(b"a secret only for measurements")


def sensor_series() -> ReadingSeries:
    """Two weeks of one sensor, every five minutes."""
    step = INTERVAL // timedelta(microseconds=1)
    times = int(START.timestamp()) * 1_000_000 + np.arange(READINGS, dtype=np.int64) * step
    wave = 120 + 60 * np.sin(np.arange(READINGS) / 45) + np.random.default_rng(2).normal(0, 8, READINGS)

    def all_rows(value: int, dtype: type[Any]) -> Any:
        return np.full(READINGS, value, dtype=dtype)

    return ReadingSeries(
        patient_id=1,
        patient_uuid=UUID(int=1),
        kind=all_rows(Kind.INTERSTITIAL_GLUCOSE, np.int16),
        effective_time=times,
        utc_offset_minutes=all_rows(60, np.int16),
        time_source=all_rows(1, np.int16),
        recorded_at=times + 3_600_000_000,
        sequence=all_rows(0, np.int32),
        device_id=all_rows(1, np.int32),
        ordinal=all_rows(0, np.int16),
        mantissa=np.rint(wave).astype(np.int32),
        exponent=all_rows(0, np.int16),
        unit=all_rows(UNITS.index("mg/dL"), np.int16),
        absent=all_rows(0, np.int16),
        flags=all_rows(0, np.int32),
        sample=all_rows(-1, np.int16),
        excluded=np.zeros(READINGS, dtype=np.bool_),
        devices={1: Device(DeviceIdentity("file", "generic/interstitial-glucose"))},
    )


def by_objects(series: ReadingSeries, shared: dict[str, Any]) -> str:
    """The same Bundle by `fhir.resources`: what a row says, on top of the members that all rows share."""
    local = timezone(timedelta(hours=1))
    digest = shared["digest"]
    matched = BundleEntrySearch(mode="match")
    entries = []
    for row, fhir_id in enumerate(IDS.of_series(series)):
        recorded = datetime.fromtimestamp(series.recorded_at[row] / 1e6, UTC).replace(tzinfo=None)
        key = f"{digest}/{recorded.isoformat()}/0/0/interstitial-glucose"
        observation = Observation.model_validate(
            {
                "id": fhir_id,
                "identifier": [{"system": "urn:passerelle:reading", "value": key}],
                "effectiveDateTime": datetime.fromtimestamp(series.effective_time[row] / 1e6, local),
                "valueQuantity": {
                    "value": Decimal(int(series.mantissa[row])),
                    "unit": "mg/dl",
                    "system": "http://unitsofmeasure.org",
                    "code": "mg/dL",
                },
                **shared["members"],
            }
        )
        url = Address(BASE).full_url("Observation", fhir_id)
        entries.append(BundleEntry(fullUrl=url, resource=observation, search=matched))
    itself = BundleLink(relation="self", url=BASE)
    made: str = Bundle(type="searchset", link=[itself], entry=entries).model_dump_json()
    return made


def _shared(rendered: bytes) -> dict[str, Any]:
    """What all rows have in common, read off the first one."""
    first = json.loads(rendered)["entry"][0]["resource"]
    own = {"id", "identifier", "effectiveDateTime", "valueQuantity", "resourceType"}
    return {
        "digest": first["identifier"][0]["value"].split("/")[0],
        "members": {name: value for name, value in first.items() if name not in own},
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run() -> list[Row]:
    series = sensor_series()

    def ours() -> bytes:
        return bundle.searchset(series, IDS, base=BASE, links={"self": BASE})

    shared = _shared(ours())
    if json.loads(by_objects(series, shared)) != json.loads(ours()):
        raise AssertionError("the two Bundles say different things")
    mine = statistics.median(_seconds(ours) for _ in range(ROUNDS))
    peer = statistics.median(_seconds(lambda: by_objects(series, shared)) for _ in range(PEER_ROUNDS))
    size = len(ours()) / 1e6
    return [
        Row(
            "render a Bundle of 4,032, beside fhir.resources",
            f"{peer / mine:.0f} × its speed ({mine * 1e3:.1f} ms, {size:.1f} MB)",
            ">= 200 ×",
            peer >= 200 * mine,
        )
    ]


if __name__ == "__main__":
    print_table(run())

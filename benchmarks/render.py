"""A fortnight of sensor readings, 4,032, as a FHIR Bundle, fetch included, beside `fhir.resources` objects.

Ours: the rows are read from PostgreSQL, placed in time and rendered, each round anew. The peer builds the
same resources as validated objects, from a series already in memory, and dumps them. Both in one run, and
what they say is the same as JSON.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from fhir.resources.R4B.bundle import Bundle, BundleEntry, BundleEntrySearch, BundleLink
from fhir.resources.R4B.observation import Observation

from benchmarks.store import ROWS, segment, sensor_readings, shown
from benchmarks.table import Row, print_table
from device_profiles.reading import Device, DeviceIdentity, ReadingSeries
from fhir_mapping import bundle
from fhir_mapping.opaque import ReadingIds
from fhir_mapping.references import Address
from storage import devices, patients, readings
from storage.database import Database
from storage.embedded import erase

ROUNDS = 15
PEER_ROUNDS = 3
BASE = "https://space.example/fhir"
IDS = ReadingIds(b"a secret only for measurements")


def by_objects(series: ReadingSeries, digest: str, shared: Mapping[str, Any]) -> str:
    """The same Bundle by `fhir.resources`: what a row says, beside the members that are `shared`."""
    local = timezone(timedelta(hours=1))
    matched = BundleEntrySearch(mode="match")
    entries = []
    for row, fhir_id in enumerate(IDS.of_series(series)):
        recorded = datetime.fromtimestamp(series.recorded_at[row] / 1e6, UTC).replace(tzinfo=None)
        key = f"{digest}/{recorded.isoformat()}/{series.sequence[row]}/0/interstitial-glucose"
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
                **shared,
            }
        )
        url = Address(BASE).full_url("Observation", fhir_id)
        entries.append(BundleEntry(fullUrl=url, resource=observation, search=matched))
    itself = BundleLink(relation="self", url=BASE)
    made: str = Bundle(type="searchset", link=[itself], entry=entries).model_dump_json()
    return made


def _shared(rendered: bytes) -> tuple[str, dict[str, Any]]:
    """The device's digest, and the members that all Observations have in common: read off the first one."""
    first = json.loads(rendered)["entry"][0]["resource"]
    own = {"id", "identifier", "effectiveDateTime", "valueQuantity", "resourceType"}
    digest = first["identifier"][0]["value"].split("/")[0]
    return digest, {name: value for name, value in first.items() if name not in own}


async def _stored(database: Database) -> int:
    """A patient with a fortnight of readings from a sensor's file."""
    all_readings = sensor_readings()
    async with database.writer() as conn:
        patient = await patients.add(conn, "bench", "Europe/Paris")
        device = await devices.register(
            conn, patient.patient_id, Device(DeviceIdentity("file", "generic/interstitial-glucose"))
        )
        async with readings.writing(conn, device) as writing:
            await writing.store(all_readings, [segment(all_readings)])
    return patient.patient_id


async def _fetched(database: Database, patient_id: int) -> ReadingSeries:
    async with database.writer() as conn:
        return await readings.series(conn, patient_id)


async def measure(home: Path) -> list[Row]:
    ours, fetch, peer = [], [], []
    async with Database.open(home) as database:
        patient_id = await _stored(database)
        for _ in range(PEER_ROUNDS):
            for _ in range(ROUNDS):
                begin = perf_counter()
                series = await _fetched(database, patient_id)
                middle = perf_counter()
                rendered = bundle.searchset(series, IDS, base=BASE, links={"self": BASE})
                ours.append(perf_counter() - begin)
                fetch.append(middle - begin)
            digest, shared = _shared(rendered)
            begin = perf_counter()
            by_peer = by_objects(series, digest, shared)
            peer.append(perf_counter() - begin)
            if len(series) != ROWS or json.loads(by_peer) != json.loads(rendered):
                raise AssertionError("the two Bundles say different things")
    ratio = median(peer) / median(ours)
    told = f"{shown(ours)}, of which fetch {shown(fetch)}; {len(rendered) / 1e6:.1f} MB"
    name = f"Bundle of {ROWS} ({told}), rate / fhir.resources ({shown(peer)})"
    return [Row(name, f"{ratio:.0f}", "≥ 200", ratio >= 200)]


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return asyncio.run(measure(Path(folder)))
        finally:
            erase(Path(folder))


if __name__ == "__main__":
    print_table(run())

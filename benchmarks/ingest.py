"""4,032 readings (14 days of a sensor) through the FHIR endpoint of a space, beside storing them directly.

The space is the product as it is served: a process of its own, real HTTP on loopback, tokens, limits, the
embedded PostgreSQL. A gateway that is known to it sends transactions of at most 1,000 entries, rendered
beforehand, one after the other. Beside it, in this process and in the same database, `Writing.store` stores
as many, in one transaction and in transactions of the same sizes. Both begin with a new person each round,
on fsync.

The ratio is of processor time: of the process that takes them in and of PostgreSQL together, so that a
machine that does something else too gives the same answer. Wall time is told beside it.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import numpy as np

from benchmarks import work
from benchmarks.load import Server, space
from benchmarks.store import ROWS, START, fresh_device, segment, sensor_readings
from benchmarks.table import Row, print_table
from device_profiles.reading import Device, DeviceIdentity, Kind, ReadingSeries, TimeSource
from fhir_mapping import bundle
from fhir_mapping.opaque import ReadingIds
from storage import readings
from storage.columns import microseconds
from storage.database import Database
from storage.devices import StoredDevice
from storage.embedded import erase
from storage.tenants import find, new_code

ROUNDS = 12
ENTRIES = 998
"""Readings of a transaction: with the person and the device it has 1,000 entries."""
IDS = ReadingIds(b"a secret only for measurements")
SENSOR = Device(DeviceIdentity("serial", "Maker/Sensor/1"), manufacturer="Maker", model="Sensor")


@dataclass(frozen=True)
class Cost:
    """Of 4,032 readings: seconds that passed, and seconds of processor time."""

    wall: float
    cpu: float


def series(patient: UUID) -> ReadingSeries:
    """The readings that are also stored directly, as a gateway has them."""
    all_readings = sensor_readings()
    recorded_at = microseconds([one.identity.recorded_at for one in all_readings])
    value = [int(one.quantities[0].value or 0) for one in all_readings]
    zeros = np.zeros(ROWS, np.int16)
    return ReadingSeries(
        patient_id=1,
        patient_uuid=patient,
        kind=np.full(ROWS, Kind.INTERSTITIAL_GLUCOSE, np.int16),
        effective_time=recorded_at - 3_600_000_000,
        utc_offset_minutes=np.full(ROWS, 60, np.int16),
        time_source=np.full(ROWS, TimeSource.DEVICE, np.int16),
        recorded_at=recorded_at,
        sequence=np.arange(ROWS, dtype=np.int32),
        device_id=np.ones(ROWS, np.int32),
        ordinal=zeros,
        mantissa=np.array(value, np.int32),
        exponent=zeros,
        unit=zeros,
        absent=zeros,
        flags=np.zeros(ROWS, np.int32),
        sample=np.full(ROWS, -1, np.int16),
        excluded=np.zeros(ROWS, np.bool_),
        devices={1: SENSOR},
    )


def transactions(patient: UUID) -> list[bytes]:
    """What a gateway sends of a person."""
    told = series(patient)
    parts = [np.arange(begin, min(begin + ENTRIES, ROWS)) for begin in range(0, ROWS, ENTRIES)]
    return [bundle.transaction(told.take(part), IDS, zone="Europe/Paris") for part in parts]


class Gateway:
    """A gateway that the space knows, on one connection."""

    def __init__(self, server: Server, code: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
        told = self._ask("/gateways", json.dumps({"code": code}).encode(), {})
        form = f"grant_type=client_credentials&client_id={told['client_id']}"
        form += f"&client_secret={told['client_secret']}"
        token = self._ask("/token", form.encode(), {"Content-Type": "application/x-www-form-urlencoded"})
        self._headers = {
            "Authorization": f"Bearer {token['access_token']}",
            "Content-Type": "application/fhir+json",
        }

    def feed(self, transaction: bytes) -> None:
        """Sends one; the space has it when this returns."""
        self._ask("/fhir", transaction, self._headers)

    def _ask(self, path: str, body: bytes, headers: dict[str, str]) -> dict[str, str]:
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{path}: {answer.status} {content[:500]!r}")
        return dict(json.loads(content))


async def direct(database: Database, home: Path, device: StoredDevice, size: int) -> Cost:
    """Stores all in transactions of this size."""
    all_readings = sensor_readings()
    whole = segment(all_readings)
    begin, cpu = perf_counter(), process_time() + work.of_postgres(home)
    for first in range(0, ROWS, size):
        async with database.writer() as conn, readings.writing(conn, device) as writing:
            await writing.store(all_readings[first : first + size], [whole])
    return Cost(perf_counter() - begin, process_time() + work.of_postgres(home) - cpu)


def through(gateway: Gateway, server: Server, home: Path, told: Sequence[bytes]) -> Cost:
    """Sends all to the space."""

    def spent() -> float:
        return work.of_process(server.process.pid) + work.of_postgres(home)

    begin, cpu = perf_counter(), spent()
    for one in told:
        gateway.feed(one)
    return Cost(perf_counter() - begin, spent() - cpu)


async def measure(home: Path) -> list[Row]:
    one: list[Cost] = []
    several: list[Cost] = []
    ours: list[Cost] = []
    again: list[Cost] = []
    async with Database.open(home) as database:
        async with database.writer() as conn:
            code = await new_code(conn, await find(conn, "default", START), START, START.replace(year=2100))
        with space(home, {"PASSERELLE_GATEWAY_RATE": "10000"}) as server:
            gateway = Gateway(server, code)
            for round_ in range(ROUNDS + 2):
                told = transactions(uuid4())
                costs = (
                    await direct(database, home, await fresh_device(database), ROWS),
                    await direct(database, home, await fresh_device(database), ENTRIES),
                    through(gateway, server, home, told),
                    through(gateway, server, home, told),
                )
                if round_ >= 2:
                    for kept, cost in zip((one, several, ours, again), costs, strict=True):
                        kept.append(cost)
    return _rows(one, several, ours, again)


def _rows(
    one: Sequence[Cost], several: Sequence[Cost], ours: Sequence[Cost], again: Sequence[Cost]
) -> list[Row]:
    # Sums: a process's time is counted in hundredths of a second, too coarse for one round.
    def ratio(of: Sequence[Cost]) -> float:
        return sum(cost.cpu for cost in of) / sum(cost.cpu for cost in ours)

    rate = ROWS / median(cost.wall for cost in ours)
    name = f"ingest of {ROWS} readings over FHIR ({_told(ours)}), rate / stored directly"
    return [
        Row(
            f"{name} in the same transactions ({_told(several)})",
            f"{ratio(several):.2f}",
            "≥ 0.4",
            ratio(several) >= 0.4,
        ),
        Row(f"{name} in one transaction ({_told(one)})", f"{ratio(one):.2f}", "told only", True),
        Row("the same in wall time, readings a second", f"{rate:,.0f}", "≥ 2 000", rate >= 2000),
        Row(
            f"told again ({_told(again)}), time / first time",
            f"{ratio(again):.2f}",
            "told only",
            True,
        ),
    ]


def _told(costs: Sequence[Cost]) -> str:
    wall, cpu = (median(getattr(cost, name) for cost in costs) * 1e3 for name in ("wall", "cpu"))
    return f"{wall:.1f} ms, {cpu:.0f} ms of processor"


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return asyncio.run(measure(Path(folder)))
        finally:
            erase(Path(folder))


if __name__ == "__main__":
    print_table(run())

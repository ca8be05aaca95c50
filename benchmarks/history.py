"""A history of ten million readings: what reading and storing cost in it.

`python -m benchmarks.history 10000000`, or HISTORY_ROWS, sets how many rows; `make bench` takes fewer, so
that it ends soon. 1,000 people have a sensor, a value every five minutes; what came in a day lies together,
as after a daily sync, and one person has kept a meter for ten years beside. Filled by COPY, then vacuumed, as
autovacuum does. Each bare read is timed beside ours, in turns, on the same connection.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from uuid import uuid4
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from benchmarks import store as storing
from benchmarks.table import Row, print_table
from device_profiles.reading import (
    ClockSegment,
    Device,
    DeviceIdentity,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
    TimeSource,
)
from storage import clock_segments, daily_summary, devices, patients, readings
from storage.columns import COPY_HEADER, COPY_TRAILER, SPARSE_COLUMNS, Columns, moment
from storage.connection import Connection
from storage.daily_summary import DayColumns, summarise
from storage.database import Database
from storage.devices import StoredDevice
from storage.embedded import erase
from storage.packing import pack_months
from storage.statements import statements

ROWS = int(os.environ.get("HISTORY_ROWS", "4320000"))
PEOPLE = 1000
A_DAY = 288
DAY = 86_400_000_000
START = 1_767_225_600_000_000
"""2026-01-01, in microseconds since 1970."""
ROUNDS = 25
ZONE = ZoneInfo("Europe/Paris")
SEGMENTS = 4
"""Of each sensor: its clock was set anew now and then."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What there is."""

    people: tuple[StoredDevice, ...]
    days: int
    keeper: StoredDevice
    """Who has kept a meter for ten years."""


def day_of(person: int, day: int) -> Columns:
    """What a sensor said in a day."""
    row = np.arange(A_DAY)
    value = (60 + (row * 7 + person * 13 + day * 5) % 240).astype(np.int32)
    return Columns.pack(
        [b"\x0d\x03" + number.to_bytes(4, "little") for number in (value + day).tolist()],
        recorded_at=START + day * DAY + row * 300_000_000,
        sequence=day * A_DAY + row,
        mantissa=value,
        exponent=0,
        kind=Kind.INTERSTITIAL_GLUCOSE,
        unit=0,
        absent=0,
    )


def segments_of(days: int) -> list[ClockSegment]:
    """As few as a clock that was set SEGMENTS times needs, all within the days that are read."""
    ends = [0, *(max(days - 14, 0) + 14 * number // SEGMENTS for number in range(1, SEGMENTS)), days]
    return [
        ClockSegment(
            first * A_DAY,
            last * A_DAY - 1,
            moment(START + first * DAY),
            moment(START + last * DAY - 1),
            -3600 - number,
            60,
            TimeSource.DEVICE,
        )
        for number, (first, last) in enumerate(pairwise(ends))
        if last > first
    ]


async def new_device(conn: Connection) -> StoredDevice:
    patient = await patients.add(conn, f"bench-{uuid4()}", ZONE.key)
    return await devices.register(conn, patient.patient_id, Device(DeviceIdentity("serial", str(uuid4()))))


async def fill(database: Database, rows: int) -> Filled:
    """Day after day, for everybody."""
    days = max(rows // (PEOPLE * A_DAY), 15)
    async with database.writer() as conn:
        people = tuple([await new_device(conn) for _ in range(PEOPLE)])
        keeper = await new_device(conn)
        for month in range(0, days + 31, 28):
            first = moment(START + month * DAY).date().replace(day=1)
            ensure = statements("writing")["ensure_months"]
            await conn.execute(ensure, {"parent": "reading", "months": [first]})
    for day in range(days):
        statement = statements("writing")["copy_sparse"]
        async with database.writer() as conn, conn.cursor().copy(statement) as copy:
            await copy.write(COPY_HEADER)
            for number, device in enumerate(people):
                columns = day_of(number, day)
                await copy.write(columns.copied(device.patient_id, device.device_id, SPARSE_COLUMNS))
            await copy.write(COPY_TRAILER)
    await place_and_summarise(database, people, days)
    await keep_ten_years(database, keeper)
    async with database.owner() as conn:
        await conn.commit()
        await conn.set_autocommit(True)
        for table in ("reading", "daily_summary", "clock_segment"):
            await conn.execute(f"VACUUM (ANALYZE) passerelle.{table}")
        await conn.set_autocommit(False)
    return Filled(people, days, keeper)


async def place_and_summarise(database: Database, people: tuple[StoredDevice, ...], days: int) -> None:
    """What `store` would have written beside the rows."""
    placed = segments_of(days)
    async with database.writer() as conn:
        for number, device in enumerate(people):
            key = {"patient_id": device.patient_id, "device_id": device.device_id}
            synced = {"last_sequence": days * A_DAY - 1, "clock_error_seconds": None}
            await conn.execute(statements("writing")["move_cursor"], {**key, **synced})
            await clock_segments.apply(conn, key, 1, clock_segments.change({}, placed))
            columns = Columns.joined([day_of(number, day) for day in range(days)])
            times = clock_segments.place(columns.recorded_at, columns.sequence, placed).effective_time
            of_days = DayColumns(
                times, columns.kind, columns.mantissa, columns.exponent, columns.unit, columns.absent
            )
            table = summarise(of_days, ZONE)
            await daily_summary.add(conn, device.patient_id, device.device_id, table)


async def keep_ten_years(database: Database, keeper: StoredDevice) -> None:
    begin = datetime(2016, 1, 1, 7, tzinfo=UTC)
    batch = [
        Reading(
            Kind.BLOOD_GLUCOSE,
            (Quantity(Measurand.GLUCOSE, Decimal(70 + row * 11 % 150), "mg/dL"),),
            None,
            RecordIdentity(begin + timedelta(hours=6 * row), row),
            row.to_bytes(4, "little"),
        )
        for row in range(4 * 3652)
    ]
    times = batch[0].identity.recorded_at, batch[-1].identity.recorded_at
    of_all = ClockSegment(0, len(batch), *times, 0, 0, TimeSource.DEVICE)
    async with database.writer() as conn, readings.writing(conn, keeper) as writing:
        await writing.store(batch, [of_all])


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    begin = perf_counter()
    await work()
    return perf_counter() - begin


async def in_turns(*works: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> list[list[float]]:
    """The times of each, one after the other in each round; the first rounds do not count."""
    times = [[await seconds(work) for work in works] for _ in range(rounds + 3)][3:]
    return [list(each) for each in zip(*times, strict=True)]


BARE = """
SELECT array_agg(recorded_at), array_agg(mantissa) FROM passerelle.reading
WHERE patient_id = %s AND recorded_at BETWEEN %s AND %s
"""


async def bare(conn: Connection, patient_id: int, first: datetime, last: datetime) -> npt.NDArray[np.int64]:
    """An index-only scan into numpy."""
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(BARE, (patient_id, first, last))
        row = await cursor.fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]


async def fortnight(database: Database, filled: Filled) -> list[Row]:
    """Another person each time: nobody reads the same page again and again."""
    first = moment(START + (filled.days - 14) * DAY)
    last = first + timedelta(days=14)
    turn = iter(range(10_000))
    async with database.writer() as conn:

        async def ours() -> None:
            person = filled.people[next(turn) * 37 % PEOPLE]
            found = await readings.series(
                conn, person.patient_id, start=first - timedelta(hours=1), end=last - timedelta(hours=1)
            )
            assert abs(len(found) - 14 * A_DAY) <= SEGMENTS, len(found)

        async def theirs() -> None:
            person = filled.people[next(turn) * 37 % PEOPLE]
            assert len(await bare(conn, person.patient_id, first, last)) in {14 * A_DAY, 14 * A_DAY + 1}

        of_bare, of_ours = await in_turns(theirs, ours, rounds=60)
    ratio = median(b / a for a, b in zip(of_bare, of_ours, strict=True))
    of = f"{shown(of_ours)}), segments applied / bare index-only scan ({shown(of_bare)})"
    name = f"14 days of one patient ({of}"
    return [Row(name, f"{ratio:.2f}", "≤ 2", ratio <= 2)]


async def summaries(database: Database, filled: Filled) -> list[Row]:
    keeper, everybody = filled.keeper.patient_id, [person.patient_id for person in filled.people]
    last = (moment(START).date()) + timedelta(days=filled.days - 1)
    async with database.writer() as conn:

        async def ten_years() -> None:
            found = await daily_summary.days(conn, keeper, date(2016, 1, 1), date(2025, 12, 31))
            assert len(found) >= 3650

        async def cohort() -> None:
            found = await daily_summary.cohort(conn, everybody, last - timedelta(days=13), last)
            assert len(found) == PEOPLE

        of_years, of_cohort = await in_turns(ten_years, cohort)
    return [
        Row("ten years of one patient by day", shown(of_years), "≤ 20 ms", median(of_years) <= 0.020),
        Row("1,000 patients over 14 days", shown(of_cohort), "≤ 10 ms", median(of_cohort) <= 0.010),
    ]


async def size(database: Database, filled: Filled) -> list[Row]:
    """Bytes a reading, as they came in and when their months are over."""
    name, each = await bytes_a_reading(database)
    rows = [Row(f"bytes a reading as they came in, {name}", f"{each:.0f}", "told only", True)]
    over = moment(START + filled.days * DAY).date() + timedelta(days=62)
    async with database.owned("passerelle") as conn:
        begin = perf_counter()
        await pack_months(conn, over)
        packed = f"packed in {perf_counter() - begin:.0f} s"
    name, each = await bytes_a_reading(database)
    return [
        *rows,
        Row(
            f"bytes a reading of a month that is over ({packed}), {name}", f"{each:.0f}", "≤ 130", each <= 130
        ),
    ]


async def bytes_a_reading(database: Database) -> tuple[str, float]:
    async with database.owner() as conn:
        row = await (
            await conn.execute(
                "SELECT sum(pg_relation_size(relid)), sum(pg_indexes_size(relid)) "
                "FROM pg_partition_tree('passerelle.reading') WHERE isleaf"
            )
        ).fetchone()
        counted = await (await conn.execute("SELECT count(*) FROM passerelle.reading")).fetchone()
    assert row is not None
    assert counted is not None
    bytes_, index, count = float(row[0]), float(row[1]), int(counted[0])
    return f"of {count:,} ({bytes_ / count:.0f} rows, {index / count:.0f} index)", (bytes_ + index) / count


async def ingest(database: Database) -> tuple[list[float], list[float]]:
    """Storing a fortnight of somebody new each time: seconds that passed, and that both ends worked."""
    batch = storing.sensor_readings()
    newcomers = [await storing.fresh_device(database) for _ in range(ROUNDS + 3)]
    passed, worked = [], []
    for device in newcomers:
        async with database.writer() as conn:
            server = conn.info.backend_pid
        before = process_time() + server_time(server)
        passed.append(await storing.store(database, batch, device))
        worked.append(process_time() + server_time(server) - before)
    return passed[3:], worked[3:]


def server_time(pid: int) -> float:
    """Seconds that a process of the server worked; 0 where the system does not tell."""
    schedule = Path(f"/proc/{pid}/schedstat")
    return int(schedule.read_text().split()[0]) / 1e9 if schedule.exists() else 0.0


async def known(database: Database, filled: Filled) -> list[Row]:
    """What a sync costs that brings nothing new, beside a look at the index for the same records."""
    placed = segments_of(filled.days)
    day = filled.days - 1
    batches = [
        [
            Reading(
                Kind.INTERSTITIAL_GLUCOSE,
                (Quantity(Measurand.GLUCOSE, Decimal(int(columns.mantissa[row])), "mg/dL"),),
                None,
                RecordIdentity(moment(int(columns.recorded_at[row])), int(columns.sequence[row])),
                columns.raw[row],
            )
            for row in range(100)
        ]
        for columns in (day_of(number, day) for number in range(ROUNDS + 3))
    ]
    first, last = batches[0][0].identity.recorded_at, batches[0][-1].identity.recorded_at
    looked, stored = [], []
    for device, batch in zip(filled.people, batches, strict=False):

        async def probe(device: StoredDevice = device) -> None:
            async with database.writer() as conn:
                assert len(await bare(conn, device.patient_id, first, last)) == 100

        async def again(device: StoredDevice = device, batch: list[Reading] = batch) -> None:
            async with database.writer() as conn, readings.writing(conn, device) as writing:
                assert (await writing.store(batch, placed)).known == 100

        looked.append(await seconds(probe))
        stored.append(await seconds(again))
    more = median(b - a for a, b in zip(looked[3:], stored[3:], strict=True))
    name = f"100 known rows again ({shown(stored[3:])}), more than a bare index probe ({shown(looked[3:])})"
    return [Row(name, f"{more * 1e3:.1f} ms", "≤ 3 ms", more <= 0.003)]


async def measure(home: Path, rows: int) -> list[Row]:
    async with Database.open(home) as database:
        empty = await ingest(database)
        begin = perf_counter()
        filled = await fill(database, rows)
        print(f"{rows:,} rows filled in {perf_counter() - begin:.0f} s", file=sys.stderr)
        full = await ingest(database)
        slower = median(full[1]) / median(empty[1])
        there, nothing = (f"({shown(took)}, {shown(work)} of work)" for took, work in (full, empty))
        name = f"store 4032 readings among {rows:,} {there} / into nothing {nothing}, work"
        return [
            *await fortnight(database, filled),
            *await summaries(database, filled),
            Row(name, f"{slower:.2f}", "≤ 1.2", slower <= 1.2),
            *await known(database, filled),
            *await size(database, filled),
        ]


def shown(times: list[float]) -> str:
    return f"{median(times) * 1e3:.1f} ms"


def run(rows: int = ROWS) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return asyncio.run(measure(Path(folder), rows))
        finally:
            erase(Path(folder))


if __name__ == "__main__":
    print_table(run(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))

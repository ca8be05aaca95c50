"""What should not come and comes: a device twice at once, odd years, SQL in names, endless patients."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from device_profiles.reading import Device, DeviceIdentity
from storage import annotations, daily_summary, devices, outbox, patients, readings
from storage.annotations import AnnotationKind, ReadingKey
from storage.database import Database
from storage.patients import Patient
from tests.conftest import DATABASE
from tests.storage.samples import count, glucose, new_device, store

HOSTILE = [
    "Robert'); DROP TABLE passerelle.reading;--",
    "%(patient_id)s",
    "$1; SELECT pg_sleep(60)",
    "{}\\N\t'\"\\",
    "' OR '1'='1",
]

GATEWAY = """
import asyncio, sys
from pathlib import Path
from storage import devices, readings
from storage.database import Database
from tests.storage.samples import glucose, segment

async def main():
    home, dsn, patient, device = sys.argv[1:]
    batch = [glucose(sequence) for sequence in range(3000)]
    async with Database.open(Path(home), dsn or None) as database:
        async with database.writer() as conn:
            known = await devices.get(conn, int(patient), int(device))
        print("ready", flush=True)
        sys.stdin.readline()
        for begin in range(0, 3000, 300):
            part = batch[: begin + 300]
            async with database.writer() as conn, readings.writing(conn, known) as writing:
                stored = await writing.store(part, [segment(batch)])
            print(stored.stored, flush=True)

asyncio.run(main())
"""


async def test_two_gateways_with_the_same_device_at_once_store_each_record_once(
    database: Database, database_home: Path, patient: Patient
) -> None:
    device = await new_device(database, patient)
    arguments = [str(database_home), DATABASE or "", str(patient.patient_id), str(device.device_id)]
    pipe = asyncio.subprocess.PIPE
    gateways = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", GATEWAY, *arguments, stdin=pipe, stdout=pipe
        )
        for _ in range(2)
    ]
    for each in gateways:
        assert each.stdout is not None
        assert await each.stdout.readline() == b"ready\n"
    told = await asyncio.gather(*(each.communicate(b"go\n") for each in gateways))
    assert [each.returncode for each in gateways] == [0, 0]
    assert sum(int(number) for out, _ in told for number in out.split()) == 3000
    async with database.writer() as conn:
        days = await daily_summary.days(conn, patient.patient_id, date(2026, 1, 1), date(2027, 1, 1))
        entries = await outbox.entries_after(conn, patient.patient_id, 0)
        cursor = (await devices.get(conn, patient.patient_id, device.device_id)).last_sequence
    assert await count(database, "reading", patient) == 3000
    assert sum(day.readings for day in days) == 3000
    assert sum(entry.readings for entry in entries) == 3000
    assert cursor == 2999


@pytest.mark.parametrize("year", [1970, 2037])
async def test_a_reading_from_1970_or_2037_is_stored_once_and_on_its_day(
    database: Database, patient: Patient, year: int
) -> None:
    device = await new_device(database, patient)
    odd = glucose(2, "101", at=datetime(year, 1, 1, 0, 30, tzinfo=UTC))
    batch = [glucose(1, "100"), odd, glucose(3, "102")]
    for known in (0, 3):
        assert (await store(database, device, batch)).known == known
    async with database.writer() as conn:
        days = await daily_summary.days(conn, patient.patient_id, date(1969, 1, 1), date(2038, 1, 1))
        around = datetime(year, 1, 1, tzinfo=UTC), datetime(year, 1, 2, tzinfo=UTC)
        series = await readings.series(conn, patient.patient_id, start=around[0], end=around[1])
    assert sorted((day.day, day.total) for day in days) == sorted(
        [(date(year, 1, 1), 101.0), (date(2026, 3, 2), 202.0)]
    )
    assert series.mantissa.tolist() == [101]


async def test_the_last_days_of_the_calendar_are_one(database: Database, patient: Patient) -> None:
    device = await new_device(database, patient)
    batch = [glucose(day, at=datetime(9999, 12, day, 12, tzinfo=UTC)) for day in (28, 29, 30, 31)]
    for known in (0, 4):
        assert (await store(database, device, batch)).known == known
    async with database.writer() as conn:
        days = await daily_summary.days(conn, patient.patient_id, date(9999, 1, 1), date(9999, 12, 31))
    assert [(day.day.day, day.readings) for day in days] == [(28, 1), (29, 3)]


@pytest.mark.parametrize("name", HOSTILE)
async def test_sql_in_every_name_is_only_a_name(database: Database, name: str) -> None:
    label = f"{name} {uuid4()}"
    async with database.writer() as conn:
        visible = " ".join(label.split())
        person = await patients.add(conn, visible, "Europe/Paris")
        identity = DeviceIdentity("serial", label)
        said_of_itself = Device(identity, name, name, name, name, name)
        device = await devices.register(conn, person.patient_id, said_of_itself)
        device = await devices.heard(conn, device, name, name)
    assert (await patients_named(database, visible)).uuid == person.uuid
    assert device.device == said_of_itself
    assert device.radio_name == name
    batch = [glucose(number, raw=f"{number} {name}".encode()) for number in range(120)]
    frame = readings.RefusedFrame(name, name.encode(), name)
    await store(database, device, batch, refused=[frame])
    key = ReadingKey(batch[7].identity.recorded_at, 7, device.device_id)
    async with database.writer() as conn:
        await annotations.add(conn, person.patient_id, key, AnnotationKind.NOTE, name, name)
    async with database.writer() as conn:
        (said,) = await annotations.of_reading(conn, person.patient_id, key)
        assert (said.author, said.value) == (name, name)
        assert await readings.refused_frames(conn, device) == (frame,)
        assert (await devices.by_identity(conn, identity)) == (
            await devices.of_patient(conn, person.patient_id)
        )
    assert await count(database, "reading", person) == 120


async def patients_named(database: Database, name: str) -> Patient:
    async with database.writer() as conn:
        return await patients.find(conn, name)


@pytest.mark.embedded
async def test_ten_thousand_patients_made_in_a_loop_cost_the_same_each(database: Database) -> None:
    """The time of the server alone: what the last thousand cost it beside the first."""
    run = uuid4()
    took = []
    for thousand in range(10):
        async with database.writer() as conn:
            before = server_time(conn.info.backend_pid)
            for number in range(1000):
                await patients.find_or_add(conn, f"{run} {thousand} {number}", "Europe/Paris")
            took.append(server_time(conn.info.backend_pid) - before)
    async with database.owner() as conn:  # other tests look through all patients
        await conn.execute("DELETE FROM passerelle.patient WHERE name LIKE %s", (f"{run} %",))
    assert min(took[-3:]) < 2 * min(took[:3]), took


def server_time(pid: int) -> float:
    """Seconds that a process of the server worked; where it is on another machine, that passed."""
    schedule = Path(f"/proc/{pid}/schedstat")
    if DATABASE or not schedule.exists():
        return time.monotonic()
    return int(schedule.read_text().split()[0]) / 1e9

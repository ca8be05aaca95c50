"""What is over by a person's own rule is erased once, with a receipt, however many processes look."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from device_profiles.reading import Kind
from gateway import retaining
from gateway.claimed import Claims, Job, Outcome
from gateway.home import Home
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from storage import patients, receipts, retention
from storage.database import Database
from storage.errors import UnknownRule
from storage.patients import Patient
from storage.receipts import Reason
from tests.storage.samples import START, count, glucose, new_device, segment, store


@pytest.fixture
def home(database: Database, tmp_path: Path) -> Home:
    return Home(Settings(home=tmp_path), database, HomeSecret(bytes(32)))


async def kept_for(home: Home, patient: Patient, kind: Kind, days: int) -> None:
    async with home.database.writer() as conn:
        await retention.keep_for(conn, patient.patient_id, kind, days, START)


async def test_what_is_over_goes_and_what_is_not_stays(home: Home, patient: Patient) -> None:
    """One reading a day at noon in Paris; 10 days are kept, and today is the 30th day."""
    device = await new_device(home.database, patient)
    noon = datetime(2026, 3, 1, 11, tzinfo=UTC)
    days = [noon + timedelta(days=number) for number in range(30)]
    batch = [glucose(number, at=at) for number, at in enumerate(days)]
    batch += [glucose(100, at=noon, kind=Kind.KETONE)]
    await store(home.database, device, batch, segment(batch))
    await kept_for(home, patient, Kind.BLOOD_GLUCOSE, 10)
    assert await retaining.erase_what_is_over(home, days[29]) == 19
    assert await count(home.database, "reading", patient) == 12
    async with home.database.writer() as conn:
        (receipt,) = await receipts.list_all(conn, patient.patient_id)
    assert (receipt.reason, receipt.readings) == (Reason.RETENTION, 19)
    assert await retaining.erase_what_is_over(home, days[29]) == 0


async def test_a_day_without_anything_over_needs_no_receipt(home: Home, patient: Patient) -> None:
    await kept_for(home, patient, Kind.BLOOD_GLUCOSE, 10)
    await retaining.erase_what_is_over(home, START)
    async with home.database.writer() as conn:
        assert await receipts.list_all(conn, patient.patient_id) == ()


async def test_one_persons_failure_keeps_nobody_elses(home: Home, patient: Patient) -> None:
    async with home.database.writer() as conn:
        gone = await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")
    await kept_for(home, gone, Kind.BLOOD_GLUCOSE, 1)
    async with home.database.owner() as conn:
        await conn.execute(
            "UPDATE passerelle.patient SET timezone = 'X' WHERE patient_id = %s", [gone.patient_id]
        )
    device = await new_device(home.database, patient)
    await store(home.database, device, [glucose(1)])
    await kept_for(home, patient, Kind.BLOOD_GLUCOSE, 1)
    assert await retaining.erase_what_is_over(home, START + timedelta(days=9)) == 1
    async with home.database.owner() as conn:
        await conn.execute("DELETE FROM passerelle.retention_rule WHERE patient_id = %s", [gone.patient_id])


async def test_two_processes_do_the_days_work_once(home: Home) -> None:
    done = []

    async def work() -> None:
        done.append(1)
        await asyncio.sleep(0.05)

    name = f"retention-{uuid4()}"
    looks = [Claims(home.database).run(Job(name, retaining.EVERY, work)) for _ in range(4)]
    outcomes = await asyncio.gather(*looks)
    assert len(done) == 1
    assert sorted(outcomes) == [Outcome.DONE, *[Outcome.NOT_DUE] * 3]


async def test_a_rule_is_changed_and_taken_back(home: Home, patient: Patient) -> None:
    await kept_for(home, patient, Kind.KETONE, 30)
    await kept_for(home, patient, Kind.KETONE, 60)
    async with home.database.writer() as conn:
        (rule,) = await retention.rules(conn, patient.patient_id)
        assert (rule.kind, rule.days) == (Kind.KETONE, 60)
        await retention.keep_for_good(conn, patient.patient_id, Kind.KETONE)
        assert await retention.rules(conn, patient.patient_id) == ()
        with pytest.raises(UnknownRule):
            await retention.keep_for_good(conn, patient.patient_id, Kind.KETONE)

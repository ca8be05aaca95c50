"""The clock goes back by a year: what was written by the later clock holds nothing up.

A store cannot tell a clock that was set back from times that were stamped ahead: the latter is what is done.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from storage import annotations, job_claims, readings, spaces
from storage.annotations import AnnotationKind, ReadingKey
from storage.database import Database
from storage.patients import Patient
from tests.storage.samples import START, glucose, new_device, store

NOW = datetime.now(UTC)
YEAR = timedelta(days=365)
LIFE = timedelta(seconds=30)


async def test_a_job_that_was_claimed_or_done_in_days_to_come_runs(database: Database) -> None:
    claimed, done = f"job-{uuid4()}", f"job-{uuid4()}"
    async with database.writer() as conn:
        assert await job_claims.claim(conn, claimed, "a killed one", NOW + YEAR, LIFE)
        assert await job_claims.claim(conn, done, "another", NOW + YEAR, LIFE)
        await job_claims.release(conn, done, "another", NOW + YEAR)
        assert await job_claims.claim(conn, claimed, "us", NOW, LIFE)
        assert await job_claims.claim(conn, done, "us", NOW, LIFE, every=timedelta(days=1))


async def test_clocks_that_differ_by_less_than_a_claim_s_life_take_nothing_from_each_other(
    database: Database,
) -> None:
    job = f"job-{uuid4()}"
    async with database.writer() as conn:
        assert await job_claims.claim(conn, job, "a clock that is ahead", NOW + LIFE * 0.9, LIFE)
        assert not await job_claims.claim(conn, job, "us", NOW, LIFE)


async def test_a_space_that_was_to_be_left_alone_until_a_year_from_now_is_fed(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    async with database.writer() as conn:
        space = await spaces.connect(
            conn, patient.patient_id, uuid4(), url="https://space", dialect="ans", sealed_secret=b"", now=NOW
        )
    await store(database, device, [glucose(1)])
    wait = timedelta(days=1)
    async with database.writer() as conn:
        await spaces.failed(conn, space, "SpaceBusy", None, NOW + timedelta(hours=1), None)
        assert space.key not in [each.key for each in await spaces.due(conn, NOW, wait)]
        await spaces.failed(conn, space, "SpaceBusy", None, NOW + YEAR, None)
        assert space.key in [each.key for each in await spaces.due(conn, NOW, wait)]


@pytest.mark.embedded
async def test_what_is_stored_and_said_afterwards_is_there_and_what_was_withdrawn_stays_so(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    await store(database, device, [glucose(1)])
    async with database.owner() as conn:
        for statement in (
            "UPDATE passerelle.device SET added_at = added_at + interval '1 year', "
            "last_synced_at = last_synced_at + interval '1 year' WHERE patient_id = %s",
            "UPDATE passerelle.clock_segment SET placed_at = placed_at + interval '1 year' "
            "WHERE patient_id = %s",
            "UPDATE passerelle.outbox SET made_at = made_at + interval '1 year' WHERE patient_id = %s",
        ):
            await conn.execute(statement, (patient.patient_id,))
    assert (await store(database, device, [glucose(1), glucose(2)])).stored == 1
    key = ReadingKey(START + timedelta(minutes=5), 1, device.device_id, 0)
    async with database.writer() as conn:
        assert len(await readings.series(conn, patient.patient_id)) == 2
        await annotations.add(conn, patient.patient_id, key, AnnotationKind.EXCLUDED, "me")
    async with database.owner() as conn:
        await conn.execute(
            "UPDATE passerelle.annotation SET made_at = made_at + interval '1 year' WHERE patient_id = %s",
            (patient.patient_id,),
        )
    async with database.writer() as conn:
        assert await annotations.take_back(conn, patient.patient_id, key, {AnnotationKind.EXCLUDED}) == 1
        ids = [
            row
            async for row in await conn.execute(
                "SELECT entry_id FROM passerelle.outbox WHERE patient_id = %s ORDER BY made_at",
                (patient.patient_id,),
            )
        ]
        assert len(ids) >= 2

"""Whose a reading is that several could have measured: asked, never guessed, and no kill loses a question."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from device_profiles.reading import Kind, Measurand, Quantity, Reading, RecordIdentity
from gateway import annotating, asking, erasing, household
from gateway.asking import AnsweredAlready, Asked
from gateway.home import Home
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from storage import erasure, patients, questions, readings
from storage.annotations import ReadingKey
from storage.database import Database
from storage.devices import StoredDevice
from storage.patients import Patient
from storage.receipts import Scope
from tests.storage.samples import glucose, new_device, store

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def home(database: Database, tmp_path: Path) -> Home:
    return Home(Settings(home=tmp_path), database, HomeSecret(bytes(32)))


@pytest.fixture
async def child(database: Database) -> Patient:
    async with database.writer() as conn:
        return await patients.add(conn, f"child-{uuid4()}", "Europe/Paris")


def weight(hours: int, kilograms: str, unit: str = "kg") -> Reading:
    """A weight so many hours from now."""
    at = NOW + timedelta(hours=hours)
    return Reading(
        kind=Kind.BODY_WEIGHT,
        quantities=(Quantity(Measurand.BODY_WEIGHT, Decimal(kilograms), unit),),
        device_time=None,
        identity=RecordIdentity(at, 0),
        raw=f"{hours} {kilograms}".encode(),
    )


async def shared(home: Home, keeper: Patient, *others: Patient) -> StoredDevice:
    device = await new_device(home.database, keeper)
    await share(home, device, *others)
    return device


async def share(home: Home, device: StoredDevice, *others: Patient) -> None:
    async with home.database.writer() as conn:
        await questions.share(conn, device, [person.uuid for person in others], NOW)


async def asked(home: Home, keeper: Patient) -> list[str]:
    """The values of which it is asked whose they are, the newest first."""
    return [str(each.series.values()[0]) for each in await of_keeper(home, keeper)]


async def of_keeper(home: Home, keeper: Patient) -> list[Asked]:
    return [each for each in await asking.open_questions(home) if each.keeper == keeper]


async def values(home: Home, person: Patient) -> list[str]:
    async with home.database.writer() as conn:
        return [str(value) for value in (await readings.series(conn, person.patient_id)).values()]


async def test_a_meter_of_two_people_always_asks_and_what_it_brought_before_is_no_question(
    home: Home, patient: Patient, child: Patient
) -> None:
    device = await new_device(home.database, patient)
    await store(home.database, device, [glucose(0, "100")])
    await share(home, device, child)
    assert await asked(home, patient) == []
    await store(home.database, device, [glucose(1, "101"), glucose(2, "102")])
    assert await asked(home, patient) == ["102.0", "101.0"]
    (newest, *_) = await of_keeper(home, patient)
    assert newest.candidates == (patient, child)
    assert await values(home, patient) == ["100.0", "101.0", "102.0"]  # they stay until somebody answers
    listed = await annotating.listed(home, patient.name)
    assert [listed.row(row)["asked"] for row in range(3)] == [False, True, True]


async def test_an_answer_keeps_moves_or_sets_aside_and_is_given_once(
    home: Home, patient: Patient, child: Patient
) -> None:
    device = await shared(home, patient, child)
    await store(home.database, device, [glucose(number, str(100 + number)) for number in range(3)])
    mine, theirs, nobodys = reversed(await of_keeper(home, patient))
    await asking.answer(home, mine.reading_id, patient.uuid)
    await asking.answer(home, theirs.reading_id, child.uuid)
    await asking.answer(home, nobodys.reading_id, None)
    assert (await values(home, patient), await values(home, child)) == (["100.0"], ["101.0"])
    assert await asked(home, patient) == await asked(home, child) == []
    with pytest.raises(AnsweredAlready):
        await asking.answer(home, theirs.reading_id, patient.uuid)


async def test_what_is_said_elsewhere_to_be_anothers_is_asked_no_more(
    home: Home, patient: Patient, child: Patient
) -> None:
    device = await shared(home, patient, child)
    await store(home.database, device, [glucose(0)])
    (question,) = await of_keeper(home, patient)
    await annotating.move(home, question.reading_id, child.name)
    assert await asked(home, patient) == []


async def test_a_question_that_nobody_looked_for_before_a_kill_is_found_after_it(
    home: Home, patient: Patient, child: Patient
) -> None:
    device = await shared(home, patient, child)
    await store(home.database, device, [glucose(0)])
    async with home.database.writer() as conn:  # killed after the look, before its transaction ended
        seen = [(ReadingKey(glucose(0).identity.recorded_at, 0, device.device_id), questions.State.OPEN)]
        await questions.see(conn, patient.patient_id, seen, NOW)
        await conn.rollback()
    assert await asking.look(home) == 1
    assert await asking.look(home) == 0


async def test_a_weight_that_can_be_the_keepers_alone_is_not_asked_about(
    home: Home, patient: Patient, child: Patient
) -> None:
    own = await new_device(home.database, patient)
    theirs = await new_device(home.database, child)
    await store(home.database, own, [weight(-50, "82.4")])
    await store(home.database, theirs, [weight(-49, "31")])
    scale = await shared(home, patient, child)
    await store(home.database, scale, [weight(-3, "83"), weight(-2, "30.5"), weight(-1, "55")])
    assert await asked(home, patient) == ["55.0", "30.5"]  # a child's, and a guest's: both are asked about
    await store(home.database, scale, [weight(0, "31.2")])
    assert await asked(home, patient) == ["31.2", "55.0", "30.5"]  # what is doubtful is no evidence


async def test_a_weight_that_fits_two_or_somebody_never_weighed_is_asked_about(
    home: Home, patient: Patient, child: Patient
) -> None:
    own = await new_device(home.database, patient)
    await store(home.database, own, [weight(-50, "70")])
    scale = await shared(home, patient, child)
    await store(home.database, scale, [weight(-3, "70.5")])
    assert await asked(home, patient) == ["70.5"]
    theirs = await new_device(home.database, child)
    await store(home.database, theirs, [weight(-2, "73")])
    await store(home.database, scale, [weight(-1, "157.6", "[lb_av]")])
    assert await asked(home, patient) == ["157.6", "70.5"]


async def test_a_device_that_is_one_persons_again_asks_nothing(
    home: Home, patient: Patient, child: Patient
) -> None:
    device = await shared(home, patient, child)
    await store(home.database, device, [glucose(0)])
    assert await asked(home, patient) == ["119.0"]
    await share(home, device)
    assert await asked(home, patient) == []
    await share(home, device, child)
    assert await asked(home, patient) == []


async def test_questions_and_the_traces_of_an_erased_person_go(
    home: Home, patient: Patient, child: Patient
) -> None:
    device = await shared(home, patient, child)
    await store(home.database, device, [glucose(0), glucose(1)])
    await household.act_for(home, child, patient)
    await household.act_for(home, patient, await household.add(home, f"third-{uuid4()}", "UTC"))
    assert len(await asked(home, patient)) == 2
    async with home.database.writer() as conn:
        await erasure.erase_records(
            conn, patient.patient_id, [ReadingKey(glucose(0).identity.recorded_at, 0, device.device_id)]
        )
    assert len(await asked(home, patient)) == 1
    await erasing.erase(home, child, Scope(everything=True))
    async with home.database.writer() as conn:
        assert await questions.users(conn, patient.patient_id) == {}
    await erasing.erase(home, patient, Scope(everything=True))
    async with home.database.owner() as conn:
        for table in ("question", "guardian", "device_user", "person_setting"):
            query = f"SELECT count(*) FROM passerelle.{table} WHERE patient_id = ANY(%s)"
            row = await (await conn.execute(query, ([patient.patient_id, child.patient_id],))).fetchone()
            assert row == (0,), table

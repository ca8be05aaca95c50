"""What is erased here is erased there, also what may have reached a space without our knowing its name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage import erasure, spaces
from storage.annotations import AnnotationKind
from storage.database import Database
from storage.erasure import Scope
from storage.errors import UnknownSpace
from tests.gateway.outbox.homes import Fed, fed, key_of, shown
from tests.gateway.outbox.hostile import HostileSpace
from tests.storage.samples import count, glucose, store

pytestmark = pytest.mark.usefixtures("no_pauses")


async def erase(home: Fed, *sequences: int) -> None:
    async with home.database.writer() as conn:
        keys = [key_of(home.device, sequence) for sequence in sequences]
        await erasure.erase_records(conn, home.patient.patient_id, keys)


async def told_receipts(home: Fed) -> list[bool]:
    async with home.database.writer() as conn:
        receipts = await erasure.receipts.list_all(conn, home.patient.patient_id)
    return [at.told_at is not None for receipt in receipts for at in receipt.spaces]


async def test_what_is_erased_is_deleted_there_and_the_receipt_is_completed(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(6)])
        await home.feed()
        await erase(home, 1, 4)
        assert await told_receipts(home) == [False]
        server.faults.append("cut after commit")
        await home.try_to_feed()
        await home.feed()
        assert await told_receipts(home) == [True]
        assert shown(server) == await home.expected()
        assert len(shown(server)) == 4
        assert await count(database, "delivery", home.patient) == 4


async def test_a_space_that_takes_no_changes_is_on_the_receipt_as_one_to_be_asked(
    database: Database, tmp_path: Path
) -> None:
    async with fed(database, tmp_path, HostileSpace(), dialect="ans") as home:
        await store(database, home.device, [glucose(number) for number in range(3)])
        await home.feed()
        await erase(home, 1)
        await home.feed()
        async with home.database.writer() as conn:
            (receipt,) = await erasure.receipts.list_all(conn, home.patient.patient_id)
        (there,) = receipt.spaces
        assert (there.readings, there.not_told, there.waits) == (1, True, False)


async def test_a_person_who_is_erased_does_not_wait_for_a_space_that_takes_no_changes(
    database: Database, tmp_path: Path
) -> None:
    async with fed(database, tmp_path, HostileSpace(), dialect="ans") as home:
        await store(database, home.device, [glucose(number) for number in range(3)])
        await home.feed()
        async with home.database.writer() as conn:
            await erasure.erase(conn, home.patient, Scope(everything=True), datetime.now(UTC))
        await home.feed()
        assert await count(database, "delivery", home.patient) == 0
        with pytest.raises(UnknownSpace):
            async with home.database.writer() as conn:
                await spaces.get(conn, home.patient.patient_id, home.space.space_id)


async def test_a_reading_that_was_sent_without_an_answer_and_then_erased_does_not_stay_there(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(6)])
        server.faults.append("cut after commit")
        await home.try_to_feed()
        assert len(shown(server)) == 6
        await erase(home, 1, 4)
        await home.feed()
        assert shown(server) == await home.expected()
        assert len(shown(server)) == 4
        assert await told_receipts(home) == [True]


async def test_a_reading_that_is_erased_while_it_is_being_sent_does_not_stay_there(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(6)])

        async def erase_meanwhile() -> None:
            await erase(home, 2)

        server.before_answer = erase_meanwhile
        await home.feed()
        await home.feed()
        assert shown(server) == await home.expected()
        assert len(shown(server)) == 5
        assert await told_receipts(home) == [True]


async def test_a_person_who_is_erased_is_gone_for_good_with_the_last_space_that_confirms(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(6)])
        await home.feed()
        async with database.writer() as conn:
            await erasure.erase(conn, home.patient, Scope(everything=True), datetime.now(UTC))
        await home.feed()
        assert shown(server) == {}
        with pytest.raises(UnknownSpace):
            async with database.writer() as conn:
                await spaces.get(conn, home.patient.patient_id, home.space.space_id)


async def test_what_a_space_erased_by_itself_is_not_told_again(database: Database, tmp_path: Path) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(4)])
        await home.feed()
        next(iter(server.held["Observation"].values())).deleted = True
        for number in range(4):
            await home.say(key_of(home.device, number), AnnotationKind.EXCLUDED)
        await home.feed()
        assert (await home.feed()).told == 0
        assert len(shown(server)) == 3

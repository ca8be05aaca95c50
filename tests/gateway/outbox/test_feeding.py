"""A space is told what is stored, once, and each later change: against a server that fails at every point."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import annotating
from gateway.outbox import feeder, limits
from storage import annotations, deliveries, moving, readings
from storage.annotations import AnnotationKind
from storage.database import Database
from tests.gateway.outbox.homes import fed, key_of, shown
from tests.gateway.outbox.hostile import FAULTS, HostileSpace
from tests.storage.samples import START, glucose, meal, new_device, segment, store

pytestmark = pytest.mark.usefixtures("no_pauses")


async def test_what_is_stored_is_told_once_with_the_person_their_zone_and_the_meter(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(30)])
        told = await home.feed()
        again = await home.feed()
        assert (told.told, again.told) == (30, 0)
        assert shown(server) == await home.expected()
        (person,) = server.held["Patient"].values()
        assert person.now["extension"][0]["valueCode"] == "Europe/Paris"
        assert person.now["identifier"][0]["value"] == home.patient.uuid.urn
        assert len(server.held["Device"]) == 1
        assert len([path for method, path, _ in server.requests if method == "POST"]) == 1


@pytest.mark.parametrize("fault", FAULTS)
async def test_after_any_fault_the_next_try_leaves_every_reading_there_once(
    database: Database, tmp_path: Path, fault: str
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(20)])
        server.faults.append(fault)
        await home.try_to_feed()
        await home.try_to_feed()
        assert shown(server) == await home.expected()
        assert {len(held.versions) for held in server.held["Observation"].values()} == {1}


async def test_a_note_an_exclusion_a_corrected_clock_and_a_late_context_are_new_versions(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        batch = [glucose(number) for number in range(6)]
        await store(database, home.device, batch)
        await home.feed()
        await home.say(key_of(home.device, 1), AnnotationKind.NOTE, 'après le "status":"final" repas')
        await home.say(key_of(home.device, 2), AnnotationKind.EXCLUDED)
        await store(database, home.device, [glucose(3, context=meal(1))], segment(batch))
        assert (await home.feed()).told == 3
        assert shown(server) == await home.expected()
        await store(database, home.device, [], segment(batch, shift_seconds=-3600))
        assert (await home.feed()).told == 6
        assert shown(server) == await home.expected()
        assert max(len(held.versions) for held in server.held["Observation"].values()) == 3


async def test_what_is_not_the_persons_becomes_entered_in_error_and_comes_back_when_it_is_taken_back(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(3)])
        await home.say(key_of(home.device, 0), AnnotationKind.NOT_MINE)
        await home.feed()
        said = await home.say(key_of(home.device, 1), AnnotationKind.NOT_MINE)
        await home.feed()
        statuses = sorted(one["status"] for one in server.observations().values())
        assert statuses == ["entered-in-error", "final"]  # the first was never told
        async with database.writer() as conn:
            await annotations.withdraw(conn, home.patient.patient_id, said)
        await home.feed()
        assert shown(server) == await home.expected()
        assert len(shown(server)) == 2


async def test_an_answer_that_was_lost_after_a_change_leads_to_no_second_version_where_we_may_read(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(3)])
        await home.feed()
        await home.say(key_of(home.device, 1), AnnotationKind.NOTE, "one")
        server.faults.append("cut after commit")
        await home.try_to_feed()
        await home.feed()
        assert shown(server) == await home.expected()
        assert sorted(len(held.versions) for held in server.held["Observation"].values()) == [1, 1, 2]


async def test_an_answer_that_was_lost_after_a_change_is_found_where_we_may_not_read(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace(readable=False)
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(3)])
        await home.feed()
        await home.say(key_of(home.device, 1), AnnotationKind.NOTE, "one")
        server.faults.append("cut after commit")
        await home.try_to_feed()
        await home.say(key_of(home.device, 1), AnnotationKind.EXCLUDED)
        await home.feed()
        assert shown(server) == await home.expected()
        assert len(server.observations()) == 3


async def test_a_reading_changed_between_two_tries_ends_at_its_latest_version(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(4)])
        server.faults.append("cut after commit")
        await home.try_to_feed()
        await home.say(key_of(home.device, 2), AnnotationKind.NOTE, "said after it was sent")
        server.faults.append("cut after commit")
        await home.try_to_feed()
        await home.say(key_of(home.device, 3), AnnotationKind.NOT_MINE)
        await home.feed()
        assert shown(server) == await home.expected()
        assert len(shown(server)) == 3


async def test_a_second_gateway_of_the_same_person_finds_the_readings_there_and_leaves_them(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(4)])
        await home.feed()
        async with database.owner() as conn:
            await conn.execute(
                "DELETE FROM passerelle.delivery WHERE patient_id = %s", (home.patient.patient_id,)
            )
            await conn.execute("UPDATE passerelle.space SET told_entry_id = 0")
        await home.feed()
        assert {len(held.versions) for held in server.held["Observation"].values()} == {1}
        assert len(server.observations()) == 4


@pytest.mark.parametrize("names_entries", [True, False])
@pytest.mark.parametrize("atomic", [True, False])
async def test_what_a_space_refuses_is_set_aside_in_its_words_and_the_rest_goes_on(
    database: Database, tmp_path: Path, names_entries: bool, atomic: bool
) -> None:
    def refuses(resource: dict[str, object]) -> bool:
        return resource["valueQuantity"]["value"] in {13, 27}  # type: ignore[index]

    server = HostileSpace(names_entries=names_entries, refuses=refuses, atomic=atomic)
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number, str(number)) for number in range(1, 41)])
        told = await home.feed()
        assert (told.told, told.refused) == (38, 2)
        async with database.writer() as conn:
            assert await deliveries.refusals(conn, home.space) == (("This value is not possible", 2),)
        assert len(shown(server)) == 38
        assert (await home.feed()).told == 0  # not asked again by itself
        server.refuses = lambda _: False
        assert (await home.feed(retry_refused=True)).told == 2
        assert shown(server) == await home.expected()


async def test_a_reading_at_which_a_space_breaks_down_each_time_is_set_aside_in_the_end(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace(fails_at=lambda resource: resource["valueQuantity"]["value"] == 7)
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number, str(number)) for number in range(1, 21)])
        for _ in range(6):
            if await home.try_to_feed() is None:
                break
        assert len(shown(server)) == 19
        assert await home.try_to_feed() is None


async def test_a_batch_that_is_too_large_is_halved_and_what_was_learned_is_kept(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace(most_entries=12)
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(50)])
        await home.feed()
        assert shown(server) == await home.expected()
        refused = sum(status == 413 for _, _, status in server.requests)
        assert 1 <= refused <= 8
        assert ((await home.now()).batch or 0) <= 10


async def test_a_token_that_ends_in_the_middle_is_renewed_once(database: Database, tmp_path: Path) -> None:
    server = HostileSpace(most_entries=12)
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(50)])
        server.faults.extend([None, None, None, None, "401"])
        await home.feed()
        assert shown(server) == await home.expected()


async def test_a_space_that_asks_for_patience_is_not_asked_before(database: Database, tmp_path: Path) -> None:
    server = HostileSpace(retry_after="120")
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(1)])
        server.faults.append("503")
        before = datetime.now(UTC)
        await feeder.feed_due(home.home)
        space = await home.now()
        assert space.not_before is not None
        assert timedelta(seconds=119) < space.not_before - before < timedelta(seconds=140)
        asked = len(server.requests)
        await feeder.feed_due(home.home)
        assert len(server.requests) == asked
        assert (space.problem, space.attempts) == ("SpaceBusy", 1)


async def test_two_feeders_at_once_ask_one_after_the_other(database: Database, tmp_path: Path) -> None:
    server = HostileSpace(delay=0.05)
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(30)])
        await asyncio.gather(*(home.try_to_feed() for _ in range(4)))
        assert server.most_at_work == 1
        assert {len(held.versions) for held in server.held["Observation"].values()} == {1}
        assert shown(server) == await home.expected()


async def test_what_is_moved_to_another_is_in_error_here_and_their_own_creation_there(
    database: Database, tmp_path: Path
) -> None:
    here, there = HostileSpace(), HostileSpace()
    async with fed(database, tmp_path, here) as home, fed(database, tmp_path, there) as other:
        await store(database, home.device, [glucose(number) for number in range(3)])
        await home.feed()
        async with database.writer() as conn:
            key = key_of(home.device, 1)
            await moving.give(conn, home.patient.patient_id, key, other.patient, "test")
        await annotating.complete_moves(home.home, home.patient.patient_id)
        assert (await home.feed()).told == 1
        assert (await other.feed()).told == 1
        assert sorted(one["status"] for one in here.observations().values()) == [
            "entered-in-error",
            "final",
            "final",
        ]
        (moved,) = there.observations().values()
        assert moved["status"] == "final"
        assert moved["identifier"][0]["value"] not in here.observations()


async def test_a_new_connection_begins_from_the_start_and_leaves_what_is_there_as_it_is(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number) for number in range(5)])
        await home.feed()
        await home.say(key_of(home.device, 1), AnnotationKind.NOTE, "one")
        await home.say(key_of(home.device, 2), AnnotationKind.NOT_MINE)
        await home.feed()
        before = [len(held.versions) for held in server.held["Observation"].values()]
        lost = next(iter(server.held["Observation"]))
        await home.connect_again(server)
        del server.held["Observation"][lost]
        await home.feed()
        after = [len(held.versions) for held in server.held["Observation"].values()]
        assert sorted(after) == sorted(before)  # one is new, and the others are untouched
        assert shown(server) == await home.expected()


async def test_a_history_is_walked_in_pages_of_bounded_size(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PAGE", 7)
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        same_time = [glucose(number, at=START) for number in range(100, 120)]
        await store(database, home.device, [*(glucose(number) for number in range(40)), *same_time])
        assert (await home.feed()).told == 60
        assert shown(server) == await home.expected()
        assert max(len(body) for body in server.bodies) < 7 * 2500


async def test_a_device_s_readings_arrive_in_their_order_however_often_it_fails(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace(most_entries=9)
    async with fed(database, tmp_path, server) as home:
        for begin in (0, 20, 40):
            await store(database, home.device, [glucose(number) for number in range(begin, begin + 20)])
        server.faults.extend(fault for fault in FAULTS for _ in range(2))
        while server.faults:
            await home.try_to_feed()
        await home.feed()
        arrived = [int(one.split("/")[2]) for one in server.observations()]
        assert arrived == list(range(60))


async def test_a_device_of_another_process_that_commits_late_is_not_passed_over(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        second = await new_device(database, home.patient)
        async with database.writer() as conn:
            async with readings.writing(conn, second) as writing:
                await writing.store([glucose(1)], [segment([glucose(1)])])  # has the lower number
            await store(database, home.device, [glucose(2)])
            feeding = asyncio.create_task(home.feed())
            await asyncio.sleep(0.2)
            assert not feeding.done()
        assert (await feeding).told == 2
        assert shown(server) == await home.expected((home.device, second))


async def test_what_nobody_expected_of_one_space_stops_no_other_and_is_not_tried_at_once_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The pause stays the real one: what fails is due later."""
    monkeypatch.setattr(limits, "FIRST_PAUSE", timedelta(minutes=1))
    monkeypatch.setattr(limits, "LONGEST_PAUSE", timedelta(minutes=2))
    broken, server = HostileSpace(), HostileSpace()
    async with fed(database, tmp_path, broken) as one, fed(database, tmp_path, server) as other:
        for home in (one, other):
            await store(database, home.device, [glucose(number) for number in range(5)])
        run = feeder._Feeder.run

        async def fails(self: feeder._Feeder, *, retry_refused: bool = False) -> None:
            if self.space.space_id == one.space.space_id:
                raise RuntimeError("words of Ada")
            await run(self, retry_refused=retry_refused)

        monkeypatch.setattr(feeder._Feeder, "run", fails)
        await feeder.feed_due(one.home)
        assert shown(server) == await other.expected()
        space = await one.now()
        assert (space.attempts, space.problem) == (1, "RuntimeError")
        assert space.not_before is not None
        assert space.not_before > datetime.now(UTC)
        assert "words of Ada" not in caplog.text

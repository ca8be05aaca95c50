"""A space of ours, as a process, whose answers are lost on the way: nothing is there twice, or missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from fhir_mapping.observation import render_each
from fhir_mapping.opaque import ReadingIds
from gateway.outbox import connections
from gateway.outbox.client import Entrance, SpaceClient
from gateway.outbox.errors import SpaceUnreachable
from storage import devices, erasure, patients, readings
from storage.annotations import AnnotationKind
from storage.clock_segments import ALL_TIMES
from storage.database import Database
from tests.gateway.outbox.homes import Fed, by_identifier, home_of, key_of
from tests.journeys.conftest import CommandLine, free_port
from tests.journeys.offline import two_homes
from tests.storage.samples import glucose, new_device, segment, store

pytestmark = [pytest.mark.embedded, pytest.mark.usefixtures("no_pauses")]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CommandLine, str]]:
    with two_homes(tmp_path_factory.mktemp("space")) as (_, of_space):
        of_space.json("tenants", "add", "clinic")
        with of_space.serving("--role", "space", port=free_port()) as address:
            yield of_space, address


@pytest.fixture
async def fed(space: tuple[CommandLine, str], database: Database, tmp_path: Path) -> Fed:
    of_space, address = space
    async with database.writer() as conn:
        patient = await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")
    code = of_space.json("tenants", "code", "clinic")["code"]
    home = home_of(database, tmp_path)
    connected = await connections.connect(home, patient.name, Entrance(address, address), code=code)
    return Fed(home, patient, await new_device(database, patient), connected)


class LosesAnswers:
    """Loses the answers of the next transactions, as a network that fails after the server committed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.next = 0
        asked = SpaceClient.request

        async def request(client: SpaceClient, method: str, path: str, **how: Any) -> httpx.Response:
            answer = await asked(client, method, path, **how)
            if method == "POST" and self.next:
                self.next -= 1
                raise SpaceUnreachable(space=client.base)
            return answer

        monkeypatch.setattr(SpaceClient, "request", request)


async def said_there(of_space: CommandLine, home: Fed) -> dict[str, dict[str, Any]]:
    """What the space's own store says of this person's readings; those left out are another's."""
    async with Database.open(of_space.home) as there, there.owner() as conn:
        row = await (
            await conn.execute(
                "SELECT patient_id FROM passerelle.patient WHERE uuid = %s", (home.patient.uuid,)
            )
        ).fetchone()
        found: dict[str, dict[str, Any]] = {}
        for device in await devices.of_patient(conn, row[0] if row else 0, forgotten=True):
            page = await readings.page_of_device(
                conn, device.patient_id, device.device_id, ALL_TIMES, limit=1000
            )
            kept = page.series.take(np.flatnonzero(~page.left_out))
            found |= by_identifier(render_each(kept, ReadingIds(bytes(32))))
    return found


async def test_answers_lost_after_creations_changes_and_deletions(
    space: tuple[CommandLine, str], fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_space, _ = space
    losing = LosesAnswers(monkeypatch)

    async def agree() -> None:
        losing.next = 1
        assert await fed.try_to_feed() is not None
        assert await fed.try_to_feed() is None
        assert await said_there(of_space, fed) == await fed.expected()

    batch = [glucose(number) for number in range(12)]
    await store(fed.database, fed.device, batch)
    await agree()
    await fed.say(key_of(fed.device, 1), AnnotationKind.NOTE, "after lunch")
    await fed.say(key_of(fed.device, 2), AnnotationKind.EXCLUDED)
    await fed.say(key_of(fed.device, 3), AnnotationKind.NOT_MINE)
    await agree()
    await store(fed.database, fed.device, [], segment(batch, shift_seconds=-7200))
    await agree()
    async with fed.database.writer() as conn:
        keys = [key_of(fed.device, number) for number in (4, 5)]
        await erasure.erase_records(conn, fed.patient.patient_id, keys)
    await agree()


async def test_a_reading_that_was_sent_without_an_answer_and_then_erased_is_gone_there(
    space: tuple[CommandLine, str], fed: Fed, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_space, _ = space
    losing = LosesAnswers(monkeypatch)
    await store(fed.database, fed.device, [glucose(number) for number in range(4)])
    losing.next = 1
    await fed.try_to_feed()
    async with fed.database.writer() as conn:
        await erasure.erase_records(conn, fed.patient.patient_id, [key_of(fed.device, 1)])
    assert await fed.try_to_feed() is None
    assert len(await said_there(of_space, fed)) == 3
    assert await said_there(of_space, fed) == await fed.expected()
    async with fed.database.writer() as conn:
        (receipt,) = await erasure.receipts.list_all(conn, fed.patient.patient_id)
    assert all(at.told_at is not None for at in receipt.spaces)


async def test_a_new_connection_to_the_same_space_goes_on_where_the_old_one_was(
    space: tuple[CommandLine, str], fed: Fed
) -> None:
    of_space, address = space
    await store(fed.database, fed.device, [glucose(number) for number in range(4)])
    await fed.feed()
    await fed.say(key_of(fed.device, 1), AnnotationKind.NOTE, "one")
    await fed.feed()
    await connections.disconnect(fed.home, fed.patient.name, address)
    made = of_space.json("tenants", "code", "clinic", "--patient", str(fed.patient.uuid))
    await connections.connect(fed.home, fed.patient.name, Entrance(address, address), code=made["code"])
    await store(fed.database, fed.device, [glucose(9)], segment([glucose(0), glucose(9)]))
    await fed.feed()
    assert await said_there(of_space, fed) == await fed.expected()
    assert len(await said_there(of_space, fed)) == 5

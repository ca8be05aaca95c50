"""Mon espace santé's dialect: one Observation a transaction, and what was created cannot be changed there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from device_profiles.reading import Kind
from gateway.outbox import status
from gateway.outbox.plan import NO_WORD
from storage import annotations
from storage.annotations import AnnotationKind
from storage.database import Database
from tests.gateway.outbox.homes import fed, key_of
from tests.gateway.outbox.hostile import HostileSpace
from tests.storage.samples import glucose, segment, store

pytestmark = pytest.mark.usefixtures("no_pauses")


class OneByOne(HostileSpace):
    """Takes what the guide calls a "Bundle d'alimentation", and nothing else."""

    def _do(self, method: str, path: str, body: bytes, *, half: bool) -> tuple[int, Any]:
        entries = json.loads(body)["entry"]
        kinds = sorted(entry["resource"]["resourceType"] for entry in entries)
        assert kinds == ["Device", "Observation"]
        assert {entry["request"]["method"] for entry in entries} == {"POST"}
        assert entries[-1]["resource"]["subject"]["identifier"]["value"].startswith("urn:uuid:")
        return super()._do(method, path, body, half=half)


async def test_each_reading_is_a_transaction_and_what_changed_since_is_told_to_the_person(
    database: Database, tmp_path: Path
) -> None:
    server = OneByOne()
    async with fed(database, tmp_path, server, dialect="ans") as home:
        batch = [glucose(number) for number in range(4)]
        other = [
            glucose(9, unit="mmol/L", value="6.6"),
            glucose(10, kind=Kind.KETONE, unit="mmol/L", value="0.3"),
        ]
        await store(database, home.device, [*batch, *other], segment([*batch, *other]))
        told = await home.feed()
        assert (told.told, told.refused) == (4, 2)
        said = await home.say(key_of(home.device, 1), AnnotationKind.EXCLUDED)
        await home.say(key_of(home.device, 2), AnnotationKind.NOT_MINE)
        assert (await home.feed()).told == 0
        found = await status.status_of(home.home, await home.now())
        assert (found.told, found.shown, found.waiting, found.refused) == (4, 2, 0, 2)
        assert found.refusals == ((NO_WORD, 2),)
        assert found.condition is status.Condition.CURRENT
        assert len([path for method, path, code in server.requests if method == "POST"]) == 4
        async with database.writer() as conn:
            await annotations.withdraw(conn, home.patient.patient_id, said)
        await home.feed()
        assert (await status.status_of(home.home, await home.now())).shown == 1

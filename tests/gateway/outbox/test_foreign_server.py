"""A FHIR R4 server that is not ours: Medplum's router over its in-memory repository, with its validator."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from device_profiles.reading import Kind
from gateway.outbox import answers, connections
from gateway.outbox.client import Entrance
from storage import erasure, patients
from storage.annotations import AnnotationKind
from storage.database import Database
from tests.fhir_mapping.test_judges import NODE, node, without_node
from tests.gateway.outbox.homes import Fed, home_of, key_of, said
from tests.storage.samples import glucose, meal, new_device, segment, store

pytestmark = [node, without_node]


@contextmanager
def medplum(*arguments: str) -> Iterator[httpx.Client]:
    with subprocess.Popen(
        ["node", "fhir_server.mjs", *arguments], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}/fhir"
        with httpx.Client(base_url=url, headers={"Authorization": "Bearer medplum"}) as client:
            yield client
        process.stdin.close()


@asynccontextmanager
async def fed(database: Database, folder: Path, server: httpx.Client) -> AsyncIterator[Fed]:
    home, url = home_of(database, folder), str(server.base_url)
    async with database.writer() as conn:
        patient = await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")
    entrance = Entrance(base=url, fhir=url, token="medplum")
    space = await connections.connect(home, patient.name, entrance)
    yield Fed(home, patient, await new_device(database, patient), space)


def held(server: httpx.Client) -> dict[str, dict[str, Any]]:
    found = server.get("/Observation", params={"_count": 100}).json().get("entry", [])
    resources = [entry["resource"] for entry in found]
    by_identifier = {resource["identifier"][0]["value"]: resource for resource in resources}
    assert len(by_identifier) == len(resources)
    return by_identifier


def final(server: httpx.Client) -> dict[str, dict[str, Any]]:
    return {key: said(one) for key, one in held(server).items() if one["status"] == "final"}


def versions(server: httpx.Client) -> list[int]:
    histories = [server.get(f"/Observation/{one['id']}/_history").json() for one in held(server).values()]
    return sorted(len(history["entry"]) for history in histories)


def the_person(server: httpx.Client) -> str:
    (person,) = [entry["resource"] for entry in server.get("/Patient").json()["entry"]]
    return f"Patient/{person['id']}"


def changed_by_another(server: httpx.Client) -> None:
    observation = next(iter(held(server).values()))
    note = {"note": [{"text": "by another"}]}
    server.put(f"/Observation/{observation['id']}", json={**observation, **note})


@pytest.mark.parametrize("way", ["transaction", "batch"])
async def test_creations_versions_and_deletions_at_a_server_of_others(
    database: Database, tmp_path: Path, way: str
) -> None:
    with medplum(*(["--batch"] if way == "batch" else [])) as server:
        async with fed(database, tmp_path, server) as home:
            await _tell_a_little_of_everything(home, server)


async def _tell_a_little_of_everything(home: Fed, server: httpx.Client) -> None:
    batch = [glucose(number, "6.60", unit="mmol/L") for number in range(3)]
    batch += [glucose(number, kind=Kind.INTERSTITIAL_GLUCOSE) for number in range(3, 6)]
    await store(home.database, home.device, batch)
    assert (await home.feed()).told == 6
    assert final(server) == await home.expected()
    assert versions(server) == [1] * 6
    assert {one["subject"]["reference"] for one in held(server).values()} == {the_person(server)}

    await home.say(key_of(home.device, 0), AnnotationKind.NOTE, "à jeun")
    await home.say(key_of(home.device, 1), AnnotationKind.NOT_MINE)
    await store(
        home.database, home.device, [glucose(2, "6.60", unit="mmol/L", context=meal(1))], segment(batch)
    )
    assert (await home.feed()).told == 3
    assert final(server) == await home.expected()
    assert versions(server) == [1, 1, 1, 2, 2, 2]

    changed_by_another(server)
    for number in range(6):
        await home.say(key_of(home.device, number), AnnotationKind.EXCLUDED)
    await home.feed()
    assert final(server) == await home.expected()

    async with home.database.writer() as conn:
        await erasure.erase_records(conn, home.patient.patient_id, [key_of(home.device, 4)])
    await home.feed()
    assert len(held(server)) == 5
    async with home.database.writer() as conn:
        (receipt,) = await erasure.receipts.list_all(conn, home.patient.patient_id)
    assert [at.told_at is not None for at in receipt.spaces] == [True]


def test_the_words_of_a_validator_are_understood() -> None:
    """Our own bytes pass it, so it is asked with an Observation that lost its status on the way."""
    with medplum() as server:
        condition = "identifier=urn:x|1"
        entry = {
            "fullUrl": f"urn:uuid:{uuid4()}",
            "resource": {"resourceType": "Observation", "code": {"text": "x"}},
            "request": {"method": "POST", "url": "Observation", "ifNoneExist": condition},
        }
        answer = server.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
        assert answers.refusal(answer) == answers.Refusal("Missing required property")

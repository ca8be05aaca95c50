"""A space is connected by a code, a token or a client's secret; whatever else answers there is told apart."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest

from device_profiles.errors import PasserelleError
from gateway.outbox import connections, status
from gateway.outbox.client import Entrance
from gateway.outbox.errors import (
    AlreadyConnected,
    CodeRefused,
    NotASpace,
    NotThere,
    SpaceAnswersOddly,
    SpaceNeedsHttps,
    SpaceRefusesGateway,
    SpaceUnreachable,
)
from storage import spaces
from storage.database import Database
from storage.errors import UnknownPatient, UnknownSpace
from storage.patients import Patient
from tests.gateway.outbox.homes import entrance_to, fed, home_of
from tests.gateway.outbox.hostile import HostileSpace
from tests.storage.samples import glucose, store

pytestmark = pytest.mark.usefixtures("no_pauses")


async def refused(
    database: Database, folder: Path, name: str, entrance: Entrance, code: str | None = None
) -> type:
    with pytest.raises(PasserelleError) as raised:
        await connections.connect(home_of(database, folder), name, entrance, code=code)
    return type(raised.value)


async def test_what_is_wrong_with_an_address_a_code_or_a_token_is_said_apart(
    database: Database, patient: Patient, tmp_path: Path
) -> None:
    server = HostileSpace()
    listening = await server.start()
    url = f"http://127.0.0.1:{server.port}"
    nobody = Entrance("http://127.0.0.1:9", "http://127.0.0.1:9")
    far = Entrance("http://space.example", "http://space.example")
    wrong_path = Entrance(url, url, token="x")
    unknown_secret = Entrance(f"{url}/fhir", f"{url}/fhir", None, f"{url}/refuse", "id", "secret")
    assert await refused(database, tmp_path, f"nobody-{uuid4()}", nobody) is UnknownPatient
    assert await refused(database, tmp_path, patient.name, nobody) is SpaceUnreachable
    assert await refused(database, tmp_path, patient.name, far) is SpaceNeedsHttps
    assert await refused(database, tmp_path, patient.name, wrong_path) is NotThere
    assert await refused(database, tmp_path, patient.name, unknown_secret) is SpaceRefusesGateway
    assert await refused(database, tmp_path, patient.name, Entrance(url, url), code="ABCD") is CodeRefused
    other = Entrance(f"{url}/fhir", f"{url}/fhir")
    assert await refused(database, tmp_path, patient.name, other, code="ABCD") is NotASpace
    async with database.writer() as conn:
        assert await spaces.of_patient(conn, patient.patient_id) == ()
    listening.close()


async def test_a_space_is_connected_once_and_its_secret_is_sealed_and_forgotten_at_the_end(
    database: Database, tmp_path: Path
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        assert await refused(database, tmp_path, home.patient.name, entrance_to(server)) is AlreadyConnected
        space = await home.now()
        assert space.sealed_secret is not None
        assert b"s3cret" not in space.sealed_secret
        assert connections.entrance_of(home.home, space).client_secret == "s3cret"
        await store(database, home.device, [glucose(1), glucose(2)])
        assert (await status.status_of(home.home, space)).waiting == 2
        await home.feed()
        ended, told = await connections.disconnect(home.home, home.patient.name, server.url)
        assert told
        after = await status.status_of(home.home, await home.now())
        assert (after.condition, after.told, after.waiting) == (status.Condition.DISCONNECTED, 2, 0)
        assert (await home.now()).sealed_secret is None
        with pytest.raises(UnknownSpace):
            await home.feed()
        with pytest.raises(UnknownSpace):
            await connections.disconnect(home.home, home.patient.name, server.url)
        assert ended.space_id == space.space_id


@pytest.mark.parametrize("name", ["fhir_base", "token_endpoint"])
@pytest.mark.parametrize(
    "elsewhere",
    [
        "http://127.0.0.1:9/fhir",
        "http://localhost:{port}/fhir",
        "https://127.0.0.1:{port}/fhir",
        "https://space.example/fhir",
        "//127.0.0.1:9/fhir",
        "http://10.0.0.1/latest/meta-data",
        "file:///etc/passwd",
    ],
)
async def test_a_space_sends_nobody_to_another_host_scheme_or_port_than_the_person_named(
    database: Database, patient: Patient, tmp_path: Path, name: str, elsewhere: str
) -> None:
    server = HostileSpace()
    listening = await server.start()
    url = f"http://127.0.0.1:{server.port}"
    made = {"fhir_base": "/fhir", "token_endpoint": "/token", "client_id": "a", "client_secret": "b"}
    server.registers = json.dumps({**made, name: elsewhere.format(port=server.port)}).encode()
    there = Entrance(url, url)
    assert await refused(database, tmp_path, patient.name, there, code="ABCD") is SpaceAnswersOddly
    server.registers = json.dumps(made).encode()
    space = await connections.connect(home_of(database, tmp_path), patient.name, there, code="ABCD")
    assert space.url == url
    listening.close()


@pytest.mark.parametrize("said", [b"[" * 200_000, b'{"fhir_base":' * 200_000, b"[]", b"\xff"])
async def test_an_answer_that_registers_nobody_is_told_as_odd(
    database: Database, patient: Patient, tmp_path: Path, said: bytes
) -> None:
    server = HostileSpace(registers=said)
    listening = await server.start()
    url = f"http://127.0.0.1:{server.port}"
    there = Entrance(url, url)
    assert await refused(database, tmp_path, patient.name, there, code="ABCD") is SpaceAnswersOddly
    listening.close()

"""Tenants are apart: what is another's answers, in every call, as what is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import orjson
import pytest

from fhir_mapping.observation import render
from storage import erasure, gateways, grants, patients, tenants
from storage.database import Database
from storage.errors import TenantExists, UnknownTenant, UnusableName
from storage.receipts import Receipt, Scope
from tests.fhir_mapping.examples import IDS
from tests.gateway.api.grant_serving import fed, grant
from tests.gateway.api.space_serving import (
    FeedingGateway,
    RunningSpace,
    bundle_of,
    entries,
    names,
    places,
    sensor,
    sent,
    statuses,
)


def test_one_person_in_two_tenants_is_two_patients(space: RunningSpace) -> None:
    told = sensor(4)
    answers = [space.register().feed(sent(told)) for _ in range(2)]
    assert [set(statuses(answer)) for answer in answers] == [{"201 Created"}] * 2
    assert not set(names(answers[0])) & set(names(answers[1]))
    assert len(space.patients(told.patient_uuid)) == 2


def test_a_person_whom_another_gateway_brought_is_not_taken_over(space: RunningSpace) -> None:
    told, tenant = sensor(4), space.tenant()
    space.register(space.code(tenant)).feed(sent(told))
    answer = space.register(space.code(tenant)).feed(sent(told))
    assert (answer.status_code, places(answer)) == (403, ["Bundle.entry[0].resource"])


def test_a_code_for_a_person_lets_a_second_gateway_feed_them_and_nobody_else(space: RunningSpace) -> None:
    told, tenant = sensor(4), space.tenant()
    first = space.register(space.code(tenant))
    first.feed(sent(told))
    second = space.register(space.code(tenant, told.patient_uuid))
    more = sensor(6, told.patient_uuid)
    assert statuses(second.feed(sent(more))) == ["200 OK"] * 6 + ["201 Created"] * 2
    assert second.feed(sent(sensor(1))).status_code == 403
    assert set(statuses(first.feed(sent(more)))) == {"200 OK"}
    assert space.count("reading", told.patient_uuid) == 6


def test_a_tenant_has_no_more_people_than_it_may(space: RunningSpace) -> None:
    gateway = space.register(space.code(space.tenant(most_patients=3)))
    told = [sensor(1) for _ in range(5)]
    answers = [gateway.feed(sent(one)).status_code for one in told]
    assert answers == [200, 200, 200, 403, 403]
    assert space.patients(told[4].patient_uuid) == []
    assert gateway.feed(sent(told[0])).status_code == 200


def test_a_person_has_no_more_readings_than_they_may(space: RunningSpace) -> None:
    gateway, told = space.register(space.code(space.tenant(most_readings=10))), sensor(11)
    assert gateway.feed(sent(told)).status_code == 403
    assert space.patients(told.patient_uuid) == []
    kept = sensor(10, told.patient_uuid)
    names_of = names(gateway.feed(sent(kept)))
    assert gateway.feed(sent(kept)).status_code == 200
    assert gateway.feed(sent(told)).status_code == 403
    assert gateway.request("DELETE", f"/fhir/Observation/{names_of[0]}").status_code == 204
    last = told.take(np.array([10]))
    assert gateway.feed(sent(last)).status_code == 200


def erased(space: RunningSpace, uuid: UUID, scope: Scope) -> Receipt:
    """What the operator of the space, or its retention, erases."""
    (patient_id,) = space.patients(uuid)

    async def erase(database: Database) -> Receipt:
        async with database.writer() as conn:
            return await erasure.erase(conn, await patients.get(conn, patient_id), scope, space.now())

    return space.run(erase)


def rows(space: RunningSpace, query: str, *values: object) -> list[Any]:
    async def found(database: Database) -> list[Any]:
        async with database.owner() as conn:
            return await (await conn.execute(query, values)).fetchall()

    return space.run(found)


def test_a_person_whom_the_operator_erases_makes_room_for_another_one(space: RunningSpace) -> None:
    tenant = space.tenant(most_patients=1)
    gateway, told = space.register(space.code(tenant)), sensor(1)
    assert gateway.feed(sent(told)).status_code == 200
    assert gateway.feed(sent(sensor(1))).status_code == 403
    erased(space, told.patient_uuid, Scope(everything=True))
    counted = "SELECT patients FROM passerelle.tenant WHERE name = %s"
    assert rows(space, counted, tenant) == [(0,)]
    assert gateway.feed(sent(sensor(1))).status_code == 200
    assert rows(space, counted, tenant) == [(1,)]


def test_readings_that_the_operator_erases_make_room_for_others(space: RunningSpace) -> None:
    gateway, told = space.register(space.code(space.tenant(most_readings=10))), sensor(10)
    names_of = names(gateway.feed(sent(told)))
    counted = "SELECT readings FROM passerelle.tenant_patient WHERE patient_id = %s"
    (patient_id,) = space.patients(told.patient_uuid)
    assert gateway.request("DELETE", f"/fhir/Observation/{names_of[0]}").status_code == 204
    assert rows(space, counted, patient_id) == [(9,)]  # counted once
    assert erased(space, told.patient_uuid, Scope()).readings == 9
    assert rows(space, counted, patient_id) == [(0,)]
    assert gateway.feed(sent(sensor(20, told.patient_uuid).take(np.arange(10, 20)))).status_code == 200


def test_nothing_at_a_space_names_a_person_who_was_erased(space: RunningSpace) -> None:
    tenant, told = space.tenant(), sensor(1)
    uuid = told.patient_uuid
    assert space.register(space.code(tenant)).feed(sent(told)).status_code == 200
    second = space.register(space.code(tenant, patient=uuid))
    assert second.feed(sent(told)).status_code == 200
    unused = space.code(tenant, patient=uuid)
    erased(space, uuid, Scope(everything=True))
    for table, column in (
        ("registration_code", "patient_uuid"),
        ("gateway", "patient_uuid"),
        ("space_patient", "uuid"),
        ("patient", "uuid"),
    ):
        assert rows(space, f"SELECT 1 FROM passerelle.{table} WHERE {column} = %s", uuid) == [], table
    # Who was let in for this person alone is not let in for everybody now.
    assert second.feed(sent(sensor(1))).status_code == 401
    asked = {"code": unused, "name": "a laptop", "software": "passerelle test"}
    assert httpx.post(f"{space.url}/gateways", json=asked).status_code == 403


def test_codes_that_were_used_or_are_over_are_swept_with_the_tokens(space: RunningSpace) -> None:
    tenant = space.tenant()
    used, over, holds = space.code(tenant), space.code(tenant, days=-2), space.code(tenant)
    just_over = space.code(tenant, days=-0.5)
    space.register(used)

    async def sweep(database: Database) -> None:
        async with database.writer() as conn:
            await gateways.sweep(conn, space.now())

    space.run(sweep)
    left = rows(space, "SELECT code_hash FROM passerelle.registration_code")
    kept = [sha256(code.replace("-", "").encode()).digest() in {bytes(row[0]) for row in left}
            for code in (used, over, just_over, holds)]  # fmt: skip
    assert kept == [False, False, True, True]


def test_grants_of_a_gateway_are_known_as_its_own_and_end_with_it_where_that_is_asked(
    space: RunningSpace,
) -> None:
    told = sensor(1)
    gateway = fed(space, told)
    who, other = grant(gateway, told.patient_uuid), grant(fed(space, again := sensor(1)), again.patient_uuid)

    async def live(database: Database) -> int:
        async with database.writer() as conn:
            return await grants.live_of_gateway(conn, UUID(gateway.client_id), space.now())

    async def end(database: Database) -> None:
        async with database.writer() as conn:
            await grants.revoke_of_gateway(conn, UUID(gateway.client_id), space.now())

    assert space.run(live) == 1
    space.run(end)
    assert space.run(live) == 0
    assert (who.get("/Observation").status_code, other.get("/Observation").status_code) == (401, 200)


@dataclass
class Victim:
    """What somebody else has at the space: the ids of it all."""

    space: RunningSpace
    gateway: FeedingGateway
    observation: str
    patient: str
    device: str


@pytest.fixture(scope="module")
def victim(running_space: RunningSpace) -> Victim:
    gateway = running_space.register()
    answer = gateway.feed(sent(sensor(3)))
    found = [entry["response"]["location"].split("/")[1] for entry in answer.json()["entry"]]
    return Victim(running_space, gateway, found[2], found[0], found[1])


ABSENT = "0123456789abcdef" * 2


def put(gateway: FeedingGateway, observation: str, patient: str, device: str) -> httpx.Response:
    told: dict[str, Any] = orjson.loads(render(sensor(1), IDS))
    told["id"] = observation
    told |= {
        "subject": {"reference": f"Patient/{patient}"},
        "device": {"reference": f"Device/{device}"},
    }
    path, headers = f"/fhir/Observation/{observation}", {"If-Match": 'W/"1"'}
    return gateway.request("PUT", path, orjson.dumps(told), headers=headers)


def in_bundle(gateway: FeedingGateway, observation: str, patient: str, device: str) -> httpx.Response:
    request = {"method": "DELETE", "url": f"Observation/{observation}"}
    return gateway.feed(bundle_of([{"request": request}]))


def create(gateway: FeedingGateway, observation: str, patient: str, device: str) -> httpx.Response:
    told = entries(sensor(1, uuid4()))[2]
    told["resource"]["subject"] = {"reference": f"Patient/{patient}"}
    told["resource"]["device"] = {"reference": f"Device/{device}"}
    return gateway.feed(bundle_of([told]))


def create_with_device(
    gateway: FeedingGateway, observation: str, patient: str, device: str
) -> httpx.Response:
    told = entries(sensor(1, uuid4()))
    told[2]["resource"]["device"] = {"reference": f"Device/{device}"}
    return gateway.feed(bundle_of(told))


CALLS: dict[str, Callable[[FeedingGateway, str, str, str], httpx.Response]] = {
    "DELETE": lambda gateway, observation, *_: gateway.request("DELETE", f"/fhir/Observation/{observation}"),
    "DELETE in a Bundle": in_bundle,
    "PUT": put,
    "POST with another's Patient": create,
    "POST with another's Device": create_with_device,
}


@pytest.mark.parametrize("call", CALLS)
def test_another_s_ids_answer_as_absent_ones(victim: Victim, call: str) -> None:
    stranger = victim.space.register()
    theirs = CALLS[call](stranger, victim.observation, victim.patient, victim.device)
    none = CALLS[call](stranger, ABSENT, ABSENT, ABSENT)
    assert theirs.status_code in (404, 422)
    assert (theirs.status_code, theirs.content) == (none.status_code, none.content)
    assert victim.gateway.feed(sent(sensor(1))).status_code == 200


def test_nobody_changed_what_is_another_s(victim: Victim) -> None:
    """Every call of a stranger, with the victim's ids; then the victim has what they had."""
    stranger = victim.space.register()
    for call in CALLS.values():
        call(stranger, victim.observation, victim.patient, victim.device)
    path = f"/fhir/Observation/{victim.observation}"
    assert victim.gateway.request("DELETE", path).status_code == 204


def test_tenants_are_named_once_whatever_the_name(space: RunningSpace) -> None:
    name = f'L\'Hôpital "{uuid4()}"; DROP TABLE passerelle.tenant; --'
    space.tenant(name)

    async def add(database: Database, wanted: str) -> None:
        async with database.writer() as conn:
            await tenants.add(conn, wanted, space.now())

    with pytest.raises(TenantExists):
        space.run(lambda database: add(database, f"  {name.upper()} "))
    for wanted in ("", "\x00", "a" * 201):
        with pytest.raises(UnusableName):
            space.run(lambda database, wanted=wanted: add(database, wanted))  # type: ignore[misc]
    assert space.register(space.code(name)).feed(sent(sensor(1))).status_code == 200


def test_the_default_tenant_is_there_when_it_is_needed_and_no_other_is(space: RunningSpace) -> None:
    space.code("default")
    with pytest.raises(UnknownTenant):
        space.code(f"nobody {uuid4()}")

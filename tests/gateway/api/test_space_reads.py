"""Reading under a grant: what it opens and nothing else, page by page, and each look is written down."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from device_profiles.reading import Kind
from gateway.api.pressure import Limiter
from storage import grants, pages
from storage.connection import Connection
from storage.pages import GrantReader, ReadPage
from tests.fhir_mapping.examples import RECORDED, Placed, reading
from tests.fhir_mapping.test_judges import judged, node, without_node
from tests.gateway.api.grant_serving import GrantHolder, fed, grant, link, resources, terms
from tests.gateway.api.space_serving import RunningSpace, sensor, sent, series

FIRST = RECORDED - timedelta(hours=2)
"""When the sensor's first reading was, in UTC."""


def ketone(number: int) -> Placed:
    at = RECORDED + timedelta(hours=1, minutes=number)
    said = reading(Kind.KETONE, "0.6", unit="mmol/L", sample=None, recorded_at=at, sequence=1000 + number)
    return Placed(said, effective=at - timedelta(hours=2), utc_offset_minutes=120)


def untimed(number: int) -> Placed:
    return Placed(reading(sequence=2000 + number), effective=None)


@pytest.fixture
def holder(space: RunningSpace) -> GrantHolder:
    """Who may read all of a person with 30 readings of a sensor."""
    told = sensor(30)
    return grant(fed(space, told), told.patient_uuid)


def times(observations: list[dict[str, Any]]) -> list[str]:
    return [one["effectiveDateTime"] for one in observations]


def test_what_the_server_can_do_is_told_to_everybody(space: RunningSpace) -> None:
    answer = httpx.get(f"{space.url}/fhir/metadata")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/fhir+json"
    said = CapabilityStatement.model_validate_json(answer.content)
    assert said.implementation.url == f"{space.url}/fhir"


@pytest.mark.parametrize(
    "path", ["/Observation", "/Observation/1", "/Patient/1", "/Device/1", "/Device", "/Observation?date=x"]
)
@pytest.mark.parametrize("token", [None, "wrong", "Basic"])
def test_without_a_grant_nothing_is_answered(space: RunningSpace, path: str, token: str | None) -> None:
    headers = (
        {} if token is None else {"Authorization": "Basic eDp5" if token == "Basic" else f"Bearer {token}"}
    )
    answer = httpx.get(f"{space.url}/fhir{path}", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["issue"][0]["code"] == "login"


@pytest.mark.parametrize("search", ["/Observation", "/Observation/{id}"])
def test_a_look_that_nobody_can_write_down_any_more_sees_nothing(
    holder: GrantHolder, monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    """The grant ends between the search and its entry in the log."""
    path = search.format(id=holder.observations("/Observation?_count=30")[0]["id"])
    name = "page" if search == "/Observation" else "of_keys"
    taken = getattr(pages, name)

    async def taken_as_it_ends(conn: Connection, reader: GrantReader, *rest: Any) -> ReadPage:
        found: ReadPage = await taken(conn, reader, *rest)
        async with holder.space.database.writer() as other:
            await grants.revoke(other, reader.patient_id, reader.grant_id, holder.space.now())
        return found

    monkeypatch.setattr(pages, name, taken_as_it_ends)
    answer = holder.get(path)
    assert answer.status_code == 401
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "invalid_token" in answer.headers["www-authenticate"]


def test_a_gateway_s_token_reads_nothing(space: RunningSpace) -> None:
    told = sensor(1)
    gateway = fed(space, told)
    assert gateway.request("GET", "/fhir/Observation").status_code == 401


def test_a_token_in_the_address_is_no_token(holder: GrantHolder) -> None:
    url = f"{holder.space.url}/fhir/Observation?access_token={holder.token}"
    assert httpx.get(url).status_code == 401


def test_the_newest_come_first_and_pages_end(holder: GrantHolder) -> None:
    pages = holder.pages("/Observation?_count=7")
    found = [one for page in pages for one in resources(page, "Observation")]
    assert [len(resources(page, "Observation")) for page in pages] == [7, 7, 7, 7, 2]
    assert times(found) == sorted(times(found), reverse=True)
    assert len({one["id"] for one in found}) == 30
    assert link(pages[1], "self") == link(pages[0], "next")


def test_the_oldest_come_first_where_that_is_asked(holder: GrantHolder) -> None:
    found = holder.observations("/Observation?_count=11&_sort=date")
    assert times(found) == sorted(times(found))
    assert len(found) == 30


def test_pages_stay_when_new_readings_come(space: RunningSpace) -> None:
    told = sensor(20)
    gateway = fed(space, told)
    who = grant(gateway, told.patient_uuid)
    first = who.get("/Observation?_count=8").json()
    assert gateway.feed(sent(sensor(40, told.patient_uuid))).status_code == 200
    rest = who.observations(str(link(first, "next")))
    found = times(resources(first, "Observation")) + times(rest)
    assert len(found) == 20
    assert found == sorted(set(found), reverse=True)


def test_a_search_is_the_same_by_form(holder: GrantHolder) -> None:
    asked = {"patient": holder.patient, "_count": "5", "code": "http://loinc.org|99504-3"}
    posted = holder.post("/Observation/_search", asked)
    got = holder.get(f"/Observation?patient={holder.patient}&_count=5&code=http://loinc.org|99504-3")
    assert posted.status_code == 200
    assert posted.json() == got.json()
    assert len(resources(posted.json(), "Observation")) == 5


def test_a_form_of_another_kind_is_refused_in_words(holder: GrantHolder) -> None:
    answer = httpx.post(
        f"{holder.space.url}/fhir/Observation/_search",
        content=b"{}",
        headers={"Authorization": f"Bearer {holder.token}", "Content-Type": "application/json"},
    )
    assert answer.status_code == 415
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_the_date_is_meant_by_the_person_s_own_day(holder: GrantHolder) -> None:
    newest = holder.observations("/Observation?_count=1&_sort=date")[0]["effectiveDateTime"]
    day = newest[:10]
    assert len(holder.observations(f"/Observation?date={day}")) == 30
    assert holder.observations(f"/Observation?date=gt{day}") == []
    third = (FIRST + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert len(holder.observations(f"/Observation?date=ge{third}")) == 28
    assert len(holder.observations(f"/Observation?date=ge{third}&date=lt{third[:-3]}59Z&_count=3")) == 1
    assert len(holder.observations(f"/Observation?date=ne{third}&_count=9")) == 29
    local = newest.replace("+", "%2B")
    assert len(holder.observations(f"/Observation?date={local}")) == 1


def test_a_code_finds_the_kind_it_names(space: RunningSpace) -> None:
    uuid = uuid4()
    gateway = fed(space, series(*(ketone(number) for number in range(3)), uuid=uuid), sensor(5, uuid))
    who = grant(gateway, uuid)
    assert len(who.observations("/Observation?code=66441-7")) == 3
    assert len(who.observations("/Observation?code=urn:iso:std:iso:11073:10101|160212")) == 5
    assert len(who.observations("/Observation?code=66441-7,99504-3")) == 8
    assert who.observations("/Observation?code=66441-7&code=99504-3") == []
    assert who.observations("/Observation?code=105272-9") == []
    assert len(who.observations("/Observation?category=laboratory")) == 8
    assert who.observations("/Observation?category=vital-signs") == []
    assert who.observations("/Observation?status=cancelled") == []


def test_a_reading_is_read_by_its_id_and_found_by_it(holder: GrantHolder) -> None:
    one = holder.observations("/Observation?_count=1")[0]
    answer = holder.get(f"/Observation/{one['id']}")
    assert answer.json() == one
    assert answer.headers["etag"] == 'W/"1"'
    again = holder.get(f"/Observation/{one['id']}", **{"If-None-Match": 'W/"1"'})
    assert again.status_code == 304
    assert holder.observations(f"/Observation?_id={one['id']},unknown") == [one]
    value = one["identifier"][0]["value"]
    assert holder.observations(f"/Observation?identifier=urn:passerelle:reading|{value}") == [one]


def test_a_version_and_an_erased_reading_show(space: RunningSpace) -> None:
    told = sensor(3)
    gateway = fed(space, told)
    who = grant(gateway, told.patient_uuid)
    found = who.observations("/Observation?_sort=date")
    changed = json.loads(json.dumps(found[1]))
    changed["note"] = [{"text": "a word"}]
    del changed["meta"]["versionId"]
    put = gateway.request(
        "PUT",
        f"/fhir/Observation/{found[1]['id']}",
        json.dumps(changed).encode(),
        headers={"If-Match": 'W/"1"'},
    )
    assert put.status_code == 200, put.text
    assert gateway.request("DELETE", f"/fhir/Observation/{found[2]['id']}").status_code in {200, 204}
    assert who.get(f"/Observation/{found[1]['id']}").headers["etag"] == 'W/"2"'
    assert [one["meta"]["versionId"] for one in who.observations("/Observation?_sort=date")] == ["1", "2"]
    assert who.get(f"/Observation/{found[2]['id']}").status_code == 404


def test_the_person_and_their_devices_are_read_too(holder: GrantHolder) -> None:
    one = holder.observations("/Observation?_count=1")[0]
    person = holder.get(f"/{one['subject']['reference']}")
    assert person.json()["id"] == holder.patient
    meter = holder.get(f"/{one['device']['reference']}").json()
    assert meter["patient"] == one["subject"]
    listed = holder.get(f"/Device?patient={holder.patient}").json()
    assert resources(listed, "Device") == [meter]
    page = holder.get("/Observation?_count=2&_include=Observation:device&_include=Observation:subject").json()
    assert len(resources(page, "Device")) == 1
    assert [one["id"] for one in resources(page, "Patient")] == [holder.patient]


def test_what_was_not_understood_is_said_and_not_in_the_link(holder: GrantHolder) -> None:
    page = holder.get("/Observation?_count=1&colour=red&_elements=id").json()
    assert link(page, "self") == f"{holder.space.url}/fhir/Observation?_count=1"
    outcome = resources(page, "OperationOutcome")[0]["issue"][0]
    assert "colour, _elements" in outcome["diagnostics"]
    french = holder.get("/Observation?_count=1&colour=red", **{"Accept-Language": "fr"}).json()
    assert "ignorés : colour" in resources(french, "OperationOutcome")[0]["issue"][0]["diagnostics"]
    strict = holder.get("/Observation?colour=red", Prefer="handling=strict")
    assert strict.status_code == 400
    assert "colour" in strict.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "query",
    ["date=yesterday", "date=2026-13", "code:text=x", "_count=many", "_total=maybe", "code=a|b|c",
     "_cursor=nothing", "patient=/", "date:missing=true"],
)  # fmt: skip
def test_what_is_malformed_is_refused_in_words(holder: GrantHolder, query: str) -> None:
    answer = holder.get(f"/Observation?{query}", **{"Accept-Language": "fr"})
    assert answer.status_code == 400
    assert answer.headers["content-language"] == "fr"
    assert answer.json()["issue"][0]["severity"] == "error"


def test_a_page_of_another_search_or_grant_does_not_open(space: RunningSpace) -> None:
    told = sensor(10)
    gateway = fed(space, told)
    who, other = grant(gateway, told.patient_uuid), grant(gateway, told.patient_uuid)
    following = str(link(who.get("/Observation?_count=2").json(), "next"))
    assert who.get(following).status_code == 200
    assert who.get(following.replace("_count=2", "_count=5")).status_code == 200
    assert who.get(f"{following}&code=99504-3").status_code == 400
    assert other.get(following).status_code == 400
    changed = following[:-1] + ("A" if following[-1] != "A" else "B")
    assert who.get(changed).status_code == 400


def test_a_total_is_counted_where_it_is_asked(holder: GrantHolder) -> None:
    assert "total" not in holder.get("/Observation?_count=5").json()
    assert holder.get("/Observation?_count=5&_total=accurate").json()["total"] == 30
    only = holder.get("/Observation?_summary=count&date=2000").json()
    assert (only["total"], only.get("entry")) == (0, None)
    assert holder.get("/Observation?_count=0").json()["total"] == 30


def test_another_form_than_json_is_refused(holder: GrantHolder) -> None:
    assert holder.get("/Observation?_format=xml").status_code == 406
    assert holder.get("/Observation", Accept="application/fhir+xml").status_code == 406
    assert holder.get("/Observation?_format=json", Accept="application/fhir+json").status_code == 200


def test_a_grant_opens_its_kinds_its_period_and_nothing_without_a_time(space: RunningSpace) -> None:
    uuid = uuid4()
    gateway = fed(space, series(*map(ketone, range(4)), untimed(1), uuid=uuid), sensor(12, uuid))
    whole = grant(gateway, uuid)
    assert len(whole.observations("/Observation?_count=5")) == 17
    assert "effectiveDateTime" not in whole.observations("/Observation?_count=5")[-1]
    ketones = grant(gateway, uuid, kinds=["ketone"])
    assert {one["code"]["coding"][0]["code"] for one in ketones.observations("/Observation")} == {"66441-7"}
    hour = grant(
        gateway, uuid, period_start=FIRST + timedelta(minutes=10), period_end=FIRST + timedelta(minutes=30)
    )
    seen = hour.observations("/Observation?_count=3")
    assert len(seen) == 4
    outside = [one for one in whole.observations("/Observation") if one not in seen]
    assert {hour.get(f"/Observation/{one['id']}").status_code for one in outside} == {404}
    assert {hour.get(f"/Observation/{one['id']}").status_code for one in seen} == {200}
    assert hour.observations(f"/Observation?_id={outside[0]['id']}") == []


def test_a_grant_ends_is_narrowed_and_is_revoked_at_once(space: RunningSpace) -> None:
    told = sensor(12)
    gateway = fed(space, told)
    who = grant(gateway, told.patient_uuid)
    path = f"/grants/{who.grant_id}?patient={told.patient_uuid}"
    following = str(link(who.get("/Observation?_count=4").json(), "next"))
    until = (FIRST + timedelta(minutes=30)).isoformat()
    assert gateway.request("PATCH", path, json={"period_end": until}).status_code == 204
    assert len(who.observations("/Observation")) == 6
    wider = {"period_end": (FIRST + timedelta(days=9)).isoformat(), "kinds": ["interstitial-glucose"]}
    assert gateway.request("PATCH", path, json=wider).status_code == 204
    assert len(who.observations("/Observation")) == 6
    assert gateway.request("PATCH", path, json={"kinds": ["ketone"]}).status_code == 204
    assert who.observations("/Observation") == []
    assert gateway.request("DELETE", path).status_code == 204
    assert who.get(following).status_code == 401
    assert who.get("/Observation").status_code == 401
    over = grant(gateway, told.patient_uuid)
    narrowed = {"ends_at": (space.now() - timedelta(seconds=1)).isoformat()}
    assert (
        gateway.request(
            "PATCH", f"/grants/{over.grant_id}?patient={told.patient_uuid}", json=narrowed
        ).status_code
        == 204
    )
    assert over.get("/Observation").status_code == 401


def test_another_person_s_id_gives_what_an_unknown_one_gives(space: RunningSpace) -> None:
    mine, theirs = sensor(3), sensor(3)
    who = grant(fed(space, mine), mine.patient_uuid)
    other = grant(fed(space, theirs), theirs.patient_uuid)
    one = other.observations("/Observation?_count=1")[0]
    ids = [one["id"], one["subject"]["reference"].split("/")[1], one["device"]["reference"].split("/")[1]]
    unknown = uuid4().hex

    def answers(ask: Callable[[str], httpx.Response]) -> set[tuple[int, bytes]]:
        found = set()
        for fhir_id in (*ids, unknown, "x"):
            answer = ask(fhir_id)
            found.add((answer.status_code, answer.content.replace(fhir_id.encode(), b"")))
        return found

    for path in ("/Observation/{}", "/Patient/{}", "/Device/{}"):
        assert {status for status, _ in answers(lambda one, path=path: who.get(path.format(one)))} == {404}
        assert len(answers(lambda one, path=path: who.get(path.format(one)))) == 1
    for query in ("patient={}", "subject=Patient/{}", "_id={}", "device={}", "patient={},{}"):
        found = answers(lambda one, query=query: who.get(f"/Observation?{query.format(one, one)}"))
        assert len(found) == 1
        assert b"Observation/" not in next(iter(found))[1]
    assert who.observations(f"/Observation?patient={ids[1]},{who.patient}") != []
    assert resources(who.get(f"/Device?patient={ids[1]}").json(), "Device") == []
    value = one["identifier"][0]["value"]
    assert who.observations(f"/Observation?identifier=urn:passerelle:reading|{value}") == []
    assert (
        who.observations(f"/Observation?patient.identifier=urn:ietf:rfc:3986|{theirs.patient_uuid.urn}") == []
    )
    assert (
        len(who.observations(f"/Observation?patient.identifier=urn:ietf:rfc:3986|{mine.patient_uuid.urn}"))
        == 3
    )


def test_a_gateway_gives_and_ends_grants_of_those_it_feeds_only(space: RunningSpace) -> None:
    told = sensor(2)
    gateway, stranger = fed(space, told), fed(space, sensor(1))
    who = grant(gateway, told.patient_uuid)
    for uuid in (told.patient_uuid, uuid4()):
        asked = terms(space, uuid, "a token")
        assert stranger.request("POST", "/grants", json=asked).status_code == 404
        assert stranger.request("GET", f"/grants?patient={uuid}").status_code == 404
        assert stranger.request("DELETE", f"/grants/{who.grant_id}?patient={uuid}").status_code == 404
        assert stranger.request("PATCH", f"/grants/{who.grant_id}?patient={uuid}", json={}).status_code == 404
    assert len(who.observations("/Observation")) == 2
    unknown = gateway.request("DELETE", f"/grants/{uuid4()}?patient={told.patient_uuid}")
    assert unknown.status_code == 404


def test_two_tenants_with_the_same_person_are_apart(space: RunningSpace) -> None:
    told = sensor(2)
    here, there = fed(space, told), fed(space, sensor(5, told.patient_uuid))
    assert len(grant(here, told.patient_uuid).observations("/Observation")) == 2
    assert len(grant(there, told.patient_uuid).observations("/Observation")) == 5
    listed = here.request("GET", f"/grants?patient={told.patient_uuid}").json()["grants"]
    assert len(listed) == 1


def test_the_same_token_again_is_the_same_grant(space: RunningSpace) -> None:
    told = sensor(1)
    gateway = fed(space, told)
    asked = terms(space, told.patient_uuid, "once")
    ids = {gateway.request("POST", "/grants", json=asked).json()["id"] for _ in range(2)}
    assert len(ids) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"kinds": ["colour"]}, {"kinds": []}, {"ends_at": "2020-01-01T00:00:00Z"}, {"token_hash": "x"},
     {"ends_at": None}, {"grantee": ""}, {"patient": "somebody"}, {"more": 1},
     {"period_start": "2026-02-01T00:00:00Z", "period_end": "2026-01-01T00:00:00Z"},
     {"ends_at": "9999-01-01T00:00:00Z"}],
)  # fmt: skip
def test_a_grant_that_is_malformed_is_refused(space: RunningSpace, wrong: dict[str, object]) -> None:
    told = sensor(1)
    gateway = fed(space, told)
    answer = gateway.request("POST", "/grants", json=terms(space, told.patient_uuid, "a", **wrong))
    assert answer.status_code == 400


def test_each_look_is_one_entry_that_the_person_can_read(space: RunningSpace) -> None:
    told = sensor(6)
    gateway = fed(space, told)
    who = grant(gateway, told.patient_uuid)
    one = who.observations("/Observation?_count=10")[0]
    who.get(f"/Observation/{one['id']}")
    who.get(f"/Observation/{uuid4().hex}")
    who.get("/Device")
    who.get(f"/Patient/{who.patient}")
    who.get("/Observation?date=nonsense")
    (given,) = gateway.request("GET", f"/grants?patient={told.patient_uuid}").json()["grants"]
    assert [look["what"] for look in given["looks"]][::-1] == [
        "Observation 6 interstitial-glucose",
        "Observation 1 interstitial-glucose",
        "Observation 0",
        "Device 1",
        "Patient 1",
    ]
    assert {look["who"] for look in given["looks"]} == {"Dr Weiss"}
    assert datetime.fromisoformat(given["looks"][0]["at"]) <= datetime.now(UTC)


def test_a_reading_that_is_not_theirs_is_not_shown(space: RunningSpace) -> None:
    told = sensor(3)
    gateway = fed(space, told)
    who = grant(gateway, told.patient_uuid)
    one = who.observations("/Observation?_count=1")[0]
    changed = {**one, "status": "entered-in-error"}
    changed["meta"] = {"profile": one["meta"]["profile"]}
    put = gateway.request(
        "PUT", f"/fhir/Observation/{one['id']}", json.dumps(changed).encode(), headers={"If-Match": 'W/"1"'}
    )
    assert put.status_code == 200, put.text
    assert len(who.observations("/Observation")) == 2
    assert who.get(f"/Observation/{one['id']}").status_code == 404


def test_who_asks_too_often_is_told_when_to_come_back(space: RunningSpace) -> None:
    told = sensor(1)
    who = grant(fed(space, told), told.patient_uuid)
    usual, space.pressure.gateways = space.pressure.gateways, Limiter(0.001, 2)
    try:
        statuses = [who.get("/Device").status_code for _ in range(3)]
        refused = who.get("/Device")
    finally:
        space.pressure.gateways = usual
    assert statuses == [200, 200, 429]
    assert int(refused.headers["retry-after"]) > 0


def test_a_search_longer_than_an_address_is_refused(holder: GrantHolder) -> None:
    answer = holder.post("/Observation/_search", {"code": "\\" * 100_000})
    assert answer.status_code == 413


def answered(holder: GrantHolder) -> dict[str, Any]:
    """One of each answer that there is."""
    one = holder.observations("/Observation?_count=1")[0]
    paths = {
        "capability": "/metadata",
        "page": "/Observation?_count=5&_include=Observation:device&_include=Observation:patient&colour=red",
        "count": "/Observation?_summary=count",
        "nothing": "/Observation?patient=another",
        "reading": f"/Observation/{one['id']}",
        "person": f"/Patient/{holder.patient}",
        "device": f"/{one['device']['reference']}",
        "devices": "/Device",
        "absent": "/Observation/absent",
        "malformed": "/Observation?date=malformed",
    }
    return {name: holder.get(path).json() for name, path in paths.items()}


@node
@without_node
def test_an_r4_validator_finds_nothing_wrong_with_any_answer(holder: GrantHolder) -> None:
    assert judged(answered(holder)) == []


def test_fhir_resources_accepts_every_page(holder: GrantHolder) -> None:
    said = answered(holder)
    for name in ("page", "count", "nothing", "devices"):
        assert Bundle.model_validate(said[name]).type == "searchset"


def test_no_answer_of_a_random_query_is_a_fault(holder: GrantHolder) -> None:
    pieces = [
        "date", "code", "patient", "_id", "_count", "_sort", "_cursor", "identifier", "category", "device",
        ":", ":not", "=", "=ge", "|", ",", "\\", "&", "%", "%00", "%ff", "+", "2026-02-30", "9999-12-31",
        "0001-01-01", "T00:00Z", "é", "'; DROP TABLE reading; --", "99999999999999999999", "-1",
        "_total=accurate",
        "urn:passerelle:reading|" + "a" * 32 + "/2026-02-30T00:00:00/1/0/x", "null", "[]", "\U0001f600",
    ]  # fmt: skip
    chance = random.Random(6)
    with httpx.Client(headers={"Authorization": f"Bearer {holder.token}"}, timeout=60) as client:
        for _ in range(80):
            query = "".join(chance.choices(pieces, k=chance.randint(1, 8)))
            answer = client.post(
                f"{holder.space.url}/fhir/Observation/_search",
                content=query.encode(),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            )
            assert answer.status_code in {200, 400, 406, 422}, query
            assert answer.json()["resourceType"] in {"Bundle", "OperationOutcome"}
            following = link(answer.json(), "self") if answer.status_code == 200 else None
            if following is not None:
                assert client.get(following).status_code in {200, 422}, following

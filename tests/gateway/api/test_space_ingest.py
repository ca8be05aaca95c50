"""What a gateway tells a space is there once, as it was told, or not at all."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device_profiles.reading import ReadingSeries
from fhir_mapping.codes import FIELD
from fhir_mapping.identifiers import device_digest
from gateway.api.pressure import Limiter
from tests.fhir_mapping.examples import RECORDED, Placed, international, reading
from tests.fhir_mapping.test_ingest import damaged
from tests.fhir_mapping.test_round_trip import placements
from tests.gateway.api.space_serving import (
    FeedingGateway,
    RunningSpace,
    bundle_of,
    entries,
    names,
    places,
    sensor,
    sensor_reading,
    sent,
    series,
    statuses,
)

SECOND = 1_000_000


def said(told: ReadingSeries) -> list[tuple[Any, ...]]:
    """Every reading as it compares: its key by the device's digest, and all that is known of it."""
    rows = []
    for row in range(len(told)):
        device = told.devices[int(told.device_id[row])]
        absent = int(told.absent[row])
        value = None if absent else Decimal(int(told.mantissa[row])).scaleb(int(told.exponent[row]))
        timed = told.effective_time[row] != np.iinfo(np.int64).min
        context = told.contexts.get(row)
        rows.append(
            (
                device_digest(told.patient_uuid, device.identity),
                *(int(column[row]) for column in (told.recorded_at, told.sequence, told.ordinal, told.kind)),
                *(value, int(told.unit[row]), absent, int(told.flags[row]), int(told.sample[row])),
                *(int(told.effective_time[row]), int(told.time_source[row])),
                int(told.utc_offset_minutes[row]) if timed else 0,
                bool(told.excluded[row]),
                told.notes.get(row),
                None if context is None else replace(context, raw=b""),
                told.quantities.get(row, ()),
            )
        )
    return sorted(rows, key=lambda one: one[:4])


def apart(placed: list[Placed]) -> list[Placed]:
    """The same readings under keys of their own, their times whole seconds from them."""
    told = []
    for number, one in enumerate(placed):
        at = one.reading.identity.recorded_at.replace(microsecond=0)
        identity = replace(one.reading.identity, recorded_at=at, sequence=number)
        effective = one.effective and one.effective.replace(microsecond=0)
        told.append(replace(one, reading=replace(one.reading, identity=identity), effective=effective))
    return told


def test_every_example_is_kept_as_it_was_told(space: RunningSpace) -> None:
    placed = [one for name, one in international().items() if name not in ("fraction", "note")]
    told = series(*apart(placed))
    gateway = space.register()
    assert set(statuses(gateway.feed(sent(told)))) == {"201 Created"}
    assert said(space.stored(told.patient_uuid)) == said(told)


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(placed=st.lists(placements, min_size=1, max_size=6))
def test_whatever_a_gateway_has_is_kept_as_it_was_told(space: RunningSpace, placed: list[Placed]) -> None:
    told = series(*(replace(one, note=None, ordinal=0) for one in apart(placed)))
    assert set(statuses(space.register().feed(sent(told)))) == {"201 Created"}
    assert said(space.stored(told.patient_uuid)) == said(told)


def test_telling_again_changes_nothing_and_names_the_same(space: RunningSpace) -> None:
    told, gateway = sensor(50), space.register()
    first = gateway.feed(sent(told))
    again = gateway.feed(sent(told))
    assert set(statuses(first)) == {"201 Created"}
    assert set(statuses(again)) == {"200 OK"}
    assert names(first) == names(again)
    assert said(space.stored(told.patient_uuid)) == said(told)


def test_each_entry_is_answered_in_its_place(space: RunningSpace) -> None:
    told, gateway = sensor(6), space.register()
    gateway.feed(sent(told.take(np.array([1, 4]))))
    answer = gateway.feed(sent(told))
    assert statuses(answer)[2:] == ["201 Created", "200 OK", *["201 Created"] * 2, "200 OK", "201 Created"]
    entry = answer.json()["entry"][2]["response"]
    assert entry["etag"] == 'W/"1"'
    assert entry["location"].endswith("/_history/1")
    assert entry["lastModified"].endswith("Z")


def test_four_who_tell_the_same_at_once_store_it_once(space: RunningSpace) -> None:
    told, gateway = sensor(200), space.register()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: gateway.feed(sent(told)), range(4)))
    created = sum(statuses(answer).count("201 Created") for answer in answers)
    assert created == 2 + 200
    assert said(space.stored(told.patient_uuid)) == said(told)


def test_batches_in_any_order_end_the_same(space: RunningSpace) -> None:
    """A clock that was set back in between: the shift changes while the numbers go on."""
    placed = [sensor_reading(number, shift=-7200 if number < 40 else 3600) for number in range(80)]
    told, gateway = series(*placed), space.register()
    for first in (60, 0, 30, 10, 50, 70, 20, 40):
        gateway.feed(sent(told.take(np.arange(first, first + 10))))
    assert said(space.stored(told.patient_uuid)) == said(told)
    assert space.count("reading", told.patient_uuid) == 80


def test_consecutive_records_of_one_shift_share_a_segment(space: RunningSpace) -> None:
    told, gateway = sensor(300), space.register()
    for first in range(0, 300, 50):
        gateway.feed(sent(told.take(np.arange(first, first + 50))))
    assert space.count("clock_segment", told.patient_uuid) == 1


def test_what_is_there_stays_in_its_place_whoever_tells_another_time(space: RunningSpace) -> None:
    told, gateway = sensor(20), space.register()
    gateway.feed(sent(told))
    later = replace(told, effective_time=told.effective_time + 600 * SECOND)
    more = sensor(25, told.patient_uuid, shift=-6600).take(np.arange(15, 25))
    assert set(statuses(gateway.feed(sent(later)))) == {"200 OK"}
    gateway.feed(sent(more))
    kept = space.stored(told.patient_uuid)
    of_number = dict(zip(kept.sequence.tolist(), kept.effective_time.tolist(), strict=True))
    assert [of_number[number] for number in range(20)] == told.effective_time.tolist()
    assert [of_number[number] for number in range(20, 25)] == more.effective_time[5:].tolist()


def test_the_days_are_those_of_the_person_s_zone(space: RunningSpace) -> None:
    told = series(replace(sensor_reading(0), effective=RECORDED.replace(hour=22, minute=30, second=35)))
    space.register().feed(sent(told, zone="Europe/Paris"))
    (patient_id,) = space.patients(told.patient_uuid)

    async def days(database: Any) -> list[Any]:
        async with database.owner() as conn:
            query = "SELECT day::text, readings FROM passerelle.daily_summary WHERE patient_id = %s"
            return list(await (await conn.execute(query, (patient_id,))).fetchall())

    assert space.run(days) == [("2021-10-20", 1)]


def test_an_excluded_reading_is_in_no_day_s_summary(space: RunningSpace) -> None:
    told = series(sensor_reading(0), replace(sensor_reading(1), excluded=True, note="pressed on it"))
    space.register().feed(sent(told))
    assert space.stored(told.patient_uuid).notes == {1: "pressed on it"}
    (patient_id,) = space.patients(told.patient_uuid)

    async def counted(database: Any) -> int:
        async with database.owner() as conn:
            query = "SELECT sum(readings) FROM passerelle.daily_summary WHERE patient_id = %s"
            return int((await (await conn.execute(query, (patient_id,))).fetchone())[0])

    assert space.run(counted) == 1


def test_one_refused_entry_refuses_all_and_every_wrong_one_is_named(space: RunningSpace) -> None:
    told, gateway = sensor(5), space.register()
    changed = entries(told)
    del changed[3]["resource"]["identifier"][0]
    changed[5]["resource"]["valueQuantity"]["value"] = "a lot"
    answer = gateway.feed(bundle_of(changed))
    assert answer.status_code == 422
    assert places(answer) == ["Bundle.entry[3].resource", "Bundle.entry[5].resource"]
    assert space.patients(told.patient_uuid) == []


def test_an_observation_of_another_program_is_told_what_it_lacks(space: RunningSpace) -> None:
    body = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2339-0"}]},
        "valueQuantity": {"value": 119, "code": "mg/dL"},
    }
    request = {"method": "POST", "url": "Observation"}
    answer = space.register().feed(bundle_of([{"resource": body, "request": request}]))
    assert answer.status_code == 422
    assert "urn:passerelle:reading" in answer.json()["issue"][0]["diagnostics"]


LOST: dict[str, Any] = {
    "interpretation": [{"text": "high"}],
    "performer": [{"reference": "Practitioner/1"}],
    "bodySite": {"coding": [{"system": "http://snomed.info/sct", "code": "368208006"}]},
    "extension": [{"url": "urn:someone:else", "valueBoolean": True}],
    "component": [{"code": {"coding": [{"code": "x"}]}, "valueBoolean": True}],
    "note": [{"text": "a", "authorString": "b"}],
    "meta": {"security": [{"code": "R"}]},
    "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
    "dataAbsentReason": {"coding": [{"code": "unknown"}]},
    "identifier": None,
}


@pytest.mark.parametrize("member", LOST)
def test_what_would_be_lost_is_refused_by_its_name(space: RunningSpace, member: str) -> None:
    changed = entries(sensor(2))
    told = changed[2]["resource"]
    if member == "identifier":
        told["identifier"].append({"system": "urn:another", "value": "1"})
    else:
        told[member] = LOST[member]
    answer = space.register().feed(bundle_of(changed))
    assert answer.status_code == 422
    assert places(answer) == [f"Bundle.entry[2].resource.{member}"]


def test_what_changes_no_meaning_may_differ(space: RunningSpace) -> None:
    changed = entries(sensor(1))
    told = changed[2]["resource"]
    told["code"]["coding"] = [{**coding, "display": "Glucose"} for coding in told["code"]["coding"][:1]]
    told["code"]["text"] = "Glucose"
    told["valueQuantity"]["value"] = 60.0
    del told["category"], told["meta"], told["id"], told["identifier"][1]
    del changed[2]["fullUrl"]
    assert set(statuses(space.register().feed(bundle_of(changed)))) == {"201 Created"}


def test_a_bundle_for_two_people_is_refused(space: RunningSpace) -> None:
    one, other = entries(sensor(1)), entries(sensor(1))
    answer = space.register().feed(bundle_of(one + other))
    assert answer.status_code == 422
    assert "one person" in answer.json()["issue"][0]["diagnostics"]


def test_the_person_and_the_device_may_be_named_by_id_and_by_identifier(space: RunningSpace) -> None:
    told, gateway = sensor(3), space.register()
    changed = entries(told)
    answer = gateway.feed(bundle_of(changed[:3]))
    patient, device = (entry["response"]["location"].split("/_")[0] for entry in answer.json()["entry"][:2])
    by_id, by_identifier = changed[3], changed[4]
    by_id["resource"] |= {"subject": {"reference": patient}, "device": {"reference": device}}
    by_identifier["resource"] |= {
        "subject": {"reference": f"Patient?identifier=urn:ietf:rfc:3986|{told.patient_uuid.urn}"},
        "device": {"reference": f"Device?{changed[1]['request']['ifNoneExist']}"},
    }
    assert statuses(gateway.feed(bundle_of([by_id, by_identifier]))) == ["201 Created"] * 2
    assert said(space.stored(told.patient_uuid)) == said(told)


def test_an_observation_whose_device_is_not_there_is_refused(space: RunningSpace) -> None:
    changed = entries(sensor(1))
    answer = space.register().feed(bundle_of([changed[0], changed[2]]))
    assert (answer.status_code, places(answer)) == (422, ["Bundle.entry[1].resource.device"])


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "\x00", "a" * 5000])
def test_a_zone_that_is_none_is_refused(space: RunningSpace, zone: str) -> None:
    changed = entries(sensor(1))
    changed[0]["resource"]["extension"][0]["valueCode"] = zone
    answer = space.register().feed(bundle_of(changed))
    assert (answer.status_code, places(answer)) == (422, ["Bundle.entry[0].resource.extension"])


def test_names_full_of_sql_are_names(space: RunningSpace) -> None:
    told, sql = sensor(1), "'; DROP TABLE passerelle.reading; --"
    changed = entries(told)
    changed[0]["resource"]["name"] = [{"text": sql}]
    changed[1]["resource"] |= {"manufacturer": sql, "modelNumber": sql, "serialNumber": sql}
    assert set(statuses(space.register().feed(bundle_of(changed)))) == {"201 Created"}
    (device,) = space.stored(told.patient_uuid).devices.values()
    assert device.manufacturer == sql


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00", "2037-12-31T23:59:59", "1582-10-15T00:00:00"])
def test_a_reading_of_any_year_is_kept(space: RunningSpace, at: str) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    told = series(Placed(reading(recorded_at=moment), effective=moment, utc_offset_minutes=0))
    assert set(statuses(space.register().feed(sent(told)))) == {"201 Created"}
    assert said(space.stored(told.patient_uuid)) == said(told)


BEYOND: dict[str, Any] = {
    "a mantissa beyond 32 bits": {"valueQuantity": {"value": 12345678901, "code": "mg/dL"}},
    "an exponent beyond its byte": {"valueQuantity": {"value": 0.5, "code": "mg/dL"}},
    "no unit": {"valueQuantity": {"value": 1}},
    "another unit": {"valueQuantity": {"value": 1, "code": "furlong"}},
    "a truth": {"valueQuantity": {"value": True, "code": "mg/dL"}},
    "a day": {"effectiveDateTime": "2021-10-19"},
    "no zone": {"effectiveDateTime": "2021-10-19T08:03:35"},
    "no time": {"effectiveDateTime": None},
    "half a second": {"effectiveDateTime": "2021-10-19T08:03:35.5+02:00"},
    "a status": {"status": "cancelled"},
}


@pytest.mark.parametrize("wrong", BEYOND)
def test_what_cannot_be_kept_as_told_is_refused(space: RunningSpace, wrong: str) -> None:
    changed = entries(sensor(1))
    changed[2]["resource"] |= BEYOND[wrong]
    body = bundle_of(changed).replace(b'"value":0.5', b'"value":5E-200')
    answer = space.register().feed(body)
    assert answer.status_code == 422
    assert places(answer)[0].startswith("Bundle.entry[2].resource")


def test_a_number_that_would_take_minutes_is_refused_at_once(space: RunningSpace) -> None:
    told = next(one for one in international().values() if one.reading.context is not None)
    changed = entries(series(told))
    coding = {"system": FIELD, "code": "exercise-duration"}
    quantity = {"value": 0.5, "code": "s", "system": "http://unitsofmeasure.org"}
    changed[2]["resource"]["component"] = [{"code": {"coding": [coding]}, "valueQuantity": quantity}]
    body = bundle_of(changed).replace(b'"value":0.5', b'"value":1E3000000')
    gateway, began = space.register(), time.process_time()
    answer = gateway.feed(body)
    assert (answer.status_code, places(answer)) == (422, ["Bundle.entry[2].resource"])
    assert time.process_time() - began < 1


def test_too_many_entries_and_too_many_bytes_are_refused(space: RunningSpace) -> None:
    gateway, changed = space.register(), entries(sensor(1))
    answer = gateway.feed(bundle_of([*changed[:2], *[changed[2]] * 999]))
    assert (answer.status_code, places(answer)) == (413, ["Bundle.entry"])
    large = b'{"resourceType":"Bundle","type":"transaction","entry":[' + b" " * 9_000_000 + b"]}"
    answer = gateway.feed(large)
    assert answer.status_code == 413
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_only_json_is_taken(space: RunningSpace) -> None:
    gateway = space.register()
    body = bundle_of([])
    for headers, status in (
        ({"Content-Type": "application/fhir+json; charset=UTF-8"}, 200),
        ({"Content-Type": "application/json"}, 200),
        ({"Content-Type": "application/fhir+xml"}, 415),
        ({"Content-Type": "application/fhir+json; charset=latin-1"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
    ):
        assert gateway.request("POST", "/fhir", body, headers=headers).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"resourceType":"Bundle"}',
        b'{"resourceType":"Bundle","type":"batch"}',
        b'{"resourceType":"Bundle","type":"transaction","entry":7}',
        b'{"resourceType":"Bundle","type":"transaction","entry":[NaN]}',
        b'{"resourceType":"Bundle","type":"transaction","total":' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_no_transaction_is_refused(space: RunningSpace, body: bytes) -> None:
    answer = space.register().feed(body)
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_an_empty_transaction_does_nothing(space: RunningSpace) -> None:
    answer = space.register().feed(bundle_of([]))
    assert (answer.status_code, answer.json()["type"]) == (200, "transaction-response")


def test_the_answer_is_in_the_language_that_is_asked_for(space: RunningSpace) -> None:
    headers = {"Accept-Language": "fr"}
    answer = space.register().request("POST", "/fhir", b"[]", headers=headers)
    assert answer.headers["content-language"] == "fr"
    assert "Bundle FHIR" in answer.json()["issue"][0]["diagnostics"]


def test_a_gateway_that_comes_too_often_is_told_when_to_come_back(space: RunningSpace) -> None:
    gateway, before = space.register(), space.pressure.gateways
    space.pressure.gateways = Limiter(0.1, 2)
    try:
        answers = [gateway.feed(bundle_of([])) for _ in range(3)]
    finally:
        space.pressure.gateways = before
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert answers[-1].json()["resourceType"] == "OperationOutcome"


@pytest.fixture(scope="module")
def damaging(running_space: RunningSpace) -> FeedingGateway:
    """A gateway that sends anything."""
    return running_space.register()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=damaged())
def test_any_json_at_all_is_taken_or_refused_in_words(damaging: FeedingGateway, body: bytes) -> None:
    answer = damaging.feed(body)
    assert answer.status_code in (200, 400, 403, 404, 413, 422), answer.text
    kind = answer.json()["resourceType"]
    assert kind == ("Bundle" if answer.status_code == 200 else "OperationOutcome")

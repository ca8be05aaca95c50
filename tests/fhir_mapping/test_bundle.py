"""Bundles hold what they refer to, and say what they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from device_profiles.reading import Kind
from fhir_mapping import bundle
from fhir_mapping.dialects.ans import ANS
from tests.fhir_mapping.examples import IDS, NOON, PATIENT, Placed, reading, series_of
from tests.fhir_mapping.surroundings import surroundings

SERIES = series_of(Placed(reading()), Placed(reading(Kind.INTERSTITIAL_GLUCOSE, sample=None), device=2))


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["reference"]} if isinstance(value.get("reference"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize(
    "made", [bundle.collection(SERIES, IDS, timestamp=NOON), bundle.transaction(SERIES, IDS)]
)
def test_every_reference_resolves_inside(made: bytes) -> None:
    said = json.loads(made)
    urls = [entry["fullUrl"] for entry in said["entry"]]
    assert len(set(urls)) == len(urls)
    assert references(said) <= set(urls)


def test_a_collection_holds_the_person_the_devices_and_the_readings() -> None:
    said = json.loads(bundle.collection(SERIES, IDS, timestamp=NOON, patient_name="Somebody"))
    assert said["type"] == "collection"
    assert said["timestamp"] == "2021-10-19T12:00:00Z"
    kinds = [entry["resource"]["resourceType"] for entry in said["entry"]]
    assert kinds == ["Patient", "Device", "Device", "Observation", "Observation"]
    assert said["entry"][0]["resource"]["name"] == [{"text": "Somebody"}]
    assert said["entry"][0]["resource"]["identifier"][0]["value"] == PATIENT.urn


def test_a_collection_of_nothing_still_says_whose_it_is() -> None:
    said = json.loads(bundle.collection(series_of(), IDS, timestamp=NOON))
    assert [entry["resource"]["resourceType"] for entry in said["entry"]] == ["Patient"]


def test_a_name_is_told_only_when_asked_for() -> None:
    person = json.loads(bundle.collection(SERIES, IDS, timestamp=NOON))["entry"][0]["resource"]
    assert "name" not in person


def test_a_device_tells_its_serial_number_only_when_asked_for() -> None:
    around = surroundings()
    assert b"0042" not in around["meter"]
    assert json.loads(around["meter with its serial number"])["serialNumber"] == "0042"


def test_a_device_known_by_its_address_has_the_identifier_of_hl7_phd() -> None:
    around = surroundings()
    by_address = json.loads(around["device by its address"])["identifier"][1]
    by_system_id = json.loads(around["device by its System ID"])["identifier"][1]
    assert by_address["value"] == "B0-49-5F-00-10-71"
    assert by_system_id["value"] == "71-10-00-FE-FF-5F-49-B0"
    assert by_system_id["system"] == "urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2680"


def test_a_transaction_creates_each_resource_once() -> None:
    entries = json.loads(bundle.transaction(SERIES, IDS))["entry"]
    assert [entry["request"]["method"] for entry in entries] == ["POST"] * 5
    conditions = [entry["request"]["ifNoneExist"] for entry in entries]
    assert len(set(conditions)) == 5
    for entry, condition in zip(entries, conditions, strict=True):
        identifier = entry["resource"]["identifier"][0]
        assert condition == f"identifier={identifier['system']}|{identifier['value']}"


def test_mon_espace_sante_gets_one_observation_one_device_and_the_person_by_reference() -> None:
    known = {"identifier": {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "0"}}
    said = json.loads(bundle.transaction(series_of(Placed(reading())), IDS, dialect=ANS, subject=known))
    assert [entry["resource"]["resourceType"] for entry in said["entry"]] == ["Device", "Observation"]
    assert said["entry"][1]["resource"]["subject"] == known
    assert said["entry"][0]["resource"]["patient"] == known
    assert references(said) == {said["entry"][0]["fullUrl"]}


def test_a_searchset_has_its_links_and_no_total_that_was_not_counted() -> None:
    links = {"next": "https://space.example/fhir?page=2", "self": "https://space.example/fhir"}
    said = json.loads(bundle.searchset(SERIES, IDS, base="https://space.example/fhir", links=links))
    assert [link["relation"] for link in said["link"]] == ["self", "next"]
    assert "total" not in said
    counted = json.loads(bundle.searchset(series_of(), IDS, base="x", links={}, total=0))
    assert counted == {"resourceType": "Bundle", "type": "searchset", "total": 0}


def test_a_bundle_has_a_time_with_a_zone_or_none() -> None:
    with pytest.raises(ValueError, match="time zone"):
        bundle.bundle("collection", [], timestamp=NOON.replace(tzinfo=None))


@pytest.mark.parametrize("name", surroundings())
def test_fhir_resources_accepts_what_stands_around(name: str) -> None:
    rendered = json.loads(surroundings()[name])
    model = get_fhir_model_class(rendered["resourceType"])
    assert json.loads(model.model_validate(rendered).model_dump_json()) == rendered

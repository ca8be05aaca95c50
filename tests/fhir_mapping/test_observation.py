"""What an Observation says, and what it must never say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from device_profiles.reading import UNKNOWN_DATE, Absent, Context, Flag, Kind, Sample, TimeSource
from fhir_mapping.dialects.ans import ANS
from fhir_mapping.errors import NotInDialect, NotOurObservation, TimeNeeded
from fhir_mapping.observation import Form, render, render_each, to_reading
from fhir_mapping.references import Address
from tests.fhir_mapping.examples import (
    BLOOD_PRESSURE,
    EXAMPLES,
    IDS,
    NOON,
    PATIENT,
    VALUES,
    WHOLE_CONTEXT,
    Placed,
    observation,
    reading,
    series_of,
)

GLUCOSE_CODES = {
    "41653-7",
    "14743-9",
    "2339-0",
    "15074-8",
    "2345-7",
    "14749-6",
    "99504-3",
    "105272-9",
    "MED-969",
}
GLUCOSE_CODES |= {"160020", "160184", "160188", "160192", "160196", "160200", "160204", "160212", "160364"}
GLUCOSE_CODES |= {"160368"}


def codes(concept: Any) -> set[str]:
    return {coding["code"] for coding in concept["coding"]}


@pytest.mark.parametrize(
    ("sample_type", "mass", "molar", "mdc"),
    [
        (None, "2339-0", "15074-8", "160020"),
        (0, "2339-0", "15074-8", "160020"),
        (1, "41653-7", "14743-9", "160184"),
        (2, "41653-7", "14743-9", "160188"),
        (3, "2339-0", "15074-8", "160192"),
        (4, "2345-7", "14749-6", "160196"),
        (5, "2339-0", "15074-8", "160200"),
        (6, "2345-7", "14749-6", "160204"),
        (7, "2339-0", "15074-8", "160364"),
        (8, "2345-7", "14749-6", "160368"),
        (9, "99504-3", "105272-9", "160212"),
        (15, "2339-0", "15074-8", "160020"),
    ],
)
def test_the_code_follows_the_sample_type_and_the_unit(
    sample_type: int | None, mass: str, molar: str, mdc: str
) -> None:
    sample = None if sample_type is None else Sample(sample_type, 1)
    for unit, loinc in {"mg/dL": mass, "mmol/L": molar}.items():
        said = observation(Placed(reading(value=VALUES[unit], unit=unit, sample=sample)))
        assert codes(said["code"]) == {loinc, mdc}


@pytest.mark.parametrize(
    "said",
    [
        reading(Kind.CONTROL_SOLUTION, sample=Sample(10, 4)),
        reading(Kind.CONTROL_SOLUTION, sample=Sample(1, 4)),
        reading(Kind.CONTROL_SOLUTION, value=Absent.ABOVE_RANGE, sample=None),
        reading(Kind.BLOOD_GLUCOSE, sample=Sample(10, 4)),
        reading(Kind.KETONE, "0.4", "mmol/L", context=Context(b"", meal=6)),
        reading(Kind.KETONE, "4", "mg/dL"),
    ],
)
def test_control_solution_and_ketone_have_no_glucose_code(said: Any) -> None:
    assert not codes(observation(Placed(said))["code"]) & GLUCOSE_CODES


def test_a_sensor_reading_conforms_to_hl7_cgm() -> None:
    for unit, loinc, profile, text in (
        ("mg/dL", "99504-3", "mass", "mg/dl"),
        ("mmol/L", "105272-9", "moles", "mmol/l"),
    ):
        placed = Placed(reading(Kind.INTERSTITIAL_GLUCOSE, VALUES[unit], unit, sample=None), device=2)
        said = observation(placed)
        assert said["meta"]["profile"] == [
            f"http://hl7.org/fhir/uv/cgm/StructureDefinition/cgm-sensor-reading-{profile}-per-volume"
        ]
        assert loinc in codes(said["code"])
        assert said["valueQuantity"]["unit"] == text
        assert said["category"][0]["coding"][0]["code"] == "laboratory"
        assert "meta" not in observation(replace(placed, effective=None))


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("119", "119"),
        ("6.6", "6.6"),
        ("2", "2"),
        ("2.0", "2.0"),
        ("2.00", "2.00"),
        ("2E+1", "20"),
        ("2E+2", "200"),
        ("-1234", "-1234"),
        ("0", "0"),
    ],
)
def test_a_value_has_the_digits_of_the_device(written: str, digits: str) -> None:
    """The table of HL7 PHD's page "FLOATS"."""
    rendered = render(series_of(Placed(reading(value=written))), IDS)
    assert re.findall(rb'"valueQuantity":\{"value":([^,]*),', rendered) == [digits.encode()]


@pytest.mark.parametrize(
    ("absent", "reason", "interpretation"),
    [
        (Absent.BELOW_RANGE, "negative-infinity", "<"),
        (Absent.ABOVE_RANGE, "positive-infinity", ">"),
        (Absent.NOT_A_NUMBER, "not-a-number", None),
        (Absent.NOT_AT_RESOLUTION, "error", None),
        (Absent.RESERVED, "error", None),
    ],
)
def test_an_absent_value_has_a_reason_and_no_number(
    absent: Absent, reason: str, interpretation: str | None
) -> None:
    said = observation(Placed(reading(value=absent)))
    assert "valueQuantity" not in said
    assert reason in codes(said["dataAbsentReason"])
    found = [code for concept in said.get("interpretation", []) for code in codes(concept)]
    assert found == ([interpretation] if interpretation else [])


def test_the_time_is_the_persons_own_with_its_offset() -> None:
    placed = Placed(reading())
    for minutes, text in {
        120: "2021-10-19T14:00:00+02:00",
        0: "2021-10-19T12:00:00Z",
        -570: "2021-10-19T02:30:00-09:30",
        345: "2021-10-19T17:45:00+05:45",
        -840: "2021-10-18T22:00:00-14:00",
        900: "2021-10-19T12:00:00Z",
    }.items():
        assert observation(replace(placed, utc_offset_minutes=minutes))["effectiveDateTime"] == text
    fraction = replace(placed, effective=NOON.replace(microsecond=1200))
    assert observation(fraction)["effectiveDateTime"] == "2021-10-19T14:00:00.001200+02:00"
    before_1970 = replace(placed, effective=NOON.replace(year=1969), utc_offset_minutes=0)
    assert observation(before_1970)["effectiveDateTime"] == "1969-10-19T12:00:00Z"


def test_an_unknown_time_is_said_to_be_unknown() -> None:
    said = observation(Placed(reading(), effective=None, source=TimeSource.UNKNOWN))
    assert "effectiveDateTime" not in said
    assert said["_effectiveDateTime"]["extension"] == [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"},
        {"url": "urn:passerelle:time-source", "valueCode": "unknown"},
    ]


def test_how_a_time_is_known_is_said_unless_it_is_the_devices() -> None:
    assert "_effectiveDateTime" not in observation(Placed(reading()))
    for source in (TimeSource.DEVICE_CORRECTED, TimeSource.ORDERED):
        said = observation(Placed(reading(), source=source))
        assert said["effectiveDateTime"] == "2021-10-19T14:00:00+02:00"
        assert said["_effectiveDateTime"]["extension"] == [
            {"url": "urn:passerelle:time-source", "valueCode": source.slug}
        ]


def test_our_identifier_is_the_key_without_what_was_inferred() -> None:
    first = observation(Placed(reading()))["identifier"][0]
    assert first["system"] == "urn:passerelle:reading"
    digest, rest = first["value"].split("/", 1)
    assert rest == "2021-10-19T08:03:35/11/0/blood-glucose"
    assert re.fullmatch("[0-9a-f]{32}", digest)
    corrected = Placed(reading(), effective=NOON.replace(hour=1), source=TimeSource.DEVICE_CORRECTED)
    assert observation(corrected)["identifier"][0] == first
    assert observation(Placed(reading(), ordinal=1))["identifier"][0] != first


def test_a_reading_moved_to_another_person_has_another_identifier() -> None:
    mine, theirs = (
        replace(series_of(Placed(reading())), patient_uuid=uuid) for uuid in (PATIENT, type(PATIENT)(int=9))
    )
    values = {json.loads(render(one, IDS))["identifier"][0]["value"] for one in (mine, theirs)}
    assert len(values) == 2


def test_no_serial_number_leaves_in_an_observation() -> None:
    assert b"0042" not in render(series_of(Placed(reading())), IDS)


def test_the_phd_identifier_is_second_and_counts_seconds_since_2000() -> None:
    second = observation(Placed(reading()))["identifier"][1]
    assert second["system"] == "http://hl7.org/fhir/uv/phd/StructureDefinition/PhdBaseObservation"
    assert second["value"].endswith(f"-{PATIENT.urn}-urn:ietf:rfc:3986-160184-687945815")


def test_a_reading_without_a_date_or_from_a_file_has_only_our_identifier() -> None:
    undated = Placed(reading(recorded_at=UNKNOWN_DATE), effective=None)
    of_file = Placed(reading(Kind.INTERSTITIAL_GLUCOSE), device=2)
    rendered = render(series_of(undated, of_file, Placed(reading())), IDS)
    assert [len(one["identifier"]) for one in json.loads(b"[%s]" % rendered)] == [1, 1, 2]


def test_every_field_of_the_context_is_a_component() -> None:
    parts = observation(Placed(reading(context=WHOLE_CONTEXT)))["component"]
    said = {code: part for part in parts for code in codes(part["code"])}
    assert codes(said["8417864"]["valueCodeableConcept"]) == {"8417868", "1"}
    assert said["8417772"]["valueQuantity"]["value"] == 60
    assert said["8417772"]["valueQuantity"]["code"] == "g"
    assert said["8417800"]["valueQuantity"]["value"] == 0.004
    assert said["8417800"]["valueQuantity"]["code"] == "mL"
    assert said["55411-3"]["valueQuantity"]["value"] == 1800
    assert said["8417760"]["valueQuantity"]["value"] == 60
    assert codes(said["8417820"]["valueCodeableConcept"]) == {"8417840", "5"}
    assert codes(said["8417884"]["valueCodeableConcept"]) == {"8417888", "1"}
    assert said["4548-4"]["valueQuantity"]["value"] == 7.2


def test_a_duration_beyond_the_devices_range_is_at_least_that() -> None:
    part = observation(Placed(reading(context=Context(b"", exercise_seconds=65535))))["component"][0]
    assert part["valueQuantity"]["comparator"] == ">="


def test_a_number_that_the_specification_reserves_is_kept() -> None:
    part = observation(Placed(reading(context=Context(b"", meal=9))))["component"][0]
    assert part["valueCodeableConcept"]["coding"] == [{"system": "urn:passerelle:meal", "code": "9"}]


def test_each_status_bit_is_a_component() -> None:
    parts = observation(Placed(reading(flags=Flag.DEVICE_BATTERY_LOW | Flag.TIME_FAULT)))["component"]
    assert [codes(part["code"]) for part in parts] == [
        {"8417752.0", "device-battery-low"},
        {"time-fault"},
    ]
    assert all(part["valueBoolean"] is True for part in parts)


def test_the_place_of_the_sample_is_a_body_site() -> None:
    assert codes(observation(Placed(reading(sample=Sample(1, 3))))["bodySite"]) == {"8417856"}
    for location in (0, 4, 15):
        assert "bodySite" not in observation(Placed(reading(sample=Sample(1, location))))


def test_what_the_person_says_of_a_reading_stands_in_it() -> None:
    said = observation(Placed(reading(), note="  after\x07 a walk ", excluded=True))
    assert said["note"] == [{"text": "after  a walk"}]
    assert {"url": "urn:passerelle:excluded", "valueBoolean": True} in said["extension"]
    assert "note" not in observation(Placed(reading(), note=" \x00 "))


def test_a_blood_pressure_has_its_numbers_as_components() -> None:
    said = observation(
        Placed(reading(Kind.BLOOD_PRESSURE, "122", "mm[Hg]", sample=None, others=BLOOD_PRESSURE))
    )
    assert "valueQuantity" not in said
    assert codes(said["code"]) == {"85354-9", "150020"}
    assert [part.get("valueQuantity", {}).get("value") for part in said["component"]] == [122, 79, None, 64]


def test_on_a_server_references_are_relative_and_urls_are_the_servers() -> None:
    series = series_of(Placed(reading()))
    rendered = render(series, IDS, form=Form.SEARCHSET, address=Address("https://space.example/fhir/"))
    entry = json.loads(rendered)
    assert entry["fullUrl"] == f"https://space.example/fhir/Observation/{entry['resource']['id']}"
    assert entry["resource"]["subject"]["reference"] == f"Patient/{IDS.patient(7)}"
    assert entry["resource"]["device"]["reference"] == f"Device/{IDS.device(7, 1)}"
    assert entry["search"] == {"mode": "match"}


def test_an_entry_of_a_transaction_is_created_once_by_our_identifier() -> None:
    entry = json.loads(render(series_of(Placed(reading())), IDS, form=Form.TRANSACTION))
    value = entry["resource"]["identifier"][0]["value"]
    assert entry["request"] == {
        "method": "POST",
        "url": "Observation",
        "ifNoneExist": f"identifier=urn:passerelle:reading|{value}",
    }


def test_one_by_one_is_the_same_as_all_together() -> None:
    series = series_of(*(placed for (dialect, _), placed in EXAMPLES.items() if dialect is not ANS))
    for form in Form:
        assert b",".join(render_each(series, IDS, form=form)) == render(series, IDS, form=form)


def test_an_empty_series_renders_to_nothing() -> None:
    assert render(series_of(), IDS) == b""
    assert render_each(series_of(), IDS) == []


def test_a_kind_without_a_code_is_refused() -> None:
    with pytest.raises(NotInDialect):
        observation(Placed(reading(Kind.BODY_COMPOSITION, "70", "kg")))


def test_mon_espace_sante_gets_its_own_code_systems_and_the_moment() -> None:
    for context, moment in (
        (Context(b"", meal=1, exercise_seconds=60), "88365-2"),
        (Context(b"", meal=2), "16915-1"),
        (Context(b"", meal=3), "53049-3"),
        (Context(b"", meal=4), "LA46-8"),
        (Context(b"", meal=5), "LA46-8"),
        (Context(b"", exercise_seconds=60), "LA11865-5"),
    ):
        said = observation(Placed(reading(context=context)), dialect=ANS)
        assert codes(said["code"]) == {"2345-7"}
        assert said["code"]["coding"][0]["system"].startswith("https://mos.esante.gouv.fr/")
        assert said["extension"][-1]["valueCodeableConcept"]["coding"][0]["code"] == moment
        assert "component" not in said
    assert "component" in observation(Placed(reading(flags=Flag.SENSOR_MALFUNCTION)), dialect=ANS)


@pytest.mark.parametrize(
    "said",
    [
        reading(value="6.6", unit="mmol/L"),
        reading(Kind.KETONE, "0.4", "mmol/L"),
        reading(Kind.CONTROL_SOLUTION),
        reading(sample=Sample(10, 4)),
    ],
)
def test_mon_espace_sante_is_not_given_what_it_has_no_word_for(said: Any) -> None:
    with pytest.raises(NotInDialect):
        observation(Placed(said), dialect=ANS)


def test_mon_espace_sante_takes_no_reading_without_a_time() -> None:
    with pytest.raises(TimeNeeded):
        observation(Placed(reading(), effective=None), dialect=ANS)


def test_no_number_has_more_digits_than_were_written() -> None:
    for (dialect, _), placed in EXAMPLES.items():
        numbers: list[str] = []
        rendered = render(series_of(placed), IDS, dialect=dialect)
        json.loads(rendered, parse_float=numbers.append)
        assert all(len(text) <= 8 for text in numbers)


@pytest.mark.parametrize(
    "foreign",
    [
        {},
        {"identifier": [{"system": "urn:other", "value": "1"}]},
        {"identifier": [{"system": "urn:passerelle:reading", "value": "1"}]},
        {"identifier": [{"system": "urn:passerelle:reading", "value": "a/2021-10-19T08:03:35/1/0/x"}]},
        {"identifier": [{"system": "urn:passerelle:reading", "value": "a/2021-10-19T08:03:35/1/0/ketone"}]},
    ],
)
def test_an_observation_of_another_is_refused(foreign: Any) -> None:
    with pytest.raises(NotOurObservation):
        to_reading(foreign)

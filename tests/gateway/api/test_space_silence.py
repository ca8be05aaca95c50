"""What a space writes down of its work names nobody: no person, no reading, no token, no id."""

from __future__ import annotations

import logging

import pytest

from fhir_mapping import asked, received
from gateway.api import auth, outcomes
from gateway.api import space as writing_side
from gateway.language import translate
from gateway.space import transaction
from tests.gateway.api.space_serving import RunningSpace, bundle_of, entries, names, sensor, sent

CLIENTS = ("httpx", "httpcore", "hypothesis")
"""Who logs on the test's own side."""


def test_no_line_of_the_log_names_a_person_a_reading_or_a_token(
    space: RunningSpace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = space.code()
    gateway, told = space.register(code), sensor(3)
    changed = entries(told)
    changed[0]["resource"]["name"] = [{"text": "Madame Curie"}]
    (first, *_) = names(gateway.feed(bundle_of(changed)))
    changed[2]["resource"]["valueQuantity"]["value"] = "not a number"
    assert gateway.feed(bundle_of(changed)).status_code == 422
    assert gateway.request("PUT", f"/fhir/Observation/{first}", b"{}").status_code == 422
    assert gateway.request("DELETE", f"/fhir/Observation/{first}").status_code == 204
    assert space.register().feed(sent(told)).status_code == 200
    lines = [
        f"{record.name} {record.getMessage()} {vars(record)}"
        for record in caplog.records
        if not record.name.startswith(CLIENTS)
    ]
    digest = changed[1]["resource"]["identifier"][0]["value"]
    secrets = (code, gateway.token, gateway.secret, gateway.client_id, first, digest, "Curie")
    for secret in (*secrets, str(told.patient_uuid), "not a number"):
        assert [line for line in lines if secret in line] == []


def test_a_refusal_repeats_nothing_of_what_was_sent(space: RunningSpace) -> None:
    changed = entries(sensor(1))
    changed[0]["resource"]["Madame Curie"] = "Madame Curie"
    changed[2]["resource"]["Madame Curie"] = "Madame Curie"
    answer = space.register().feed(bundle_of(changed))
    assert answer.status_code == 422
    assert "Curie" not in answer.text


def test_every_sentence_of_a_space_has_its_french() -> None:
    sentences = [
        text
        for module in (auth, outcomes, writing_side, transaction, received, asked)
        for name, text in vars(module).items()
        if name.isupper() and isinstance(text, str) and text.count(" ") > 3 and name != "SCOPE"
    ]
    assert len(sentences) >= 20
    assert [text for text in sentences if translate(text, "fr") == text] == []

"""Judges that are not ours accept every Observation there can be, and say the same as the bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.observation import Observation

from device_profiles.reading import ReadingSeries
from fhir_mapping import bundle
from fhir_mapping.dialects import Dialect
from fhir_mapping.observation import Form, render
from tests.fhir_mapping.examples import EXAMPLES, IDENTIFIERS, IDS, NOON, international, series_of
from tests.fhir_mapping.surroundings import surroundings

NODE = Path(__file__).parent.parent / "node"

node = pytest.mark.node
without_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules" / "@medplum").is_dir(),
    reason="Node.js is missing (Debian: apt install nodejs npm), or `make test` has not installed tests/node",
)


def parsed(text: bytes | str) -> Any:
    return json.loads(text, parse_float=Decimal)


def judged(resources: dict[str, Any]) -> list[Any]:
    """What the JavaScript validator finds wrong, in one run for all."""
    lines = "\n".join(
        json.dumps({"name": name, "resource": resource}) for name, resource in resources.items()
    )
    done = subprocess.run(
        ["node", "validate.mjs"],
        cwd=NODE,
        input=lines,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("dialect", "name"), EXAMPLES, ids=IDENTIFIERS)
def test_fhir_resources_accepts_the_bytes_and_dumps_the_same(dialect: Dialect, name: str) -> None:
    rendered = render(series_of(EXAMPLES[dialect, name]), IDS, dialect=dialect)
    assert parsed(Observation.model_validate_json(rendered).model_dump_json()) == parsed(rendered)


@pytest.mark.parametrize("form", ["collection", "searchset", "transaction"])
def test_fhir_resources_accepts_a_bundle_of_every_example(form: str) -> None:
    rendered = whole_bundles()[form]
    assert parsed(Bundle.model_validate_json(rendered).model_dump_json()) == parsed(rendered)


def every_one() -> ReadingSeries:
    """All examples in one series, under keys of their own."""
    placed = []
    for number, one in enumerate(international().values()):
        identity = replace(one.reading.identity, sequence=number)
        placed.append(replace(one, reading=replace(one.reading, identity=identity)))
    return series_of(*placed)


def whole_bundles() -> dict[str, bytes]:
    series = every_one()
    return {
        "collection": bundle.collection(series, IDS, timestamp=NOON, patient_name="Somebody"),
        "searchset": bundle.searchset(
            series, IDS, base="https://space.example/fhir", links={"self": "https://space.example/fhir?x=y"}
        ),
        "transaction": bundle.transaction(series, IDS),
    }


@node
@without_node
def test_an_r4_validator_finds_nothing_wrong_with_any_observation() -> None:
    resources = {
        f"{dialect.name} {name}": json.loads(render(series_of(placed), IDS, dialect=dialect))
        for (dialect, name), placed in EXAMPLES.items()
    }
    assert judged(resources) == []


@node
@without_node
def test_an_r4_validator_finds_nothing_wrong_with_whole_bundles_and_what_stands_around() -> None:
    bundles = {name: json.loads(rendered) for name, rendered in whole_bundles().items()}
    others = {name: json.loads(rendered) for name, rendered in surroundings().items()}
    assert judged({**bundles, **others}) == []


@node
@without_node
def test_the_r4_validator_does_find_what_is_wrong() -> None:
    resource = json.loads(render(series_of(international()["sample-1-1-mg/dL"]), IDS))
    wrong = {
        "status": {**resource, "status": "bogus"},
        "member": {**resource, "colour": "red"},
        "time": {**resource, "effectiveDateTime": "yesterday"},
        "comparator": {**resource, "valueQuantity": {**resource["valueQuantity"], "comparator": "~"}},
        "two answers": {**resource, "dataAbsentReason": {"text": "why"}},
    }
    assert {one["name"] for one in judged(wrong)} == set(wrong)


def test_observations_in_a_bundle_are_those_rendered_alone_with_their_urls() -> None:
    series = every_one()
    entries = parsed(b"[%s]" % render(series, IDS, form=Form.COLLECTION))
    alone = parsed(b"[%s]" % render(series, IDS))
    assert [entry["resource"] for entry in entries] == alone
    urls = [entry["fullUrl"] for entry in entries]
    assert [url.removeprefix("urn:uuid:").replace("-", "") for url in urls] == [one["id"] for one in alone]

"""What a gateway sends is taken apart or refused in words, whatever it is."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_mapping import ingest
from fhir_mapping.bundle import change, transaction
from fhir_mapping.errors import MappingError
from fhir_mapping.ingest import EntriesRefused
from fhir_mapping.observation import render
from tests.fhir_mapping.examples import IDS, international, series_of

TOLD = series_of(*list(international().values())[::60])
ENTRIES: list[Any] = json.loads(transaction(TOLD, IDS, zone="Europe/Paris"))["entry"]
ENTRIES += [
    json.loads(change(render(series_of(next(iter(international().values()))), IDS), "0" * 32, 'W/"1"'))
]
ENTRIES += [{"request": {"method": "DELETE", "url": f"Observation/{'0' * 32}"}}]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A transaction in which anything, anywhere, was replaced by anything, or is gone."""
    root: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": json.loads(json.dumps(draw(st.lists(st.sampled_from(ENTRIES), min_size=1, max_size=4)))),
    }
    for _ in range(draw(st.integers(1, 3))):
        place: Any = root
        key: Any = "entry"
        while isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 9)):
            place = place[key]
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if draw(st.booleans()):
            place[key] = draw(json_values)
        else:
            del place[key]
            root.setdefault("entry", [])
    return json.dumps(root).encode("utf-8", "surrogatepass")


@settings(deadline=None, max_examples=300)
@given(damaged())
def test_anything_is_taken_apart_or_refused_by_its_place(body: bytes) -> None:
    wrong = None
    try:
        ingest.transaction(body)
    except EntriesRefused as refused:
        wrong = refused.wrong
    except MappingError:
        return
    for one in wrong or ():
        assert one.expression.startswith("Bundle.entry[")
        assert one.why
    assert wrong is None or wrong


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(body: bytes) -> None:
    try:
        ingest.transaction(body)
    except MappingError:
        return
    raise AssertionError("these bytes are no transaction")

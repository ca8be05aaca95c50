"""What a gateway sends is taken apart or refused in words, whatever it is."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.reading import Flag, Kind, RecordIdentity, Sample
from fhir_mapping import ingest
from fhir_mapping.bundle import change, transaction
from fhir_mapping.codes import STATUS
from fhir_mapping.errors import MappingError
from fhir_mapping.ingest import EntriesRefused
from fhir_mapping.observation import render
from tests.fhir_mapping.examples import (
    IDS,
    METER,
    PATIENT,
    RECORDED,
    Placed,
    international,
    reading,
    series_of,
)

START = b'{"resourceType":"Bundle","type":"transaction","entry":['
SENSOR = transaction(
    series_of(
        *(
            Placed(
                reading(
                    Kind.INTERSTITIAL_GLUCOSE,
                    str(70 + number * 7 % 180),
                    sample=None,
                    recorded_at=RECORDED + timedelta(minutes=5 * number),
                    sequence=number,
                ),
                effective=RECORDED + timedelta(minutes=5 * number),
            )
            for number in range(40)
        )
    ),
    IDS,
)
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


def as_rows(told: ingest.Transaction) -> list[tuple[Any, ...]]:
    """The creations of a transaction as they compare, in the order of its entries."""
    rows = [
        (one.entry, one.said.identifier, one.said.effective, one.said.reading.quantities, one.said.subject)
        for one in told.creations
    ]
    for run in told.runs:
        model = run.model
        series = run.series(1, PATIENT, 1, METER)
        for row, entry in enumerate(run.entries.tolist()):
            identity = RecordIdentity(micro(series.recorded_at[row]), int(series.sequence[row]))
            value = Decimal(int(series.mantissa[row])).scaleb(int(series.exponent[row]))
            quantity = replace(model.reading.quantities[0], value=value)
            reading = replace(model.reading, identity=identity, quantities=(quantity,))
            said = replace(model, reading=reading, effective=int(series.effective_time[row]))
            rows.append((entry, said.identifier, said.effective, reading.quantities, said.subject))
    return sorted(rows)


def micro(time: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(time))


@st.composite
def long_transactions(draw: st.DrawFn) -> bytes:
    """Readings of few shapes, some of them of their own, in any order."""
    kinds = st.sampled_from([(Kind.INTERSTITIAL_GLUCOSE, None), (Kind.BLOOD_GLUCOSE, Sample(1, 1))])
    shapes = draw(st.lists(st.tuples(kinds, st.sampled_from([0, 60, 120, -570])), min_size=1, max_size=3))
    values = st.sampled_from(["119", "6.6", "5.50", "0", "-3", "1000000", "0.001", "72.35"])
    placed = []
    for number in range(draw(st.integers(20, 60))):
        (kind, sample), offset = draw(st.sampled_from(shapes))
        at = datetime(draw(st.sampled_from([1600, 1999, 2026])), 2, 28, 23, 59, 50, tzinfo=UTC)
        at += timedelta(seconds=7 * number)
        said = reading(
            kind, draw(values), recorded_at=at, sequence=draw(st.integers(0, 2**22 - 1)), sample=sample
        )
        shift = timedelta(seconds=draw(st.sampled_from([0, 3600, -86_400])))
        own = draw(st.integers(0, 9)) == 0
        placed.append(
            Placed(
                replace(said, flags=Flag(1)) if own else said,
                effective=at + shift,
                utc_offset_minutes=offset,
                note="of its own" if own else None,
            )
        )
    return transaction(series_of(*placed), IDS)


@settings(deadline=None, max_examples=60)
@given(long_transactions())
def test_read_by_shapes_and_read_one_by_one_a_bundle_says_the_same(body: bytes) -> None:
    by_shapes = ingest.transaction(body)
    one_by_one = ingest._entry_by_entry(body.decode())
    assert not one_by_one.runs
    assert as_rows(by_shapes) == as_rows(one_by_one)
    assert (by_shapes.entries, by_shapes.people, by_shapes.meters) == (
        one_by_one.entries,
        one_by_one.people,
        one_by_one.meters,
    )


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_damaged_letter_anywhere_is_found_by_both_ways_of_reading(data: st.DataObject) -> None:
    """By shapes learnt from the whole Bundle, and one by one: both take it, and the same, or neither does."""
    place = data.draw(st.integers(len(START), len(SENSOR) - 1))
    letter = data.draw(st.sampled_from(b'0159az"\\{}[]:,-/ \x00\xc3'))
    body = SENSOR[:place] + bytes([letter]) + SENSOR[place + 1 :]
    told = []
    for read in (ingest.transaction, lambda body: ingest._entry_by_entry(body.decode())):
        try:
            told.append(as_rows(read(body)))
        except (MappingError, UnicodeDecodeError):
            told.append([])
    assert told[0] == told[1]


def test_most_of_a_sensor_s_bundle_is_read_by_one_shape() -> None:
    told = ingest.transaction(SENSOR)
    assert sum(len(run.entries) for run in told.runs) + len(told.creations) == 40
    assert len(told.creations) <= 1


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        (b'"value":77,', b'"value":7777777777,', "Bundle.entry[3].resource"),
        (b"2021-10-19T08:18", b"2021-10-39T08:18", "Bundle.entry[5].resource"),
    ],
)
def test_a_number_or_a_date_that_no_column_holds_is_refused_by_its_entry(
    right: bytes, wrong: bytes, place: str
) -> None:
    with pytest.raises(EntriesRefused) as refused:
        ingest.transaction(SENSOR.replace(right, wrong))
    assert [one.expression for one in refused.value.wrong] == [place]


HUGE = (b"1E3000000", b"-9.9E+3000000", b"0E3000000", b"1E-3000000", b"1E9999999999999999999", b'"1E3000000"')
"""As JSON writes them, a string among them, which is read as a number too."""


def with_numbers(number: bytes) -> list[bytes]:
    """Each Bundle with this number in another place of an Observation where one stands."""
    found = []
    for named in international().values():
        told = transaction(series_of(named), IDS)
        found += [
            told[: match.start(1)] + number + told[match.end(1) :]
            for match in re.finditer(rb'"(?:value|valueInteger|code)":("?[0-9.]+"?)[,}]', told)
            if match.start() > told.index(b'"resourceType":"Observation"')
        ]
    return found


@pytest.mark.parametrize("number", HUGE)
def test_a_number_of_millions_of_digits_is_refused_before_anything_is_reckoned_with_it(number: bytes) -> None:
    bodies = with_numbers(number)
    assert len(bodies) > 100
    for body in bodies[:: len(bodies) // 60]:
        began = time.process_time()
        with pytest.raises(EntriesRefused):
            ingest.transaction(body)
        assert time.process_time() - began < 1


def test_a_status_bit_of_a_billion_is_refused() -> None:
    named = next(iter(international().values()))
    entry = json.loads(transaction(series_of(named), IDS))["entry"]
    entry[2]["resource"]["component"] = [
        {"code": {"coding": [{"system": STATUS, "code": "reserved-9999999999"}]}, "valueBoolean": True}
    ]
    with pytest.raises(EntriesRefused):
        ingest.transaction(
            json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entry}).encode()
        )

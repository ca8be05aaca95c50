"""The search grammar: what each parameter means, and that whatever is sent ends in a query or in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.reading import UNITS, UNKNOWN_TIME, Device, DeviceIdentity, Kind
from fhir_mapping import dates
from fhir_mapping.cursors import Cursor, Cursors
from fhir_mapping.dates import Stretch, both, either, stretches_of
from fhir_mapping.errors import (
    ChoiceNotUnderstood,
    CountNotUnderstood,
    CursorNotOurs,
    DateNotUnderstood,
    FormatNotOffered,
    ModifierUnknown,
    ParameterUnknown,
    ReferenceNotUnderstood,
    SearchError,
    TokenNotUnderstood,
    TooManyValues,
)
from fhir_mapping.identifiers import device_digest
from fhir_mapping.query import ObservationQuery, case_of, cases, rows_of
from fhir_mapping.search import Asked, Key, split, understand
from tests.fhir_mapping.examples import IDS, METER, PATIENT, Placed, reading, series_of

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 3, 12, 12, tzinfo=UTC)
FILE = Device(DeviceIdentity("file", "generic/interstitial-glucose"))
ASKED = Asked(
    base="https://space.example/fhir",
    ids=IDS,
    cursors=Cursors(IDS.cursor_key()),
    patient_id=7,
    patient_uuid=PATIENT,
    grant="a grant",
    zone=PARIS,
    now=NOW,
    devices={1: METER, 2: FILE},
)


def understood(query: str, **other: object) -> ObservationQuery:
    parameters = parse_qsl(query, keep_blank_values=True)
    return understand(parameters, replace(ASKED, **other))  # type: ignore[arg-type]


def at(text: str) -> int:
    return dates.micros(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("2026", "2026-01-01T00:00+01:00", "2027-01-01T00:00+01:00"),
        ("2026-12", "2026-12-01T00:00+01:00", "2027-01-01T00:00+01:00"),
        ("2026-03-29", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        ("2026-10-25", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("2026-03-02T08:30", "2026-03-02T08:30+01:00", "2026-03-02T08:31+01:00"),
        ("2026-03-02T08:30Z", "2026-03-02T08:30+00:00", "2026-03-02T08:31+00:00"),
        ("2026-03-02T08:30:15-05:00", "2026-03-02T08:30:15-05:00", "2026-03-02T08:30:16-05:00"),
        ("2026-03-02T08:30:15 02:00", "2026-03-02T08:30:15+02:00", "2026-03-02T08:30:16+02:00"),
        ("2026-03-02T08:30:15.25Z", "2026-03-02T08:30:15.25+00:00", "2026-03-02T08:30:15.26+00:00"),
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00+00:00", "2026-07-01T00:00:01+00:00"),
    ],
)
def test_a_value_is_all_the_time_that_its_precision_leaves(value: str, start: str, end: str) -> None:
    assert stretches_of(value, PARIS, NOW) == [(at(start), at(end))]
    assert stretches_of(f"eq{value}", PARIS, NOW) == [(at(start), at(end))]


@pytest.mark.parametrize(
    ("prefix", "meant"),
    [
        ("ne", [(None, 0), (1, None)]),
        ("gt", [(1, None)]),
        ("sa", [(1, None)]),
        ("lt", [(None, 0)]),
        ("eb", [(None, 0)]),
        ("ge", [(0, None)]),
        ("le", [(None, 1)]),
    ],
)
def test_a_prefix_says_which_side_of_the_value(prefix: str, meant: list[Stretch]) -> None:
    ends = (at("2026-03-02T00:00+01:00"), at("2026-03-03T00:00+01:00"))
    expected = [tuple(None if one is None else ends[one] for one in stretch) for stretch in meant]
    assert stretches_of(f"{prefix}2026-03-02", PARIS, NOW) == expected


def test_about_a_date_is_a_tenth_of_its_distance_more() -> None:
    [(start, end)] = stretches_of("ap2026-03-02T12:00:00Z", PARIS, NOW)
    assert start == at("2026-03-01T12:00+00:00")
    assert end == at("2026-03-03T12:00:01+00:00")


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "26", "2026-3", "2026-02-30", "2026-13", "0000", "2026-03-02T", "2026-03-02T24:00Z",
     "2026-03-02T08", "2026-03-02T08:30+15:00", "2026-03-02T08:30+02:60", "xx2026", "2026Z", "-2026"],
)  # fmt: skip
def test_what_is_no_date_is_refused(value: str) -> None:
    with pytest.raises(DateNotUnderstood):
        stretches_of(value, PARIS, NOW)


def test_the_last_day_of_the_calendar_has_no_end() -> None:
    assert stretches_of("9999", PARIS, NOW) == [(at("9999-01-01T00:00+01:00"), None)]
    assert stretches_of("gt9999-12-31", PARIS, NOW) == []


ends = st.none() | st.integers(0, 12)
some_stretches = st.lists(st.tuples(ends, ends), max_size=5)


@given(some_stretches, some_stretches)
def test_stretches_together_are_their_times_together(mine: list[Stretch], theirs: list[Stretch]) -> None:
    def times(stretches: list[Stretch]) -> set[int]:
        return {
            time
            for time in range(-2, 15)
            if any((s is None or time >= s) and (e is None or time < e) for s, e in stretches)
        }

    one, other = either(mine), either(theirs)
    assert times(one) == times(mine)
    assert times(both(one, other)) == times(mine) & times(theirs)
    assert one == sorted(one, key=lambda stretch: -100 if stretch[0] is None else stretch[0])


def test_dates_of_one_parameter_are_alternatives_and_several_parameters_hold_together() -> None:
    query = understood("date=2026-03-01,2026-03-03&date=ge2026-03-01T12:00")
    assert query.stretches == (
        (at("2026-03-01T12:00+01:00"), at("2026-03-02T00:00+01:00")),
        (at("2026-03-03T00:00+01:00"), at("2026-03-04T00:00+01:00")),
    )
    assert understood("date=2026-03-01&date=2026-03-02").nothing
    assert understood("").stretches is None


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ("99504-3", {Kind.INTERSTITIAL_GLUCOSE, Kind.BLOOD_GLUCOSE}),
        ("http://loinc.org|85354-9", {Kind.BLOOD_PRESSURE}),
        ("urn:iso:std:iso:11073:10101|150020", {Kind.BLOOD_PRESSURE}),
        ("85354-9,29463-7", {Kind.BLOOD_PRESSURE, Kind.BODY_WEIGHT}),
        ("|85354-9", set()),
        ("http://loinc.org|150020", set()),
        ("8480-6", set()),
        ("urn:passerelle:kind|CONTROL-SOLUTION", {Kind.CONTROL_SOLUTION, Kind.BLOOD_GLUCOSE}),
    ],
)
def test_a_code_is_the_cases_it_names(asked: str, kinds: set[Kind]) -> None:
    query = understood(f"code={asked}")
    assert {Kind(case >> 12) for case in query.cases or ()} == kinds
    assert query.nothing == (not kinds)


def test_a_code_tells_sample_types_and_units_apart() -> None:
    capillary = understood("code=41653-7")
    assert capillary.packed_cases() == tuple(
        Kind.BLOOD_GLUCOSE * 4096 + UNITS.index("mg/dL") * 32 + sample + 1 for sample in (1, 2)
    )
    assert understood("code=http://loinc.org|").kinds is not None
    pressure = understood("code=85354-9")
    assert (pressure.kinds, pressure.packed_cases()) == ((Kind.BLOOD_PRESSURE,), None)


def test_every_case_has_the_row_that_rendering_gives_it() -> None:
    series = series_of(Placed(reading()), Placed(reading(Kind.INTERSTITIAL_GLUCOSE, sample=None)))
    assert set(case_of(series).tolist()) <= set(cases())
    assert understood("").matching(series).all()
    assert understood("code=99504-3,105272-9").matching(series).tolist() == [False, True]


def test_what_no_device_sent_is_told_apart_by_its_category() -> None:
    assert understood("category=phd").devices == frozenset({1})
    assert understood("category=laboratory").devices is None
    assert understood("category=vital-signs,laboratory").packed_cases() is not None
    mixed = understood("category=vital-signs,phd")
    assert mixed.devices is None
    assert mixed.file_cases is not None


def test_a_person_is_found_by_each_way_to_write_the_reference() -> None:
    own = IDS.patient(7)
    for name in ("patient", "subject", "patient:Patient", "subject:Patient"):
        for value in (own, f"Patient/{own}", f"https://space.example/fhir/Patient/{own}", f"x,{own}"):
            assert not understood(f"{name}={value}").nothing, (name, value)
    for value in (
        "x",
        IDS.patient(8),
        f"Device/{own}",
        f"https://other.example/fhir/Patient/{own}",
        "Group/1",
    ):
        query = understood(f"patient={value}")
        assert query.nothing
        assert query.other_person
    with pytest.raises(ReferenceNotUnderstood):
        understood("patient=Patient/")


def test_a_device_and_a_reading_are_found_by_their_ids() -> None:
    assert understood(f"device={IDS.device(7, 2)},Device/{IDS.device(7, 9)}").devices == frozenset({2})
    assert understood(f"device={IDS.device(8, 2)}").nothing
    series = series_of(Placed(reading()))
    key = Key(int(series.recorded_at[0]), int(series.sequence[0]), 1, 0)
    own = understood(f"_id={IDS.of_series(series)[0]}", patient_id=series.patient_id)
    assert own.keys == frozenset({key})
    assert understood(f"_id={IDS.of_series(series)[0]}", patient_id=99).nothing
    digest = device_digest(PATIENT, METER.identity)
    found = understood(f"identifier=urn:passerelle:reading|{digest}/2026-03-02T08:00:00/5/0/blood-glucose")
    assert found.keys == frozenset({Key(at("2026-03-02T08:00:00+00:00"), 5, 1, 0)})
    assert understood(f"identifier=urn:other|{digest}/2026-03-02T08:00:00/5/0/blood-glucose").nothing
    assert understood(f"identifier={digest}/2026-02-30T08:00:00/5/0/blood-glucose").nothing


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("code:text=x", ModifierUnknown),
        ("patient:Group=x", ModifierUnknown),
        ("date:missing=true", ModifierUnknown),
        ("code=a|b|c", TokenNotUnderstood),
        ("code=|", TokenNotUnderstood),
        ("_count=-1", CountNotUnderstood),
        ("_count=1e3", CountNotUnderstood),
        ("_total=maybe", ChoiceNotUnderstood),
        ("_format=xml", FormatNotOffered),
        ("_cursor=abc", CursorNotOurs),
        ("code=" + "x," * 300, TooManyValues),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(query: str, error: type[SearchError]) -> None:
    with pytest.raises(error):
        understood(query)


def test_what_is_not_known_is_passed_over_or_refused_as_asked() -> None:
    query = understood("colour=red&_lastUpdated=gt2026&_sort=code&code=&_count=3&Jeanne Dupont=1")
    assert query.ignored == ["colour", "_lastUpdated", "_sort", "code", "?"]
    assert query.understood == [("_count", "3")]
    for name in ("colour=red", "_lastUpdated=gt2026", "_sort=code", "code="):
        with pytest.raises(ParameterUnknown):
            understood(name, strict=True)


def test_a_page_is_at_most_a_thousand_and_the_link_says_so() -> None:
    query = understood("_count=5000&date=ge2026&code=http://loinc.org|99504-3")
    assert query.count == 1000
    link = query.link(ASKED.base, "next")
    assert parse_qsl(urlsplit(link).query) == [
        ("_count", "1000"),
        ("date", "ge2026"),
        ("code", "http://loinc.org|99504-3"),
        ("_cursor", "next"),
    ]


def test_a_backslash_keeps_a_sign_from_parting() -> None:
    assert split(r"a\,b,c") == [r"a\,b", "c"]
    assert split("a\\\\,b") == ["a\\\\", "b"]
    assert understood(r"code=x\,99504-3").nothing


numbers = st.integers(-(1 << 63), (1 << 63) - 1)
places = st.builds(
    Cursor,
    numbers | st.just(int(UNKNOWN_TIME)),
    numbers,
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(0, 32767),
    st.integers(0, 32767),
)


@given(places, st.binary(max_size=20), st.binary(max_size=20), st.integers(0, 53))
def test_a_cursor_opens_for_its_own_search_and_unaltered_only(
    place: Cursor, search: bytes, other: bytes, changed: int
) -> None:
    text = ASKED.cursors.text(place, search)
    assert ASKED.cursors.read(text, search) == place
    altered = text[:changed] + ("A" if text[changed] != "A" else "Z") + text[changed + 1 :]
    for wrong, bound in ((text, search + b"!"), (text, other), (altered, search), (text[1:], search)):
        if (wrong, bound) == (text, search):
            continue
        try:
            # The last character holds two bits that mean nothing.
            assert (changed, wrong, ASKED.cursors.read(wrong, bound)) == (53, altered, place)
        except CursorNotOurs:
            continue


words = st.sampled_from(
    [
        *("date", "code", "patient", "_id", "_count", "_sort", "identifier", "_cursor", "device", "category"),
        *(
            "status",
            "_total",
            "_include",
            "_format",
            "_summary",
            ":",
            "|",
            ",",
            "\\",
            "ge",
            "ap",
            "2026",
            "-03",
        ),
        *("T08:00", "Z", "+02:00", "0", "a" * 32, "/", "Patient/", "'", '"', "\x00", "é", "\ud800", " "),
    ]
)
texts = st.lists(words, max_size=6).map("".join) | st.text(max_size=30)


@given(st.lists(st.tuples(texts, texts), max_size=6), st.booleans())
def test_any_parameters_end_in_a_query_or_in_words(parameters: list[tuple[str, str]], strict: bool) -> None:
    try:
        query = understand(parameters, replace(ASKED, strict=strict))
    except SearchError:
        return
    assert 0 <= query.count <= 1000
    assert query.stretches is None or list(query.stretches) == either(query.stretches)


def test_rows_left_out_take_what_lies_beside_them_along() -> None:
    placed = [Placed(reading(sequence=number)) for number in range(3)]
    series = replace(series_of(*placed), notes={0: "first", 2: "third"})
    kept, versions = rows_of(series, series.sequence != 1, {1: 5, 2: 7})
    assert kept.sequence.tolist() == [0, 2]
    assert (kept.notes, versions) == ({0: "first", 1: "third"}, {1: 7})

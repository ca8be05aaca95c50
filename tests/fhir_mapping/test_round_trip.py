"""What is written is read back the same: Reading → Observation → Reading."""

from __future__ import annotations

import json
from dataclasses import astuple
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.reading import (
    FIRST_MEASURAND,
    Absent,
    Context,
    Flag,
    Measurand,
    Quantity,
    Reading,
    Sample,
    TimeSource,
)
from fhir_mapping.codes import INTERNATIONAL_ROWS
from fhir_mapping.observation import render, to_reading
from tests.fhir_mapping.examples import EXAMPLES, IDS, Placed, reading, series_of

decimals = st.builds(
    lambda mantissa, exponent: Decimal((int(mantissa < 0), tuple(map(int, str(abs(mantissa)))), exponent)),
    st.integers(-(2**23) + 3, 2**23 - 3),
    st.integers(-8, 7),
)
codes = st.none() | st.integers(0, 255)
absences = st.sampled_from(Absent)


@st.composite
def contexts(draw: st.DrawFn) -> Context | None:
    dose = draw(st.none() | decimals)
    context = Context(
        raw=b"",
        carbohydrate=draw(codes),
        carbohydrate_kg=draw(st.none() | decimals),
        meal=draw(codes),
        tester=draw(codes),
        health=draw(codes),
        exercise_seconds=draw(st.none() | st.integers(0, 65535)),
        exercise_intensity_percent=draw(codes),
        medication=draw(codes),
        medication_value=dose,
        medication_unit=None if dose is None else draw(st.sampled_from(("kg", "L"))),
        hba1c_percent=draw(st.none() | decimals),
    )
    return context if any(value not in (b"", None) for value in astuple(context)) else None


@st.composite
def quantities(draw: st.DrawFn, of: Measurand, unit: str) -> Quantity:
    absent = draw(st.none() | absences)
    return Quantity(of, None if absent else draw(decimals), unit, absent)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    kind, _, unit = draw(st.sampled_from(sorted(key for key in INTERNATIONAL_ROWS if key[1] is None)))
    others = draw(
        st.lists(
            st.sampled_from([of for of in Measurand if of is not FIRST_MEASURAND[kind]]),
            unique=True,
        )
    )
    first = draw(quantities(FIRST_MEASURAND[kind], unit))
    moment = draw(st.datetimes(datetime(1582, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001
    said = reading(
        kind,
        unit=unit,
        others=tuple(draw(quantities(of, "/min")) for of in others),
        recorded_at=moment.replace(tzinfo=UTC),
        sequence=draw(st.integers(0, 2**22 - 1)),
        sample=draw(st.none() | st.builds(Sample, st.integers(0, 15), st.integers(0, 15))),
        context=draw(contexts()),
        flags=Flag(draw(st.integers(0, 0xFFFF))),
    )
    return Reading(
        said.kind,
        (first, *said.quantities[1:]),
        None,
        said.identity,
        b"",
        said.sample,
        said.context,
        said.flags,
    )


placements: Any = st.builds(
    Placed,
    reading=readings(),
    effective=st.none() | st.datetimes(datetime(1900, 1, 2), datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    utc_offset_minutes=st.integers(-840, 840),
    source=st.sampled_from(TimeSource),
    device=st.sampled_from((1, 2)),
    ordinal=st.integers(0, 255),
    excluded=st.booleans(),
    note=st.none() | st.text(max_size=20),
)


@settings(deadline=None)
@given(st.lists(placements, min_size=1, max_size=5))
def test_rendered_and_read_back_is_the_same(placed: list[Placed]) -> None:
    rendered = render(series_of(*placed), IDS)
    resources = json.loads(b"[%s]" % rendered, parse_float=Decimal)
    assert [to_reading(resource) for resource in resources] == [one.reading for one in placed]


@settings(deadline=None)
@given(placements)
def test_the_effective_time_is_the_same_instant(placed: Placed) -> None:
    resource = json.loads(render(series_of(placed), IDS))
    said = resource.get("effectiveDateTime")
    assert (said and datetime.fromisoformat(said)) == placed.effective


def test_every_example_is_read_back_the_same() -> None:
    for (dialect, name), placed in EXAMPLES.items():
        if dialect.moments is None:
            resource = json.loads(render(series_of(placed), IDS), parse_float=Decimal)
            assert to_reading(resource) == placed.reading, name


def test_a_number_that_was_parsed_as_a_float_comes_back_exact() -> None:
    placed = Placed(reading(value="6.6", unit="mmol/L"))
    assert to_reading(json.loads(render(series_of(placed), IDS))) == placed.reading

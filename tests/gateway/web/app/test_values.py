"""A reading as a person reads it, and its place in the day: units, ranges, LO and HI, doubtful times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from device_profiles.reading import Absent, Kind, Measurand, Quantity, TimeSource
from gateway.web.app.strip import BOTTOM, LEFT, RIGHT, TOP, strip_of
from gateway.web.app.values import Reader, Shown
from gateway.web.app.words import Words
from storage.household import PersonSettings
from tests.fhir_mapping.examples import Placed, reading, series_of

PARIS = ZoneInfo("Europe/Paris")
NOON = datetime(2026, 3, 3, 11, 0, tzinfo=UTC)


def reader(unit: str | None = "g/L", settings: PersonSettings | None = None, language: str = "fr") -> Reader:
    return Reader(Words(language), PARIS, unit, settings or PersonSettings())


def shown(value: str | Absent, unit: str = "mg/dL", by: Reader | None = None, **placed: object) -> Shown:
    made = Placed(reading(value=value, unit=unit), **({"effective": NOON} | placed))
    return (by or reader()).shown(series_of(made), 0)


@pytest.mark.parametrize(
    ("value", "written", "read_in", "text"),
    [
        ("119", "mg/dL", "g/L", "1,19 g/L"),
        ("119", "mg/dL", None, "119 mg/dL"),
        ("119", "mg/dL", "mmol/L", "6,6 mmol/L"),
        ("6.6", "mmol/L", "mmol/L", "6,6 mmol/L"),
        ("6.6", "mmol/L", "g/L", "1,19 g/L"),
        (Absent.BELOW_RANGE, "mg/dL", "g/L", "LO"),
        (Absent.ABOVE_RANGE, "mg/dL", "g/L", "HI"),
    ],
)
def test_a_value_is_written_in_the_persons_unit(
    value: str | Absent, written: str, read_in: str | None, text: str
) -> None:
    assert shown(value, written, reader(read_in)).full == text


@pytest.mark.parametrize(
    ("value", "unit", "tone"),
    [
        ("53", "mg/dL", "very-low"),
        ("69", "mg/dL", "low"),
        ("70", "mg/dL", "target"),
        ("180", "mg/dL", "target"),
        ("181", "mg/dL", "high"),
        ("251", "mg/dL", "very-high"),
        ("10.0", "mmol/L", "target"),  # converted first, it would stand above 180
        ("3.9", "mmol/L", "target"),
        (Absent.BELOW_RANGE, "mg/dL", "very-low"),
        (Absent.ABOVE_RANGE, "mg/dL", "very-high"),
    ],
)
def test_a_range_is_that_of_the_unit_written(value: str | Absent, unit: str, tone: str) -> None:
    found = shown(value, unit).tone
    assert found is not None
    assert found.name == tone


def test_the_doctors_target_is_the_target() -> None:
    by = reader(settings=PersonSettings(unit="mg/dL", low=Decimal(80), high=Decimal(140)))
    tones = [shown(value, by=by).tone for value in ("79", "80", "141")]
    assert [tone.name for tone in tones if tone] == ["low", "target", "high"]
    assert by.target_in_words("mg/dL") == "0,80–1,40 g/L"


@pytest.mark.parametrize("source", TimeSource)
def test_a_time_that_is_not_the_devices_own_is_said_to_be_so(source: TimeSource) -> None:
    doubt = shown("119", source=source).doubt
    if source in {TimeSource.ORDERED, TimeSource.UNKNOWN, TimeSource.DEVICE_CORRECTED}:
        assert doubt
    if source is TimeSource.DEVICE:
        assert doubt is None


def test_what_has_no_number_and_no_time_is_shown_all_the_same() -> None:
    one = shown(Absent.NOT_A_NUMBER, effective=None, source=TimeSource.UNKNOWN)
    assert (one.full, one.tone, one.at) == ("–", None, None)


def test_a_blood_pressure_is_two_numbers() -> None:
    lower = Quantity(Measurand.DIASTOLIC, Decimal(78), "mm[Hg]")
    made = reading(Kind.BLOOD_PRESSURE, "124", "mm[Hg]", others=(lower,), sample=None)
    one = reader().shown(series_of(Placed(made, effective=NOON)), 0)
    assert (one.full, one.name) == ("124/78 mmHg", "Tension")


def day_of(
    *moments: datetime,
    kind: Kind = Kind.BLOOD_GLUCOSE,
    value: str = "119",
    uncertain: int | None = None,
):
    made = [
        Placed(
            reading(kind, value, sequence=number, sample=None),
            effective=at,
            source=TimeSource.ORDERED if number == uncertain else TimeSource.DEVICE,
        )
        for number, at in enumerate(moments)
    ]
    series = series_of(*made)
    readings = [reader().shown(series, row) for row in range(len(made))]
    return strip_of(readings, moments[0].astimezone(PARIS).date(), reader())


@pytest.mark.parametrize("day", [date(2026, 3, 3), date(2026, 3, 29), date(2026, 10, 25)])
def test_a_day_goes_from_midnight_to_midnight_also_where_the_clock_changes(day: date) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=PARIS)
    last = start + timedelta(hours=23, minutes=59)
    marks = day_of(start.astimezone(UTC), last.astimezone(UTC)).marks
    assert marks[0].x == LEFT
    assert RIGHT - 0.1 <= marks[1].x <= RIGHT


@pytest.mark.parametrize("value", ["1", "40", "119", "300", "400", "600"])
def test_every_value_stands_inside_the_drawing(value: str) -> None:
    (mark,) = day_of(NOON, value=value).marks
    assert TOP <= mark.y <= BOTTOM


def test_a_sensors_curve_is_interrupted_where_it_was_silent() -> None:
    moments = [NOON + timedelta(minutes=5 * step) for step in (0, 1, 2, 20, 21)]
    strip = day_of(*moments, kind=Kind.INTERSTITIAL_GLUCOSE)
    assert [path.count("L") for path in strip.curves] == [2, 1]
    assert strip.marks == ()


def test_a_sensors_curve_does_not_go_through_a_time_that_is_only_a_guess() -> None:
    moments = [NOON + timedelta(minutes=5 * step) for step in range(6)]
    strip = day_of(*moments, kind=Kind.INTERSTITIAL_GLUCOSE, uncertain=3)
    assert [path.count("L") for path in strip.curves] == [2, 1]
    assert [mark.shown.uncertain for mark in strip.marks] == [True]


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=20), "à l’instant"),
        (timedelta(minutes=1), "il y a 1 minute"),
        (timedelta(minutes=59), "il y a 59 minutes"),
        (timedelta(hours=2), "aujourd’hui à 10:00"),
        (timedelta(hours=20), "hier à 16:00"),
        (timedelta(days=40), "jeudi 22 janvier à 12:00"),
        (timedelta(days=400), "lundi 27 janvier 2025 à 12:00"),
    ],
)
def test_a_moment_is_said_as_people_say_it(ago: timedelta, said: str) -> None:
    told = Words("fr").ago(NOON - ago, NOON, PARIS)
    assert told == said

"""The consensus definitions, on numbers worked out by hand."""

from __future__ import annotations

import statistics as plain
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.reading import UNITS, Absent, Kind, ReadingSeries
from gateway.reports.period import Period
from gateway.reports.statistics import RANGE_NAMES, ranges, summarise

PARIS = ZoneInfo("Europe/Paris")
DAY = Period(date(2017, 3, 14), date(2017, 3, 14), PARIS)


def sensor(
    values: list[float | Absent],
    unit: str = "mg/dL",
    kind: Kind = Kind.INTERSTITIAL_GLUCOSE,
    minutes: int = 5,
) -> ReadingSeries:
    """Readings every `minutes` from the first moment of DAY; an Absent stands for what is not there."""
    count = len(values)
    start = int(DAY.start.timestamp() * 1e6)
    times = start + np.arange(count, dtype=np.int64) * minutes * 60_000_000
    small = {name: np.zeros(count, dtype=np.int16) for name in ("ordinal", "flags", "device_id")}
    return ReadingSeries(
        patient_id=1,
        patient_uuid=UUID(int=1),
        kind=np.full(count, kind, dtype=np.int16),
        effective_time=times,
        utc_offset_minutes=np.full(count, 60, dtype=np.int16),
        time_source=np.ones(count, dtype=np.int16),
        recorded_at=times,
        sequence=np.zeros(count, dtype=np.int32),
        mantissa=np.array([0 if isinstance(v, Absent) else round(v * 10) for v in values], dtype=np.int32),
        exponent=np.full(count, -1, dtype=np.int16),
        unit=np.full(count, UNITS.index(unit), dtype=np.int16),
        absent=np.array([v if isinstance(v, Absent) else 0 for v in values], dtype=np.int16),
        sample=np.full(count, -1, dtype=np.int16),
        excluded=np.zeros(count, dtype=np.bool_),
        **small,
    )


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (53, "mg/dL", "very_low"),
        (54, "mg/dL", "low"),
        (69, "mg/dL", "low"),
        (70, "mg/dL", "target"),
        (180, "mg/dL", "target"),
        (181, "mg/dL", "high"),
        (250, "mg/dL", "high"),
        (251, "mg/dL", "very_high"),
        (2.9, "mmol/L", "very_low"),
        (3.0, "mmol/L", "low"),
        (3.8, "mmol/L", "low"),
        (3.9, "mmol/L", "target"),
        (10.0, "mmol/L", "target"),
        (10.1, "mmol/L", "high"),
        (13.9, "mmol/L", "high"),
        (14.0, "mmol/L", "very_high"),
        (Absent.BELOW_RANGE, "mg/dL", "very_low"),
        (Absent.ABOVE_RANGE, "mmol/L", "very_high"),
    ],
)
def test_a_value_is_classified_in_the_unit_it_was_written_in(value: float, unit: str, expected: str) -> None:
    assert RANGE_NAMES[ranges(sensor([value], unit))[0]] == expected


def test_lo_and_hi_count_in_the_ranges_and_not_in_the_mean() -> None:
    seen = summarise(sensor([100, 110, Absent.BELOW_RANGE, Absent.ABOVE_RANGE]), DAY)
    assert (seen.n, seen.low_count, seen.high_count) == (4, 1, 1)
    assert seen.mean_mg_dl == 105
    assert seen.time_in_range == {"very_low": 25, "low": 0, "target": 50, "high": 0, "very_high": 25}


def test_a_value_that_the_device_could_not_give_is_counted_nowhere() -> None:
    assert summarise(sensor([100, Absent.NOT_A_NUMBER]), DAY).n == 1


def test_finger_stick_and_control_values_never_enter_sensor_statistics() -> None:
    for kind in Kind:
        if kind is not Kind.INTERSTITIAL_GLUCOSE:
            assert summarise(sensor([100, 200], kind=kind), DAY).n == 0


def test_mean_sd_and_cv_agree_with_the_definitions() -> None:
    values = [88, 104.5, 131, 240, 61]
    seen = summarise(sensor(list(values)), DAY)
    assert seen.mean_mg_dl == pytest.approx(plain.fmean(values))
    assert seen.sd_mg_dl == pytest.approx(plain.stdev(values))
    assert seen.cv_percent == pytest.approx(100 * plain.stdev(values) / plain.fmean(values))


def test_molar_values_are_told_in_mg_dl() -> None:
    assert summarise(sensor([5.0, 10.0], "mmol/L"), DAY).mean_mg_dl == pytest.approx(7.5 * 18.0182)


def test_no_gmi_below_seventy_percent_of_the_period() -> None:
    assert summarise(sensor([100] * 201), DAY).gmi_percent is None
    whole = summarise(sensor([100] * 202), DAY)
    assert whole.completeness_percent == pytest.approx(100 * 202 / 288)
    assert whole.gmi_percent == pytest.approx(3.31 + 0.02392 * 100)


def test_a_sensor_of_fifteen_minutes_is_complete_with_ninety_six_readings() -> None:
    assert summarise(sensor([100] * 96, minutes=15), DAY).completeness_percent == 100


def test_the_day_of_the_clock_change_has_its_true_length() -> None:
    spring = Period(date(2017, 3, 26), date(2017, 3, 26), PARIS)
    autumn = Period(date(2017, 10, 29), date(2017, 10, 29), PARIS)
    assert (spring.minutes, autumn.minutes) == (23 * 60, 25 * 60)


def test_no_reading_gives_no_number() -> None:
    seen = summarise(sensor([]), DAY)
    assert (seen.n, seen.mean_mg_dl, seen.sd_mg_dl, seen.cv_percent, seen.gmi_percent) == (
        0,
        None,
        None,
        None,
        None,
    )
    assert set(seen.time_in_range.values()) == {None}


def test_one_reading_has_a_mean_and_no_spread() -> None:
    seen = summarise(sensor([100]), DAY)
    assert (seen.mean_mg_dl, seen.sd_mg_dl, seen.cv_percent) == (100, None, None)


@given(
    st.lists(
        st.one_of(st.integers(1, 600), st.sampled_from([Absent.BELOW_RANGE, Absent.ABOVE_RANGE])), min_size=1
    )
)
def test_the_ranges_of_any_readings_sum_to_a_hundred(values: list[float | Absent]) -> None:
    percents = summarise(sensor(values), DAY).time_in_range.values()
    assert sum(p for p in percents if p is not None) == pytest.approx(100)

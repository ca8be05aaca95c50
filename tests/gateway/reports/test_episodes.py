"""Episodes, the profile of a day and goals, on readings whose answer is plain to see."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.reading import Absent
from gateway.reports.episodes import episodes
from gateway.reports.glucose_profile import glucose_profile
from gateway.reports.request import SensorReport
from gateway.reports.statistics import ranges
from gateway.reports.targets import GOALS, LIMITS, Situation
from tests.gateway.reports.test_statistics import DAY, PARIS, sensor

MINUTE = 60_000_000


def lows(
    values: list[float | Absent], minutes: int = 5, gap: tuple[int, int] | None = None
) -> list[tuple[int, int]]:
    """Start (minutes after the first reading) and length of each episode below 70; `gap`: row, minutes."""
    series = sensor(values, minutes=minutes)
    times = series.effective_time.copy()
    if gap is not None:
        times[gap[0] :] += gap[1] * MINUTE
    series = replace(series, effective_time=times)
    return [
        (round(each.start.timestamp() / 60 - times[0] / MINUTE), each.minutes)
        for each in episodes(series, minutes)["lt70"]
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([100, 69, 69, 100], []),
        ([100, 69, 69, 69, 100], [(5, 15)]),
        ([100, 70, 70, 70, 100], []),
        ([69, 69, 100, 69, 100], []),
        ([69, 69, 69, 100, 100, 69, 100, 100, 100], [(0, 30)]),
        ([69, 69, 69, 100, 100, 100, 69, 69, 69], [(0, 15), (30, 15)]),
        ([69, 69, 69, 100, 100, 100, 69, 69], [(0, 15)]),
        ([69, 69, 69], [(0, 15)]),
        ([Absent.BELOW_RANGE, Absent.BELOW_RANGE, 60, 100], [(0, 15)]),
        ([69, Absent.NOT_A_NUMBER, 69, 69], [(0, 15)]),
        ([], []),
    ],
)
def test_an_episode_begins_with_three_readings_and_ends_with_three(
    values: list[float | Absent], expected: list[tuple[int, int]]
) -> None:
    assert lows(values) == expected


def test_a_gap_over_45_minutes_ends_an_episode_and_none_goes_across() -> None:
    assert lows([69] * 6, gap=(3, 40)) == [(0, 30)]
    assert lows([69] * 6, gap=(3, 41)) == [(0, 15), (56, 15)]
    assert lows([69, 69, 69, 69], gap=(2, 60)) == []


def test_a_reading_every_quarter_of_an_hour_stands_for_its_quarter() -> None:
    assert lows([100, 69, 100], minutes=15) == [(15, 15)]
    assert lows([100, *[69] * 14, 100], minutes=1) == []
    assert lows([100, *[69] * 15, 100], minutes=1) == [(1, 15)]


def test_high_and_low_are_told_in_the_unit_written() -> None:
    found = episodes(sensor([10.0] * 3 + [10.1] * 3 + [14.0] * 3 + [3.8] * 3 + [2.9] * 3, "mmol/L"), 5)
    assert {name: [each.minutes for each in of_kind] for name, of_kind in found.items()} == {
        "lt70": [30],
        "lt54": [15],
        "gt180": [30],
        "gt250": [15],
    }


def test_hi_is_above_every_limit() -> None:
    found = episodes(sensor([Absent.ABOVE_RANGE] * 3), 5)
    assert len(found["gt180"]) == len(found["gt250"]) == 1
    assert not found["lt70"]


@given(st.lists(st.sampled_from([60, 100, Absent.BELOW_RANGE]), max_size=60))
def test_episodes_never_overlap_and_hold_every_long_low(values: list[float | Absent]) -> None:
    found = lows(values)
    ends = [start + minutes for start, minutes in found]
    assert all(start >= end + 15 for (start, _), end in zip(found[1:], ends, strict=False))
    assert all(minutes >= 15 and minutes % 5 == 0 for _, minutes in found)
    covered = {row for start, minutes in found for row in range(start // 5, (start + minutes) // 5)}
    low = [value != 100 for value in values]
    for row in range(len(low) - 2):
        if all(low[row : row + 3]):
            assert {row, row + 1, row + 2} <= covered


def test_the_profile_is_by_quarters_of_the_persons_own_day_with_linear_percentiles() -> None:
    values = [float(value) for value in range(100, 388)]
    (first, *_), last = glucose_profile(sensor(values), PARIS)[:1], glucose_profile(sensor(values), PARIS)[-1]
    assert (first.minute, first.n, first.p50, first.p25) == (0, 3, 101.0, 100.5)
    assert last.minute == 1425
    blocks = glucose_profile(sensor(values), ZoneInfo("America/New_York"))
    assert blocks[0].p50 == pytest.approx(np.percentile(values[5 * 12 : 5 * 12 + 3], 50))


@given(st.lists(st.integers(400, 3000), min_size=1, max_size=3))
def test_percentiles_are_numpys(tenths: list[int]) -> None:
    values = [value / 10 for value in tenths]
    (block,) = glucose_profile(sensor(values), PARIS)
    expected = np.percentile(values, [5, 25, 50, 75, 95])
    assert [block.p05, block.p25, block.p50, block.p75, block.p95] == pytest.approx(expected.tolist())


def test_a_percentile_that_falls_on_lo_has_no_number() -> None:
    (block,) = glucose_profile(sensor([Absent.BELOW_RANGE, 100.0, 110.0]), PARIS)
    assert (block.p05, block.p50, block.p95) == (None, 100.0, 109.0)


@pytest.mark.parametrize(
    ("value", "unit", "place"),
    [
        (62, "mg/dL", 1),
        (63, "mg/dL", 2),
        (140, "mg/dL", 2),
        (141, "mg/dL", 3),
        (7.8, "mmol/L", 2),
        (3.4, "mmol/L", 1),
    ],
)
def test_pregnancy_has_ranges_of_its_own(value: float, unit: str, place: int) -> None:
    assert ranges(sensor([value], unit), Situation.PREGNANCY_OTHER)[0] == place


def test_goals_are_those_of_the_situation() -> None:
    report = SensorReport.of(sensor([100.0] * 74 + [200.0] * 26), DAY, Situation.STANDARD)
    assert [met for _, met in report.goals] == [True, True, True, False, True]
    assert SensorReport.of(sensor([]), DAY, Situation.STANDARD).goals[0][1] is None
    assert [
        met for _, met in SensorReport.of(sensor([60.0] * 2 + [100.0] * 98), DAY, Situation.OLDER).goals
    ] == [
        True,
        False,
        True,
    ]
    assert GOALS[Situation.PREGNANCY_OTHER] == ()
    assert all(
        limits.very_low < limits.low < limits.high for units in LIMITS.values() for limits in units.values()
    )

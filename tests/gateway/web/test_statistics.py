"""The page's own statistics against those of the reports: the same numbers from the same readings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from device_profiles.reading import Absent, Context
from gateway.reports import statistics
from gateway.reports.logbook import FingerSticks, entries
from gateway.reports.period import Period
from gateway.reports.request import SensorReport
from gateway.reports.targets import Situation
from tests.fhir_mapping.examples import Placed, series_of
from tests.gateway.api.serving import RunningShelf
from tests.gateway.web.conftest import Visit
from tests.gateway.web.shared_readings import WEEKS, collection, finger_stick, sensor, sensor_week

pytestmark = pytest.mark.browser

COUNT = """async (bundle) => {
    const { read } = await import("/view/bundle.js");
    const found = await import("/view/statistics.js");
    const readings = found.counted(read(bundle).readings, "sensor");
    const numbers = found.summary(readings);
    return {
        ...numbers,
        percentages: found.percentages(numbers.ranges),
        interval: found.interval(readings),
        completeness: found.completeness(readings, 14 * 24 * 60),
        episodes: found.episodes(readings),
        profile: found.profile(readings),
        gmi: found.managementIndicator(numbers.mean),
    };
}"""
NOON = datetime.fromisoformat("2026-03-02T12:00:00")
EDGES = ["53.9", "54", "69", "69.9", "70", "180", "180.1", "181", "250", "250.1", "251"]
EDGES_MMOL = ["2.9", "3.0", "3.8", "3.9", "10.0", "10.1", "13.9", "14.0"]

CASES: dict[str, Callable[[], list[Placed]]] = {
    **{name: lambda name=name: sensor_week(name) for name in WEEKS},  # type: ignore[misc]
    "edges": lambda: [sensor(NOON, value) for value in EDGES],
    "edges in mmol/L": lambda: [sensor(NOON, value, unit="mmol/L") for value in EDGES_MMOL],
    "units mixed, LO and HI": lambda: [
        sensor(NOON, "100"),
        sensor(NOON, "5.5", unit="mmol/L"),
        sensor(NOON, Absent.BELOW_RANGE),
        sensor(NOON, Absent.ABOVE_RANGE),
        sensor(NOON, Absent.NOT_A_NUMBER),
        sensor(NOON, "300", excluded=True),
    ],
    "an evening of lows and highs": lambda: [
        sensor(NOON + timedelta(minutes=5 * row + (60 if row > 30 else 0)), str(value))
        for row, value in enumerate([100, *[65] * 3, 100, 60, *[50] * 9, *[100] * 4, *[190] * 5, *[260] * 20])
    ],
    "one": lambda: [sensor(NOON, "100")],
    "only LO": lambda: [sensor(NOON, Absent.BELOW_RANGE)],
}


@pytest.mark.parametrize("case", CASES)
def test_the_page_counts_as_the_reports_do(
    shelf: RunningShelf, visit: Callable[..., Visit], case: str
) -> None:
    placed = CASES[case]()
    page = visit(f"{shelf.url}/view").page
    shown: dict[str, Any] = page.evaluate(COUNT, collection(*placed).decode())
    span = Period(
        datetime(2000, 1, 1, tzinfo=UTC).date(), datetime(2040, 1, 1, tzinfo=UTC).date(), ZoneInfo("UTC")
    )
    expected = statistics.summarise(series_of(*placed), span)
    assert shown["n"] == expected.n
    assert (shown["lo"], shown["hi"]) == (expected.low_count, expected.high_count)
    for name, value in (
        ("mean", expected.mean_mg_dl),
        ("sd", expected.sd_mg_dl),
        ("cv", expected.cv_percent),
    ):
        assert shown[name] == (None if value is None else pytest.approx(value, rel=1e-9))
    shares = [100 * count / shown["n"] for count in shown["ranges"].values()]
    assert shares == pytest.approx(list(expected.time_in_range.values()))
    assert sum(shown["percentages"]) == 100
    assert all(abs(whole - exact) < 1 for whole, exact in zip(shown["percentages"], shares, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_the_page_finds_the_episodes_and_the_profile_of_the_reports(
    shelf: RunningShelf, visit: Callable[..., Visit], case: str
) -> None:
    placed = CASES[case]()
    shown: dict[str, Any] = visit(f"{shelf.url}/view").page.evaluate(COUNT, collection(*placed).decode())
    first = datetime(2017, 1, 1, tzinfo=UTC).date()
    offset = placed[0].utc_offset_minutes
    zone = ZoneInfo("UTC") if not offset else ZoneInfo(f"Etc/GMT{-offset // 60:+d}")
    report = SensorReport.of(series_of(*placed), Period.ending(first, 14, zone), Situation.STANDARD)
    assert shown["interval"] == report.interval_minutes
    assert shown["completeness"] == pytest.approx(report.statistics.completeness_percent)
    assert {
        name: [(each["start"], each["end"], each["minutes"]) for each in of_kind]
        for name, of_kind in shown["episodes"].items()
    } == {
        name: [(_ms(each.start), _ms(each.end), each.minutes) for each in of_kind]
        for name, of_kind in report.episodes.items()
    }
    blocks = [
        (block.minute, block.n, block.p05, block.p25, block.p50, block.p75, block.p95)
        for block in report.profile
    ]
    assert [(block["minute"], block["n"], *block["values"]) for block in shown["profile"]] == [
        pytest.approx(block) for block in blocks
    ]


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


MOMENTS = """async (bundle) => {
    const { read } = await import("/view/bundle.js");
    const { counted } = await import("/view/statistics.js");
    const { momentOf, moments } = await import("/view/moments.js");
    const readings = counted(read(bundle).readings, "finger-stick");
    return {
        each: readings.map(momentOf),
        moments: moments(readings).map(({ moment, readings, median }) => [moment, readings.length, median]),
    };
}"""


def finger_stick_days() -> list[Placed]:
    """Each half-hour of two days, each with another meal mark, LO and HI among them."""
    begin = datetime.fromisoformat("2026-03-02T00:15:00")
    placed = []
    for row in range(96):
        value: str | Absent = str(60 + row * 37 % 220)
        if row % 19 == 0:
            value = Absent.BELOW_RANGE if row % 2 else Absent.ABOVE_RANGE
        one = finger_stick(begin + timedelta(minutes=30 * row), value)
        meal = row * 7 % 9
        context = Context(raw=b"", meal=meal) if meal else None
        placed.append(replace(one, reading=replace(one.reading, context=context)))
    return placed


def test_the_page_sorts_finger_sticks_into_the_moments_of_the_reports(
    shelf: RunningShelf, visit: Callable[..., Visit]
) -> None:
    placed = finger_stick_days()
    shown: dict[str, Any] = visit(f"{shelf.url}/view").page.evaluate(MOMENTS, collection(*placed).decode())
    series = series_of(*placed)
    zone = ZoneInfo("Etc/GMT-1")
    assert shown["each"] == [entry.moment.value for entry in entries(series, zone)]
    assert len(set(shown["each"])) == 8
    expected = FingerSticks.of(series, zone).moments
    assert [tuple(each) for each in shown["moments"]] == [
        (each.moment.value, each.n, each.median_mg_dl and pytest.approx(each.median_mg_dl))
        for each in expected
    ]
    assert any(each.median_mg_dl for each in expected)

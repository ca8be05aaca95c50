"""The page's own statistics against those of the reports: the same numbers from the same readings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from device_profiles.reading import Absent
from gateway.reports import statistics
from gateway.reports.period import Period
from tests.fhir_mapping.examples import Placed, series_of
from tests.gateway.api.serving import RunningShelf
from tests.gateway.web.conftest import Visit
from tests.gateway.web.shared_readings import WEEKS, collection, sensor, sensor_week

pytestmark = pytest.mark.browser

COUNT = """async (bundle) => {
    const { read } = await import("/view/bundle.js");
    const { counted, summary, percentages } = await import("/view/statistics.js");
    const numbers = summary(counted(read(bundle).readings, "sensor"));
    return { ...numbers, percentages: percentages(numbers.ranges) };
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

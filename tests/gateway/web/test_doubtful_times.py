"""A doubtful time behind a link is hollow, said, and in no curve; what has no time stands in a table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from device_profiles.reading import TimeSource
from tests.gateway.api.serving import RunningShelf, share
from tests.gateway.web.conftest import Visit
from tests.gateway.web.shared_readings import collection, finger_stick, sensor
from tests.gateway.web.test_viewer import enter

pytestmark = pytest.mark.browser

Visiting = Callable[..., Visit]
MONDAY = datetime.fromisoformat("2026-03-02T08:00:00")


def opened(shelf: RunningShelf, visit: Visiting, content: bytes, **how: str) -> Page:
    page = visit(share(shelf, content).url, **how).page
    enter(page)
    return page


def test_a_measurement_whose_order_alone_is_sure_is_hollow_said_and_in_no_logbook(
    shelf: RunningShelf, visit: Visiting
) -> None:
    days = [finger_stick(MONDAY + timedelta(days=day), "110") for day in range(3)]
    days[1] = replace(days[1], source=TimeSource.ORDERED)
    page = opened(shelf, visit, collection(*days))
    meter = page.locator(".readings.finger-stick")
    expect(meter.locator(".chart.finger-stick .mark")).to_have_count(3)
    expect(meter.locator(".chart.finger-stick .mark.doubtful")).to_have_count(1)
    expect(meter.locator(".hint").first).to_contain_text("The time of 1 reading is uncertain")
    expect(meter.locator(".logbook tbody tr")).to_have_count(2)
    expect(meter.locator(".tiles")).to_contain_text("3")  # it is counted all the same
    chart = meter.get_by_role("slider")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    expect(chart).to_have_attribute("aria-valuetext", re.compile("time uncertain"))
    expect(meter.locator(".readout")).to_contain_text("time uncertain")


def test_a_sensor_line_stops_where_a_time_is_doubtful(shelf: RunningShelf, visit: Visiting) -> None:
    points = [sensor(MONDAY + timedelta(minutes=5 * n), "110") for n in range(300)]
    for n in range(100, 110):
        points[n] = replace(points[n], source=TimeSource.ORDERED)
    page = opened(shelf, visit, collection(*points))
    chart = page.locator(".readings.sensor .chart.sensor").last
    line = chart.locator("path.line.target").get_attribute("d")
    assert line is not None
    assert (line.count("M"), line.count("L")) == (2, 288)
    expect(chart.locator(".mark.doubtful")).to_have_count(10)


def test_readings_without_a_time_stand_in_a_table_in_french_and_in_no_drawing(
    shelf: RunningShelf, visit: Visiting
) -> None:
    known = finger_stick(MONDAY, "110")
    lost = replace(finger_stick(MONDAY, "131"), effective=None, source=TimeSource.UNKNOWN)
    page = opened(shelf, visit, collection(known, lost), locale="fr")
    expect(page.locator(".readings.finger-stick .mark")).to_have_count(1)
    card = page.locator(".undated")
    expect(card).to_contain_text("1 mesure n’a pas d’heure : l’appareil ne la connaissait pas.")
    card.get_by_text("Les voir dans un tableau").click()
    cells = card.locator("tbody td")
    expect(cells.nth(0)).to_have_text("–")
    expect(cells.nth(2)).to_have_text("1,31")
    expect(cells.nth(4)).to_contain_text("heure inconnue")

"""A mother adds her child's meter, in French: real browser, real pairing over the virtual radio.

With PASSERELLE_DOCS_IMAGES=1 it lays the pictures of docs/page.md there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tzlocal
from playwright.sync_api import Page, expect

from device_profiles.virtual_device import VirtualDevice
from tests.gateway.web.app.conftest import RunningPage, new_meter
from tests.gateway.web.app.records import finger_stick_at
from tests.gateway.web.conftest import Visit

pytestmark = pytest.mark.browser

IMAGES = Path(__file__).parents[4] / "docs" / "images"


DAY = (("102", 7, 5), ("146", 9, 10), ("94", 12, 20), ("158", 14, 25), ("66", 16, 40), ("112", 18, 52))
"""A child's day: value in mg/dL, hour and minute."""


def evening() -> ZoneInfo:
    """A zone in which it is past seven in the evening: the day that is shown is nearly over."""
    ahead = 19 - datetime.now(UTC).hour
    ahead += 24 if ahead < -12 else 0
    return ZoneInfo(f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT")


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[ZoneInfo]:
    """Where this computer is."""
    there = evening()
    monkeypatch.setenv("TZ", there.key)
    tzlocal.reload_localzone()
    yield there
    monkeypatch.undo()
    tzlocal.reload_localzone()


@pytest.fixture
def meters(zone: ZoneInfo) -> Sequence[VirtualDevice]:
    """Six values a day for five days, by a clock that is right."""
    today = datetime.now(zone).replace(second=0, microsecond=0)
    times = [
        (value, today.replace(hour=hour, minute=minute) - timedelta(days=days))
        for days in (4, 3, 2, 1, 0)
        for value, hour, minute in DAY
    ]
    records = [finger_stick_at(number, value, at) for number, (value, at) in enumerate(times, start=1)]
    return (new_meter(records, clock=lambda: datetime.now(zone)),)


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def button(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_mother_adds_a_meter_in_four_steps(
    page: RunningPage, opened_page: Callable[..., Visit], shots: Path, width: int
) -> None:
    folder = IMAGES if os.environ.get("PASSERELLE_DOCS_IMAGES") else shots
    folder.mkdir(parents=True, exist_ok=True)
    browser = opened_page(width=width).page

    def picture(name: str) -> None:
        browser.screenshot(path=folder / f"{name}-{width}.png", animations="disabled")

    heading(browser, "Bienvenue")
    picture("add-0-who")
    browser.get_by_label("Prénom").fill("Léa")
    button(browser, "Continuer")
    heading(browser, "Réveillez l’appareil")
    picture("add-1-wake")
    button(browser, "Il est réveillé")
    heading(browser, "Choisissez l’appareil")
    expect(browser.get_by_role("button", name="Virtual meter")).to_be_visible()
    picture("add-2-choose")
    button(browser, "Virtual meter")
    heading(browser, "Tapez le code")
    digits = browser.get_by_label("Les six chiffres")
    expect(digits).to_be_focused()
    picture("add-3-code")
    browser.keyboard.type(page.shown.get(timeout=10))
    browser.keyboard.press("Enter")
    heading(browser, "C’est fait")
    expect(browser.get_by_text("30 mesures sont là.")).to_be_visible()
    picture("add-4-done")
    button(browser, "Voir les mesures")
    expect(browser.locator(".figure")).to_contain_text("1,12 g/L")
    expect(browser.locator(".day .mark")).to_have_count(6)
    picture("today")
    browser.get_by_role("link", name="Appareils").click()
    expect(browser.get_by_role("heading", level=2)).to_have_text("Acme One")
    picture("devices")

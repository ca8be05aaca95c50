"""Each page for everybody: judged by axe in light and dark, by keyboard alone, without JavaScript."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.web.app.conftest import RunningPage, new_meter
from tests.gateway.web.app.records import finger_stick
from tests.gateway.web.conftest import Visit

pytestmark = pytest.mark.browser

Opening = Callable[..., Visit]
Judging = Callable[[Page], list[str]]


OTHERS = ("/readings", "/family", "/settings", "/share", "/export", "/erase", "/questions")
"""The first pages of the other parts."""


@pytest.fixture
def meters():
    """A child's meter that has seen a LO, with a clock that was changed; and one that nobody added."""
    records = [
        finger_stick(1, "119", minutes_ago=300),
        finger_stick(2, "214", minutes_ago=90),
        finger_stick(3, "LO", minutes_ago=200),
        finger_stick(4, "71", minutes_ago=30),
    ]
    return (new_meter(records), new_meter(3, serial="SN-2"))


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_no_page_has_anything_that_axe_finds_wrong(
    page: RunningPage, opened_page: Opening, judged: Judging, width: int, scheme: str
) -> None:
    browser = opened_page(width=width, color_scheme=scheme).page
    wrong = {"welcome": judged(browser)}
    device = page.add_meter(page.add_person())
    page.add_person("Maman")
    paths = ("/", "/devices", f"/devices/{device.device_id}/forget", "/devices/add", "/nowhere", *OTHERS)
    for path in paths:
        browser.goto(page.address(path))
        wrong[path] = judged(browser)
    browser.goto(page.address("/"))
    browser.get_by_text("En tableau").click()
    browser.locator(".people summary").click()
    wrong["opened"] = judged(browser)
    browser.goto(page.address("/devices/add"))
    browser.get_by_role("button", name="Il est réveillé").click()
    browser.get_by_role("button", name="Virtual meter").first.click()
    expect(browser.get_by_label("Les six chiffres")).to_be_visible()
    wrong["passkey"] = judged(browser)
    browser.get_by_label("Les six chiffres").fill("12")
    browser.get_by_role("button", name="Valider").click()
    expect(browser.get_by_role("alert")).to_be_visible()
    wrong["refused"] = judged(browser)
    browser.get_by_role("button", name="Arrêter").click()
    browser.get_by_role("button", name="Fermer cette page").click()
    wrong["closed"] = judged(browser)
    browser.goto(page.address("/"))
    wrong["locked"] = judged(browser)
    assert {place: found for place, found in wrong.items() if found} == {}


def press(page: Page, name: str) -> None:
    """Go to a button by keyboard, once it is there, and use it."""
    wanted = page.get_by_role("button", name=name).first
    expect(wanted).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"{name} is not reached by keyboard")


def test_a_device_is_added_by_keyboard_alone(page: RunningPage, opened_page: Opening) -> None:
    browser = opened_page().page
    browser.keyboard.type("Léa")
    browser.keyboard.press("Enter")
    press(browser, "Il est réveillé")
    press(browser, "Virtual meter")
    expect(browser.get_by_label("Les six chiffres")).to_be_focused()
    browser.keyboard.type(page.shown.get(timeout=10))
    browser.keyboard.press("Enter")
    expect(browser.get_by_role("heading", level=1)).to_have_text("C’est fait")
    press(browser, "Voir les mesures")
    expect(browser.locator(".figure")).to_be_visible()


def test_a_device_is_added_without_javascript(page: RunningPage, opened_page: Opening) -> None:
    browser = opened_page(java_script_enabled=False).page
    browser.get_by_label("Prénom").fill("Léa")
    browser.get_by_role("button", name="Continuer").click()
    browser.get_by_role("button", name="Il est réveillé").click()
    browser.get_by_role("button", name="Virtual meter").first.click()
    browser.get_by_label("Les six chiffres").fill(page.shown.get(timeout=10))
    browser.get_by_role("button", name="Valider").click()
    expect(browser.get_by_role("heading", level=1)).to_have_text("C’est fait")

"""Today: the last value and what it means, the day, several people, a finger-stick that appears by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.web.app.conftest import RunningPage, new_meter
from tests.gateway.web.app.records import finger_stick
from tests.gateway.web.conftest import Visit

pytestmark = pytest.mark.browser


Opening = Callable[..., Visit]


@pytest.fixture
def meters():
    return (new_meter(records=[finger_stick(1, "119", minutes_ago=3)]),)


def figure(page: Page) -> str:
    return page.locator(".figure").inner_text().replace("\n", " ")


def test_nothing_yet_is_one_big_button(page: RunningPage, opened_page: Opening) -> None:
    page.add_person()
    browser = opened_page().page
    browser.get_by_role("main").get_by_role("link", name="Ajouter un appareil").click()
    expect(browser.get_by_role("heading", level=1)).to_have_text("Réveillez l’appareil")


def test_the_last_value_stands_in_the_persons_unit_with_what_it_means(
    page: RunningPage, opened_page: Opening
) -> None:
    page.add_meter(page.add_person())
    browser = opened_page().page
    assert figure(browser) == "1,19 g/L"
    expect(browser.locator(".meaning")).to_contain_text("Dans la cible")
    expect(browser.locator(".when")).to_contain_text("il y a 3 minutes")
    expect(browser.locator(".day circle.mark")).to_have_count(1)
    browser.get_by_text("En tableau").click()
    expect(browser.get_by_role("row")).to_have_count(2)
    expect(browser.locator(".synced")).to_contain_text("Acme One")


def test_a_finger_stick_appears_in_the_open_page_within_two_seconds(
    page: RunningPage, opened_page: Opening
) -> None:
    page.add_meter(page.add_person())
    browser = opened_page().page
    with browser.expect_response("**/"):  # the stream is open, and has asked once
        pass
    page.measure(finger_stick(2, "64"))
    began = time.monotonic()
    expect(browser.locator(".figure")).to_contain_text("0,64")
    took = time.monotonic() - began
    expect(browser.locator(".meaning")).to_contain_text("Sous la cible")
    assert took <= 2.0

"""A mother adds her child's meter, in French: real browser, real pairing over the virtual radio.

With PASSERELLE_DOCS_IMAGES=1 it lays the pictures of docs/page.md (`make images`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.gateway.web.app.conftest import RunningPage, new_meter
from tests.gateway.web.conftest import Visit

pytestmark = pytest.mark.browser

IMAGES = Path(__file__).parents[4] / "docs" / "images"


@pytest.fixture
def meters():
    return (new_meter(30),)


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
    expect(browser.get_by_role("button", name="Glucose meter")).to_be_visible()
    picture("add-2-choose")
    button(browser, "Glucose meter")
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
    heading(browser, "Aujourd’hui")
    picture("today")

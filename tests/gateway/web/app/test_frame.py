"""The frame of the person's page: opened by its own program, in the person's language, and closed again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.gateway.web.app.conftest import RunningPage
from tests.gateway.web.conftest import Visit

pytestmark = pytest.mark.browser


def test_the_code_leaves_the_address_and_the_page_is_in_french(
    page: RunningPage, opened_page: Callable[..., Visit]
) -> None:
    page.add_person()
    opened = opened_page().page
    assert opened.url == page.address("/")
    expect(opened.get_by_role("heading", level=1)).to_have_text("Aujourd’hui")


def test_closing_for_everybody_closes_every_window(
    page: RunningPage, opened_page: Callable[..., Visit]
) -> None:
    page.add_person()
    one, other = opened_page().page, opened_page().page
    one.get_by_role("button", name="Fermer cette page pour tout le monde").click()
    expect(one.get_by_role("heading", level=1)).to_have_text("La page est fermée")
    expect(other.get_by_role("heading", level=1)).to_have_text("Cette page est fermée")


def test_a_page_that_renews_itself_takes_nothing_of_what_the_next_page_says(
    page: RunningPage, opened_page: Callable[..., Visit]
) -> None:
    page.add_person()
    browser = opened_page("/settings").page
    browser.evaluate("""async () => {
        const form = [...document.forms].find(({ action }) => action.includes("settings"));
        const body = new URLSearchParams(new FormData(form));
        await fetch(form.action, { method: "POST", body, redirect: "manual" });
        await fetch(location.href, { headers: { "Passerelle-Live": "1" } });
    }""")
    browser.reload()
    expect(browser.get_by_role("status")).to_be_visible()
    browser.reload()
    expect(browser.get_by_role("status")).to_have_count(0)


def test_a_form_is_about_whom_its_page_showed_whoever_was_chosen_since(
    page: RunningPage, opened_page: Callable[..., Visit]
) -> None:
    first, other = page.add_person("Anna"), page.add_person("Ben")
    browser = opened_page("/settings").page
    browser.evaluate(
        """async (other) => {
        const csrf = document.querySelector("[name=csrf]").value.split(".")[0];
        const body = new URLSearchParams({ csrf, person: other });
        await fetch("/person", { method: "POST", body, redirect: "manual" });
    }""",
        str(other.patient_id),
    )
    form = browser.locator("form", has=browser.locator("[name=unit]")).first
    form.locator("[name=unit]").first.select_option("mmol/L")
    form.get_by_role("button").first.click()
    expect(browser.get_by_role("status")).to_be_visible()
    units = {person.name: person.unit for person in page.people()}
    assert units == {first.name: "mmol/L", other.name: None}

"""The devices page, and whose page it is: battery, clock, read now, forget; people who are switched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from device_profiles.virtual_device import VirtualDevice
from storage import readings
from storage.patients import Patient
from tests.gateway.web.app.conftest import RunningPage, new_meter
from tests.gateway.web.app.records import ZONE, finger_stick
from tests.gateway.web.conftest import Visit

pytestmark = pytest.mark.browser

Opening = Callable[..., Visit]


@pytest.fixture
def meters() -> Sequence[VirtualDevice]:
    """One that is right, one that is an hour ahead."""
    ahead = timedelta(hours=1)
    return (
        new_meter([finger_stick(1, "119", minutes_ago=5)]),
        new_meter(
            [finger_stick(1, "88", minutes_ago=-50)], serial="SN-2", clock=lambda: datetime.now(ZONE) + ahead
        ),
    )


def fact(page: Page, name: str) -> str:
    return page.locator(".facts > div").filter(has_text=name).locator("dd").inner_text()


def count(page: RunningPage, patient: Patient) -> int:
    async def ask() -> int:
        async with page.database.writer() as conn:
            return len(await readings.series(conn, patient.patient_id))

    return page.wait_for(ask())


def test_a_device_says_when_it_was_read_its_battery_and_that_its_clock_is_right(
    page: RunningPage, opened_page: Opening
) -> None:
    page.add_meter(page.add_person())
    browser = opened_page("/devices").page
    assert fact(browser, "Dernière lecture") == "à l’instant"
    assert fact(browser, "Pile") == "80 %"
    assert fact(browser, "Son horloge") == "à l’heure"
    expect(browser.get_by_role("button", name="Mettre son horloge à l’heure")).to_have_count(0)


def test_a_clock_that_is_wrong_is_told_in_words_and_set_when_asked_for(
    page: RunningPage, opened_page: Opening
) -> None:
    page.add_meter(page.add_person(), 1)
    browser = opened_page("/devices").page
    assert fact(browser, "Son horloge") == "en avance de 1 heure"
    browser.get_by_role("button", name="Mettre son horloge à l’heure").click()
    expect(browser.get_by_text("Son horloge sera mise à l’heure à la prochaine lecture.")).to_be_visible()
    page.wait_for(page.air.peripherals[1].wake(60))
    expect(browser.locator(".facts")).to_contain_text("à l’heure")
    expect(browser.get_by_role("button", name="Mettre son horloge à l’heure")).to_have_count(0)


def test_a_device_is_read_now_and_one_that_does_not_answer_says_what_to_do(
    page: RunningPage, opened_page: Opening
) -> None:
    page.wait_for(page.air.peripherals[1].sleep())
    page.add_meter(page.add_person())
    browser = opened_page("/devices").page
    browser.get_by_role("button", name="Lire maintenant").click()
    expect(browser.get_by_text("Lecture en cours")).to_be_visible()
    expect(browser.get_by_text("L’appareil ne répond pas.")).to_be_visible()
    expect(browser.get_by_text("Réveillez-le avec un de ses boutons")).to_be_visible()
    browser.get_by_role("button", name="Lire maintenant").click()
    page.wait_for(page.air.peripherals[0].wake(60))
    expect(browser.get_by_text("Lu à l’instant : rien de nouveau.")).to_be_visible()


def test_forgetting_is_asked_twice_and_keeps_the_readings(page: RunningPage, opened_page: Opening) -> None:
    patient = page.add_person()
    page.add_meter(patient)
    browser = opened_page("/devices").page
    browser.get_by_role("link", name="L’oublier").click()
    browser.get_by_role("link", name="Non, le garder").click()
    expect(browser.get_by_role("heading", name="Acme One")).to_be_visible()
    browser.get_by_role("link", name="L’oublier").click()
    browser.get_by_role("button", name="Oui, l’oublier").click()
    expect(browser.get_by_role("status")).to_have_text("L’appareil est oublié. Ses mesures sont toujours là.")
    expect(browser.get_by_role("heading", name="Acme One")).to_have_count(0)
    assert count(page, patient) == 1


def test_people_are_switched_and_nobody_is_named_in_an_address(
    page: RunningPage, opened_page: Opening
) -> None:
    page.add_meter(page.add_person("Léa"))
    page.add_person("Zoé")
    opened = opened_page()
    browser = opened.page
    expect(browser.locator(".figure")).to_contain_text("1,19")
    browser.locator(".people summary").click()
    browser.get_by_role("button", name="Zoé").click()
    expect(browser.get_by_text("Rien ici pour l’instant")).to_be_visible()
    browser.get_by_role("main").get_by_role("link", name="Ajouter un appareil").click()
    expect(browser.locator(".people summary")).to_contain_text("Zoé")
    assert not any(name in url for url in opened.asked for name in ("Zo", "L%C3%A9a"))


def test_another_persons_device_is_nowhere(page: RunningPage, opened_page: Opening) -> None:
    page.add_person("Anna")
    device = page.add_meter(page.add_person("Léa"))
    browser = opened_page().page
    for path in (f"/devices/{device.device_id}/forget", "/devices/99/forget"):
        answer = browser.goto(page.address(path))
        assert answer is not None
        assert answer.status == 404

"""What a person says of their readings, of their family and of themselves; what they give, take and erase.

Each way is gone as she goes it: in a browser, in French, by forms alone.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Page, expect

from device_profiles.reading import Device, DeviceIdentity, Reading
from device_profiles.virtual_device import VirtualDevice
from gateway import annotating, household
from gateway.household import Relation
from storage import daily_summary, devices, outbox, patients
from storage.devices import StoredDevice
from storage.patients import Patient
from tests.gateway.api.serving import RunningShelf
from tests.gateway.web.app.conftest import RunningPage, new_meter
from tests.gateway.web.conftest import Visit
from tests.storage.samples import glucose, meal, segment, store

pytestmark = pytest.mark.browser

Opening = Callable[..., Visit]
Judging = Callable[[Page], list[str]]

YESTERDAY = datetime.now(UTC).replace(hour=11, minute=0, second=0, microsecond=0) - timedelta(days=1)


@pytest.fixture
def meters(shelf: RunningShelf, monkeypatch: pytest.MonkeyPatch) -> Sequence[VirtualDevice]:
    """No meter is read here; what is shared goes to a shelf that runs."""
    monkeypatch.setenv("PASSERELLE_SHELF_URL", shelf.url)
    monkeypatch.setenv("PASSERELLE_SHELF_TOKEN", shelf.enrol())
    return (new_meter(1),)


@pytest.fixture
def mother(page: RunningPage) -> Patient:
    return page.wait_for(
        household.add(page.home, "Claire", "Europe/Paris", relation=Relation.SELF, language="fr")
    )


@pytest.fixture
def child(page: RunningPage, mother: Patient) -> Patient:
    """A child with a meter and three readings of yesterday, the second of them before a meal."""
    added = page.wait_for(
        household.add(page.home, "Léa", "Europe/Paris", relation=Relation.CHILD, language="fr")
    )
    batch = [
        glucose(n, v, at=YESTERDAY + timedelta(hours=n), context=meal(1) if n == 1 else None)
        for n, v in enumerate(("92", "164", "58"))
    ]
    keep(page, meter_of(page, added), batch)
    return added


def meter_of(page: RunningPage, person: Patient) -> StoredDevice:
    async def register() -> StoredDevice:
        async with page.database.writer() as conn:
            meter = Device(
                DeviceIdentity("serial", "Acme/One/7"), manufacturer="Acme", model="One", serial="7"
            )
            return await devices.register(conn, person.patient_id, meter)

    return page.wait_for(register())


def keep(page: RunningPage, device: StoredDevice, batch: Sequence[Reading]) -> None:
    page.wait_for(store(page.database, device, batch, segment(batch)))


def counted(page: RunningPage, person: Patient) -> int:
    """How many readings the summaries of the person's days count."""

    async def count() -> int:
        async with page.database.writer() as conn:
            days = await daily_summary.days(
                conn,
                person.patient_id,
                YESTERDAY.date() - timedelta(days=2),
                YESTERDAY.date() + timedelta(days=2),
            )
        return sum(day.readings for day in days)

    return page.wait_for(count())


def changes(page: RunningPage, person: Patient) -> int:
    """How many entries the outbox has for the spaces."""

    async def count() -> int:
        async with page.database.writer() as conn:
            return len(await outbox.entries_after(conn, person.patient_id, 0))

    return page.wait_for(count())


def as_child(opened_page: Opening, **how: object) -> Page:
    browser = opened_page(**how).page
    browser.locator(".people summary").click()
    browser.get_by_role("button", name="Léa").click()
    return browser


def test_a_day_lists_its_readings_and_leads_to_the_days_around_it(
    page: RunningPage, child: Patient, opened_page: Opening
) -> None:
    device = page.wait_for(of_person(page, child))
    earlier = [glucose(20, "101", at=YESTERDAY - timedelta(days=5))]
    page.wait_for(store(page.database, device, earlier, segment(earlier), segment(glucoses())))
    browser = as_child(opened_page, java_script_enabled=False)
    browser.get_by_role("link", name="Mesures").click()
    expect(browser.get_by_role("heading", level=1)).to_have_text("Hier")
    expect(browser.locator(".reading")).to_have_count(3)
    expect(browser.locator(".reading").nth(1)).to_contain_text("1,64 g/L")
    expect(browser.locator(".reading").nth(1)).to_contain_text("avant un repas")
    browser.locator(".days a").click()
    expect(browser.locator(".reading")).to_have_count(1)
    browser.locator(".days a").click()
    expect(browser.get_by_role("heading", level=1)).to_have_text("Hier")
    browser.goto(page.address("/readings?day=2026-13-45"))
    expect(browser.get_by_role("alert")).to_contain_text("Ce jour n’existe pas")
    browser.get_by_label("Aller à un jour").fill("2020-02-29")
    browser.get_by_role("button", name="Voir").click()
    expect(browser.get_by_role("heading", name="Aucune mesure ce jour-là")).to_be_visible()


def glucoses() -> list[Reading]:
    return [glucose(n, at=YESTERDAY + timedelta(hours=n)) for n in range(3)]


async def of_person(page: RunningPage, person: Patient) -> StoredDevice:
    async with page.database.writer() as conn:
        (device,) = await devices.of_patient(conn, person.patient_id)
    return device


def test_what_is_said_of_a_reading_shows_counts_and_leaves_at_once_and_can_be_taken_back(
    page: RunningPage, child: Patient, opened_page: Opening, judged: Judging
) -> None:
    browser = as_child(opened_page, width=390)
    browser.goto(page.address("/readings"))
    browser.locator(".reading").nth(1).click()
    before = changes(page, child)
    browser.get_by_label("Moment").select_option("après un repas")
    browser.locator("#meal").select_option("le déjeuner")
    browser.get_by_role("button", name="Garder ce moment").click()
    expect(browser.get_by_role("status")).to_have_text("Noté : après le déjeuner.")
    browser.locator("#note").fill("Après la piscine")
    browser.get_by_role("button", name="Garder la note").click()
    browser.get_by_label("Pourquoi ?").fill("mains non lavées")
    browser.get_by_role("button", name="Ne pas compter").click()
    assert (counted(page, child), changes(page, child) - before) == (2, 3)
    expect(browser.locator(".trace")).to_contain_text("Ne compte pas : mains non lavées")
    assert judged(browser) == []
    browser.get_by_role("button", name="La compter de nouveau").click()
    browser.get_by_label("Moment").select_option("comme noté sur le lecteur")
    browser.get_by_role("button", name="Garder ce moment").click()
    expect(browser.locator(".last .tags")).to_have_text("avant un repas")
    browser.get_by_role("button", name="Pas à moi").click()
    assert counted(page, child) == 2
    browser.get_by_role("button", name="La compter de nouveau").click()
    assert counted(page, child) == 3
    expect(browser.locator(".trace li")).to_have_count(4)
    browser.locator("#note").fill("")
    browser.get_by_role("button", name="Garder la note").click()
    browser.get_by_role("link", name="Retour à la journée").click()
    expect(browser.get_by_text("Après la piscine")).to_have_count(0)


def test_a_reading_of_somebody_else_is_not_found_and_one_can_be_given(
    page: RunningPage, mother: Patient, child: Patient, opened_page: Opening, judged: Judging
) -> None:
    (reading, *_) = page.wait_for(annotating.listed(page.home, child.name)).ids
    browser = opened_page().page
    assert browser.goto(page.address(f"/readings/{reading}")).status == 404  # it is Claire who is shown
    browser = as_child(opened_page)
    browser.goto(page.address(f"/readings/{reading}"))
    browser.get_by_role("link", name="La donner à quelqu’un").click()
    assert judged(browser) == []
    browser.get_by_role("main").get_by_role("button", name="Claire").click()
    expect(browser.get_by_role("heading", name="Elle est à Claire")).to_be_visible()
    assert (counted(page, mother), counted(page, child)) == (1, 2)


def test_a_shared_meter_asks_whose_each_reading_is_and_one_tap_answers(
    page: RunningPage, mother: Patient, child: Patient, opened_page: Opening, judged: Judging
) -> None:
    browser = as_child(opened_page, width=390)
    browser.goto(page.address("/family"))
    browser.get_by_text("Qui d’autre s’en sert ?").first.click()
    browser.get_by_label("Claire", exact=True).check()
    browser.locator(".theirs").get_by_role("button", name="Garder").click()
    expect(browser.get_by_role("status")).to_contain_text("à qui est chaque mesure de Acme One")
    late = [glucose(n, v, at=YESTERDAY + timedelta(hours=n)) for n, v in ((3, "143"), (4, "144"))]
    device = page.wait_for(of_person(page, child))
    page.wait_for(store(page.database, device, late, segment([*glucoses(), *late])))
    browser.goto(page.address("/questions"))
    expect(browser.locator("h2").first).to_contain_text("1,44 g/L")
    assert judged(browser) == []
    browser.get_by_role("main").get_by_role("button", name="Claire").first.click()
    expect(browser.get_by_role("status")).to_have_text("Elle est à Claire.")
    browser.get_by_role("main").get_by_role("button", name="Léa").click()
    expect(browser.get_by_role("heading", name="Rien à répondre")).to_be_visible()
    assert (counted(page, mother), counted(page, child)) == (1, 4)


def test_a_child_is_added_with_a_guardian_and_acts_for_herself_one_day(
    page: RunningPage, mother: Patient, opened_page: Opening, judged: Judging
) -> None:
    browser = opened_page("/family").page
    browser.get_by_label("Prénom").fill("Claire")
    browser.get_by_role("button", name="Ajouter").click()
    expect(browser.get_by_role("alert")).to_be_visible()  # there is one already
    assert judged(browser) == []
    browser.get_by_label("Prénom").fill("Tom")
    browser.get_by_label("Qui est-ce ?").last.select_option("mon enfant")
    browser.get_by_label("Qui agit pour cette personne ?").select_option("Claire")
    browser.get_by_role("button", name="Ajouter").click()
    expect(browser.get_by_text("Claire agit pour Tom.")).to_be_visible()
    browser.get_by_text("Modifier").last.click()
    assert judged(browser) == []
    browser.get_by_role("button", name="Tom agit pour son propre compte").click()
    expect(browser.get_by_role("status")).to_have_text("Tom agit maintenant pour son propre compte.")


def test_settings_change_the_words_the_unit_the_days_and_the_target(
    page: RunningPage, child: Patient, opened_page: Opening, judged: Judging
) -> None:
    browser = as_child(opened_page)
    browser.goto(page.address("/settings"))
    browser.locator("#low").fill("0,70")
    browser.locator("#high").fill("16")
    browser.get_by_role("button", name="Garder les objectifs").click()
    expect(browser.get_by_role("alert")).to_contain_text("entre 0.2 et 6")
    expect(browser.locator("#high")).to_have_value("16")
    assert judged(browser) == []
    browser.locator("#high").fill("1,60")
    browser.get_by_role("button", name="Garder les objectifs").click()
    expect(browser.locator("#high")).to_have_value("1,60")
    browser.goto(page.address("/readings"))
    expect(browser.locator(".reading .high")).to_have_count(1)  # 1,64 lies above 1,60
    browser.goto(page.address("/settings"))
    browser.get_by_label("Langue").select_option("English")
    browser.get_by_label("Glycémie en").select_option("mmol/L")
    browser.get_by_label("Fuseau horaire").fill("Pacific/Auckland")
    browser.locator("form", has_text="Fuseau").get_by_role("button", name="Garder").click()
    expect(browser.get_by_role("status")).to_have_text("Your choice is kept.")
    expect(browser.locator("#high")).to_have_value("8.9")
    browser.goto(page.address("/readings"))
    expect(browser.locator(".reading").last).to_contain_text("3.2 mmol/L")

    async def days() -> set[str]:
        async with page.database.writer() as conn:
            there = await daily_summary.days(
                conn,
                child.patient_id,
                YESTERDAY.date() - timedelta(days=2),
                YESTERDAY.date() + timedelta(days=3),
            )
        return {day.day.isoformat() for day in there}

    far = (YESTERDAY + timedelta(hours=13)).date()  # 11 to 13 o'clock in Greenwich is past midnight there
    assert far.isoformat() in page.wait_for(days())
    browser.goto(page.address("/settings"))
    browser.get_by_label("Time zone").fill("Mars/Olympus")
    browser.get_by_role("button", name="Keep", exact=True).click()
    expect(browser.get_by_role("alert")).to_be_visible()


def test_a_link_is_made_shown_as_a_card_followed_and_ended(
    page: RunningPage, child: Patient, opened_page: Opening, judged: Judging
) -> None:
    browser = as_child(opened_page, width=390)
    browser.get_by_role("link", name="Partager").click()
    browser.get_by_label("Pour qui ?").fill("Dr Martin")
    browser.get_by_role("button", name="Créer le lien").click()
    expect(browser.get_by_role("status")).to_contain_text("Le code d’accès, montré cette seule fois")
    link = browser.get_by_label("Le lien, à copier").input_value()
    assert "shlink:/" in link
    assert judged(browser) == []
    browser.reload()
    expect(browser.get_by_role("status")).to_have_count(0)  # the passcode was shown once
    assert browser.get_by_label("Le lien, à copier").input_value() == link
    browser.get_by_role("link", name="Retour aux partages").click()
    expect(browser.get_by_text("Personne ne l’a encore ouvert.")).to_be_visible()
    assert judged(browser) == []
    browser.get_by_role("button", name="Y mettre fin").click()
    expect(browser.get_by_role("status")).to_have_text("Le lien ne s’ouvre plus.")
    browser.get_by_text("1 partage terminé").click()
    expect(browser.get_by_text("vous y avez mis fin")).to_be_visible()


def test_everything_is_taken_along_in_one_file(
    page: RunningPage, child: Patient, opened_page: Opening
) -> None:
    browser = as_child(opened_page)
    browser.goto(page.address("/export"))
    with browser.expect_download() as coming:
        browser.get_by_role("button", name="Préparer le fichier").click()
    content = Path(coming.value.path()).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        manifest = json.loads(packed.read("manifest.json"))
    assert [(each["name"], each["readings"]) for each in manifest["persons"]] == [("Léa", 3)]
    end = monotonic() + 10  # it goes when the browser has it all
    while list(page.folder.glob("export-*")) and monotonic() < end:
        pass
    assert list(page.folder.glob("export-*")) == []


def test_erasing_asks_for_the_name_and_gives_a_receipt(
    page: RunningPage, mother: Patient, child: Patient, opened_page: Opening, judged: Judging
) -> None:
    browser = as_child(opened_page)
    browser.goto(page.address("/erase"))
    expect(browser.get_by_text("3 mesures disparaissent")).to_be_visible()
    browser.get_by_label("Pour effacer, tapez le prénom").fill("lea")
    browser.get_by_role("button", name="Tout effacer de Léa").click()
    expect(browser.get_by_role("alert")).to_contain_text("rien n’a été effacé")
    assert judged(browser) == []
    browser.get_by_label("Pour effacer, tapez le prénom").fill("Léa")
    browser.get_by_role("button", name="Tout effacer de Léa").click()
    expect(browser.get_by_role("heading", level=1)).to_have_text("C’est effacé")
    assert judged(browser) == []
    with browser.expect_download() as coming:
        browser.get_by_role("link", name="Garder le reçu").click()
    assert json.loads(Path(coming.value.path()).read_bytes())["erased"]["readings"] == 3

    async def there() -> list[str]:
        async with page.database.writer() as conn:
            return [person.name for person in await patients.list_all(conn)]

    assert page.wait_for(there()) == ["Claire"]

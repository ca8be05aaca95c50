"""The viewer as people meet it: a real browser, a real shelf, a real person's week behind a link."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Page, expect

from device_profiles.reading import Absent, Context, Kind, Measurand, Quantity
from gateway.api import shelf as shelf_api
from gateway.reports.blood_pressure import HomeBloodPressure
from gateway.sealing import SealedLink, new_key
from storage.shelf import Outcome
from tests.fhir_mapping.examples import Placed, reading, series_of
from tests.gateway.api.serving import RunningShelf, share
from tests.gateway.web.conftest import Visit
from tests.gateway.web.shared_readings import (
    captured_meter,
    collection,
    finger_stick,
    sensor,
    sensor_week,
)

pytestmark = pytest.mark.browser

Visiting = Callable[..., Visit]
MORNING = datetime.fromisoformat("2026-03-02T08:00:00")


@pytest.fixture(scope="module")
def both() -> bytes:
    """A sensor week and a meter's read, four years apart."""
    return collection(*sensor_week("2133-039"), *captured_meter())


def enter(page: Page, passcode: str | None = None, name: str = "A clinic") -> None:
    page.get_by_label(re.compile("Your name|Votre nom")).fill(name)
    if passcode is not None:
        page.get_by_label(re.compile("Passcode|Code")).fill(passcode)
    page.get_by_role("button", name=re.compile("^(Open|Ouvrir)$")).click()


def tile(page: Page, kind: str, name: str) -> str:
    named = page.get_by_role("term").filter(has_text=re.compile(f"^{name}"))
    found = page.locator(f".readings.{kind} .tiles > div", has=named)
    found.wait_for()
    return " ".join(found.locator("dd").all_inner_texts()).replace("\xa0", " ")


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_a_clinician_opens_the_link_and_sees_the_curve_and_the_numbers(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    shared = share(shelf, both, label="Sensor week and meter")
    opened = visit(shared.url)
    page = opened.page
    heading(page, "Sensor week and meter")
    enter(page, name="A clinic, Lyon")
    heading(page, "Patient 1")
    assert tile(page, "sensor", "Mean").startswith("104 mg/dL")
    assert tile(page, "sensor", "Lowest") == "50–204 mg/dL"
    assert tile(page, "sensor", "Readings") == "1,945 no LO, no HI"
    assert tile(page, "sensor", "Variation") == "23.0 % stable up to 36 %"
    assert tile(page, "sensor", "GMI") == "– needs 70 % of the readings"
    assert tile(page, "sensor", "Data of the period").startswith("67 %")
    assert tile(page, "finger-stick", "Mean") == "113 mg/dL"
    assert tile(page, "finger-stick", "Lowest") == "88–146 mg/dL"
    assert tile(page, "finger-stick", "Measurements") == "11 of which 2 LO and 0 HI, not in the mean"
    expect(page.locator(".readings.sensor .chart .line.target")).to_have_attribute("d", re.compile("M.*L"))
    expect(page.locator(".readings .chart.finger-stick .mark")).to_have_count(11)
    expect(page.locator(".readings .chart.finger-stick .beyond")).to_have_text(["LO", "LO"])
    expect(page.get_by_text("no alarm and gives no medical advice")).to_have_count(1)
    assert {urlsplit(url).netloc for url in opened.asked} == {urlsplit(shelf.url).netloc}
    assert not any(shared.link.shlink() in url for url in opened.asked if "#" not in url)
    (opening,) = shared.call(lambda client: client.openings(shared.link_hash))
    assert (opening.recipient, opening.outcome) == ("A clinic, Lyon", Outcome.OPENED)


def test_each_chart_opens_on_the_days_there_are(shelf: RunningShelf, visit: Visiting, both: bytes) -> None:
    page = visit(share(shelf, both).url).page
    enter(page)
    expect(page.locator(".readings.sensor header .muted")).to_contain_text(re.compile("5.–.14 June 2017"))
    expect(page.locator(".readings.finger-stick header .muted")).to_contain_text(
        "19 October 2021 – 30 May 2022"
    )
    page.locator(".readings.sensor").get_by_role("button", name="7 days").click()
    expect(page.locator(".readings.sensor header .muted")).to_contain_text(re.compile("8.–.14 June 2017"))
    page.locator(".readings.sensor").get_by_role("button", name="Earlier").click()
    expect(page.locator(".readings.sensor header .muted")).to_contain_text(re.compile("5.–.11 June 2017"))
    expect(page.locator(".readings.finger-stick header .muted")).to_contain_text("19 October 2021")


def test_what_does_not_count_is_not_counted_and_kinds_are_never_mixed(
    shelf: RunningShelf, visit: Visiting
) -> None:
    content = collection(
        *(sensor(MORNING + timedelta(minutes=5 * step), "100") for step in range(300)),
        sensor(MORNING - timedelta(minutes=5), "300", excluded=True),
        sensor(MORNING - timedelta(minutes=10), Absent.ABOVE_RANGE),
        finger_stick(MORNING, "200"),
        finger_stick(MORNING + timedelta(hours=1), "250", kind=Kind.CONTROL_SOLUTION),
        finger_stick(MORNING + timedelta(hours=2), "0.4", kind=Kind.KETONE, unit="mmol/L"),
        finger_stick(MORNING + timedelta(hours=3), Absent.NOT_A_NUMBER),
    )
    page = visit(share(shelf, content).url).page
    enter(page)
    assert tile(page, "sensor", "Lowest") == "100–100 mg/dL"
    assert tile(page, "sensor", "Readings") == "301 of which 0 LO and 1 HI, not in the mean"
    assert tile(page, "finger-stick", "Measurements") == "1 no LO, no HI"
    footing = page.locator(".footing")
    expect(footing).to_contain_text("1 reading that the person set aside is not counted")
    expect(footing).to_contain_text("1 test with a control solution is not counted")
    expect(footing).to_contain_text("1 other observation")
    ketones = page.locator(".measures.ketone")
    expect(ketones.locator("dd").first).to_have_text("0.4 mmol/L")


def cuff(local: datetime, systolic: str, diastolic: str, unit: str = "mm[Hg]") -> Placed:
    at = local.replace(tzinfo=UTC)
    beside = (
        Quantity(Measurand.DIASTOLIC, Decimal(diastolic), unit),
        Quantity(Measurand.PULSE_RATE, Decimal(64), "/min"),
    )
    told = reading(
        Kind.BLOOD_PRESSURE, systolic, unit, others=beside, recorded_at=at, sequence=0, sample=None
    )
    return Placed(told, effective=at - timedelta(hours=1), utc_offset_minutes=60)


def four_evenings() -> list[Placed]:
    """Three measurements in the morning and in the evening, but none on the second day."""
    return [
        cuff(
            MORNING + timedelta(days=day, hours=hour, minutes=2 * number),
            str(130 + day + number),
            str(80 + day),
        )
        for day in (0, 2, 3, 4)
        for hour in (0, 12)
        for number in range(3)
    ]


def test_blood_pressures_stand_by_the_rule_of_three_days_in_a_row(
    shelf: RunningShelf, visit: Visiting
) -> None:
    placed = four_evenings()
    page = visit(share(shelf, collection(*placed)).url).page
    enter(page)
    section = page.locator(".measures.blood-pressure")
    expect(section.locator("dd").first).to_have_text("136/84 mmHg")
    expected = HomeBloodPressure.of(series_of(*placed), ZoneInfo("Etc/GMT-1"))
    assert expected is not None
    assert (expected.n, expected.above) == (18, False)
    rule = section.locator(".rule")
    expect(rule).to_contain_text(f"{expected.systolic:.0f}/{expected.diastolic:.0f} mmHg")
    expect(rule).to_contain_text("the mean of 18 of 18 measurements")
    expect(section.locator(".pressure")).to_have_count(24)
    section.get_by_text("All measurements of this period").click()
    expect(section.locator("tbody tr").first).to_contain_text("136/84")


def test_without_three_days_in_a_row_there_is_no_home_blood_pressure(
    shelf: RunningShelf, visit: Visiting
) -> None:
    placed = [cuff(MORNING + timedelta(days=day), "17.5", "11.2", "kPa") for day in (0, 2)]
    page = visit(share(shelf, collection(*placed)).url).page
    enter(page)
    section = page.locator(".measures.blood-pressure")
    expect(section.locator("dd").first).to_have_text("131/84 mmHg")
    expect(section).to_contain_text("three days in a row")
    assert HomeBloodPressure.of(series_of(*placed), ZoneInfo("UTC")) is None


def test_a_weight_written_in_pounds_stands_on_the_line_of_the_others(
    shelf: RunningShelf, visit: Visiting
) -> None:
    def scale(days: int, value: str, unit: str) -> Placed:
        at = (MORNING + timedelta(days=days)).replace(tzinfo=UTC)
        told = reading(Kind.BODY_WEIGHT, value, unit, recorded_at=at, sequence=0, sample=None)
        return Placed(told, effective=at)

    page = visit(share(shelf, collection(scale(0, "220.5", "[lb_av]"), scale(3, "98.6", "kg"))).url).page
    enter(page)
    section = page.locator(".measures.weight")
    expect(section.locator("dd").first).to_have_text("98.6 kg")
    expect(section).to_contain_text("98.6–100.0 kg")
    expect(section).to_contain_text("−1.4 kg")


def test_below_a_day_of_sensor_data_there_is_no_mean(shelf: RunningShelf, visit: Visiting) -> None:
    content = collection(*(sensor(MORNING + timedelta(minutes=5 * step), "100") for step in range(287)))
    page = visit(share(shelf, content).url).page
    enter(page)
    expect(page.get_by_text("Less than 24 hours of sensor data")).to_be_visible()
    expect(page.locator(".tiles dt")).to_have_text(["Lowest – highest", "Readings", "Data of the period"])


def test_the_curve_is_read_out_by_keyboard_pointer_and_touch(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    page = visit(share(shelf, both).url, has_touch=True).page
    enter(page)
    curve = page.get_by_role("slider", name=re.compile("^Glucose sensor"))
    readout = page.locator(".readings.sensor .chart:not(.profile) .readout")
    curve.focus()
    page.keyboard.press("Home")
    expect(readout).to_contain_text("129 mg/dL")
    expect(curve).to_have_attribute(
        "aria-valuetext", re.compile("129 mg/dL, In target, Mon,? 5 Jun 2017, 12:23")
    )
    page.keyboard.press("ArrowRight")
    expect(readout).to_contain_text("111 mg/dL")
    page.keyboard.press("PageUp")
    expect(readout).to_contain_text("6 Jun 2017")
    page.keyboard.press("Escape")
    expect(readout).to_be_hidden()
    curve.hover(position={"x": 400, "y": 100})
    expect(readout).to_be_visible()
    page.mouse.move(1, 1)
    page.locator(".readings .chart.finger-stick").tap(position={"x": 60, "y": 100})
    expect(page.locator(".readings.finger-stick .readout")).to_contain_text("Oct 2021")


def test_the_table_holds_every_reading_newest_first(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    page = visit(share(shelf, both).url).page
    enter(page)
    sensor_section = page.locator(".readings.sensor")
    sensor_section.get_by_text("All readings of this period").click()
    first = sensor_section.locator("tbody tr").first
    expect(first).to_contain_text("14/06/2017")
    expect(sensor_section.locator("tbody tr")).to_have_count(100)
    expect(sensor_section.locator(".pages")).to_contain_text("Page 1 of 20")
    sensor_section.get_by_role("button", name="Older").click()
    expect(sensor_section.locator(".pages")).to_contain_text("Page 2 of 20")
    meter = page.locator(".readings.finger-stick")
    meter.get_by_text("All readings of this period").click()
    rows = page.locator(".readings.finger-stick > details tbody tr")
    expect(rows).to_have_count(11)
    expect(rows.first).to_contain_text("LO")


def meter_weeks() -> list[Placed]:
    """Three weeks of a meter: five measurements a day, one of them marked by the meter."""
    begin = datetime.fromisoformat("2026-03-02T00:00:00")
    placed = [
        finger_stick(
            begin + timedelta(days=day, hours=hour, minutes=day), str(70 + (day * 31 + hour * 17) % 180)
        )
        for day in range(21)
        for hour in (7, 9, 12, 19, 23)
    ]
    early = placed[1]
    placed[1] = replace(early, reading=replace(early.reading, context=Context(raw=b"", meal=3)))
    return placed


def test_a_meters_days_stand_in_a_logbook_by_the_moments_of_the_day(
    shelf: RunningShelf, visit: Visiting
) -> None:
    page = visit(share(shelf, collection(*meter_weeks())).url).page
    enter(page)
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator(".modal .middle")).to_have_count(5)
    expect(page.locator(".modal .mark")).to_have_count(105)
    logbook = page.locator(".logbook")
    expect(logbook.locator("tbody").first.locator("tr")).to_have_count(14)
    expect(logbook.locator("tbody tr").first.locator("th")).to_have_text("Sun 22/03")
    logbook.get_by_text("7 days before").click()
    oldest = logbook.locator("tbody tr").last
    expect(oldest.locator("td").nth(1)).to_have_text(re.compile("07:00.*09:00"))
    expect(oldest.locator("td").nth(2)).to_be_empty()


def test_a_meters_page_prints_on_one_sheet_with_its_logbook(
    shelf: RunningShelf, visit: Visiting, shots: Path
) -> None:
    page = visit(share(shelf, collection(*meter_weeks())).url).page
    enter(page)
    heading(page, "Patient 1")
    page.emulate_media(media="print")
    expect(page.locator(".logbook tbody tr").first).to_be_visible()
    printed = page.pdf(path=shots / "meter.pdf", prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1


def test_french_people_read_g_per_l_with_a_comma_and_may_choose_otherwise(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    opened = visit(share(shelf, both).url, locale="fr-FR")
    page = opened.page
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    enter(page)
    assert tile(page, "sensor", "Moyenne") == "1,04 g/L"
    page.get_by_role("button", name="mmol/L").click()
    assert tile(page, "sensor", "Moyenne") == "5,8 mmol/L"
    page.get_by_role("button", name="EN", exact=True).click()
    assert tile(page, "sensor", "Mean") == "5.8 mmol/L"
    page.reload()
    heading(page, "Patient 1")
    assert tile(page, "sensor", "Mean") == "5.8 mmol/L"


def test_a_page_loaded_again_does_not_ask_again(shelf: RunningShelf, visit: Visiting, both: bytes) -> None:
    shared = share(shelf, both)
    page = visit(shared.url).page
    enter(page)
    heading(page, "Patient 1")
    page.reload()
    heading(page, "Patient 1")
    assert len(shared.call(lambda client: client.openings(shared.link_hash))) == 2


def test_a_passcode_is_kept_nowhere_and_asked_again_when_the_page_is_loaded_again(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    page = visit(share(shelf, both, passcode="482913").url).page
    enter(page, passcode="482913")
    heading(page, "Patient 1")
    kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert "A clinic" in kept
    assert "482913" not in kept
    page.reload()
    expect(page.get_by_label("Your name")).to_have_value("A clinic")
    page.get_by_label("Passcode").fill("482913")
    page.keyboard.press("Enter")
    heading(page, "Patient 1")


def test_what_stands_in_the_file_is_never_markup_nor_code(shelf: RunningShelf, visit: Visiting) -> None:
    evil = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"code": "99504-3"}]},
        "effectiveDateTime": "2026-03-02T08:00:00+01:00",
        "valueQuantity": {"value": 100, "code": "mg/dL"},
        "device": {"reference": "Device/1", "display": evil},
        "note": [{"text": evil}],
    }
    strange = observation | {"valueQuantity": {"value": 666, "code": "constructor"}, "__proto__": {"kind": 1}}
    patient = {"resourceType": "Patient", "name": [{"text": evil}], "__proto__": {"excluded": True}}
    device = {"resourceType": "Device", "id": "1", "manufacturer": evil, "modelNumber": evil}
    entries = [{"resource": resource} for resource in (patient, device, observation, strange)]
    content = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    opened = visit(share(shelf, content, label=evil[:80]).url)
    page = opened.page
    expect(page.get_by_role("heading", level=1)).to_contain_text("<img")
    enter(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("<img")
    page.get_by_text("All readings of this period, in a table").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("<script>")
    page.locator(".chart").focus()
    assert page.title() == "Passerelle"
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate("({}).excluded === undefined && ({}).kind === undefined")
    assert all(address.startswith(shelf.url) for address in opened.asked)


def test_a_wrong_passcode_says_how_many_tries_are_left_and_keeps_the_name(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    shared = share(shelf, both, passcode="482913")
    page = visit(shared.url).page
    enter(page, passcode="000000")
    expect(page.get_by_role("alert")).to_contain_text("9 tries are left")
    expect(page.get_by_label("Your name")).to_have_value("A clinic")
    expect(page.get_by_label("Passcode")).to_be_focused()
    page.keyboard.type("482913")
    page.keyboard.press("Enter")
    heading(page, "Patient 1")


def test_after_the_last_try_the_page_says_that_the_link_is_closed(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    shared = share(shelf, both, passcode="482913")
    for _ in range(9):
        httpx.post(shared.link.manifest_url, json={"recipient": "someone", "passcode": "1"})
    page = visit(shared.url).page
    enter(page, passcode="000000")
    heading(page, "This link is closed")
    expect(page.get_by_role("link", name="Ask for a new link")).to_be_visible()


def test_an_expired_link_says_when_it_ended_and_asks_nobody(shelf: RunningShelf, visit: Visiting) -> None:
    shared = share(shelf, b"{}", expires_in=timedelta(days=-1))
    opened = visit(shared.url)
    heading(opened.page, "This link has expired")
    expect(opened.page.get_by_text("It opened until")).to_be_visible()
    asked = opened.page.get_by_role("link", name="Ask for a new link")
    assert str(asked.get_attribute("href")).startswith("mailto:?subject=")
    assert not any("/shl/" in urlsplit(url).path for url in opened.asked)


def test_a_revoked_link_says_so_and_offers_one_next_step(shelf: RunningShelf, visit: Visiting) -> None:
    shared = share(shelf, b"{}")
    shared.call(lambda client: client.revoke(shared.link_hash))
    page = visit(shared.url).page
    enter(page)
    heading(page, "This link is closed")
    expect(page.locator("main").get_by_role("link")).to_have_count(1)


def test_a_file_that_the_key_does_not_open_is_not_shown(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    shared = share(shelf, both)
    other = SealedLink(shared.link.manifest_url, new_key())
    page = visit(other.url(shelf.url)).page
    enter(page)
    heading(page, "The readings cannot be decrypted")


def test_what_is_no_bundle_of_readings_is_said(shelf: RunningShelf, visit: Visiting) -> None:
    for content in (b"not JSON", b"[]", b'{"resourceType":"Patient"}'):
        page = visit(share(shelf, content).url).page
        enter(page)
        heading(page, "This is not a file of readings")


def test_a_link_that_a_mail_program_escaped_opens(shelf: RunningShelf, visit: Visiting, both: bytes) -> None:
    url = share(shelf, both, label="A week").url
    heading(visit(url.replace("#shlink:/", "#shlink%3A%2F")).page, "A week")


@pytest.mark.parametrize("fragment", ["", "#", "#%", "#shlink:/", "#shlink:/AAAA", "#shlink:/eyJ2IjoxfQ"])
def test_a_link_that_is_cut_off_is_said(shelf: RunningShelf, visit: Visiting, fragment: str) -> None:
    heading(visit(f"{shelf.url}/view{fragment}").page, "This link is not complete")


def test_a_link_pasted_over_another_opens_its_own(shelf: RunningShelf, visit: Visiting, both: bytes) -> None:
    page = visit(share(shelf, both, label="The first").url).page
    heading(page, "The first")
    page.goto(share(shelf, both, label="The second").url)
    heading(page, "The second")


def test_on_plain_http_of_another_machine_the_page_says_what_to_do(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    address = shelf.url.replace("127.0.0.1", "shelf.test")
    page = visit(share(shelf, both).link.url(address)).page
    heading(page, "This address is not secure")
    expect(page.get_by_text("begins with https")).to_be_visible()


def test_a_link_of_another_shelf_is_not_asked_for(shelf: RunningShelf, visit: Visiting) -> None:
    link = SealedLink("https://shelf.example.org/shl/x", new_key())
    page = visit(link.url(shelf.url)).page
    heading(page, "This link belongs to another server")
    expect(page.get_by_text("shelf.example.org")).to_be_visible()


def test_without_javascript_the_page_says_what_to_do(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    page = visit(share(shelf, both).url, java_script_enabled=False).page
    shown = page.locator("noscript section")
    expect(shown).to_be_visible()
    assert "Allow JavaScript for this page" in str(shown.text_content())
    assert "Autorisez JavaScript pour cette page" in str(shown.text_content())


def test_a_shelf_that_stops_answering_is_said_and_tried_again(
    shelf: RunningShelf, visit: Visiting, both: bytes
) -> None:
    page = visit(share(shelf, both).url).page
    page.route("**/shl/**", lambda route: route.abort())
    enter(page)
    heading(page, "The readings cannot be fetched")
    page.unroute("**/shl/**")
    page.get_by_role("button", name="Try again").click()
    heading(page, "Patient 1")


def test_a_file_with_an_address_of_its_own_opens_too(
    shelf: RunningShelf, visit: Visiting, both: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_api, "EMBEDDED_MAX", 1000)
    opened = visit(share(shelf, both).url)
    enter(opened.page)
    heading(opened.page, "Patient 1")
    assert any("/shl/file/" in url for url in opened.asked)


def test_the_bundle_is_downloaded_as_it_was_shared(shelf: RunningShelf, visit: Visiting, both: bytes) -> None:
    page = visit(share(shelf, both, label="Week 23: meter & sensor").url).page
    enter(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download FHIR").click()
    assert download.value.suggested_filename == "Week-23-meter-sensor.fhir.json"
    assert Path(download.value.path()).read_bytes() == both


def test_names_and_notes_are_text_whatever_they_hold(shelf: RunningShelf, visit: Visiting) -> None:
    name = "<img src=x onerror=alert(1)> عائشة " + "long" * 60
    content = collection(finger_stick(MORNING, "119", note="<script>alert(2)</script>"), name=name)
    page = visit(share(shelf, content, label="<b>bold</b>").url, width=390).page
    heading(page, "<b>bold</b>")
    enter(page)
    heading(page, name)
    page.get_by_role("slider").focus()
    expect(page.locator(".readout")).to_contain_text("<script>alert(2)</script>")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("readings", [0, 1])
def test_no_reading_or_a_single_one_is_a_page_too(
    shelf: RunningShelf, visit: Visiting, readings: int
) -> None:
    content = collection(*[finger_stick(MORNING, "119")][:readings])
    page = visit(share(shelf, content).url).page
    enter(page)
    if readings:
        assert tile(page, "finger-stick", "Mean") == "119 mg/dL"
    else:
        expect(page.get_by_text("There is no reading in this share.")).to_be_visible()


def test_days_are_those_of_the_persons_clock_across_a_change_of_zone(
    shelf: RunningShelf, visit: Visiting
) -> None:
    content = collection(
        sensor(datetime.fromisoformat("2026-03-28T23:55:00"), "100", 60),
        sensor(datetime.fromisoformat("2026-03-29T03:05:00"), "110", 120),
    )
    page = visit(share(shelf, content).url, timezone_id="America/Los_Angeles").page
    enter(page)
    expect(page.locator(".readings header .muted")).to_contain_text(re.compile("28.–.29 March 2026"))
    expect(page.get_by_text("(UTC+01:00, UTC+02:00)")).to_be_visible()
    page.get_by_role("slider").focus()
    expect(page.locator(".readout")).to_contain_text("Sun, 29 Mar 2026, 03:05")


def test_values_in_mmol_are_shown_as_the_device_wrote_them(shelf: RunningShelf, visit: Visiting) -> None:
    values = ["3.8", "3.9", "10.0", "10.1"]
    placed = [
        finger_stick(MORNING + timedelta(hours=hour), value, unit="mmol/L")
        for hour, value in enumerate(values)
    ]
    page = visit(share(shelf, collection(*placed)).url).page
    enter(page)
    assert tile(page, "finger-stick", "Lowest") == "3.8–10.1 mmol/L"
    counts = page.locator(".shares strong")
    expect(counts).to_have_text(["0", "1", "2", "1", "0"])


def test_the_profile_is_read_out_by_keyboard_and_stands_in_a_table(
    shelf: RunningShelf, visit: Visiting
) -> None:
    page = visit(share(shelf, collection(*sensor_week("2133-018"))).url).page
    enter(page)
    profile = page.get_by_role("slider", name=re.compile("^Glucose profile of a day"))
    readout = page.locator(".chart.profile .readout")
    profile.focus()
    page.keyboard.press("Home")
    expect(readout).to_contain_text("00:00 to 00:15")
    page.keyboard.press("PageUp")
    expect(readout).to_contain_text("03:00 to 03:15")
    expect(profile).to_have_attribute(
        "aria-valuetext", re.compile(r"03:00 to 03:15: \d+ mg/dL; half of the days")
    )
    page.get_by_text("The profile in a table").click()
    expect(page.locator(".profile tbody tr")).to_have_count(96)


def test_no_profile_and_no_management_indicator_where_the_days_are_too_few_and_it_says_why(
    shelf: RunningShelf, visit: Visiting
) -> None:
    content = collection(*(sensor(MORNING + timedelta(minutes=5 * step), "100") for step in range(3 * 288)))
    page = visit(share(shelf, content).url).page
    enter(page)
    expect(page.get_by_text("A glucose profile needs 7 days with 70 % of their readings")).to_be_visible()
    expect(page.locator(".chart.profile")).to_have_count(0)
    sparse = [step for step in range(3 * 288) if step % 288 < 150]
    content = collection(*(sensor(MORNING + timedelta(minutes=5 * step), "100") for step in sparse))
    page = visit(share(shelf, content).url).page
    enter(page)
    assert tile(page, "sensor", "GMI") == "– needs 70 % of the readings"


def test_a_day_is_chosen_from_its_strip_and_its_episodes_are_counted_there(
    shelf: RunningShelf, visit: Visiting
) -> None:
    low = {288 + step for step in range(100, 103)} | {288 + step for step in range(200, 212)}
    content = collection(
        *(
            sensor(MORNING + timedelta(minutes=5 * step), "60" if step in low else "120")
            for step in range(3 * 288)
        )
    )
    page = visit(share(shelf, content).url).page
    enter(page)
    strips = page.locator(".strip")
    expect(strips).to_have_count(4)
    expect(page.locator(".episodes")).to_contain_text("2 below 70 mg/dL (75 min)")
    expect(strips.nth(1)).to_contain_text("Tue 3 Mar")
    expect(strips.nth(1)).to_contain_text("1 low")
    strips.nth(1).click()
    expect(page.locator(".readings.sensor header .muted")).to_contain_text("1 day")
    expect(strips).to_have_count(0)


def test_a_period_stands_beside_the_one_before_it(shelf: RunningShelf, visit: Visiting) -> None:
    content = collection(
        *(
            sensor(MORNING + timedelta(minutes=5 * step), "200" if step < 288 * 14 else "120")
            for step in range(28 * 288)
        )
    )
    page = visit(share(shelf, content).url).page
    enter(page)
    page.get_by_role("button", name="7 days", exact=True).click()
    assert "before: 120 mg/dL" in tile(page, "sensor", "Mean")
    page.get_by_role("button", name="14 days", exact=True).click()
    assert "before: 19" in tile(page, "sensor", "Mean")
    expect(page.locator(".shares .target")).to_contain_text("before: ")
    page.get_by_role("button", name="All", exact=True).click()
    assert "before" not in tile(page, "sensor", "Mean")


def test_the_numbers_are_copied_as_plain_lines(shelf: RunningShelf, visit: Visiting) -> None:
    content = collection(*sensor_week("2133-018"), *captured_meter())
    opened = visit(share(shelf, content).url, permissions=["clipboard-read", "clipboard-write"])
    page = opened.page
    enter(page)
    page.locator(".readings.sensor").get_by_role("button", name="Copy as text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert lines[0].startswith("Glucose sensor, ")
    assert "Mean: 127 mg/dL" in lines
    assert "GMI: 6.3 %" in [line.replace("\xa0", " ") for line in lines]
    assert any(line.startswith("In target (70–180 mg/dL): ") for line in lines)
    assert lines[-1].startswith("Episodes of 15 minutes or more: ")


def test_four_hundred_days_open_on_the_last_fourteen(shelf: RunningShelf, visit: Visiting) -> None:
    content = collection(
        *(sensor(MORNING + timedelta(minutes=30 * step), str(90 + step % 60)) for step in range(400 * 48))
    )
    page = visit(share(shelf, content).url).page
    enter(page)
    expect(page.locator(".readings header .muted")).to_contain_text("14 days")
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.locator(".readings header .muted")).to_contain_text("401 days")


def test_it_prints_on_one_page_without_what_only_a_screen_can_do(
    shelf: RunningShelf, visit: Visiting, both: bytes, shots: Path
) -> None:
    page = visit(share(shelf, both).url).page
    enter(page)
    heading(page, "Patient 1")
    page.emulate_media(media="print", color_scheme="dark")
    for gone in (".choices", ".actions", ".period", ".table"):
        expect(page.locator(gone).first).to_be_hidden()
    printed = page.pdf(path=shots / "print.pdf", prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_stands_out_of_the_page(
    shelf: RunningShelf, visit: Visiting, both: bytes, shots: Path, width: int, scheme: str, language: str
) -> None:
    shared = share(shelf, both, label="Sensor week and meter", passcode="482913")
    page = visit(shared.url, width=width, color_scheme=scheme, locale=language).page
    page.locator("form").wait_for()
    page.screenshot(path=shots / f"welcome-{width}-{scheme}-{language}.png")
    enter(page, passcode="482913")
    page.locator(".chart .day").first.wait_for(state="attached")
    page.screenshot(path=shots / f"share-{width}-{scheme}-{language}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_weighs_little_and_is_all_its_own(shelf: RunningShelf) -> None:
    page = httpx.get(f"{shelf.url}/view", headers={"Accept-Encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    assert re.search("script-src 'self';", page.headers["content-security-policy"])
    again = httpx.get(f"{shelf.url}/view", headers={"If-None-Match": page.headers["etag"]})
    assert again.status_code == 304
    french = httpx.get(f"{shelf.url}/view/strings/fr.json")
    assert json.loads(french.text)["Mean"] == "Moyenne"

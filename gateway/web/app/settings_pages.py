"""How somebody reads, by which clock they live, and what their doctor aims at."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Final
from zoneinfo import available_timezones

from fastapi import APIRouter, Form
from fastapi.responses import Response

from device_profiles.errors import PasserelleError
from gateway import aims, household
from gateway.events import Changed
from gateway.household import READ_IN
from gateway.reports.targets import Situation
from gateway.web.app.pages import OwnPage, PersonPage
from gateway.web.app.refusals import refusal
from storage.household import PersonSettings

router = APIRouter()

TARGETS: Final = ("low", "high", "before_low", "before_high", "after_high")
"""The fields of a doctor's targets, as PersonSettings names and orders them."""

REGIONS: Final = (
    "Africa",
    "America",
    "Antarctica",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


@router.get("/settings")
async def settings(page: OwnPage) -> Response:
    """What this person has chosen."""
    return await _settings(page)


async def _settings(
    page: PersonPage, refused: str = "", typed: dict[str, str] | None = None, form: str = ""
) -> Response:
    chosen = await household.settings_of(page.home, page.person)
    unit = page.unit or "mg/dL"
    values = {name: _as_read(page, chosen, name, unit) for name in TARGETS}
    values |= {
        "language": page.person.language or "",
        "unit": page.person.unit or "",
        "timezone": page.person.timezone,
        "situation": aims.situation_of(chosen).value,
    }
    return page.render(
        "settings.html",
        status=HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK,
        values=values | (typed or {}),
        unit=unit,
        units=READ_IN,
        languages=(("fr", "Français"), ("en", "English")),
        zones=_zones(),
        situations=_situations(page),
        refused=refused,
        refused_form=form,
    )


@router.post("/settings/reading")
async def read_in(
    page: OwnPage,
    language: Annotated[str, Form()] = "",
    unit: Annotated[str, Form()] = "",
    timezone: Annotated[str, Form()] = "",
) -> Response:
    """Language, unit and zone."""
    zone = timezone.strip() or page.person.timezone
    try:
        await household.read_in(page.home, page.person, language or None, unit or None)
        if zone != page.person.timezone:
            await household.live_in(page.home, page.person, zone)
    except PasserelleError as error:
        typed = {"language": language, "unit": unit, "timezone": timezone}
        return await _settings(page, refusal(page, error), typed, "reading")
    changed = replace(page.person, language=language or None, unit=unit or None, timezone=zone)
    page.say(replace(page, person=changed).t("Your choice is kept."))
    page.station.events.publish(Changed(page.person.uuid, "settings"))
    return page.go("/settings")


@router.post("/settings/targets")
async def aim_at(
    page: OwnPage,
    situation: Annotated[str, Form()] = "",
    low: Annotated[str, Form()] = "",
    high: Annotated[str, Form()] = "",
    before_low: Annotated[str, Form()] = "",
    before_high: Annotated[str, Form()] = "",
    after_high: Annotated[str, Form()] = "",
) -> Response:
    """The targets that a doctor gave, in the unit in which this person reads."""
    unit = page.unit or "mg/dL"
    typed = dict(zip(TARGETS, (low, high, before_low, before_high, after_high), strict=True))
    try:
        values = {name: aims.target_of(text, unit) for name, text in typed.items()}
        known = situation if situation in set(Situation) else Situation.STANDARD.value
        written = aims.written_unit(unit)
        wanted = PersonSettings(None, known, written, *values.values())
        await aims.aim_at(page.home, page.person, wanted)
    except PasserelleError as error:
        return await _settings(page, refusal(page, error), {**typed, "situation": situation}, "targets")
    page.say(page.t("The targets are kept. They are used on every page, and travel with what you share."))
    page.station.events.publish(Changed(page.person.uuid, "settings"))
    return page.go("/settings")


def _as_read(page: PersonPage, chosen: PersonSettings, name: str, unit: str) -> str:
    """A target in the unit in which the person reads; empty where none was given."""
    found = aims.in_unit(getattr(chosen, name), chosen.unit, aims.written_unit(unit))
    if found is None:
        return ""
    decimals = {"g/L": 2, "mmol/L": 1}.get(unit, 0)
    return page.words.number(found / 100 if unit == "g/L" else found, decimals)


def _zones() -> list[str]:
    return sorted(zone for zone in available_timezones() if zone.partition("/")[0] in REGIONS)


def _situations(page: PersonPage) -> list[tuple[str, str]]:
    return [
        (Situation.STANDARD.value, page.t("Most adults and children")),
        (Situation.OLDER.value, page.t("Older, or at risk when it is low")),
        (Situation.PREGNANCY_TYPE_1.value, page.t("Pregnant, with type 1 diabetes")),
        (Situation.PREGNANCY_OTHER.value, page.t("Pregnant, with type 2 or gestational diabetes")),
    ]

"""The people of this home: who acts for whom, which device is whose, and whose a doubtful reading is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from fastapi.responses import Response

from device_profiles.errors import PasserelleError
from gateway import asking, household
from gateway.api.problems import not_found
from gateway.asking import AnsweredAlready, Asked
from gateway.events import Changed
from gateway.household import Member, Relation
from gateway.web.app.pages import AnyPage, OwnPage, Page, PersonPage
from gateway.web.app.reading_pages import reader_of
from gateway.web.app.refusals import refusal
from gateway.web.app.values import Shown
from storage import devices, questions
from storage.devices import StoredDevice
from storage.patients import Patient

router = APIRouter()


@dataclass(frozen=True, slots=True)
class TheirDevice:
    """A device of somebody, and who else measures with it."""

    device: StoredDevice
    name: str
    users: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Somebody with what is theirs, as the page shows them."""

    member: Member
    relation: str
    devices: list[TheirDevice]


@router.get("/family")
async def family(page: OwnPage) -> Response:
    """Everybody here."""
    return await _family(page)


async def _family(page: PersonPage, refused: str = "", name: str = "") -> Response:
    members = await household.members(page.home)
    shown = [
        Shelf(member, _relation(page, member.settings.relation), await _devices(page, member.person))
        for member in members
    ]
    waiting = await asking.open_questions(page.home)
    return page.render(
        "family.html",
        status=HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK,
        members=shown,
        relations=[(each.value, _relation(page, each.value)) for each in Relation],
        waiting=len(waiting),
        refused=refused,
        typed=name,
    )


@router.post("/family")
async def change_family(
    page: OwnPage,
    what: Annotated[str, Form()],
    who: Annotated[int, Form()] = 0,
    guardian: Annotated[int, Form()] = 0,
    relation: Annotated[str, Form()] = "",
) -> Response:
    """Who somebody is, and who acts for them."""
    person = _person(page, who)
    try:
        if what == "relate":
            await household.relate(page.home, person, _relation_of(relation))
            page.say(page.t("Kept."))
        elif what == "act":
            acting = _person(page, guardian)
            await household.act_for(page.home, person, acting)
            page.say(page.t("{guardian} acts for {person}.", guardian=acting.name, person=person.name))
        elif what == "act-no-more":
            await household.act_no_more(page.home, person)
            page.say(page.t("{person} acts for themselves now.", person=person.name))
    except PasserelleError as error:
        return await _family(page, refusal(page, error))
    page.station.events.publish(Changed(person.uuid, "settings"))
    return page.go("/family")


@router.post("/family/add")
async def add(
    page: OwnPage,
    name: Annotated[str, Form()],
    relation: Annotated[str, Form()] = "",
    guardian: Annotated[int, Form()] = 0,
) -> Response:
    """Somebody more; whoever was chosen acts for them."""
    acting = None if not guardian else _person(page, guardian)
    try:
        person = await household.add(
            page.home,
            name,
            page.person.timezone,
            relation=_relation_of(relation),
            language=page.person.language,
        )
        if acting is not None:
            await household.act_for(page.home, person, acting)
    except PasserelleError as error:
        return await _family(page, refusal(page, error), name)
    page.say(page.t("{name} is here now. To see their readings, choose them at the top.", name=person.name))
    return page.go("/family")


@router.post("/family/device")
async def share_device(
    page: OwnPage,
    who: Annotated[int, Form()],
    device: Annotated[int, Form()],
    users: Annotated[list[UUID] | None, Form()] = None,
) -> Response:
    """Who else measures with a device."""
    person = _person(page, who)
    wanted = [each.uuid for each in page.people if each.uuid in (users or ()) and each != person]
    async with page.home.database.writer() as connection:
        stored = await devices.get(connection, person.patient_id, device)
        await questions.share(connection, stored, wanted, datetime.now(UTC))
    if wanted:
        page.say(page.t("From now on you are asked whose a reading of {device} is.", device=title(stored)))
    else:
        page.say(page.t("What {device} measures is {person}’s.", device=title(stored), person=person.name))
    page.station.events.publish(Changed(person.uuid, "devices"))
    return page.go("/family")


@dataclass(frozen=True, slots=True)
class Question:
    """One question as it is shown."""

    asked: Asked
    shown: Shown
    when: str
    device: str


@router.get("/questions")
async def list_questions(page: OwnPage) -> Response:
    """Whose are these?"""
    reader = await reader_of(page)
    found = []
    for asked in await asking.open_questions(page.home):
        shown = reader.shown(asked.series, 0)
        when = "" if shown.at is None else page.words.moment(shown.at, page.now)
        found.append(Question(asked, shown, when, title(asked.device)))
    return page.render("questions.html", questions=found)


@router.post("/questions")
async def answer(
    page: OwnPage, reading: Annotated[str, Form()], whose: Annotated[UUID | None, Form()] = None
) -> Response:
    """Somebody says whose a reading is; no name: a stranger's."""
    person = next((each for each in page.people if each.uuid == whose), None)
    if whose is not None and person is None:
        raise not_found()
    try:
        await asking.answer(page.home, reading, whose)
    except AnsweredAlready as error:
        page.say(refusal(page, error))
        return page.go("/questions")
    if person is None:
        page.say(page.t("It counts for nobody here."))
    else:
        page.say(page.t("It is {name}’s.", name=person.name))
    for each in page.people:
        page.station.events.publish(Changed(each.uuid, "annotation"))
    return page.go("/questions")


async def _devices(page: Page, person: Patient) -> list[TheirDevice]:
    async with page.home.database.writer() as connection:
        known = await devices.of_patient(connection, person.patient_id)
        users = await questions.users(connection, person.patient_id)
    there = [each for each in known if each.device.identity.scheme not in {"file", "capture"}]
    return [TheirDevice(each, title(each), users.get(each.device_id, ())) for each in there]


def title(stored: StoredDevice) -> str:
    """A device as a person knows it."""
    device = stored.device
    return (
        " ".join(filter(None, (device.manufacturer, device.model)))
        or stored.radio_name
        or device.identity.scheme
    )


def _person(page: AnyPage, number: int) -> Patient:
    person = household.person_named(page.people, number)
    if person is None:
        raise not_found()
    return person


def _relation_of(text: str) -> Relation | None:
    return next((each for each in Relation if each.value == text), None)


def _relation(page: Page, relation: str | None) -> str:
    names = {
        Relation.SELF.value: page.t("me"),
        Relation.CHILD.value: page.t("my child"),
        Relation.PARTNER.value: page.t("my partner"),
        Relation.PARENT.value: page.t("my father or mother"),
        Relation.OTHER.value: page.t("somebody else"),
    }
    return names.get(relation or "", "")

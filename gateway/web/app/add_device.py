"""The four steps that add a device, and the first question of all: who is it for."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response

from gateway.adding import Adding, State, Step
from gateway.ble.errors import PasskeyMalformed
from gateway.ble.radio import Found
from gateway.home import zone_named
from gateway.platform_words import of_system
from gateway.web.app.device_list import kind_of
from gateway.web.app.pages import AnyPage, OwnPage, Page, PersonPage
from gateway.web.app.troubles import trouble
from storage import devices, patients
from storage.errors import PatientExists, UnusableName

router = APIRouter()

PLACE = "/devices/add"


def adding_of(page: Page) -> Adding:
    """The one wizard of this process."""
    found: Adding = page.request.app.state.adding
    return found


@router.get("/welcome")
async def welcome(page: AnyPage) -> Response:
    """The first question; who is here already is led to their day."""
    return page.go("/") if page.people else page.render("welcome.html", name="", refused=None)


@router.post("/welcome")
async def first_person(page: AnyPage, name: Annotated[str, Form()] = "") -> Response:
    """Make the first person, in the zone of this computer, and go on to their device."""
    if page.people:
        return page.go("/")
    try:
        async with page.home.database.writer() as connection:
            zone = str(zone_named(None))
            made = await patients.add(connection, name, zone, language=page.language)
    except (UnusableName, PatientExists):
        said = page.t("Type a first name, or a short name that you will recognise.")
        return page.render(
            "welcome.html", status=HTTPStatus.UNPROCESSABLE_ENTITY, name=name.strip(), refused=said
        )
    page.session.person = made.patient_id
    return page.go(PLACE)


@router.get(PLACE)
async def add(page: OwnPage) -> Response:
    """Where this person's wizard is; one address for all steps, so that loading again does nothing."""
    return await _shown(page)


async def _shown(page: PersonPage, *, typed_wrong: str | None = None) -> Response:
    state = adding_of(page).state
    is_here = state.patient is not None and state.patient.patient_id == page.person.patient_id
    step = state.step if is_here else Step.IDLE
    told = trouble(state.error, page.words) if is_here and state.error else None
    status = HTTPStatus.UNPROCESSABLE_ENTITY if typed_wrong else HTTPStatus.OK
    return page.render(
        "add_device.html",
        status=status,
        step=str(step),
        state=state,
        found=_found(state, page),
        chosen=state.chosen and (state.chosen.name or _kind(state.chosen, page)),
        at=_number(step, state.failed_at),
        known=await _known_addresses(page),
        trouble=told,
        refused=typed_wrong,
        system=of_system(),
    )


@dataclass(frozen=True, slots=True)
class FoundShown:
    """A device that was heard, as the list shows it."""

    address: str
    name: str
    kind: str


def _found(state: State, page: Page) -> tuple[FoundShown, ...]:
    return tuple(
        FoundShown(found.address, found.name or _kind(found, page), _kind(found, page))
        for found in state.found
    )


def _kind(found: Found, page: Page) -> str:
    return kind_of(found.profile, page.words) if found.profile else ""


def _number(step: Step, failed_at: Step | None) -> int:
    """Which of the four steps that is."""
    match failed_at if step is Step.FAILED and failed_at else step:
        case Step.IDLE:
            return 1
        case Step.LISTENING:
            return 2
        case Step.CONNECTING | Step.PASSKEY_WANTED:
            return 3
    return 4


async def _known_addresses(page: PersonPage) -> frozenset[str]:
    """Where this person's devices were last heard: they are shown as added."""
    async with page.home.database.writer() as connection:
        own = await devices.of_patient(connection, page.person.patient_id)
    return frozenset(device.radio_address for device in own if device.radio_address)


@router.post(PLACE + "/begin")
async def begin(page: OwnPage) -> Response:
    """She has the device in her hand: listen."""
    await adding_of(page).begin(page.person)
    return page.go(PLACE)


@router.post(PLACE + "/choose")
async def choose(page: OwnPage, address: Annotated[str, Form()]) -> Response:
    """This one."""
    adding_of(page).choose(address)
    return page.go(PLACE)


@router.post(PLACE + "/passkey")
async def passkey(page: OwnPage, digits: Annotated[str, Form()] = "") -> Response:
    """The six digits."""
    try:
        adding_of(page).give_passkey(digits)
    except PasskeyMalformed as error:
        told = trouble(error, page.words)
        return await _shown(page, typed_wrong=f"{told.what} {told.next}")
    return page.go(PLACE)


@router.post(PLACE + "/again")
async def again(page: OwnPage) -> Response:
    """Try again what failed."""
    await adding_of(page).again()
    return page.go(PLACE)


@router.post(PLACE + "/cancel")
async def cancel(page: OwnPage) -> Response:
    """The way out, at each step."""
    await adding_of(page).cancel()
    return page.go("/devices")


@router.post(PLACE + "/finish")
async def finish(page: OwnPage) -> Response:
    """Done: to the day."""
    await adding_of(page).cancel()
    return page.go("/")

"""The devices page: what each is doing, read it now, set its clock, forget it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response

from gateway.api.problems import not_found
from gateway.events import Changed, DeviceKey
from gateway.web.app.device_list import devices_shown, errands_of, name_of
from gateway.web.app.pages import OwnPage, PersonPage
from gateway.web.app.troubles import trouble
from storage import devices
from storage.devices import ClockPolicy, StoredDevice
from storage.errors import UnknownDevice

router = APIRouter()

PLACE = "/devices"


@router.get(PLACE)
async def show(page: OwnPage) -> Response:
    """All devices of the person."""
    problem = page.station.state().problem
    told = trouble(problem, page.words) if problem else None
    return page.render("devices.html", devices=await devices_shown(page), radio=told)


async def _device(page: PersonPage, device_id: int) -> StoredDevice:
    """One of the person's own devices; there is nothing where it is none."""
    try:
        async with page.home.database.writer() as connection:
            device = await devices.get(connection, page.person.patient_id, device_id)
    except UnknownDevice:
        raise not_found() from None
    if device.radio_address is None:
        raise not_found()
    return device


@router.post(PLACE + "/{device_id}/read")
async def read(page: OwnPage, device_id: int) -> Response:
    """Read it now."""
    device = await _device(page, device_id)
    errands_of(page).read(DeviceKey(page.person.uuid, device.device_id))
    return page.go(PLACE)


@router.post(PLACE + "/{device_id}/clock")
async def clock(page: OwnPage, device_id: int, how: Annotated[str, Form()] = "once") -> Response:
    """Set its clock: `once`, at a reading now; `auto`, when it is plainly wrong; `tell`, not by itself."""
    device = await _device(page, device_id)
    policy = {"auto": ClockPolicy.AUTO, "tell": ClockPolicy.TELL}.get(how, device.clock_policy)
    if how == "once" and policy is ClockPolicy.NEVER:
        policy = ClockPolicy.TELL
    async with page.home.database.writer() as connection:
        await devices.allow_setting(connection, device, policy, asked=how == "once")
    if how == "once":
        errands_of(page).read(DeviceKey(page.person.uuid, device.device_id))
    return page.go(PLACE)


@router.get(PLACE + "/{device_id}/forget")
async def ask_to_forget(page: OwnPage, device_id: int) -> Response:
    """What forgetting means, before it is done."""
    device = await _device(page, device_id)
    return page.render("forget_device.html", device=device, name=name_of(device))


@router.post(PLACE + "/{device_id}/forget")
async def forget(page: OwnPage, device_id: int) -> Response:
    """Read it no more; its readings stay."""
    device = await _device(page, device_id)
    async with page.home.database.writer() as connection:
        await devices.forget(connection, page.person.patient_id, device.device_id)
    page.station.known_changed()
    page.station.events.publish(Changed(page.person.uuid, "devices"))
    page.say(page.t("The device is forgotten. Its readings are still here."))
    return page.go(PLACE)

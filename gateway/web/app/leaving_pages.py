"""Taking everything along, and erasing everything: what it means, a typed confirmation, a receipt."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Form
from fastapi.responses import FileResponse, Response
from starlette.background import BackgroundTask

from device_profiles.errors import PasserelleError
from gateway import archive, erasing
from gateway.api.problems import not_found
from gateway.commands.erasing import COUNTS
from gateway.events import Changed
from gateway.language import translate
from gateway.web.app.family_pages import title
from gateway.web.app.pages import HEADERS, AnyPage, OwnPage, Page, PersonPage
from gateway.web.app.refusals import refusal
from storage import devices, receipts
from storage.receipts import Receipt, Scope

router = APIRouter()

DRAFT_SECONDS: Final = 3600.0
"""An export that is still being taken is younger than this."""


class NotTyped(PasserelleError):
    """The name that confirms an erasure was not typed as it stands."""

    sentence = "What was typed is not the name, so nothing was erased."


@router.get("/export")
async def export(page: OwnPage) -> Response:
    """What an export is."""
    return page.render("export.html")


@router.post("/export")
async def make_export(page: OwnPage, whose: Annotated[str, Form()] = "one") -> Response:
    """The archive of one person or of everybody, as a file to keep."""
    people = list(page.people) if whose == "all" else [page.person]
    archive.throw_away_drafts(page.home.settings.home, older=DRAFT_SECONDS)
    folder = Path(tempfile.mkdtemp(prefix=archive.DRAFTS, dir=page.home.settings.home))
    output = folder / f"{secrets.token_hex(8)}.zip"

    def throw_away() -> None:
        output.unlink(missing_ok=True)
        folder.rmdir()

    try:
        await archive.write(page.home, people, output)
    except BaseException:
        throw_away()
        raise
    return FileResponse(
        output,
        filename=f"passerelle-{page.now.date()}.zip",
        media_type="application/zip",
        headers=dict(HEADERS),
        background=BackgroundTask(throw_away),
    )


@router.get("/erase")
async def erase(page: OwnPage) -> Response:
    """What erasing this person means."""
    return await _erase(page)


async def _erase(page: PersonPage, refused: str = "") -> Response:
    plan = await erasing.plan(page.home, page.person, Scope(everything=True))
    async with page.home.database.writer() as connection:
        known = await devices.of_patient(connection, page.person.patient_id)
    return page.render(
        "erase.html",
        status=HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK,
        plan=plan,
        devices=[title(each) for each in known],
        to_tell=[space for space, can in plan.spaces.items() if can],
        to_ask=[space for space, can in plan.spaces.items() if not can],
        refused=refused,
    )


@router.post("/erase")
async def erase_everything(page: OwnPage, typed: Annotated[str, Form()] = "") -> Response:
    """Erase this person and all that is kept of them. The receipt is shown next."""
    if " ".join(typed.split()) != page.person.name:
        return await _erase(page, refusal(page, NotTyped()))
    receipt = await erasing.erase(page.home, page.person, Scope(everything=True))
    page.session.person = None
    page.station.events.publish(Changed(page.person.uuid, "erased"))
    return page.go(f"/erased/{receipt.erasure_id}")


@router.get("/erased/{receipt_id}")
async def erased(page: AnyPage, receipt_id: UUID) -> Response:
    """The receipt: what went, when, and who has yet to confirm it."""
    receipt = await _receipt(page, receipt_id)
    told = erasing.told(receipt)
    return page.render(
        "erased.html",
        receipt=told,
        when=page.words.moment(receipt.erased_at.astimezone(page.zone), page.now),
        counts=_counts(page, told["erased"]),
        somebody_left=bool(page.people),
    )


@router.get("/erased/{receipt_id}/receipt.json")
async def receipt_file(page: AnyPage, receipt_id: UUID) -> Response:
    """The same as a file."""
    receipt = await _receipt(page, receipt_id)
    content = json.dumps(erasing.told(receipt), indent=1, ensure_ascii=False)
    named = {"Content-Disposition": f'attachment; filename="passerelle-receipt-{receipt_id}.json"'}
    return Response(content, headers={**HEADERS, **named}, media_type="application/json")


async def _receipt(page: Page, receipt_id: UUID) -> Receipt:
    async with page.home.database.writer() as connection:
        every = await receipts.list_all(connection)
    found = next((each for each in every if each.erasure_id == receipt_id), None)
    if found is None:
        raise not_found()
    return found


def _counts(page: Page, erased: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How many of each went, in words."""
    return [
        (translate(COUNTS[name], page.language), page.words.number(count))
        for name, count in erased.items()
        if count
    ]

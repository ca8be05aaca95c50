"""What somebody shares: a link or a card for whom they choose, until when they choose, and who opened it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import UUID

import segno
from fastapi import APIRouter, Form
from fastapi.responses import Response
from markupsafe import Markup

from device_profiles.errors import PasserelleError
from gateway import sharing
from gateway.api.problems import not_found
from gateway.events import Changed
from gateway.serve import is_loopback
from gateway.sharing import FollowedShare
from gateway.web.app.pages import OwnPage, PersonPage
from gateway.web.app.refusals import refusal
from storage.access_log import Access
from storage.errors import UnknownShare
from storage.shares import Share
from storage.shelf import Outcome

router = APIRouter()

DAYS: Final = (14, 30, 90)
"""What a consultation asks for; else everything."""

LABEL_MAX: Final = 80
"""SMART Health Links: a label has at most so many characters."""


@dataclass(frozen=True, slots=True)
class Given:
    """One share, as its person reads it."""

    share: Share
    state: str
    """open, waiting, expired or revoked: for the style."""
    state_in_words: str
    made: str
    what: str
    openings: list[tuple[str, str, str]]
    """When, who they said they were, and what came of it."""


@router.get("/share")
async def share(page: OwnPage) -> Response:
    """What is shared, and a form to share more."""
    return await _share(page)


async def _share(page: PersonPage, refused: str = "", typed: dict[str, str] | None = None) -> Response:
    followed = await sharing.followed(page.home, page.person.name)
    given = [_given(page, each) for each in followed if not each.share.erased]
    values = {"label": "", "days": "14", "until": (page.now.date() + sharing.DEFAULT_LIFE).isoformat()}
    return page.render(
        "share.html",
        status=HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK,
        going=[each for each in given if each.state in {"open", "waiting"}],
        over=[each for each in given if each.state not in {"open", "waiting"}],
        days=DAYS,
        today=page.now.date(),
        values=values | {"passcode": "yes"} | (typed or {}),
        refused=refused,
    )


@router.post("/share")
async def create(
    page: OwnPage,
    label: Annotated[str, Form(max_length=LABEL_MAX)] = "",
    days: Annotated[str, Form()] = "14",
    until: Annotated[str, Form()] = "",
    passcode: Annotated[str, Form()] = "",
) -> Response:
    """A new link; its card is shown next, with the passcode this once."""
    chosen = sharing.new_passcode() if passcode else None
    try:
        made = await sharing.create(
            page.home,
            page.person.name,
            days=int(days) if days.isdecimal() and int(days) in DAYS else None,
            until=_date(until),
            passcode=chosen,
            label=" ".join(label.split()) or None,
        )
    except PasserelleError as error:
        typed = {"label": label, "days": days, "until": until, "passcode": passcode}
        return await _share(page, refusal(page, error), typed)
    if chosen:
        page.say(page.t("The passcode, shown this once: {code}. Tell it apart from the link.", code=chosen))
    if made.waiting:
        page.say(page.t("The server of the links does not answer yet. The link opens once it does."))
    page.station.events.publish(Changed(page.person.uuid, "shares"))
    return page.go(f"/share/{made.share.share_id}")


@router.get("/share/{share_id}")
async def card(page: OwnPage, share_id: UUID) -> Response:
    """The link of a share: as a code to scan, to copy, to print."""
    try:
        share, url = await sharing.link_of(page.home, page.person.patient_id, share_id)
    except UnknownShare:
        raise not_found() from None
    if url is None:
        return page.go("/share")
    return page.render(
        "share_card.html",
        share=share,
        url=url,
        code=_code(url),
        until=_opens(page, share),
        what=_what(page, share),
        only_here=is_loopback(urlsplit(share.shelf_url).hostname or ""),
    )


@router.post("/share/{share_id}/end")
async def end(page: OwnPage, share_id: UUID) -> Response:
    """The link opens no more."""
    try:
        await sharing.link_of(page.home, page.person.patient_id, share_id)
        told = await sharing.revoke(page.home, share_id)
    except UnknownShare:
        raise not_found() from None
    if told:
        page.say(page.t("The link opens no more."))
    else:
        page.say(page.t("The server of the links does not answer. It is told as soon as it does, by itself."))
    page.station.events.publish(Changed(page.person.uuid, "shares"))
    return page.go("/share")


def _given(page: PersonPage, followed: FollowedShare) -> Given:
    share, state = followed.share, followed.state
    return Given(
        share,
        state,
        _state(page, share, state),
        page.words.moment(share.created_at.astimezone(page.zone), page.now),
        _what(page, share),
        [_opening(page, each) for each in followed.openings],
    )


def _state(page: PersonPage, share: Share, state: str) -> str:
    match state:
        case "revoked":
            when = share.revoked_at
            return page.t("ended by you {when}", when=_moment(page, when))
        case "expired":
            return page.t("over since {day}", day=_day(page, share.expires_at))
        case "waiting":
            return page.t("waits for the server of the links")
    return _opens(page, share)


def _opens(page: PersonPage, share: Share) -> str:
    if share.expires_at is None:
        return page.t("opens until you end it")
    return page.t("opens until {day}", day=_day(page, share.expires_at))


def _what(page: PersonPage, share: Share) -> str:
    if share.period_start is None or share.period_end is None:
        return page.t("all readings")
    first, last = (
        page.words.plain_day(moment.astimezone(page.zone).date())
        for moment in (share.period_start, share.period_end - timedelta(seconds=1))
    )
    return page.t("readings from {first} to {last}", first=first, last=last)


def _opening(page: PersonPage, access: Access) -> tuple[str, str, str]:
    return _moment(page, access.at), access.who or page.t("somebody"), _outcome(page, access.outcome)


def _outcome(page: PersonPage, outcome: Outcome | None) -> str:
    match outcome:
        case Outcome.OPENED:
            return page.t("saw the readings")
        case None:
            return page.t("erased")
    return page.t("was refused")


def _moment(page: PersonPage, moment: datetime | None) -> str:
    return "" if moment is None else page.words.moment(moment.astimezone(page.zone), page.now)


def _day(page: PersonPage, moment: datetime | None) -> str:
    """The last day on which it opens: a share ends with a day."""
    if moment is None:
        return ""
    return page.words.plain_day((moment - timedelta(seconds=1)).astimezone(page.zone).date())


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _code(url: str) -> Markup:
    """The link as a QR code, error correction M; dark on white whatever the page's colours are."""
    code = segno.make(url, error="m", boost_error=False, micro=False)
    return Markup(code.svg_inline(border=4, omitsize=True, dark="#000", light="#fff", svgclass="qr"))  # noqa: S704

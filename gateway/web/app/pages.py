"""What every page is made with: the session, the people here, who is shown, the language, the templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.api.problems import Problem
from gateway.home import Home
from gateway.language import accepted_language, known
from gateway.watching import Station
from gateway.web.app.sessions import SHOWN, Session, Sessions
from gateway.web.app.words import Words
from storage import patients
from storage.patients import Patient

TEMPLATES: Final = Path(__file__).with_name("templates")

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    # With `no-referrer` a browser sends `Origin: null` with a form, which could be anybody's.
    "Referrer-Policy": "same-origin",
    "Vary": "Cookie, Accept-Language",
}

GRAMS: Final = "g/L"


class SomebodyNeeded(Exception):
    """A page about a person where nobody is here yet: the first-ever use asks who it is for."""


LIVE: Final = "Passerelle-Live"
"""The header with which a page that is open asks for itself again."""


@dataclass(frozen=True, slots=True)
class Page:
    """One request of the person's page, in a session that was checked (`security.Lock`)."""

    request: Request
    home: Home
    station: Station
    session: Session
    people: tuple[Patient, ...]
    person: Patient | None
    """Whom the page shows: the one chosen in the session, else the first; None where nobody is here yet."""

    @property
    def language(self) -> str:
        """The person's, else what the browser asks for most."""
        if self.person is not None and self.person.language:
            return known(self.person.language)
        return accepted_language(self.request.headers.get("accept-language", ""))

    @property
    def words(self) -> Words:
        """How this person is spoken to."""
        return Words(self.language)

    @property
    def unit(self) -> str | None:
        """The unit of glucose that this person reads: as set, g/L in French; None: as the device wrote it."""
        if self.person is not None and self.person.unit:
            return self.person.unit
        return GRAMS if self.language == "fr" else None

    @property
    def zone(self) -> ZoneInfo:
        """The zone by which days are counted."""
        return self.person.zone if self.person is not None else ZoneInfo("UTC")

    @property
    def now(self) -> datetime:
        """Now, on the person's clock."""
        return datetime.now(UTC).astimezone(self.zone)

    def t(self, sentence: str, **fields: object) -> str:
        """A sentence of the page in the person's language (`Words.t`)."""
        return self.words.t(sentence, **fields)

    def say(self, said: str) -> None:
        """Show a sentence, in her language already, at the top of the next page."""
        self.session.said.append(said)

    def render(self, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: object) -> HTMLResponse:
        """A page of this person. A page that says something must not be shown again by the back button.

        A page that asks for itself again (live.js) takes nothing of what the next page is to say.
        """
        told: tuple[str, ...] = ()
        if LIVE not in self.request.headers:
            told, self.session.said[:] = tuple(self.session.said), []
        shown: dict[str, object] = {
            "page": self,
            "people": self.people,
            "person": self.person,
            "csrf": self._token,
            "path": self.request.url.path,
            "told": told,
        }
        return rendered(template, self.words, status=status, **(shown | values))

    @property
    def _token(self) -> str:
        """What a form of this page shows: that it is of this session, and about whom."""
        return self.session.csrf if self.person is None else f"{self.session.csrf}.{self.person.patient_id}"

    def go(self, path: str) -> RedirectResponse:
        """After a form: another page, which may be loaded again without doing it again."""
        return RedirectResponse(path, HTTPStatus.SEE_OTHER, dict(HEADERS))


def rendered(
    template: str, words: Words, *, status: HTTPStatus = HTTPStatus.OK, **values: object
) -> HTMLResponse:
    """A template in a language; `t`, `tn` and `words` are there in each."""
    said: Mapping[str, Any] = {"t": words.t, "tn": words.tn, "words": words, "language": words.language}
    text = templates().get_template(template).render(**said, **values)
    return HTMLResponse(text, status, {**HEADERS, "Content-Language": words.language})


@cache
def templates() -> Environment:
    """The templates: every value is escaped, and a name that is missing is an error."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


async def page_of(request: Request) -> Page:
    """The page that a request asks for. Whom it shows is looked up each time: people come and go.

    A form is about whom its page showed, whoever was chosen since, in another window say. Raises Problem for
    a form about somebody who is not here any more.
    """
    session: Session = request.scope["session"]
    home: Home = request.app.state.home
    async with home.database.writer() as connection:
        people = await patients.list_all(connection)
    shown = request.scope.get(SHOWN)
    if shown is not None:
        session.person = shown
    chosen = next((person for person in people if person.patient_id == session.person), None)
    if shown is not None and chosen is None:
        session.person = None
        raise Problem(
            HTTPStatus.CONFLICT,
            "This page was open for too long, or the form came from elsewhere. Nothing was changed.",
        )
    person = chosen or (people[0] if people else None)
    return Page(request, home, request.app.state.station, session, people, person)


@dataclass(frozen=True, slots=True)
class PersonPage(Page):
    """A page about a person who is there."""

    person: Patient


async def page_of_person(page: Annotated[Page, Depends(page_of)]) -> PersonPage:
    """The same for a page that needs somebody. Raises SomebodyNeeded, which leads to the first question."""
    if page.person is None:
        raise SomebodyNeeded
    return PersonPage(page.request, page.home, page.station, page.session, page.people, page.person)


AnyPage = Annotated[Page, Depends(page_of)]
"""What a route takes that works where nobody is here yet."""
OwnPage = Annotated[PersonPage, Depends(page_of_person)]
"""What a route takes that shows a person."""


def sessions_of(request: Request) -> Sessions:
    """The sessions of this process."""
    found: Sessions = request.app.state.sessions
    return found

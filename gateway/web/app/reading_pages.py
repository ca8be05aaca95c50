"""Readings by day, and one reading with all that its person can say of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from fastapi.responses import Response

from device_profiles.errors import PasserelleError
from gateway import annotating
from gateway.annotating import Listed, NoSuchReading, key_of
from gateway.api.problems import not_found
from gateway.events import Changed
from gateway.language import translate
from gateway.web.app.details import meal_in_full, meal_name, why_doubtful
from gateway.web.app.pages import OwnPage, PersonPage
from gateway.web.app.reading_rows import of_day, row_of
from gateway.web.app.values import Reader, name_of
from storage import clock_segments, daily_summary, household, readings
from storage.annotations import Annotation, AnnotationKind
from storage.meals import MEALS, MOMENTS, MealMark

FAR: Final = timedelta(days=800)
"""How far a neighbouring day with readings is looked for."""

EARLIEST, LATEST = date(1970, 1, 1), date(2199, 12, 31)

router = APIRouter()


async def reader_of(page: PersonPage) -> Reader:
    """How the person of a page reads their values."""
    async with page.home.database.writer() as connection:
        settings = await household.settings_of(connection, page.person.patient_id)
    return Reader(page.words, page.zone, page.unit, settings)


@router.get("/readings")
async def day(page: OwnPage, day: str = "") -> Response:
    """One day: the one asked for, else the last that has readings."""
    shown = _date(day) or await _last_day(page)
    listed = await annotating.listed(page.home, page.person.name, None, (shown, shown))
    before, after = await _neighbours(page, shown)
    return page.render(
        "readings.html",
        day=shown,
        title=page.words.day(shown, page.now.date()),
        before=before,
        after=after,
        kinds=of_day(listed, await reader_of(page)),
        waiting=len(listed.asked),
        undated=await _has_undated(page),
        wrong_day=bool(day) and _date(day) is None,
    )


@router.get("/readings/undated")
async def undated(page: OwnPage) -> Response:
    """The readings of which nobody knows the time."""
    listed = await annotating.listed(page.home, page.person.name)
    kinds = of_day(listed, await reader_of(page), undated=True)
    return page.render("undated.html", kinds=kinds)


@router.get("/readings/{reading}")
async def one(page: OwnPage, reading: str) -> Response:
    """One reading."""
    return await _one(page, reading)


async def _one(page: PersonPage, reading: str, refused: str = "", typed: str | None = None) -> Response:
    listed, number = await _found(page, reading)
    reader = await reader_of(page)
    shown = reader.shown(listed.series, number)
    told = listed.row(number)
    device = listed.series.devices.get(int(listed.series.device_id[number]))
    said = await annotating.history(page.home, reading)
    moment = shown.at
    return page.render(
        "reading.html",
        status=HTTPStatus.BAD_REQUEST if refused else HTTPStatus.OK,
        reading=reading,
        row=row_of(listed, number, shown, page.words),
        name=name_of(shown.kind, page.words),
        shown=shown,
        about=told,
        day=None if moment is None else moment.date(),
        when="" if moment is None else page.words.moment(moment, page.now),
        why=why_doubtful(listed.series, number, page.words),
        device=" ".join(filter(None, (device.manufacturer, device.model))) if device else "",
        glucose=shown.tone is not None or "glucose" in told["kind"],
        moments=[(name, meal_name(name, page.words)) for name in MOMENTS],
        meals=_meals(page),
        trace=[_told(page, each, listed.names) for each in said],
        own_mark=any(_stands(each, AnnotationKind.MEAL) for each in said),
        refused=refused,
        note=(told["note"] or "") if typed is None else typed,
    )


@router.post("/readings/{reading}")
async def say(
    page: OwnPage,
    reading: str,
    what: Annotated[str, Form()],
    note: Annotated[str, Form()] = "",
    moment: Annotated[str, Form()] = "",
    meal: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Say something of a reading, or take it back. The day and what leaves here follow at once."""
    await _found(page, reading)  # it is this person's
    home = page.home
    try:
        if what == "note" and note.strip():
            await annotating.note(home, reading, note.replace("\r\n", "\n"))
            page.say(page.t("Your note is kept."))
        elif what == "note":
            await annotating.take_back(home, reading, AnnotationKind.NOTE)
            page.say(page.t("There is no note any more."))
        elif what == "meal":
            page.say(await _mark(page, reading, moment, meal))
        elif what == "exclude":
            await annotating.exclude(home, reading, reason.strip() or None)
            page.say(page.t("It counts in no average and no statistic any more. It stays in the list."))
        elif what == "not-mine":
            await annotating.not_mine(home, reading)
            page.say(page.t("It is said to be somebody else’s: it counts no more, and nobody is shown it."))
        elif what == "include":
            await annotating.include(home, reading)
            page.say(page.t("It counts again."))
    except PasserelleError as error:
        said = translate(error.sentence, page.language).format(**error.details)
        return await _one(page, reading, said, note)
    page.station.events.publish(Changed(page.person.uuid, "annotation"))
    return page.go(f"/readings/{reading}")


@router.get("/readings/{reading}/give")
async def give_whom(page: OwnPage, reading: str) -> Response:
    """Whose is it?"""
    listed, number = await _found(page, reading)
    shown = (await reader_of(page)).shown(listed.series, number)
    when = "" if shown.at is None else page.words.moment(shown.at, page.now)
    return page.render("give.html", reading=reading, shown=shown, when=when)


@router.post("/readings/{reading}/give")
async def give(page: OwnPage, reading: str, to: Annotated[UUID, Form()]) -> Response:
    """Give a reading to whom it belongs."""
    await _found(page, reading)
    person = next((each for each in page.people if each.uuid == to), None)
    if person is None:
        raise not_found()
    await annotating.move(page.home, reading, person.name)
    page.say(page.t("It is {name}’s now.", name=person.name))
    for changed in (page.person, person):
        page.station.events.publish(Changed(changed.uuid, "annotation"))
    return page.go(f"/readings/{reading}")


async def _mark(page: PersonPage, reading: str, moment: str, meal: str) -> str:
    """Keep where among the meals it was; what the meter was told comes back where nothing is chosen."""
    if moment == "as-told":
        await annotating.take_back(page.home, reading, AnnotationKind.MEAL)
        return page.t("The mark is the meter’s again.")
    about_a_meal = moment in {"before-meal", "after-meal"}
    mark = MealMark.of("/".join(filter(None, (moment, meal if about_a_meal else ""))))
    if mark is None:
        raise not_found()
    await annotating.mark_meal(page.home, reading, mark)
    said = meal_in_full(mark.moment, mark.meal, page.words) or page.t("no mark")
    return page.t("Marked: {mark}.", mark=said)


def _meals(page: PersonPage) -> list[tuple[str, str]]:
    names = {
        "breakfast": page.t("breakfast"),
        "lunch": page.t("lunch"),
        "dinner": page.t("dinner"),
        "snack": page.t("a snack"),
    }
    return [(meal, names[meal]) for meal in MEALS]


async def _found(page: PersonPage, reading: str) -> tuple[Listed, int]:
    """A reading of the person shown, among those of its moment. Another's is not found."""
    try:
        patient_id, key = key_of(page.home, reading)
    except NoSuchReading:
        raise not_found() from None
    if patient_id != page.person.patient_id:
        raise not_found()
    listed = await annotating.listed_one(page.home, patient_id, key)
    if not len(listed.series):
        raise not_found()
    return listed, 0


def _told(page: PersonPage, said: Annotation, names: Mapping[str, str]) -> tuple[str, str]:
    """One line of the trace: what was said, and by whom, when; taken back since."""
    what = _what(page, said, names)
    when = page.words.moment(said.made_at.astimezone(page.zone), page.now)
    line = page.t("{when}, by {who}", when=when, who=said.author)
    if said.withdrawn_at is not None:
        back = page.words.moment(said.withdrawn_at.astimezone(page.zone), page.now)
        line = page.t("{line}; taken back {when}", line=line, when=back)
    return what, line


def _what(page: PersonPage, said: Annotation, names: Mapping[str, str]) -> str:
    match said.kind:
        case AnnotationKind.NOTE:
            return page.t("Note: {text}", text=said.value or "")
        case AnnotationKind.EXCLUDED:
            reason = said.value
            return page.t("Does not count: {reason}", reason=reason) if reason else page.t("Does not count")
        case AnnotationKind.NOT_MINE:
            return page.t("Not mine")
        case AnnotationKind.MOVED_TO:
            return page.t("Given to {name}", name=names.get(said.value or "", page.t("somebody")))
    mark = MealMark.of(said.value or "")
    told = meal_in_full(mark.moment, mark.meal, page.words) if mark else ""
    return page.t("Meal: {mark}", mark=told or page.t("no mark"))


def _stands(said: Annotation, kind: AnnotationKind) -> bool:
    return said.kind is kind and said.withdrawn_at is None


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if EARLIEST <= found <= LATEST else None


async def _last_day(page: PersonPage) -> date:
    async with page.home.database.writer() as connection:
        last = await readings.last_effective_time(connection, page.person.patient_id)
    return (last or datetime.now(UTC)).astimezone(page.zone).date()


async def _neighbours(page: PersonPage, shown: date) -> tuple[date | None, date | None]:
    """The nearest days with readings before and after; None where there is none in sight."""
    patient_id = page.person.patient_id
    async with page.home.database.writer() as connection:
        earlier = await daily_summary.days(connection, patient_id, shown - FAR, shown - timedelta(days=1))
        later = await daily_summary.days(connection, patient_id, shown + timedelta(days=1), shown + FAR)
    return (earlier[-1].day if earlier else None, later[0].day if later else None)


async def _has_undated(page: PersonPage) -> bool:
    """Whether a clock segment gives no time: then there may be readings that are on no day."""
    async with page.home.database.writer() as connection:
        segments = await clock_segments.of_patient(connection, page.person.patient_id)
    return any(segment.shift_seconds is None for of_device in segments.values() for segment in of_device)

"""What a person says of their readings at the command line: each with who said it and when."""

from __future__ import annotations

import getpass
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np

from device_profiles.errors import PasserelleError
from device_profiles.reading import UNITS, Kind, Quantity, ReadingSeries, TimeSource
from fhir_mapping.errors import NotAnOpaqueId
from fhir_mapping.opaque import ReadingIds
from gateway import spreadsheet
from gateway.claimed import Job
from gateway.home import Home
from gateway.reports.period import Period
from storage import annotations as remarks
from storage import moving, patients, questions, readings, shares
from storage.annotations import Annotation, AnnotationKind, ReadingKey
from storage.answers import row_of_key
from storage.columns import microseconds
from storage.connection import Connection
from storage.contexts import Key
from storage.errors import UnknownReading
from storage.meals import MealMark
from storage.patients import Patient

LONGEST_NOTE: Final = 2000

FIRST, LAST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class NoSuchReading(PasserelleError):
    """An id under which this home has no reading."""

    sentence = "There is no reading under this id. List them with: passerelle readings list --patient NAME"


class UnusableNote(PasserelleError):
    """A note that is empty, too long, or holds control characters."""

    sentence = "A note has 1 to {longest} characters, without control characters."


class SamePerson(PasserelleError):
    """A reading moved to whom it belongs already."""

    sentence = "The reading is this person's already."


@dataclass(frozen=True, slots=True)
class Listed:
    """A person's readings with all that stands of what was said of them, by row."""

    series: ReadingSeries
    ids: list[str]
    said: Mapping[int, tuple[Annotation, ...]]
    names: Mapping[str, str]
    """Of the people here, by UUID."""
    asked: frozenset[int] = frozenset()
    """The rows of which it is asked whose they are."""

    def row(self, row: int) -> dict[str, Any]:
        """One reading as JSON tells it."""
        series = self.series
        said = {each.kind: each.value for each in self.said.get(row, ())}
        context = series.contexts.get(row)
        device = series.devices.get(int(series.device_id[row]))
        moved = said.get(AnnotationKind.MOVED_TO)
        mark = MealMark.of(said.get(AnnotationKind.MEAL) or "")
        return {
            "id": self.ids[row],
            "time": spreadsheet.time_of(series, row) or None,
            "time_source": TimeSource(int(series.time_source[row])).slug,
            "recorded_at": spreadsheet.recorded_of(series, row) or None,
            "sequence": int(series.sequence[row]),
            "kind": Kind(int(series.kind[row])).slug,
            "value": spreadsheet.value_of(series, row) or None,
            "unit": UNITS[int(series.unit[row])],
            "further": [_further(quantity) for quantity in series.quantities.get(row, ())],
            "meal": spreadsheet.MEALS.get(context.meal or 0) if context else None,
            "of_meal": mark.meal if mark else None,
            "note": said.get(AnnotationKind.NOTE),
            "excluded": AnnotationKind.EXCLUDED in said,
            "reason": said.get(AnnotationKind.EXCLUDED),
            "not_mine": AnnotationKind.NOT_MINE in said,
            "asked": row in self.asked,
            "moved_to": None if moved is None else self.names.get(moved, moved),
            "device": int(series.device_id[row]),
            "model": device.model if device else None,
        }


def _further(quantity: Quantity) -> dict[str, str | None]:
    value = None if quantity.value is None else format(quantity.value, "f")
    return {"of": quantity.of.name.lower().replace("_", "-"), "value": value, "unit": quantity.unit}


async def listed(
    home: Home, name: str, days: int | None = None, bounds: tuple[date, date] | None = None
) -> Listed:
    """A person's readings: all, the last days that have any, or some days. Raises UnknownPatient."""
    async with home.database.writer() as connection:
        patient = await patients.find(connection, name)
    await complete_moves(home, patient.patient_id)
    async with home.database.writer() as connection:
        period = await _period(connection, patient, days, bounds)
        start, end = (period.start, period.end) if period else (None, None)
        series = await readings.series(connection, patient.patient_id, start=start, end=end, others_too=True)
        return await _with_what_was_said(home, connection, series, (FIRST, LAST))


async def listed_one(home: Home, patient_id: int, key: ReadingKey) -> Listed:
    """One reading as `listed` tells it; an empty list where it is not there. Raises UnknownPatient."""
    async with home.database.writer() as connection:
        series = await one_reading(connection, patient_id, key)
        return await _with_what_was_said(home, connection, series, (key.recorded_at, key.recorded_at))


async def one_reading(connection: Connection, patient_id: int, key: ReadingKey) -> ReadingSeries:
    """One reading as a series of its own; an empty one where it is not there."""
    at = _as_row(key)[0]
    after = (key.sequence, key.ordinal - 1)
    found = await readings.page_of_device(
        connection, patient_id, key.device_id, (at, at), after=after, limit=1
    )
    there = row_of_key(_columns(found.series)).get(_as_row(key)) is not None
    return found.series if there else found.series.take(np.empty(0, np.intp))


async def _with_what_was_said(
    home: Home, connection: Connection, series: ReadingSeries, within: tuple[datetime, datetime]
) -> Listed:
    standing = await remarks.in_force(connection, series.patient_id, *within)
    everybody = await patients.list_all(connection)
    waiting = await questions.open_of(connection, series.patient_id)
    rows = row_of_key(_columns(series))
    said: dict[int, tuple[Annotation, ...]] = {}
    for each in standing:
        row = rows.get(_as_row(each.key))
        if row is not None:
            said[row] = (*said.get(row, ()), each)
    ids = ReadingIds(home.secret.fhir_ids()).of_series(series)
    asked = frozenset(rows[key] for question in waiting if (key := _as_row(question.key)) in rows)
    return Listed(series, ids, said, {str(person.uuid): person.name for person in everybody}, asked)


def _as_row(key: ReadingKey) -> Key:
    return int(microseconds((key.recorded_at,))[0]), key.sequence, key.device_id, key.ordinal


def _columns(series: ReadingSeries) -> dict[str, Any]:
    return {name: getattr(series, name) for name in ("recorded_at", "sequence", "device_id", "ordinal")}


async def _period(
    connection: Connection, patient: Patient, days: int | None, bounds: tuple[date, date] | None
) -> Period | None:
    if bounds is not None:
        return Period(*bounds, patient.zone)
    if days is None:
        return None
    last = await readings.last_effective_time(connection, patient.patient_id)
    return Period.ending((last or datetime.now(UTC)).astimezone(patient.zone).date(), days, patient.zone)


async def note(home: Home, reading: str, text: str) -> None:
    """Write of a reading; the note before is taken back. Raises `NoSuchReading`, `UnusableNote`."""
    await _say(home, reading, AnnotationKind.NOTE, _usable(text))


async def mark_meal(home: Home, reading: str, mark: MealMark) -> None:
    """Say where among the meals a reading was, whatever the meter was told. Raises `NoSuchReading`."""
    await _say(home, reading, AnnotationKind.MEAL, mark.value)


async def take_back(home: Home, reading: str, kind: AnnotationKind) -> int:
    """Take back what is said of a reading; how much was said. Raises `NoSuchReading`."""
    patient_id, key = key_of(home, reading)
    with _known():
        async with home.database.writer() as connection:
            count = await remarks.take_back(connection, patient_id, key, {kind})
            await moving.reading_of(connection, patient_id, key)
            await shares.mark_stale(connection, patient_id)
            return count


async def history(home: Home, reading: str) -> tuple[Annotation, ...]:
    """All that was ever said of a reading, in order. Raises `NoSuchReading`."""
    patient_id, key = key_of(home, reading)
    with _known():
        async with home.database.writer() as connection:
            await moving.reading_of(connection, patient_id, key)
            return await remarks.of_reading(connection, patient_id, key)


async def exclude(home: Home, reading: str, reason: str | None) -> None:
    """Leave a reading out of every statistic. Raises `NoSuchReading`, `UnusableNote`."""
    await _say(home, reading, AnnotationKind.EXCLUDED, None if reason is None else _usable(reason))


async def not_mine(home: Home, reading: str) -> None:
    """Say that a reading is another's, nobody knows whose. Raises `NoSuchReading`."""
    await _say(home, reading, AnnotationKind.NOT_MINE, None)


async def include(home: Home, reading: str) -> int:
    """Take back that a reading is excluded or not theirs; how much was said. Raises `NoSuchReading`."""
    patient_id, key = key_of(home, reading)
    with _known():
        async with home.database.writer() as connection:
            kinds = {AnnotationKind.EXCLUDED, AnnotationKind.NOT_MINE}
            count = await remarks.take_back(connection, patient_id, key, kinds)
            await moving.reading_of(connection, patient_id, key)
            await shares.mark_stale(connection, patient_id)
            return count


async def move(home: Home, reading: str, to: str) -> None:
    """Give a reading to whom it belongs. Raises `NoSuchReading`, `UnknownPatient`, `SamePerson`."""
    patient_id, key = key_of(home, reading)
    with _known():
        async with home.database.writer() as connection:
            target = await patients.find(connection, to)
            if target.patient_id == patient_id:
                raise SamePerson
            await moving.give(connection, patient_id, key, target, author())
            await shares.mark_stale(connection, patient_id)
    await complete_moves(home, patient_id)


async def complete_moves(home: Home, patient_id: int) -> int:
    """Do the second half of every move that has only its first; how many there were."""
    async with home.database.writer() as connection:
        moves = await moving.moves(connection, patient_id)
    completed = 0
    for move_ in moves:
        with suppress(UnknownReading):  # erased in between
            async with home.database.writer() as connection:
                to = await moving.patient_of(connection, move_.to)
                if to is not None and not await moving.is_done(connection, move_, to):
                    await moving.receive(connection, move_, to)
                    completed += 1
    return completed


def job(home: Home) -> Job:
    """Once in a while: no half of a move stays alone."""

    async def work() -> None:
        async with home.database.writer() as connection:
            everybody = await patients.list_all(connection)
        for patient in everybody:
            await complete_moves(home, patient.patient_id)

    return Job("moves", timedelta(hours=1), work)


def author() -> str:
    """Who sits at this terminal, as the machine knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "command line"


async def _say(home: Home, reading: str, kind: AnnotationKind, value: str | None) -> None:
    patient_id, key = key_of(home, reading)
    with _known():
        async with home.database.writer() as connection:
            standing = await remarks.in_force(connection, patient_id, key.recorded_at, key.recorded_at)
            said = [each.value for each in standing if each.key == key and each.kind is kind]
            if said and said != [value]:
                await remarks.take_back(connection, patient_id, key, {kind})
            await remarks.say(connection, patient_id, key, kind, author(), value)
            await shares.mark_stale(connection, patient_id)


def key_of(home: Home, reading: str) -> tuple[int, ReadingKey]:
    """Whose reading an id names, and which. Raises `NoSuchReading` for one that names none."""
    with suppress(NotAnOpaqueId, OverflowError):
        key = ReadingIds(home.secret.fhir_ids()).decode(reading)
        if max(key.device_id, key.ordinal) < 1 << 15:  # else no such number was ever given
            return key.patient_id, ReadingKey(key.recorded_at, key.sequence, key.device_id, key.ordinal)
    raise NoSuchReading


@contextmanager
def _known() -> Iterator[None]:
    """What storage does not know has no reading under its id, in the words of the command line."""
    try:
        yield
    except UnknownReading:
        raise NoSuchReading from None


def _usable(text: str) -> str:
    text = unicodedata.normalize("NFC", text.strip())
    controls = any(unicodedata.category(sign) in {"Cc", "Cs"} and sign != "\n" for sign in text)
    if not 1 <= len(text) <= LONGEST_NOTE or controls:
        raise UnusableNote(longest=LONGEST_NOTE)
    return text

"""Whose is this reading? Asked of what a device brings that several people measure with; never guessed.

Looking is done whenever somebody asks what is open, and now and then: a reading that was stored and not
looked at is found the next time, so nothing that is killed in between loses a question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from device_profiles.errors import PasserelleError
from device_profiles.reading import UNITS, Kind, ReadingSeries
from fhir_mapping.opaque import ReadingIds
from gateway import annotating
from gateway.claimed import Job
from gateway.home import Home
from storage import annotations as remarks
from storage import devices, moving, patients, questions, readings, shares
from storage.annotations import AnnotationKind, ReadingKey
from storage.connection import Connection
from storage.devices import StoredDevice
from storage.errors import UnknownPatient
from storage.patients import Patient
from storage.questions import NewReading, State

CLOSE_KILOGRAMS: Final = Decimal(4)
CLOSE_SHARE: Final = Decimal("0.05")
"""How far a weight may be from a person's last ones to be theirs: the larger of the two. Clothes, a meal and
a day's water are 2 kg; 5 % is what clinicians call a change of weight. Wider asks once too often, narrower
would give a child's weight away in silence: asking is the smaller evil (openScale#228, #143, #332)."""

RECENT: Final = timedelta(days=400)
LAST_WEIGHTS: Final = 5
"""What a person weighed lately: whoever was not weighed for a year may weigh anything."""

MOST: Final = 50
"""Questions of one person that are shown at once, the newest: the others come when these are answered."""

POUND: Final = Decimal("0.45359237")


class AnsweredAlready(PasserelleError):
    """A question that somebody has answered before."""

    sentence = "This was answered already. Nothing was changed."


@dataclass(frozen=True, slots=True)
class Asked:
    """A reading of which it is asked whose it is. `series`: that reading alone."""

    reading_id: str
    keeper: Patient
    candidates: tuple[Patient, ...]
    """Who may have measured it, the keeper first."""
    device: StoredDevice
    series: ReadingSeries
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Shared:
    """Who measures with a device, the keeper first."""

    device: StoredDevice
    people: tuple[Patient, ...]


async def shared_of(connection: Connection, keeper: Patient, everybody: Sequence[Patient]) -> list[Shared]:
    """The devices of a person that others measure with too."""
    users = await questions.users(connection, keeper.patient_id)
    if not users:
        return []
    by_uuid = {person.uuid: person for person in everybody}
    known = await devices.of_patient(connection, keeper.patient_id)
    return [
        Shared(device, (keeper, *(by_uuid[user] for user in users[device.device_id] if user in by_uuid)))
        for device in known
        if device.device_id in users
    ]


async def look(home: Home) -> int:
    """Look at every reading of a shared device that nobody has looked at yet; how many are asked about."""
    async with home.database.writer() as connection:
        everybody = await patients.list_all(connection)
    asked = 0
    for keeper in everybody:
        async with home.database.writer() as connection:
            for shared in await shared_of(connection, keeper, everybody):
                asked += await _look_at(connection, shared)
    return asked


async def _look_at(connection: Connection, shared: Shared) -> int:
    keeper, device = shared.people[0], shared.device
    new = await questions.not_seen(connection, keeper.patient_id, device.device_id)
    if not new:
        return 0
    doubtful = {reading.key for reading in new}
    doubtful |= {open_.key for open_ in await questions.open_of(connection, keeper.patient_id)}
    weights = {}
    if any(reading.kind is Kind.BODY_WEIGHT for reading in new):
        weights = {
            person.patient_id: await _weights(connection, person, doubtful if person == keeper else set())
            for person in shared.people
        }
    seen = [(reading.key, _state(reading, shared.people, weights)) for reading in new]
    await questions.see(connection, keeper.patient_id, seen, datetime.now(UTC))
    return sum(state is State.OPEN for _, state in seen)


def _state(reading: NewReading, people: Sequence[Patient], weights: Mapping[int, Sequence[Decimal]]) -> State:
    """Whether it is asked whose it is: always, but for a weight that can be the keeper's alone."""
    if reading.kind is not Kind.BODY_WEIGHT or reading.value is None:
        return State.OPEN
    weight = in_kilograms(reading.value, reading.unit)
    keeper, *others = (weights.get(person.patient_id, ()) for person in people)
    keepers_alone = keeper and is_close(weight, keeper) and not any(is_close(weight, of) for of in others)
    return State.NOT_ASKED if keepers_alone else State.OPEN


def is_close(weight: Decimal, known: Sequence[Decimal]) -> bool:
    """Whether a weight can be that of somebody who weighed so much lately (kg); of a stranger any can."""
    if not known:
        return True
    nearest = min(abs(weight - each) for each in known)
    return nearest <= max(CLOSE_KILOGRAMS, CLOSE_SHARE * max(known))


def in_kilograms(value: Decimal, unit: str) -> Decimal:
    """A weight in kilograms."""
    return value * POUND if unit == "[lb_av]" else value


async def _weights(connection: Connection, person: Patient, doubtful: set[ReadingKey]) -> list[Decimal]:
    """What a person weighed lately, in kg, without what may be somebody else's."""
    series = await readings.series(
        connection, person.patient_id, kinds=(Kind.BODY_WEIGHT,), start=datetime.now(UTC) - RECENT
    )
    found = []
    for row in range(len(series)):
        if _key(series, row) not in doubtful and not series.excluded[row] and not series.absent[row]:
            value = Decimal(int(series.mantissa[row])).scaleb(int(series.exponent[row]))
            found.append(in_kilograms(value, UNITS[int(series.unit[row])]))
    return found[-LAST_WEIGHTS:]


def _key(series: ReadingSeries, row: int) -> ReadingKey:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(series.recorded_at[row]))
    return ReadingKey(at, int(series.sequence[row]), int(series.device_id[row]), int(series.ordinal[row]))


async def open_questions(home: Home) -> list[Asked]:
    """All that is asked and not answered, of everybody here, the newest first; looks for new ones first."""
    await look(home)
    async with home.database.writer() as connection:
        everybody = await patients.list_all(connection)
    found: list[Asked] = []
    for keeper in everybody:
        async with home.database.writer() as connection:
            found += await _open_of(home, connection, keeper, everybody)
    return sorted(found, key=lambda asked: int(asked.series.effective_time[0]), reverse=True)


async def _open_of(
    home: Home, connection: Connection, keeper: Patient, everybody: Sequence[Patient]
) -> list[Asked]:
    waiting = await questions.open_of(connection, keeper.patient_id)
    if not waiting:
        return []
    shared = {each.device.device_id: each for each in await shared_of(connection, keeper, everybody)}
    ids = ReadingIds(home.secret.fhir_ids())
    found = []
    for question in waiting[:MOST]:
        of = shared.get(question.key.device_id)
        series = await annotating.one_reading(connection, keeper.patient_id, question.key)
        if of is not None and len(series):  # else of a device that was forgotten since
            (name,) = ids.of_series(series)
            found.append(Asked(name, keeper, of.people, of.device, series, question.asked_at))
    return found


async def answer(home: Home, reading: str, whose: UUID | None) -> None:
    """Say whose a reading is (None: somebody else's): it stays, or moves as by `readings move`.

    Raises `AnsweredAlready`, `NoSuchReading`, `UnknownPatient`.
    """
    patient_id, key = annotating.key_of(home, reading)
    now = datetime.now(UTC)
    async with home.database.writer() as connection:
        everybody = await patients.list_all(connection)
        person = next((each for each in everybody if each.uuid == whose), None)
        if whose is not None and person is None:
            raise UnknownPatient
        if not await questions.answer(connection, patient_id, key, annotating.author(), now):
            raise AnsweredAlready
        if person is None:
            await remarks.say(connection, patient_id, key, AnnotationKind.NOT_MINE, annotating.author())
        elif person.patient_id != patient_id:
            await moving.give(connection, patient_id, key, person, annotating.author())
        await shares.mark_stale(connection, patient_id)
    await annotating.complete_moves(home, patient_id)


def job(home: Home) -> Job:
    """Once in a while: what nobody asked for is looked at too."""

    async def work() -> None:
        await look(home)

    return Job("questions", timedelta(hours=1), work)

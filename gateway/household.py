"""The people of this home: how they are related, who acts for whom, how each of them reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from device_profiles.errors import PasserelleError
from gateway.correcting import place_all_again
from gateway.home import Home
from gateway.language import languages
from storage import clock_segments, devices, household, patients, questions, shares
from storage.connection import Connection
from storage.household import Guardian, PersonSettings
from storage.patients import Patient
from storage.touched_days import TouchedDays

READ_IN: Final = ("g/L", "mg/dL", "mmol/L")
"""The units of glucose that people read. A device writes mg/dL or mmol/L: g/L is mg/dL with another comma."""


class Relation(StrEnum):
    """What somebody is to whom keeps this home."""

    SELF = "self"
    CHILD = "child"
    PARTNER = "partner"
    PARENT = "parent"
    OTHER = "other"


class ActsForThemselves(PasserelleError):
    """Two people of whom each would act for the other, or one for themselves."""

    sentence = "Nobody acts for themselves, nor two people for each other. Choose another person."


class UnitUnknown(PasserelleError):
    """A unit that nobody reads here."""

    sentence = "Passerelle shows glucose in g/L, mg/dL or mmol/L. Choose one of them."


class LanguageUnknown(PasserelleError):
    """A language that there is no catalogue of."""

    sentence = "Passerelle speaks French and English. Choose fr or en."


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody here, as the family page shows them."""

    person: Patient
    settings: PersonSettings
    guardians: tuple[Patient, ...]
    """Who acts for them now."""
    before: tuple[Guardian, ...]
    """Who did."""


async def members(home: Home) -> list[Member]:
    """Everybody here, by name."""
    async with home.database.writer() as connection:
        everybody = await patients.list_all(connection)
        by_uuid = {person.uuid: person for person in everybody}
        found = []
        for person in everybody:
            known = await household.guardians(connection, person.patient_id)
            acting = [each.uuid for each in known if each.ended_at is None]
            found.append(
                Member(
                    person,
                    await household.settings_of(connection, person.patient_id),
                    tuple(by_uuid[uuid] for uuid in acting if uuid in by_uuid),
                    tuple(each for each in known if each.ended_at is not None),
                )
            )
    return found


async def add(
    home: Home, name: str, timezone: str, *, relation: Relation | None = None, language: str | None = None
) -> Patient:
    """Somebody more whose readings are kept here. Raises as `patients.add`."""
    async with home.database.writer() as connection:
        person = await patients.add(connection, name, timezone, language=language)
        if relation is not None:
            await household.choose(connection, person.patient_id, PersonSettings(relation=relation.value))
    return person


async def relate(home: Home, person: Patient, relation: Relation | None) -> None:
    """What somebody is to whom keeps this home."""
    async with home.database.writer() as connection:
        known = await household.settings_of(connection, person.patient_id)
        changed = replace(known, relation=relation.value if relation else None)
        await household.choose(connection, person.patient_id, changed)


async def act_for(home: Home, person: Patient, guardian: Patient) -> None:
    """`guardian` acts for `person` from now on. Raises `ActsForThemselves`."""
    async with home.database.writer() as connection:
        theirs = await household.guardians(connection, guardian.patient_id)
        if person == guardian or any(each.uuid == person.uuid and not each.ended_at for each in theirs):
            raise ActsForThemselves
        await household.add_guardian(connection, person.patient_id, guardian.uuid, datetime.now(UTC))


async def act_no_more(home: Home, person: Patient, guardian: Patient | None = None) -> int:
    """`guardian` acts for `person` no more; nobody does, where none is named: they act for themselves."""
    async with home.database.writer() as connection:
        uuid = None if guardian is None else guardian.uuid
        return await household.end_guardian(connection, person.patient_id, uuid, datetime.now(UTC))


async def forget(home: Home, erased: Patient) -> None:
    """No trace stays with the others of somebody who was erased."""
    async with home.database.writer() as connection:
        everybody = await patients.list_all(connection)
    for person in everybody:
        async with home.database.writer() as connection:
            await household.forget_guardian(connection, person.patient_id, erased.uuid)
            await questions.forget_user(connection, person.patient_id, erased.uuid)


async def read_in(home: Home, person: Patient, language: str | None, unit: str | None) -> None:
    """In which language and unit of glucose somebody reads. Raises `LanguageUnknown`, `UnitUnknown`."""
    if language is not None and language not in languages():
        raise LanguageUnknown
    if unit is not None and unit not in READ_IN:
        raise UnitUnknown
    async with home.database.writer() as connection:
        await household.read_in(connection, person, language, unit)


async def live_in(home: Home, person: Patient, timezone: str) -> None:
    """Somebody's days are counted by this zone from now on, those before too. Raises `UnknownZone`.

    When a reading was is told in the time of the zone, and stays where it was measured
    (`correcting.place_all_again`).

    Twice: who waited to store meanwhile had read the zone before, and summarised a day by it.
    """
    async with home.database.writer() as connection:
        await household.live_in(connection, person.patient_id, timezone)
        await place_all_again(connection, await patients.get(connection, person.patient_id))
        await _count_days_again(connection, person.patient_id)
        await shares.mark_stale(connection, person.patient_id)
    async with home.database.writer() as connection:
        await household.live_in(connection, person.patient_id, timezone)
        await place_all_again(connection, await patients.get(connection, person.patient_id))
        await _count_days_again(connection, person.patient_id)


async def _count_days_again(connection: Connection, patient_id: int) -> None:
    """Every day of every device, in the person's zone. The devices' rows must be locked."""
    zone = (await patients.get(connection, patient_id)).zone
    segments = await clock_segments.of_patient(connection, patient_id)
    for device in await devices.of_patient(connection, patient_id, forgotten=True):
        key = {"patient_id": patient_id, "device_id": device.device_id}
        await TouchedDays.all(key, zone, segments.get(device.device_id, ())).renew(connection)


async def settings_of(home: Home, person: Patient) -> PersonSettings:
    """What somebody has chosen."""
    async with home.database.writer() as connection:
        return await household.settings_of(connection, person.patient_id)


def person_named(people: Sequence[Patient], patient_id: int) -> Patient | None:
    """One of these people by number."""
    return next((person for person in people if person.patient_id == patient_id), None)

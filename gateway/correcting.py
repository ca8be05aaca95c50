"""Placing readings again without a device at hand: a person said when they were, or lives in another zone.

A better estimate replaces clock segments, with a trace of what was believed and of who said so; no reading
changes. Days, spaces and live links follow.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from device_profiles.errors import PasserelleError
from device_profiles.reading import ClockSegment, TimeSource
from gateway import annotating, clock
from gateway.clock_records import inside
from gateway.home import Home
from gateway.zone_rules import offset_at
from storage import devices, patients, readings
from storage.annotations import ReadingKey
from storage.columns import microsecond, moment
from storage.connection import Connection
from storage.patients import Patient
from storage.readings import RecordColumns, Writing

NOT_BY_ITS_OWN_CLOCK: Final = ("file", "capture")
"""Schemes of devices whose times were written in a zone that was named with them."""

SLACK: Final = timedelta(minutes=1)
"""A time that is typed has no seconds."""


class NotYet(PasserelleError):
    """A time of a reading that is still to come."""

    sentence = "This time is still to come. When was the reading made?"


class UnusableTime(PasserelleError):
    """A text that is no time."""

    sentence = "This is no time: {text}. Write it as 2026-11-20 08:30."


async def say_when(home: Home, reading: str, at: datetime) -> int:
    """The person says when a reading was; how many readings are placed by that.

    Where only their order was sure, those that the same clock wrote move with it. `at` has a zone.
    Raises `NoSuchReading`, `NotYet`.
    """
    if at > datetime.now(UTC) + SLACK:
        raise NotYet
    patient_id, key = annotating.key_of(home, reading)
    async with home.database.writer() as connection:
        person = await patients.get(connection, patient_id)
        device = await devices.get(connection, patient_id, key.device_id)
        async with readings.writing(connection, device) as held:
            records = await held.records()
            said = _said(held, key, at, person)
            placed = _placed(records, person, (*held.history, said))
            await held.place_again(placed, said_by=annotating.author())
    covered = inside(records.sequence.astype(np.int64), records.recorded_at_us, said)
    return int(np.count_nonzero(covered))


async def person_of(home: Home, reading: str) -> Patient:
    """Whose reading it is. Raises `NoSuchReading`, UnknownPatient."""
    patient_id, _ = annotating.key_of(home, reading)
    async with home.database.writer() as connection:
        return await patients.get(connection, patient_id)


def time_of(text: str, person: Patient) -> datetime:
    """A time as a person types it, in their own zone unless it says another. Raises `UnusableTime`."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UnusableTime(text=text) from None
    return (at if at.tzinfo else at.replace(tzinfo=person.zone)).astimezone(UTC)


async def place_all_again(connection: Connection, person: Patient) -> None:
    """Every device's readings as they are in the zone where the person lives now.

    Nothing moves: what was placed is told in the time of the new zone, and only what comes from now on is
    taken to be written there. The zone of a file was named with it.
    """
    for device in await devices.of_patient(connection, person.patient_id, forgotten=True):
        if device.device.identity.scheme in NOT_BY_ITS_OWN_CLOCK:
            continue
        async with readings.writing(connection, device) as held:
            records = await held.records()
            if len(records):
                await held.place_again(_placed(records, person, held.history))


def _placed(
    records: RecordColumns, person: Patient, history: tuple[ClockSegment, ...]
) -> tuple[ClockSegment, ...]:
    offsets = np.where(records.offset_minutes == RecordColumns.NO_OFFSET, 0, records.offset_minutes)
    sequence = records.sequence.astype(np.int64)
    return clock.segments(
        sequence, records.recorded_at_us, offsets, person.zone, history=history, keep_all=True
    )


def _said(held: Writing, key: ReadingKey, at: datetime, person: Patient) -> ClockSegment:
    """What a person said, as a segment: of the stretch whose order alone was sure, else of one reading."""
    written = microsecond(key.recorded_at)
    shift = round((microsecond(at) - written) / 1_000_000)
    number = np.array([key.sequence], np.int64)
    first = last = moment(written)
    bounds = (key.sequence, key.sequence, first, last)
    for segment in held.history:
        if segment.source is TimeSource.ORDERED and inside(number, np.array([written]), segment)[0]:
            bounds = (
                segment.first_sequence,
                segment.last_sequence,
                segment.first_recorded_at,
                segment.last_recorded_at,
            )
    offset = round(offset_at(person.zone, at) / 60)
    return ClockSegment(*bounds, shift, offset, TimeSource.PERSON)

"""Readings of several numbers go the whole way through the store: each number, unit and reason comes back."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from device_profiles import catalogue
from device_profiles.meanings.meaning import Heard
from device_profiles.reading import (
    FIRST_MEASURAND,
    UNITS,
    Absent,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
)
from device_profiles.virtual_measurements import generated, session_values
from device_profiles.wire import DateTime
from storage import moving, readings
from storage.annotations import ReadingKey
from storage.database import Database
from storage.patients import Patient
from tests.storage.samples import START, new_device, store


def whole(kind: Kind, number: int) -> Reading:
    """A reading of a kind with every other measurand, in every unit, some of them absent."""
    others = [of for of in Measurand if of is not FIRST_MEASURAND[kind]]
    further = tuple(
        Quantity(of, None, UNITS[place % len(UNITS)], Absent(place % 5 + 1))
        if place % 4 == 3
        else Quantity(of, Decimal(place * 37 - 90).scaleb(-(place % 4)), UNITS[place % len(UNITS)])
        for place, of in enumerate(others, number)
    )
    first = Quantity(FIRST_MEASURAND[kind], Decimal("120.5"), UNITS[number])
    at = START + timedelta(hours=number)
    return Reading(kind, (first, *further), None, RecordIdentity(at, 0), bytes((int(kind), number)))


async def test_every_measurand_in_every_unit_comes_back_in_its_order(
    database: Database, patient: Patient
) -> None:
    device = await new_device(database, patient)
    batch = [whole(kind, number) for number, kind in enumerate(Kind)]
    await store(database, device, batch)
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
        again = [
            await moving.reading_of(conn, patient.patient_id, _key(each, device.device_id)) for each in batch
        ]
    assert [series.quantities[row] for row in range(len(batch))] == [each.quantities[1:] for each in batch]
    assert again == batch


async def test_what_each_family_of_devices_says_is_read_back_as_it_was_said(
    database: Database, patient: Patient
) -> None:
    start = DateTime(2026, 3, 2, 8, 0, 0)
    heard = Heard(START, values=session_values(start, 0))
    async with database.writer() as conn:
        for profile in catalogue.BUILT_IN:
            device = await new_device(database, patient)
            said = []
            for record in generated(profile, 3, start=start):
                source = profile.source_of(record.characteristic or profile.measurement)
                assert source is not None
                raw = b"".join((record.measurement, *record.following))
                said += source.meaning.readings(raw, heard)
            await store(database, device, said)
            keys = [_key(each, device.device_id) for each in said]
            back = [await moving.reading_of(conn, patient.patient_id, key) for key in keys]
            distinct = profile.name != "heart-rate-sensor"  # three in one second have one key
            assert [each.quantities for each in back] == [each.quantities for each in said] or not distinct
            assert [each.flags for each in back] == [each.flags for each in said]


def _key(reading: Reading, device_id: int) -> ReadingKey:
    return ReadingKey(reading.identity.recorded_at, reading.identity.sequence, device_id, 0)

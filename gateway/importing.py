"""Readings from a file into a person's store: once, and placed in time by the zone they were written in."""

from __future__ import annotations

from dataclasses import dataclass

from gateway import clock
from gateway.files import FileReadings, ranked
from gateway.home import zone_named
from storage import devices, patients, readings
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's readings; `known` counts those that the file itself repeats too."""

    stored: int
    known: int
    erased: int = 0
    """How many the person had erased before: they are not taken again."""


async def import_readings(
    database: Database, patient_name: str, zone_name: str | None, file: FileReadings
) -> Imported:
    """Store a file's readings for a person, who is added if they are new.

    The zone is the one the file's times were written in; without one the person's own. Raises `UnknownZone`,
    StorageError.
    """
    zone = zone_named(zone_name)
    async with database.writer() as connection:
        patient = await patients.find_or_add(connection, patient_name, zone.key)
        device = await devices.register(connection, patient.patient_id, file.device)
        async with readings.writing(connection, device) as writing:
            own_zone = zone if zone_name else patient.zone
            found = ranked(file.readings, own_zone)
            placed = clock.place(await writing.records(), found, own_zone, history=writing.history)
            stored = await writing.store(found, placed)
    return Imported(stored.stored, stored.known + len(file.readings) - len(found), stored.erased)

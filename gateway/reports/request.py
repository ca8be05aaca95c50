"""From what a person asks for to the statistics of those days."""

from __future__ import annotations

from datetime import UTC, date, datetime

from device_profiles.reading import Kind
from gateway.reports.period import Period
from gateway.reports.statistics import GlucoseStatistics, summarise
from storage import patients, readings
from storage.database import Database


async def sensor_report(
    database: Database, name: str, asked: tuple[date, date] | int
) -> tuple[GlucoseStatistics, Period]:
    """The statistics of a person's sensor readings.

    `asked`: a first and a last day in the person's zone, or a number of days that ends with the last local
    day that has sensor data (today where there is none). Raises `UnknownPatient`.
    """
    async with database.writer() as connection:
        patient = await patients.find(connection, name)
        zone = patient.zone
        kinds = (Kind.INTERSTITIAL_GLUCOSE,)
        if isinstance(asked, int):
            last = await readings.last_effective_time(connection, patient.patient_id, kinds)
            period = Period.ending((last or datetime.now(UTC)).astimezone(zone).date(), asked, zone)
        else:
            period = Period(*asked, zone)
        series = await readings.series(
            connection, patient.patient_id, kinds=kinds, start=period.start, end=period.end
        )
    return summarise(series, period), period

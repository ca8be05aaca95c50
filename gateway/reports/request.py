"""From what a person asks for to the report of those days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from device_profiles.reading import Kind, ReadingSeries
from gateway.reports.blood_pressure import HomeBloodPressure
from gateway.reports.episodes import Episode, episodes
from gateway.reports.glucose_profile import ProfileBlock, glucose_profile
from gateway.reports.logbook import FingerSticks
from gateway.reports.period import Period
from gateway.reports.statistics import GlucoseStatistics, glucose, nominal_interval_minutes, summarise
from gateway.reports.targets import GOALS, Goal, Situation
from storage import patients, readings
from storage.database import Database


@dataclass(frozen=True, slots=True)
class SensorReport:
    """What a period's sensor readings say; `goals` with whether each is met.

    The finger-stick measurements and blood pressures of the same days stand beside, never mixed with them.
    """

    period: Period
    situation: Situation
    statistics: GlucoseStatistics
    interval_minutes: int
    goals: tuple[tuple[Goal, bool | None], ...]
    episodes: dict[str, tuple[Episode, ...]]
    profile: tuple[ProfileBlock, ...]
    finger_sticks: FingerSticks
    home_blood_pressure: HomeBloodPressure | None

    @classmethod
    def of(cls, series: ReadingSeries, period: Period, situation: Situation) -> SensorReport:
        """Of readings that all lie within `period`, in order of time."""
        sensor = glucose(series, Kind.INTERSTITIAL_GLUCOSE)
        interval = nominal_interval_minutes(sensor)
        statistics = summarise(series, period, situation)
        return cls(
            period=period,
            situation=situation,
            statistics=statistics,
            interval_minutes=interval,
            goals=tuple((goal, goal.met(statistics.time_in_range)) for goal in GOALS[situation]),
            episodes=episodes(sensor, interval),
            profile=glucose_profile(sensor, period.zone),
            finger_sticks=FingerSticks.of(series, period.zone),
            home_blood_pressure=HomeBloodPressure.of(series, period.zone),
        )


async def sensor_report(
    database: Database,
    name: str,
    asked: tuple[date, date] | int,
    situation: Situation = Situation.STANDARD,
) -> SensorReport:
    """The report of a person's sensor readings.

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
            connection,
            patient.patient_id,
            kinds=(*kinds, Kind.BLOOD_GLUCOSE, Kind.BLOOD_PRESSURE),
            start=period.start,
            end=period.end,
        )
    return SensorReport.of(series, period, situation)

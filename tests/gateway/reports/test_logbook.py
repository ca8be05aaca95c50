"""The finger-stick logbook: which moment of the day a measurement belongs to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from device_profiles.reading import Absent, Kind
from gateway.reports.logbook import FingerSticks, Moment, entries, moment_of
from tests.fhir_mapping.examples import Placed, reading, series_of

PARIS = ZoneInfo("Europe/Paris")


def stick(at: datetime, value: str | Absent, kind: Kind = Kind.BLOOD_GLUCOSE) -> Placed:
    return Placed(reading(kind, value, recorded_at=at, sequence=at.minute), effective=at)


@pytest.mark.parametrize(
    ("hour", "meal", "moment"),
    [
        (7, None, Moment.BEFORE_BREAKFAST),
        (7, 2, Moment.AFTER_BREAKFAST),
        (13, None, Moment.AFTER_LUNCH),
        (13, 1, Moment.BEFORE_LUNCH),
        (19, 1, Moment.BEFORE_DINNER),
        (19, 2, Moment.AFTER_DINNER),
        (15, 3, Moment.BEFORE_BREAKFAST),
        (15, 4, Moment.AFTER_LUNCH),
        (20, 5, Moment.BEDTIME),
        (23, None, Moment.BEDTIME),
        (0, None, Moment.NIGHT),
        (2, 2, Moment.NIGHT),
    ],
)
def test_the_meter_s_mark_decides_before_the_hour(hour: int, meal: int | None, moment: Moment) -> None:
    assert moment_of(hour, meal) is moment


def test_days_and_hours_are_those_of_the_person_s_clock() -> None:
    (entry,) = entries(series_of(stick(datetime(2026, 6, 1, 22, 30, tzinfo=UTC), "100")), PARIS)
    assert (entry.day.isoformat(), entry.moment) == ("2026-06-02", Moment.NIGHT)


def test_a_median_needs_five_measurements_and_lo_lies_below_all_of_them() -> None:
    seven = datetime(2026, 3, 2, 6, tzinfo=UTC)
    values: list[str | Absent] = ["100", "120", Absent.BELOW_RANGE, "140"]
    placed = [stick(seven + timedelta(days=day, minutes=day), value) for day, value in enumerate(values)]

    def breakfast(of: list[Placed]) -> tuple[int, float | None]:
        found = FingerSticks.of(series_of(*of), PARIS)
        (one,) = (each for each in found.moments if each.moment is Moment.BEFORE_BREAKFAST)
        return one.n, one.median_mg_dl

    assert breakfast(placed) == (4, None)
    assert breakfast([*placed, stick(seven + timedelta(days=5, minutes=5), "90")]) == (5, 100)
    most = [stick(seven + timedelta(days=6 + day), Absent.BELOW_RANGE) for day in range(9)]
    assert breakfast([*placed, *most]) == (13, None)


def test_control_solutions_and_ketones_stand_in_no_logbook() -> None:
    at = datetime(2026, 3, 2, 6, tzinfo=UTC)
    placed = [stick(at, "100"), stick(at + timedelta(minutes=1), "300", Kind.CONTROL_SOLUTION)]
    found = FingerSticks.of(series_of(*placed), PARIS)
    assert (found.n, found.mean_mg_dl) == (1, 100)

"""What a clinic asks of many patients at once, from their days' summaries alone."""

from __future__ import annotations

from datetime import date
from uuid import uuid4

import pytest

from device_profiles.reading import UNITS, Absent, Kind
from storage import daily_summary, patients
from storage.database import Database
from tests.storage.samples import glucose, new_device, store

FIRST, LAST = date(2026, 3, 3), date(2026, 3, 16)


async def test_a_cohort_sums_up_the_days_of_each_patient_over_devices(database: Database) -> None:
    people = []
    for number in range(5):
        async with database.writer() as conn:
            people.append(await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris"))
        for device in [await new_device(database, people[-1]) for _ in range(2)] if number else []:
            batch = [glucose(row, str(50 + (row * 7 + number) % 250)) for row in range(0, 6000, 40)]
            low = glucose(6001, absent=Absent.BELOW_RANGE, at=batch[50].identity.recorded_at)
            sensor = glucose(6002, "3.8", unit="mmol/L", kind=Kind.INTERSTITIAL_GLUCOSE)
            await store(database, device, [*batch, low, sensor])
    ids = [person.patient_id for person in people]
    async with database.writer() as conn:
        cohort = await daily_summary.cohort(conn, ids, FIRST, LAST)
        days = {each: await daily_summary.days(conn, each, FIRST, LAST) for each in ids}
    rows = list(zip(cohort.patient_id.tolist(), cohort.kind.tolist(), cohort.unit.tolist(), strict=True))
    assert rows == sorted(
        {(each, day.kind, UNITS.index(day.unit)) for each, of_one in days.items() for day in of_one}
    )
    assert ids[0] not in cohort.patient_id
    for row, (patient_id, kind, unit) in enumerate(rows):
        own = [day for day in days[patient_id] if (day.kind, UNITS.index(day.unit)) == (kind, unit)]
        for name in ("readings", "below_range", "very_low", "low", "target", "high", "very_high", "numbers"):
            assert getattr(cohort, name)[row] == sum(getattr(day, name) for day in own), name
        assert cohort.total[row] == pytest.approx(sum(day.total for day in own))
        assert cohort.squares[row] == pytest.approx(sum(day.squares for day in own))
        assert cohort.lowest[row] == min(day.lowest for day in own if day.lowest is not None)
        assert cohort.highest[row] == max(day.highest for day in own if day.highest is not None)


async def test_a_cohort_of_nobody_is_empty(database: Database) -> None:
    async with database.writer() as conn:
        assert len(await daily_summary.cohort(conn, [], FIRST, LAST)) == 0
        assert len(await daily_summary.cohort(conn, [2_000_000_000], FIRST, LAST)) == 0

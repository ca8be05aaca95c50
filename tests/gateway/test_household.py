"""Who acts for whom, by which clock somebody lives, how they read, and what a doctor told them."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from gateway import aims, annotating, household
from gateway.aims import TargetsCrossed, UnusableTarget
from gateway.home import Home
from gateway.household import ActsForThemselves, LanguageUnknown, Relation, UnitUnknown
from gateway.reports.targets import LIMITS, Situation
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from storage import daily_summary, patients
from storage.annotations import AnnotationKind
from storage.database import Database
from storage.errors import UnknownZone
from storage.household import PersonSettings
from storage.meals import MealMark
from storage.patients import Patient
from tests.storage.samples import glucose, meal, new_device, segment, store


@pytest.fixture
def home(database: Database, tmp_path: Path) -> Home:
    return Home(Settings(home=tmp_path), database, HomeSecret(bytes(32)))


async def again(home: Home, person: Patient) -> household.Member:
    return next(each for each in await household.members(home) if each.person.uuid == person.uuid)


async def days_of(home: Home, person: Patient) -> dict[date, int]:
    async with home.database.writer() as conn:
        days = await daily_summary.days(conn, person.patient_id, date(2026, 1, 1), date(2026, 12, 31))
    return {day.day: day.readings for day in days}


async def test_a_guardian_acts_for_a_child_who_acts_for_themselves_one_day(
    home: Home, patient: Patient
) -> None:
    child = await household.add(home, f"child-{uuid4()}", "Europe/Paris", relation=Relation.CHILD)
    for _ in range(2):
        await household.act_for(home, child, patient)
    now = await again(home, child)
    assert (now.guardians, now.before, now.settings.relation) == ((patient,), (), "child")
    assert await household.act_no_more(home, child) == 1
    later = await again(home, child)
    assert (later.guardians, [each.uuid for each in later.before]) == ((), [patient.uuid])
    await household.act_for(home, child, patient)
    assert (await again(home, child)).guardians == (patient,)


async def test_nobody_acts_for_themselves_nor_two_for_each_other(home: Home, patient: Patient) -> None:
    child = await household.add(home, f"child-{uuid4()}", "UTC")
    await household.act_for(home, child, patient)
    for person, guardian in ((patient, patient), (patient, child)):
        with pytest.raises(ActsForThemselves):
            await household.act_for(home, person, guardian)


async def test_the_days_follow_a_person_to_another_zone(home: Home, patient: Patient) -> None:
    device = await new_device(home.database, patient)
    batch = [
        glucose(number, at=datetime(2026, 3, 2, hour, tzinfo=UTC)) for number, hour in enumerate((8, 20))
    ]
    await store(home.database, device, batch, segment(batch))
    assert await days_of(home, patient) == {date(2026, 3, 2): 2}
    await household.live_in(home, patient, "Pacific/Auckland")
    assert await days_of(home, patient) == {date(2026, 3, 2): 1, date(2026, 3, 3): 1}
    assert (await again(home, patient)).person.timezone == "Pacific/Auckland"
    with pytest.raises(UnknownZone):
        await household.live_in(home, patient, "Mars/Olympus")


async def test_a_move_to_another_zone_while_readings_arrive_leaves_no_day_behind(
    home: Home, patient: Patient
) -> None:
    device = await new_device(home.database, patient)
    batch = [glucose(number, at=datetime(2026, 3, 2, number, tzinfo=UTC)) for number in range(24)]

    async def arrive() -> None:
        for number in range(1, 25):
            await store(home.database, device, batch[:number], segment(batch[:number]))

    arriving = asyncio.create_task(arrive())
    for zone in ("Pacific/Auckland", "America/Lima") * 3:
        await household.live_in(home, patient, zone)
    await arriving
    await household.live_in(home, patient, "America/Lima")
    found = await days_of(home, patient)
    async with home.database.writer() as conn:
        series = await annotating.listed(home, (await patients.get(conn, patient.patient_id)).name)
    assert sum(found.values()) == len(series.series) == 24
    assert found == {date(2026, 3, 1): 5, date(2026, 3, 2): 19}


async def test_how_somebody_reads_is_one_of_what_there_is(home: Home, patient: Patient) -> None:
    await household.read_in(home, patient, "fr", "g/L")
    now = (await again(home, patient)).person
    assert (now.language, now.unit) == ("fr", "g/L")
    with pytest.raises(UnitUnknown):
        await household.read_in(home, patient, "fr", "kg")
    with pytest.raises(LanguageUnknown):
        await household.read_in(home, patient, "xx", None)


@pytest.mark.parametrize(
    ("text", "unit", "kept"),
    [
        ("0,70", "g/L", "70"),
        ("1.8", "g/L", "180"),
        (" 95 ", "mg/dL", "95"),
        ("5,3", "mmol/L", "5.3"),
        ("10", "mmol/L", "10"),
        ("", "g/L", None),
    ],
)
def test_a_target_is_kept_as_it_was_written(text: str, unit: str, kept: str | None) -> None:
    found = aims.target_of(text, unit)
    assert (None if found is None else format(found, "f")) == kept


@pytest.mark.parametrize(
    ("text", "unit"),
    [("70", "g/L"), ("0,7", "mg/dL"), ("180", "mmol/L"), ("NaN", "g/L"), ("x", "g/L"), ("-1", "g/L")],
)
def test_a_slip_of_the_comma_is_no_target(text: str, unit: str) -> None:
    with pytest.raises(UnusableTarget):
        aims.target_of(text, unit)


async def test_a_doctors_targets_take_the_place_of_the_situations(home: Home, patient: Patient) -> None:
    await household.relate(home, patient, Relation.SELF)
    wanted = PersonSettings(
        situation="pregnancy-other", unit="mg/dL", low=Decimal(60), high=Decimal(120), before_high=Decimal(95)
    )
    await aims.aim_at(home, patient, wanted)
    kept = await household.settings_of(home, patient)
    assert (kept.relation, kept.low, kept.before_high) == ("self", Decimal(60), Decimal(95))
    assert aims.situation_of(kept) is Situation.PREGNANCY_OTHER
    found = aims.limits_of(kept, "mg/dL")
    assert (found.very_low, found.low, found.high, found.very_high) == (54, 60, 120, 250)
    assert aims.limits_of(kept, "mmol/L").high == 6.7
    assert aims.limits_of(PersonSettings(), "mmol/L") == LIMITS[Situation.STANDARD]["mmol/L"]
    with pytest.raises(TargetsCrossed):
        await aims.aim_at(home, patient, PersonSettings(low=Decimal(120), high=Decimal(70)))


async def test_what_a_person_says_of_a_meal_stands_before_what_the_meter_was_told(
    home: Home, patient: Patient
) -> None:
    device = await new_device(home.database, patient)
    await store(home.database, device, [glucose(0, context=meal(1)), glucose(1)])
    ids = (await annotating.listed(home, patient.name)).ids
    await annotating.mark_meal(home, ids[0], MealMark("after-meal", "lunch"))
    await annotating.mark_meal(home, ids[1], MealMark("fasting"))

    async def told() -> list[tuple[str | None, str | None]]:
        listed = await annotating.listed(home, patient.name)
        return [(listed.row(row)["meal"], listed.row(row)["of_meal"]) for row in range(2)]

    assert await told() == [("after-meal", "lunch"), ("fasting", None)]
    await annotating.mark_meal(home, ids[0], MealMark(None))
    assert await told() == [(None, None), ("fasting", None)]
    for reading in ids:
        assert await annotating.take_back(home, reading, AnnotationKind.MEAL) == 1
    assert await told() == [("before-meal", None), (None, None)]
    said = [(each.value, each.withdrawn_at is None) for each in await annotating.history(home, ids[0])]
    assert said == [("after-meal/lunch", False), ("none", False)]

"""A better estimate of when readings were: segments change with a trace, and whoever was told follows."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from device_profiles.devices import glucose_meter
from device_profiles.reading import TimeSource
from device_profiles.services.device_information import DeviceInformation
from device_profiles.services.glucose import GlucoseMeasurement
from device_profiles.virtual_device import Faults, Record, VirtualDevice
from device_profiles.wire import DateTime
from fhir_mapping.opaque import ReadingIds
from gateway import correcting, household, sharing
from gateway.home import Home
from gateway.outbox import limits
from gateway.sealing import SealedLink
from gateway.settings import Settings
from gateway.shelf_client import open_link
from gateway.storing import Storing
from gateway.sync import sync
from storage import daily_summary, devices, readings
from storage.database import Database
from storage.patients import Patient
from tests.gateway.api.serving import RunningShelf
from tests.gateway.ble.bench import Bench, bench, local_time
from tests.gateway.outbox.homes import SECRET, fed, shown
from tests.gateway.outbox.hostile import HostileSpace

pytestmark = pytest.mark.usefixtures("no_pauses")

AHEAD = timedelta(days=1)
VALUE = Decimal("0.00110")
"""110 mg/dL, in kg/L."""
AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
"""When the first of the records was made, in truth."""


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FIRST_PAUSE", timedelta(milliseconds=1))


def made(number: int) -> datetime:
    """When a record was made, in truth: each half hour, the fourth just now."""
    return AT + timedelta(minutes=30 * number) if number < 4 else datetime.now(UTC)


def meter(
    count: int, *, ahead: timedelta = AHEAD, readable: bool = True, dated: bool = True
) -> VirtualDevice:
    """A meter whose clock is wrong, with records of each half hour."""
    records = []
    for number in range(1, count + 1):
        local = made(number).astimezone(local_time().tzinfo) + ahead
        at = DateTime.of(local) if dated else DateTime(0, 0, 0, 0, 0, 0)
        records.append(
            Record(
                number,
                GlucoseMeasurement.of(number, at, concentration=VALUE, type=1, sample_location=1).encode(),
            )
        )
    return VirtualDevice(
        glucose_meter.PROFILE,
        records,
        information=DeviceInformation("Acme", "One", "SN-1", firmware="1.0"),
        clock=local_time if readable else None,
        faults=Faults(clock_error_seconds=int(ahead.total_seconds())),
    )


async def read(at: Bench, home: Home, patient: Patient, **how: bool) -> None:
    async with at.radio() as radio:
        await sync(radio, at.is_first, Storing(home.database, patient), passkey=at.read_display, **how)


@dataclass
class Placed:
    times: list[datetime]
    sources: list[str]


async def placed(database: Database, patient: Patient) -> Placed:
    async with database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    order = series.sequence.argsort()
    times = [
        datetime.fromtimestamp(at / 1e6, UTC) if at > -(1 << 60) else None
        for at in series.effective_time[order].tolist()
    ]
    return Placed(times, [TimeSource(source).slug for source in series.time_source[order].tolist()])


async def traces(database: Database, patient: Patient) -> list[tuple[str, str | None]]:
    """What was believed and by whom, in the order in which it was put in force."""
    async with database.owner() as conn:
        rows = await conn.execute(
            "SELECT source, said_by IS NOT NULL FROM passerelle.clock_segment "
            "WHERE patient_id = %s ORDER BY segment_id",
            (patient.patient_id,),
        )
        return [(TimeSource(source).slug, said) for source, said in await rows.fetchall()]


def opened(url: str) -> list[str]:
    (content,) = asyncio.run(open_link(SealedLink.parse(url), "Dr. Test", None))
    resources = [entry["resource"] for entry in json.loads(content)["entry"]]
    return sorted(each["effectiveDateTime"] for each in resources if each["resourceType"] == "Observation")


async def test_a_second_sync_that_reads_the_clock_moves_times_in_the_space_and_behind_the_live_link(
    database: Database, tmp_path: Path, shelf: RunningShelf
) -> None:
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        at_home = replace(
            home,
            home=Home(
                Settings(home=tmp_path, shelf_url=shelf.url, shelf_token=shelf.enrol()), database, SECRET
            ),
        )
        async with bench(tmp_path / "first", meter(3, readable=False)) as at:
            await read(at, at_home.home, home.patient)
        before = await placed(database, home.patient)
        assert before.sources == ["ordered"] * 3
        link = await sharing.create(at_home.home, home.patient.name)
        async with database.owner() as conn:  # no command makes a live share yet
            await conn.execute(
                "UPDATE passerelle.share SET live = true WHERE share_id = %s", (link.share.share_id,)
            )
        assert (await at_home.feed()).told == 3
        async with bench(tmp_path / "second", meter(4)) as at:
            await read(at, at_home.home, home.patient)
        after = await placed(database, home.patient)
        assert after.sources == ["device-corrected"] * 4
        truth = [made(number) for number in range(1, 5)]
        assert max(abs(one - other) for one, other in zip(after.times, truth, strict=True)) < timedelta(
            minutes=2
        )
        assert (await at_home.feed()).told == 4
        (device,) = await _devices(database, home.patient)
        assert shown(server) == await home.expected([device])
        assert sorted(len(held.versions) for held in server.held["Observation"].values()) == [1, 2, 2, 2]
        await sharing.deliver_waiting(at_home.home)  # of everybody here, the tests before too
        seen = await asyncio.to_thread(opened, link.url)
        assert [datetime.fromisoformat(time) for time in seen] == after.times
        assert await traces(database, home.patient) == [("ordered", False), ("device-corrected", False)]


async def _devices(database: Database, patient: Patient):
    async with database.writer() as conn:
        return [
            device
            for device in await devices.of_patient(conn, patient.patient_id)
            if device.radio_address or device.last_sequence
        ]


async def test_a_person_says_when_an_uncertain_stretch_was_and_it_stays_so(
    database: Database, patient: Patient, tmp_path: Path
) -> None:
    home = Home(Settings(home=tmp_path), database, SECRET)
    async with bench(tmp_path / "first", meter(3, readable=False)) as at:
        await read(at, home, patient)
    truth = [made(number) for number in range(1, 4)]
    ids = await _ids(home, patient)
    assert await correcting.say_when(home, ids[1], truth[1]) == 3
    said = await placed(database, patient)
    assert (said.times, said.sources) == (truth, ["person"] * 3)
    assert await traces(database, patient) == [("ordered", False), ("person", True)]
    async with bench(tmp_path / "second", meter(4)) as at:
        await read(at, home, patient)
    again = await placed(database, patient)
    assert (again.times[:3], again.sources[:3]) == (truth, ["person"] * 3)
    await household.live_in(home, patient, "Pacific/Auckland")
    moved = await placed(database, patient)
    assert moved.times == again.times
    assert set(moved.sources[:3]) == {"person"}
    assert {said for source, said in await traces(database, patient) if source == "person"} == {True}


async def test_a_person_says_when_a_reading_without_a_date_was(
    database: Database, patient: Patient, tmp_path: Path
) -> None:
    home = Home(Settings(home=tmp_path), database, SECRET)
    async with bench(tmp_path / "first", meter(3, dated=False)) as at:
        await read(at, home, patient)
    assert (await placed(database, patient)).sources == ["unknown"] * 3
    assert await correcting.say_when(home, (await _ids(home, patient))[2], AT) == 1
    said = await placed(database, patient)
    assert said.sources == ["unknown", "unknown", "person"]
    assert said.times == [None, None, AT]
    async with bench(tmp_path / "second", meter(3, dated=False)) as at:
        await read(at, home, patient, full=True)
    assert (await placed(database, patient)).times == [None, None, AT]
    async with database.writer() as conn:
        day = AT.astimezone(patient.zone).date()
        counted = await daily_summary.days(conn, patient.patient_id, day, day)
    assert sum(each.readings for each in counted) == 1


async def test_a_time_to_come_is_refused(database: Database, patient: Patient, tmp_path: Path) -> None:
    home = Home(Settings(home=tmp_path), database, SECRET)
    async with bench(tmp_path / "first", meter(1)) as at:
        await read(at, home, patient)
    with pytest.raises(correcting.NotYet):
        await correcting.say_when(
            home, (await _ids(home, patient))[0], datetime.now(UTC) + timedelta(hours=1)
        )
    with pytest.raises(correcting.UnusableTime):
        correcting.time_of("noon", patient)
    assert correcting.time_of("2026-03-02 08:00", patient) == datetime(2026, 3, 2, 7, tzinfo=UTC)


async def _ids(home: Home, patient: Patient) -> list[str]:
    """The ids of a person's readings, by number."""
    async with home.database.writer() as conn:
        series = await readings.series(conn, patient.patient_id)
    named = ReadingIds(home.secret.fhir_ids()).of_series(series)
    return [named[row] for row in series.sequence.argsort().tolist()]

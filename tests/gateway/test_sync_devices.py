"""Every family of devices, from its bytes on a real GATT link to the store, FHIR and CSV: each once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from device_profiles import catalogue
from device_profiles.reading import Kind, Measurand
from device_profiles.services import pulse_oximeter
from device_profiles.services.device_information import DeviceInformation
from device_profiles.virtual_device import Faults, Record, VirtualDevice
from device_profiles.virtual_measurements import generated, session_values
from device_profiles.wire import DateTime
from fhir_mapping.observation import render
from fhir_mapping.opaque import ReadingIds
from gateway.spreadsheet import to_csv
from gateway.sync import Storing, SyncOutcome, sync
from storage import readings
from tests.gateway.ble.bench import START, Bench, bench, local_time

IDS = ReadingIds(b"a secret of a home, only for tests")


@pytest.fixture
def storing(database, patient) -> Storing:
    return Storing(database, patient)


def device(name: str, count: int, **faults: int) -> VirtualDevice:
    profile = catalogue.by_name(name)
    return VirtualDevice(
        profile,
        generated(profile, count, start=START),
        information=DeviceInformation("Acme", profile.title, "SN-1"),
        clock=local_time,
        values=session_values(START, 60),
        faults=Faults(**faults),
    )


async def once(at: Bench, storing: Storing) -> SyncOutcome:
    async with at.radio() as radio:
        return await sync(radio, at.is_first, storing, passkey=at.read_display)


async def stored(storing: Storing):
    async with storing.database.writer() as conn:
        return await readings.series(conn, storing.patient.patient_id)


async def test_a_cuff_sends_each_measurement_once_and_all_its_numbers_arrive(tmp_path, storing):
    async with bench(tmp_path, device("blood-pressure-cuff", 3)) as at:
        assert (await once(at, storing)).stored == 3
        assert len(at.peripheral.virtual) == 0
    series = await stored(storing)
    assert series.kind.tolist() == [Kind.BLOOD_PRESSURE] * 3
    names = {each.of for each in series.quantities[0]}
    assert names == {
        Measurand.DIASTOLIC,
        Measurand.MEAN_ARTERIAL,
        Measurand.PULSE_RATE,
        Measurand.USER_INDEX,
    }
    observations = json.loads(b"[%s]" % render(series, IDS), parse_float=Decimal)
    assert [len(one["component"]) for one in observations] == [5, 5, 5]
    rows = to_csv(series).splitlines()
    assert len(rows) == 4
    assert "diastolic=" in rows[1]


KINDS = {
    "weight-scale": {Kind.BODY_WEIGHT, Kind.BODY_COMPOSITION},
    "body-composition-scale": {Kind.BODY_WEIGHT, Kind.BODY_COMPOSITION},
    "thermometer": {Kind.BODY_TEMPERATURE},
    "pulse-oximeter": {Kind.OXYGEN_SATURATION},
    "heart-rate-sensor": {Kind.HEART_RATE},
    "glucose-sensor": {Kind.INTERSTITIAL_GLUCOSE},
}


@pytest.mark.parametrize("name", KINDS)
async def test_each_family_is_stored_once_and_every_reading_is_an_observation_and_a_row(
    tmp_path, storing, name
):
    async with bench(tmp_path, device(name, 6)) as at:
        assert (await once(at, storing)).stored == 6
        assert (await once(at, storing)).stored == 0
    series = await stored(storing)
    assert set(series.kind.tolist()) == KINDS[name]
    assert len(json.loads(b"[%s]" % render(series, IDS))) == 6
    assert len(to_csv(series).splitlines()) == 7


async def test_a_sensor_that_lives_through_the_change_to_summer_is_placed_to_the_minute(tmp_path, storing):
    winter = DateTime(2024, 3, 30, 20, 0, 0)
    sensor = catalogue.by_name("glucose-sensor")
    virtual = VirtualDevice(
        sensor,
        generated(sensor, 200, start=winter),
        information=DeviceInformation("Acme", "Sensor", "SN-1"),
        values=session_values(winter, 60),
    )
    async with bench(tmp_path, virtual) as at:
        assert (await once(at, storing)).stored == 200
    series = await stored(storing)
    begun = datetime(2024, 3, 30, 19, 0, tzinfo=UTC).timestamp() * 1e6
    assert (series.effective_time - begun).tolist() == [minute * 60e6 for minute in range(0, 1000, 5)]
    assert {int(offset) for offset in series.utc_offset_minutes} == {60, 120}


async def test_what_has_no_clock_is_of_now(tmp_path, storing):
    async with bench(tmp_path, device("heart-rate-sensor", 3)) as at:
        await once(at, storing)
    series = await stored(storing)
    assert abs(series.effective_time / 1e6 - datetime.now(UTC).timestamp()).max() < 60


async def test_an_oximeter_that_only_measures_while_it_is_worn_is_listened_to(tmp_path, storing):
    known = catalogue.by_name("pulse-oximeter")
    live = known.but(offer={pulse_oximeter.SERVICE: (pulse_oximeter.CONTINUOUS,)}, sources=known.sources[1:])
    values = [bytes.fromhex("0064005A00"), bytes.fromhex("0062005C00")]
    virtual = VirtualDevice(live, [Record(0, value) for value in values])
    async with bench(tmp_path, virtual) as at:
        assert (await once(at, storing)).stored == 2
    assert (await stored(storing)).mantissa.tolist() == [100, 98]


async def test_a_scale_that_sends_a_private_frame_is_told_and_the_frame_kept_aside(tmp_path, storing):
    scale = catalogue.by_name("body-composition-scale")
    frame = Record(0, bytes.fromhex("02A6E307011D113518E5014C40"), characteristic=0x2A9C)
    async with bench(tmp_path, VirtualDevice(scale, [frame])) as at:
        outcome = await once(at, storing)
    assert (outcome.stored, [each.reason for each in outcome.refused]) == (0, ["vendor_format"])

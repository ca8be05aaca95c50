"""Every family of devices, from its bytes on a real GATT link to the store, FHIR and CSV: each once."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from device_profiles import catalogue
from device_profiles.reading import Kind, Measurand
from device_profiles.services.device_information import DeviceInformation
from device_profiles.virtual_device import Faults, VirtualDevice
from device_profiles.virtual_measurements import generated, session_values
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

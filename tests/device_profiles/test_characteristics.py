"""What holds for every characteristic: bytes come back as they were, and nothing else is raised."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from device_profiles.decode import UnknownCharacteristic, characteristics, decoder
from device_profiles.errors import MalformedMeasurement
from device_profiles.procedures.continuous_glucose_control_messages import Calibration, ControlMessage
from device_profiles.procedures.record_access import RecordAccessMessage
from device_profiles.services.battery import BatteryLevel
from device_profiles.services.blood_pressure import (
    BloodPressureFeature,
    BloodPressureMeasurement,
    IntermediateCuffPressure,
)
from device_profiles.services.body_composition import BodyCompositionFeature, BodyCompositionMeasurement
from device_profiles.services.continuous_glucose import (
    ContinuousGlucoseFeature,
    ContinuousGlucoseMeasurements,
    ContinuousGlucoseStatus,
    SessionRunTime,
    SessionStartTime,
)
from device_profiles.services.current_time import (
    CurrentTime,
    LocalTimeInformation,
    ReferenceTimeInformation,
)
from device_profiles.services.device_information import DeviceInformation, PnpId, SystemId, Text
from device_profiles.services.glucose import GlucoseFeature, GlucoseMeasurement, GlucoseMeasurementContext
from device_profiles.services.health_thermometer import (
    MeasurementInterval,
    TemperatureMeasurement,
    TemperatureType,
)
from device_profiles.services.heart_rate import BodySensorLocation, HeartRateMeasurement
from device_profiles.services.pulse_oximeter import (
    ContinuousMeasurement,
    PulseOximeterFeatures,
    SpotCheckMeasurement,
)
from device_profiles.services.user_data import Date, UserControlMessage
from device_profiles.services.weight_scale import WeightMeasurement, WeightScaleFeature
from device_profiles.wire import DateTime, Special

from .strategies import (
    contexts,
    control_messages,
    flagged,
    heart_rates,
    measurements,
    of_size,
    raw_date_times,
    sensor_records,
)

NOON = DateTime(2025, 6, 1, 12, 0, 0)


WELL_FORMED: dict[Any, st.SearchStrategy[bytes]] = {
    GlucoseMeasurement: measurements(),
    GlucoseMeasurementContext: contexts(),
    GlucoseFeature: of_size(2),
    RecordAccessMessage: st.binary(min_size=2).filter(lambda raw: raw[0] not in {5, 6} or len(raw) == 4),
    CurrentTime: st.tuples(raw_date_times(), of_size(3)).map(b"".join),
    LocalTimeInformation: of_size(2),
    ReferenceTimeInformation: of_size(4),
    BatteryLevel: st.integers(0, 100).map(lambda percent: bytes((percent,))),
    Text: st.text().map(str.encode),
    SystemId: of_size(8),
    PnpId: of_size(7),
    BloodPressureMeasurement: flagged(1, 6, (0, 7, 2, 1, 2), moments=(1,)),
    IntermediateCuffPressure: flagged(1, 6, (0, 7, 2, 1, 2), moments=(1,)),
    BloodPressureFeature: of_size(2),
    TemperatureMeasurement: flagged(1, 4, (0, 7, 1), moments=(1,)),
    TemperatureType: of_size(1),
    MeasurementInterval: of_size(2),
    SpotCheckMeasurement: flagged(1, 4, (7, 2, 3, 2), moments=(0,)),
    ContinuousMeasurement: flagged(1, 4, (4, 4, 2, 3, 2)),
    PulseOximeterFeatures: flagged(2, 0, (2, 3)),
    HeartRateMeasurement: heart_rates(),
    BodySensorLocation: of_size(1),
    WeightMeasurement: flagged(1, 2, (0, 7, 1, 4), moments=(1,)),
    WeightScaleFeature: of_size(4),
    BodyCompositionMeasurement: flagged(2, 2, (0, 7, 1, *(2,) * 9), moments=(1,)).filter(
        lambda raw: int.from_bytes(raw[2:4], "little") <= 1000
    )
    | st.just(bytes.fromhex("0000FFFF")),
    BodyCompositionFeature: of_size(4),
    ContinuousGlucoseMeasurements: sensor_records(),
    ContinuousGlucoseFeature: of_size(6).map(lambda raw: raw[:1] + bytes((raw[1] | 0x10,)) + raw[2:])
    | of_size(4).map(lambda raw: raw[:1] + bytes((raw[1] & 0xEF,)) + raw[2:] + b"\xff\xff"),
    ContinuousGlucoseStatus: of_size(5) | of_size(7),
    SessionStartTime: st.tuples(raw_date_times(), of_size(2) | of_size(4)).map(b"".join),
    SessionRunTime: of_size(2) | of_size(4),
    ControlMessage: control_messages(),
    Calibration: of_size(10),
    Date: st.tuples(of_size(2), st.integers(0, 12), st.integers(0, 31))
    .filter(lambda parts: not (year := int.from_bytes(parts[0], "little")) or 1582 <= year <= 9999)
    .map(lambda parts: parts[0] + bytes(parts[1:])),
    UserControlMessage: st.binary(min_size=4),
}


@pytest.mark.parametrize("characteristic", WELL_FORMED, ids=lambda each: each.__name__)
@given(data=st.data())
def test_what_was_read_is_written_back_byte_for_byte(characteristic: Any, data: st.DataObject) -> None:
    raw = data.draw(WELL_FORMED[characteristic])
    value = characteristic.decode(raw)
    assert value.encode() == raw
    assert characteristic.decode(value.encode()) == value


@pytest.mark.parametrize("name", characteristics())
@given(raw=st.binary(max_size=24) | st.one_of(*WELL_FORMED.values()))
@example(raw=b"")
def test_any_bytes_have_fields_or_one_reason_why_not(name: str, raw: bytes) -> None:
    reason, fields = None, {}
    try:
        fields = decoder(name)(raw)
    except MalformedMeasurement as refused:
        reason = refused.reason
    assert reason is None or reason in MalformedMeasurement.REASONS
    json.dumps(fields, allow_nan=False)


@given(measurements(), st.integers(0), st.binary(min_size=1, max_size=4))
def test_a_measurement_cut_or_lengthened_is_refused_for_that(raw: bytes, cut: int, more: bytes) -> None:
    for damaged, reason in ((raw[: cut % len(raw)], "too_short"), (raw + more, "trailing_bytes")):
        with pytest.raises(MalformedMeasurement) as refused:
            GlucoseMeasurement.decode(damaged)
        assert refused.value.reason == reason


def test_the_low_nibble_is_the_type_and_the_high_one_the_location() -> None:
    measurement = GlucoseMeasurement.decode(bytes.fromhex("020100E90706010C000058B041"))
    assert (measurement.type, measurement.sample_location) == (1, 4)
    context = GlucoseMeasurementContext.decode(bytes.fromhex("04010012"))
    assert (context.tester, context.health) == (2, 1)


def test_reserved_bits_and_codes_are_kept() -> None:
    raw = bytes.fromhex("EA0100E90706010C000058B0FFFFFF")
    measurement = GlucoseMeasurement.decode(raw)
    assert (measurement.type, measurement.sample_location, measurement.status) == (15, 15, 0xFFFF)
    assert measurement.encode() == raw


def test_a_measurement_made_of_its_meaning_has_the_flags_that_follow() -> None:
    made = GlucoseMeasurement.of(
        7, NOON, time_offset_min=-90, concentration=Decimal("0.0062"), unit="mol/L", type=1,
        sample_location=1, status=0, context_follows=True,
    )  # fmt: skip
    assert made.flags == 0b11111
    assert GlucoseMeasurement.decode(made.encode()) == made
    assert (made.to_json()["unit"], made.to_json()["time_offset_min"]) == ("mol/L", -90)
    assert "mgdl" not in made.to_json()


def test_a_context_made_of_its_meaning_has_the_flags_that_follow() -> None:
    made = GlucoseMeasurementContext.of(
        7, carbohydrate=(2, Decimal("0.06")), meal=1, tester_health=(1, 5), exercise=(1800, 40),
        medication=(1, Decimal("0.000006")), medication_unit="L", hba1c_pct=Decimal("6.9"), extended_flags=1,
    )  # fmt: skip
    assert made.flags == 0xFF
    assert GlucoseMeasurementContext.decode(made.encode()) == made
    assert made.to_json()["carb_kg"] == 0.06


@pytest.mark.parametrize(
    "inconsistent",
    [
        GlucoseMeasurement(1, 1, NOON, None, None, None, None),
        GlucoseMeasurement(0, 1, NOON, 5, None, None, None),
        GlucoseMeasurement(2, 1, NOON, None, Decimal(0), None, None),
        GlucoseMeasurement(0, 1 << 16, NOON, None, None, None, None),
        GlucoseMeasurementContext(0, 1, meal=2),
        GlucoseMeasurementContext(2, 1),
    ],
)
def test_flags_that_announce_something_else_are_not_written(inconsistent: Any) -> None:
    with pytest.raises(ValueError, match=r"announce|format|range"):
        inconsistent.encode()


def test_lo_and_hi_are_special_values_and_no_numbers() -> None:
    low = GlucoseMeasurement.decode(bytes.fromhex("0B0E00E607051E0E371B3C000208F84000"))
    assert low.concentration is Special.NEGATIVE_INFINITY
    assert low.to_json()["concentration"] == "-INF"
    assert "mgdl" not in low.to_json()


def test_a_battery_has_no_more_than_it_has() -> None:
    with pytest.raises(MalformedMeasurement) as refused:
        BatteryLevel.decode(b"\x65")
    assert refused.value.reason == "invalid_value"


def test_a_text_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(MalformedMeasurement) as refused:
        Text.decode(b"\xff\xfe")
    assert refused.value.reason == "invalid_value"


@pytest.mark.parametrize(
    ("raw", "minutes"), [("0404", 120), ("0400", 60), ("EC00", -300), ("8000", None), ("04FF", None)]
)
def test_the_offset_from_utc_includes_daylight_saving(raw: str, minutes: int | None) -> None:
    assert LocalTimeInformation.decode(bytes.fromhex(raw)).utc_offset_minutes == minutes


def test_a_device_says_who_it_is_with_what_can_be_read() -> None:
    said = {0x2A29: b"Roche\x00", 0x2A24: b"\xff", 0x2A25: b" 42 ", 0x2A23: bytes.fromhex("E233100300196000")}
    information = DeviceInformation.of(said)
    assert information == DeviceInformation(
        manufacturer="Roche", serial="42", system_id=SystemId(0x00031033E2, 0x006019)
    )
    assert str(information.system_id) == "00601900031033E2"
    assert DeviceInformation.of(information.characteristics()) == information
    assert DeviceInformation.of({}) == DeviceInformation()


@pytest.mark.parametrize("name", ["0x2A18", "2A18", "2a18", " 0X2a18 "])
def test_a_characteristic_is_named_as_people_write_it(name: str) -> None:
    assert decoder(name) is characteristics()["0x2A18"]


def test_an_unknown_characteristic_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownCharacteristic) as refused:
        decoder("2AFF")
    assert "0x2A18" in refused.value.known
    assert "2AFF" in str(refused.value)

"""From the bytes of each family of devices to Readings, and where devices say otherwise than they mean."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles import catalogue
from device_profiles.errors import MalformedMeasurement
from device_profiles.flags import CuffFlag, HeartRateFlag, OximeterFlag, SensorFlag
from device_profiles.meanings.blood_pressure import BloodPressureMeaning
from device_profiles.meanings.continuous_glucose import ContinuousGlucoseMeaning
from device_profiles.meanings.heart_rate import HeartRateMeaning
from device_profiles.meanings.meaning import NOT_HEARD, Heard
from device_profiles.meanings.oximetry import ContinuousMeaning, SpotCheckMeaning
from device_profiles.meanings.temperature import TemperatureMeaning
from device_profiles.meanings.weight import BodyCompositionMeaning, WeightMeaning
from device_profiles.reading import (
    UNKNOWN_DATE,
    Absent,
    DeviceTime,
    Kind,
    Measurand,
    Quantity,
    Reading,
    Sample,
)
from device_profiles.services.blood_pressure import BloodPressureMeasurement
from device_profiles.services.continuous_glucose import SESSION_START_TIME, ContinuousGlucoseMeasurement
from device_profiles.services.health_thermometer import TEMPERATURE_TYPE
from device_profiles.services.heart_rate import HeartRateMeasurement
from device_profiles.virtual_measurements import generated, session_values
from device_profiles.wire import DateTime, Special

PARIS = ZoneInfo("Europe/Paris")
CAME = datetime(2026, 5, 1, 8, 30, 15, 250_000, tzinfo=UTC)
BEFORE_SUMMER = DateTime(2025, 3, 29, 20, 0, 0)


def numbers(reading: Reading) -> dict[str, tuple[str | None, str]]:
    """Each quantity by its name: its digits and its unit."""
    return {
        one.of.name: (None if one.value is None else format(one.value, "f"), one.unit)
        for one in reading.quantities
    }


def test_a_blood_pressure_has_all_its_numbers_in_the_unit_written() -> None:
    raw = bytes.fromhex("1F790051006A00E90705150A1E2D4800010600")
    (reading,) = BloodPressureMeaning().readings(raw, NOT_HEARD)
    assert reading.kind is Kind.BLOOD_PRESSURE
    assert numbers(reading) == {
        "SYSTOLIC": ("121", "kPa"),
        "DIASTOLIC": ("81", "kPa"),
        "MEAN_ARTERIAL": ("106", "kPa"),
        "PULSE_RATE": ("72", "/min"),
        "USER_INDEX": ("1", "1"),
    }
    assert reading.user_index == 1
    assert reading.flags == CuffFlag.CUFF_TOO_LOOSE | CuffFlag.IRREGULAR_PULSE
    assert reading.identity.recorded_at == datetime(2025, 5, 21, 10, 30, 45, tzinfo=UTC)


def test_a_cuff_that_knows_nobody_says_nobody() -> None:
    measured = BloodPressureMeasurement.of(Decimal(120), Decimal(80), Special.NAN, user_id=255)
    (reading,) = BloodPressureMeaning().readings(measured.encode(), NOT_HEARD)
    assert reading.user_index is None
    assert reading.quantities[2] == Quantity(Measurand.MEAN_ARTERIAL, None, "mm[Hg]", Absent.NOT_A_NUMBER)


def test_without_a_clock_a_measurement_is_of_when_it_came_to_the_second() -> None:
    raw = BloodPressureMeasurement.of(Decimal(120), Decimal(80), Decimal(93)).encode()
    (reading,) = BloodPressureMeaning().readings(raw, Heard(CAME))
    assert reading.device_time is None
    assert reading.identity.recorded_at == CAME.replace(microsecond=0)


def test_a_year_that_is_not_known_is_no_date_and_stays_written() -> None:
    raw = bytes.fromhex("1E8A00580078000000041114293B3C00012700")
    (reading,) = BloodPressureMeaning().readings(raw, Heard(CAME))
    assert reading.identity.recorded_at == UNKNOWN_DATE
    assert reading.device_time == DeviceTime(DateTime(0, 4, 17, 20, 41, 59))


@pytest.mark.parametrize(("raw", "weight"), [("01803E", ("160.00", "[lb_av]")), ("00803E", ("80.000", "kg"))])
def test_a_weight_stays_in_the_unit_of_the_scale(raw: str, weight: tuple[str, str]) -> None:
    (reading,) = WeightMeaning().readings(bytes.fromhex(raw), NOT_HEARD)
    assert numbers(reading) == {"BODY_WEIGHT": weight}


def test_a_weighing_that_did_not_succeed_has_no_weight() -> None:
    (reading,) = WeightMeaning().readings(bytes.fromhex("00FFFF"), NOT_HEARD)
    assert reading.quantities == (Quantity(Measurand.BODY_WEIGHT, None, "kg", Absent.NOT_A_NUMBER),)


def test_a_captured_beurer_weighs_and_tells_whom_it_took_one_for() -> None:
    raw = bytes.fromhex("0E783EEA07050C12353601EE002607")
    (reading,) = WeightMeaning().readings(raw, NOT_HEARD)
    assert numbers(reading) == {
        "BODY_WEIGHT": ("79.960", "kg"),
        "BODY_MASS_INDEX": ("23.8", "kg/m2"),
        "BODY_HEIGHT": ("1.830", "m"),
        "USER_INDEX": ("1", "1"),
    }


def test_a_foot_in_a_sock_is_no_body_of_zeros() -> None:
    raw = bytes.fromhex("9803000096230000000000000000")
    (reading,) = BodyCompositionMeaning().readings(raw, Heard(CAME))
    assert numbers(reading) == {
        "BODY_FAT": (None, "%"),
        "BODY_MUSCLE": (None, "%"),
        "IMPEDANCE": (None, "Ohm"),
        "SOFT_LEAN_MASS": (None, "kg"),
        "BODY_WATER_MASS": (None, "kg"),
        "BASAL_METABOLISM": ("9110", "kJ"),
    }


def test_the_private_frame_of_a_xiaomi_scale_is_refused_as_such() -> None:
    with pytest.raises(MalformedMeasurement) as refused:
        BodyCompositionMeaning().readings(bytes.fromhex("02A6E307011D113518E5014C40"), NOT_HEARD)
    assert refused.value.reason == "vendor_format"


def test_a_body_composition_in_two_values_is_one_reading() -> None:
    meaning = BodyCompositionMeaning()
    record = generated(catalogue.by_name("weight-scale"), 3, start=BEFORE_SUMMER)[2]
    assert meaning.continues(record.measurement)
    whole = record.measurement + record.following[0]
    assert not meaning.continues(whole)
    (reading,) = meaning.readings(whole, NOT_HEARD)
    names = list(numbers(reading))
    assert names[0] == "BODY_FAT"
    assert {"FAT_FREE_MASS", "BODY_WEIGHT", "BASAL_METABOLISM", "USER_INDEX"} <= set(names)
    assert len(names) == len(set(names))
    assert reading.identity.recorded_at == datetime(2025, 3, 30, 19, 46, 14, tzinfo=UTC)


def test_a_temperature_says_where_it_was_taken_if_only_once_for_all() -> None:
    raw = bytes.fromhex("02720100FFDA070C120F0000")
    (reading,) = TemperatureMeaning().readings(raw, Heard(values={TEMPERATURE_TYPE: b"\x06"}))
    assert numbers(reading) == {"BODY_TEMPERATURE": ("37.0", "Cel")}
    assert reading.sample == Sample(0, 6)
    (own,) = TemperatureMeaning().readings(bytes.fromhex("06B00E00FEDC070C050B321B04"), NOT_HEARD)
    assert (numbers(own), own.sample) == ({"BODY_TEMPERATURE": ("37.60", "Cel")}, Sample(0, 4))


def test_a_spot_check_keeps_the_doubts_of_the_oximeter() -> None:
    raw = bytes.fromhex("0FACF3BEF5E8070B1D170839204022000066E3")
    (reading,) = SpotCheckMeaning().readings(raw, NOT_HEARD)
    assert numbers(reading)["OXYGEN_SATURATION"] == ("94.0", "%")
    assert numbers(reading)["PULSE_AMPLITUDE"] == ("8.70", "%")
    assert reading.flags == (
        OximeterFlag.MEASUREMENT_ONGOING
        | OximeterFlag.QUESTIONABLE
        | OximeterFlag.EQUIPMENT_MALFUNCTION
        | OximeterFlag.LOW_PERFUSION
    )


def test_a_spot_check_of_a_clock_that_was_never_set_has_no_date() -> None:
    raw = bytearray(bytes.fromhex("0FACF3BEF5E8070B1D170839204022000066E3"))
    raw[0] |= 0x10
    (reading,) = SpotCheckMeaning().readings(bytes(raw), NOT_HEARD)
    assert reading.identity.recorded_at == UNKNOWN_DATE
    assert reading.device_time == DeviceTime(DateTime(2024, 11, 29, 23, 8, 57))


def test_what_an_oximeter_sends_while_it_is_worn_is_of_when_it_came() -> None:
    (reading,) = ContinuousMeaning().readings(bytes.fromhex("0064005A00"), Heard(CAME))
    assert numbers(reading) == {"OXYGEN_SATURATION": ("100", "%"), "PULSE_RATE": ("90", "/min")}
    assert reading.identity.recorded_at == CAME.replace(microsecond=0)


def test_a_belt_that_touches_no_skin_says_so() -> None:
    loose = HeartRateMeasurement(0x04, 61).encode()
    worn = HeartRateMeasurement(0x06, 61).encode()
    flags = [HeartRateMeaning().readings(raw, Heard(CAME))[0].flags for raw in (loose, worn)]
    assert flags == [HeartRateFlag.NO_SKIN_CONTACT, 0]


# --- sensors -------------------------------------------------------------------------------------------


def sensed(minute: int, start: DateTime = BEFORE_SUMMER, offset: int | None = 60) -> Reading:
    values = {} if offset is None else session_values(start, offset)
    raw = ContinuousGlucoseMeasurement(0, Decimal(112), minute).encode()
    raw = bytes((6,)) + raw[1:]
    (reading,) = ContinuousGlucoseMeaning().readings(raw, Heard(CAME, PARIS, values))
    return reading


def test_a_sensor_counts_through_the_hour_that_summer_takes_and_its_offset_says_so() -> None:
    before, after = sensed(5 * 60), sensed(8 * 60)
    assert before.identity.recorded_at == datetime(2025, 3, 30, 1, 0, tzinfo=UTC)
    assert after.identity.recorded_at == datetime(2025, 3, 30, 4, 0, tzinfo=UTC)
    assert [each.device_time and each.device_time.offset_minutes for each in (before, after)] == [0, 60]
    assert (before.identity.sequence, after.identity.sequence) == (300, 480)


def test_a_sensor_that_began_in_another_zone_is_placed_by_what_it_says_of_it() -> None:
    reading = sensed(0, DateTime(2025, 6, 1, 8, 0, 0), -240)
    assert reading.device_time == DeviceTime(DateTime(2025, 6, 1, 8, 0, 0), 360)


def test_a_sensor_that_does_not_tell_when_it_began_has_no_dates() -> None:
    assert sensed(10, offset=None).identity.recorded_at == UNKNOWN_DATE


def test_of_one_notification_each_record_stands_for_itself() -> None:
    meaning = ContinuousGlucoseMeaning()
    records = [
        each.measurement for each in generated(catalogue.by_name("glucose-sensor"), 2, start=BEFORE_SUMMER)
    ]
    damaged = records[0][:2] + b"\x00" + records[0][3:]
    parts = meaning.parts(damaged + records[1])
    assert parts == (damaged, records[1])
    with pytest.raises(MalformedMeasurement) as refused:
        meaning.readings(parts[0], NOT_HEARD)
    assert refused.value.reason == "invalid_crc"
    assert meaning.readings(parts[1], NOT_HEARD)[0].identity.sequence == 5


def test_a_wrong_checksum_of_the_begin_of_a_session_dates_nothing() -> None:
    values = {SESSION_START_TIME: session_values(BEFORE_SUMMER, 60)[SESSION_START_TIME][:-1] + b"\x00"}
    raw = ContinuousGlucoseMeasurement(0, Decimal(112), 5).encode()
    with pytest.raises(MalformedMeasurement):
        ContinuousGlucoseMeaning().readings(raw, Heard(CAME, PARIS, values))


def test_a_sensor_without_a_number_says_on_which_side_of_its_range_it_is() -> None:
    raw = ContinuousGlucoseMeasurement(0x20, Special.NAN, 5, warning=0x40).encode()
    (reading,) = ContinuousGlucoseMeaning().readings(raw, NOT_HEARD)
    assert reading.flags == SensorFlag.RESULT_TOO_LOW
    assert reading.quantities[0].absent is Absent.BELOW_RANGE


# --- all families --------------------------------------------------------------------------------------

SOURCES = [source for profile in catalogue.BUILT_IN for source in profile.sources]


@given(st.sampled_from(SOURCES), st.binary(max_size=40), st.booleans())
def test_any_bytes_are_readings_or_are_refused(source: object, raw: bytes, heard: bool) -> None:
    meaning = source.meaning  # type: ignore[attr-defined]
    meaning.continues(raw)
    assert b"".join(meaning.parts(raw)) == raw
    for part in meaning.parts(raw):
        try:
            found = meaning.readings(part, Heard(CAME, PARIS) if heard else NOT_HEARD)
        except MalformedMeasurement:
            continue
        assert b"".join(each.raw for each in found) == part
        for reading in found:
            assert all((one.value is None) == (one.absent is not None) for one in reading.quantities)
            names = [one.of for one in reading.quantities]
            assert len(names) == len(set(names))
            assert 0 <= int(reading.flags) < 1 << 31

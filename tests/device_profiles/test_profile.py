"""From bytes to a Reading, as each kind of device means it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given

from device_profiles import devices
from device_profiles.devices import accu_chek_guide, glucose_meter
from device_profiles.errors import MalformedMeasurement
from device_profiles.profile import KetoneMark
from device_profiles.reading import (
    UNKNOWN_DATE,
    Absent,
    DeviceTime,
    Flag,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
    Sample,
)
from device_profiles.services.glucose import GlucoseMeasurement, GlucoseMeasurementContext
from device_profiles.wire import DateTime, Number, Special

from .strategies import contexts, measurements

METER = glucose_meter.PROFILE
NOON = DateTime(2025, 6, 1, 12, 0, 0)


def measured(
    concentration: Number | None,
    *,
    base_time: DateTime = NOON,
    unit: Literal["kg/L", "mol/L"] = "kg/L",
    type: int = 1,  # noqa: A002
    location: int = 1,
    status: int | None = None,
) -> bytes:
    return GlucoseMeasurement.of(
        7,
        base_time,
        concentration=concentration,
        unit=unit,
        type=type,
        sample_location=location,
        status=status,
    ).encode()


def test_a_captured_record_becomes_a_reading() -> None:
    raw = bytes.fromhex("0B0400E5070A130803233C0058B0F80000")
    assert accu_chek_guide.PROFILE.reading(raw) == Reading(
        kind=Kind.BLOOD_GLUCOSE,
        quantities=(Quantity(Measurand.GLUCOSE, Decimal(88), "mg/dL"),),
        device_time=DeviceTime(DateTime(2021, 10, 19, 8, 3, 35), 60),
        identity=RecordIdentity(datetime(2021, 10, 19, 8, 3, 35, tzinfo=UTC), 4),
        raw=raw,
        sample=Sample(type=8, location=15),
    )


def test_a_captured_lo_is_below_range_and_no_number() -> None:
    reading = accu_chek_guide.PROFILE.reading(bytes.fromhex("0B0E00E607051E0E371B3C000208F84000"))
    assert reading.quantities == (Quantity(Measurand.GLUCOSE, None, "mg/dL", Absent.BELOW_RANGE),)
    assert reading.flags is Flag.RESULT_TOO_LOW


@pytest.mark.parametrize(
    ("unit", "written", "value", "shown"),
    [("kg/L", "0.00119", "119", "mg/dL"), ("mol/L", "0.0062", "6.2", "mmol/L")],
)
def test_the_unit_stays_what_the_device_wrote_and_the_value_exact(
    unit: Literal["kg/L", "mol/L"], written: str, value: str, shown: str
) -> None:
    (quantity,) = METER.reading(measured(Decimal(written), unit=unit)).quantities
    assert (str(quantity.value), quantity.unit) == (value, shown)


@pytest.mark.parametrize(
    ("special", "status", "absent"),
    [
        (Special.NEGATIVE_INFINITY, None, Absent.BELOW_RANGE),
        (Special.POSITIVE_INFINITY, None, Absent.ABOVE_RANGE),
        (Special.NAN, 0, Absent.NOT_A_NUMBER),
        (Special.NRES, 0, Absent.NOT_AT_RESOLUTION),
        (Special.RESERVED, 0, Absent.RESERVED),
        (Special.NAN, Flag.RESULT_TOO_LOW, Absent.BELOW_RANGE),
        (Special.NRES, Flag.RESULT_TOO_HIGH, Absent.ABOVE_RANGE),
        (None, None, Absent.NOT_A_NUMBER),
        (None, Flag.RESULT_TOO_LOW, Absent.BELOW_RANGE),
    ],
)
def test_a_quantity_without_a_value_has_a_reason(
    special: Special | None, status: int | None, absent: Absent
) -> None:
    assert METER.reading(measured(special, status=status)).quantities == (
        Quantity(Measurand.GLUCOSE, None, "mg/dL", absent),
    )


def test_a_number_stays_a_number_whatever_the_status_says() -> None:
    reading = METER.reading(measured(Decimal("0.0006"), status=Flag.RESULT_TOO_LOW))
    assert reading.quantities[0].value == 60
    assert Flag.RESULT_TOO_LOW in reading.flags


@pytest.mark.parametrize(
    ("type_", "location", "kind"),
    [
        (1, 1, Kind.BLOOD_GLUCOSE),
        (8, 15, Kind.BLOOD_GLUCOSE),
        (15, 15, Kind.BLOOD_GLUCOSE),
        (4, 1, Kind.BLOOD_GLUCOSE),
        (10, 1, Kind.CONTROL_SOLUTION),
        (1, 4, Kind.CONTROL_SOLUTION),
        (9, 1, Kind.INTERSTITIAL_GLUCOSE),
    ],
)
def test_a_control_solution_is_kept_apart_by_its_type_or_its_location(
    type_: int, location: int, kind: Kind
) -> None:
    reading = METER.reading(measured(Decimal("0.0011"), type=type_, location=location))
    assert (reading.kind, reading.sample) == (kind, Sample(type_, location))


@pytest.mark.parametrize("unknown", [DateTime(0, 0, 0, 8, 0, 0), DateTime(2025, 2, 30, 8, 0, 0)])
def test_a_record_of_no_known_date_keeps_what_was_written(unknown: DateTime) -> None:
    reading = METER.reading(measured(Decimal("0.0011"), base_time=unknown))
    assert reading.identity == RecordIdentity(UNKNOWN_DATE, 7)
    assert reading.device_time == DeviceTime(unknown)


def test_a_context_is_joined_with_all_its_fields() -> None:
    raw = bytes.fromhex("FF0700B303640004123C003204D3F459F1")
    sequence, context = METER.context(raw)
    joined = METER.joined(METER.reading(measured(Decimal("0.0011"))), context)
    assert (sequence, joined.context, joined.kind) == (7, context, Kind.BLOOD_GLUCOSE)
    assert (context.carbohydrate, context.carbohydrate_kg, context.meal) == (3, Decimal(100), 4)
    assert (context.tester, context.health, context.exercise_seconds) == (2, 1, 60)
    assert (context.medication, context.medication_value, context.medication_unit) == (
        4,
        Decimal("123.5"),
        "L",
    )
    assert (context.exercise_intensity_percent, context.hba1c_percent) == (50, Decimal("34.5"))
    assert context.raw == raw


def test_a_special_value_in_a_context_is_no_value() -> None:
    _, context = METER.context(GlucoseMeasurementContext.of(7, hba1c_pct=Special.NAN).encode())
    assert context.hba1c_percent is None
    assert context.medication_unit is None


def test_a_ketone_is_told_by_its_meal_code_only_where_the_profile_says_so() -> None:
    marking = METER.meaning(ketone=KetoneMark(meal=6, exponent=-1))
    _, context = METER.context(GlucoseMeasurementContext.of(7, meal=6).encode())
    reading = METER.reading(measured(Decimal("0.00012")))
    assert METER.joined(reading, context).kind is Kind.BLOOD_GLUCOSE
    ketone = marking.joined(reading, context)
    assert ketone.kind is Kind.KETONE
    assert ketone.quantities == (Quantity(Measurand.KETONE, Decimal("1.2"), "mmol/L"),)
    control = marking.reading(measured(Decimal("0.00012"), type=10))
    assert marking.joined(control, context).kind is Kind.CONTROL_SOLUTION


def test_each_meter_shows_its_clock_in_its_own_characteristic() -> None:
    shown = DateTime(2025, 6, 1, 12, 0, 0)
    assert METER.clock_time(shown.encode() + b"\x07\x00\x00") == shown
    assert accu_chek_guide.PROFILE.clock_time(shown.encode()) == shown
    with pytest.raises(MalformedMeasurement):
        accu_chek_guide.PROFILE.clock_time(shown.encode() + b"\x07\x00\x00")


@given(measurements())
def test_every_measurement_that_can_be_read_becomes_a_reading(raw: bytes) -> None:
    reading = METER.reading(raw)
    assert reading.raw == raw
    assert (reading.quantities[0].value is None) == (reading.quantities[0].absent is not None)


@given(contexts())
def test_every_context_that_can_be_read_is_kept(raw: bytes) -> None:
    sequence, context = METER.context(raw)
    assert (sequence, context.raw) == (int.from_bytes(raw[1:3], "little"), raw)


def test_a_profile_is_at_most_forty_lines() -> None:
    files = [path for path in Path(str(devices.__file__)).parent.glob("*.py") if path.stem != "__init__"]
    assert len(files) >= 2
    assert all(len(path.read_text().splitlines()) <= 40 for path in files)

from __future__ import annotations

from collections import Counter
from statistics import mean

import pytest

from device_profiles.devices.glucose_meter import PROFILE
from device_profiles.reading import Absent, Kind
from device_profiles.virtual_records import generated_records
from device_profiles.wire import DateTime

START = DateTime(2025, 1, 1, 0, 0, 0)
RECORDS = generated_records(1_000, first_sequence=100, start=START, seed=4)
READINGS = [PROFILE.reading(record.measurement) for record in RECORDS]


def test_the_same_arguments_give_the_same_records() -> None:
    assert generated_records(50, start=START, seed=9) == generated_records(50, start=START, seed=9)
    assert generated_records(50, start=START, seed=9) != generated_records(50, start=START, seed=8)


def test_the_records_are_numbered_and_timed_in_order() -> None:
    assert [record.sequence for record in RECORDS] == list(range(100, 1_100))
    assert [reading.identity.sequence for reading in READINGS] == list(range(100, 1_100))
    times = [reading.identity.recorded_at for reading in READINGS]
    assert times == sorted(set(times))


def test_the_values_are_those_of_a_person_who_measures() -> None:
    kinds = Counter(reading.kind for reading in READINGS)
    assert kinds[Kind.CONTROL_SOLUTION] in range(5, 40)
    assert kinds[Kind.BLOOD_GLUCOSE] == 1_000 - kinds[Kind.CONTROL_SOLUTION]
    quantities = [reading.quantities[0] for reading in READINGS if reading.kind is Kind.BLOOD_GLUCOSE]
    values = [quantity.value for quantity in quantities if quantity.value is not None]
    assert 20 <= min(values) < 70
    assert 250 < max(values) <= 600
    assert 110 < mean(values) < 170
    assert {quantity.absent for quantity in quantities} == {None, Absent.BELOW_RANGE, Absent.ABOVE_RANGE}


def test_a_context_belongs_to_the_measurement_that_announces_it() -> None:
    for record in RECORDS:
        assert bool(record.measurement[0] & 1 << 4) == (record.context is not None)
        if record.context is not None:
            sequence, context = PROFILE.context(record.context)
            assert sequence == record.sequence
            assert context.meal is not None
    assert sum(record.context is not None for record in RECORDS) in range(300, 800)


@pytest.mark.parametrize(
    ("first_sequence", "start"), [(0xFFFF, START), (1, DateTime(0, 0, 0, 8, 0, 0))], ids=["number", "date"]
)
def test_records_that_cannot_be_are_not_made(first_sequence: int, start: DateTime) -> None:
    with pytest.raises(ValueError, match="65 535"):
        generated_records(2, first_sequence=first_sequence, start=start)

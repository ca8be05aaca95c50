"""Ids that say nothing, and that only their home can read."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.reading import UNKNOWN_DATE
from fhir_mapping.errors import IdOutOfRange, NotAnOpaqueId
from fhir_mapping.opaque import ReadingIds, ReadingKey
from tests.fhir_mapping.examples import IDS, Placed, reading, series_of

keys = st.builds(
    ReadingKey,
    patient_id=st.integers(0, 2**27 - 1),
    recorded_at=st.datetimes(datetime(1582, 1, 1), datetime(9999, 12, 31, 23), timezones=st.just(UTC)),  # noqa: DTZ001
    sequence=st.integers(0, 2**22 - 1),
    device_id=st.integers(0, 2**13 - 1),
    ordinal=st.integers(0, 2**8 - 1),
)
KEY = ReadingKey(7, datetime(2021, 10, 19, 8, 3, 35, tzinfo=UTC), 11, 1, 0)


@settings(deadline=None)
@given(keys)
def test_an_id_decodes_to_its_key(key: ReadingKey) -> None:
    assert IDS.decode(IDS.of_key(key)) == key


@settings(deadline=None)
@given(keys, keys)
def test_two_keys_have_two_ids(one: ReadingKey, other: ReadingKey) -> None:
    assert (IDS.of_key(one) == IDS.of_key(other)) == (one == other)


def test_an_id_is_one_that_fhir_takes() -> None:
    assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", IDS.of_key(KEY))


def test_neighbours_have_nothing_in_common() -> None:
    one, other = (int(IDS.of_key(KEY._replace(sequence=number)), 16) for number in (11, 12))
    assert 32 < (one ^ other).bit_count() < 96


def test_the_ids_of_a_series_are_those_of_its_keys() -> None:
    placed = [Placed(reading(sequence=number), ordinal=number % 2) for number in range(50)]
    placed.append(Placed(reading(recorded_at=UNKNOWN_DATE)))
    expected = [
        IDS.of_key(
            ReadingKey(7, one.reading.identity.recorded_at, one.reading.identity.sequence, 1, one.ordinal)
        )
        for one in placed
    ]
    assert IDS.of_series(series_of(*placed)) == expected


def test_another_home_gives_other_ids_and_reads_none_of_ours() -> None:
    other = ReadingIds(b"the secret of another home, as well")
    assert other.of_key(KEY) != IDS.of_key(KEY)
    with suppress(NotAnOpaqueId):
        assert other.decode(IDS.of_key(KEY)) != KEY


def test_the_ids_of_people_and_devices_are_never_those_of_readings() -> None:
    person, device = IDS.patient(7), IDS.device(7, 1)
    assert IDS.decode_patient(person) == 7
    assert IDS.decode_device(device) == (7, 1)
    for decode, foreign in (
        (IDS.decode, person),
        (IDS.decode, device),
        (IDS.decode_device, person),
        (IDS.decode_patient, device),
    ):
        with pytest.raises(NotAnOpaqueId):
            decode(foreign)


@pytest.mark.parametrize("text", ["", "7", "Z" * 32, "0" * 31, "0" * 34, "é" * 32, IDS.of_key(KEY).upper()])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(NotAnOpaqueId):
        IDS.decode(text)


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("recorded_at", KEY._replace(recorded_at=datetime(1581, 12, 31, tzinfo=UTC))),
        ("patient_id", KEY._replace(patient_id=2**27)),
        ("device_id", KEY._replace(device_id=2**13)),
        ("sequence", KEY._replace(sequence=2**22)),
        ("sequence", KEY._replace(sequence=-1)),
        ("ordinal", KEY._replace(ordinal=2**8)),
    ],
)
def test_a_key_too_large_for_an_id_is_refused_by_name(field: str, key: ReadingKey) -> None:
    with pytest.raises(IdOutOfRange) as raised:
        IDS.of_key(key)
    assert raised.value.details == {"field": field}


def test_a_series_too_large_for_ids_is_refused() -> None:
    series = series_of(Placed(reading()))
    with pytest.raises(IdOutOfRange):
        IDS.of_series(replace(series, patient_id=2**27))


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        ReadingIds(b"short")

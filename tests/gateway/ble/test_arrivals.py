"""Notifications in any order, whole or not: each is a reading, a context, or kept aside, and none is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from device_profiles.devices import accu_chek_guide, glucose_meter
from device_profiles.services.glucose import GlucoseMeasurement
from device_profiles.wire import DateTime
from gateway.ble.arrivals import WITHOUT_MEASUREMENT, Arrivals

PROFILES = st.sampled_from([glucose_meter.PROFILE, accu_chek_guide.PROFILE])


def measurement(sequence: int, *, day: int = 1, announced: bool = False) -> bytes:
    return GlucoseMeasurement.of(
        sequence, DateTime(2024, 3, day, 8, 0, 0), context_follows=announced
    ).encode()


def context(sequence: int) -> bytes:
    return b"\x02" + sequence.to_bytes(2, "little") + b"\x01"


def arrived(*frames: bytes | tuple[bytes]) -> Arrivals:
    """Measurements, and contexts in parentheses."""
    arrivals = Arrivals(glucose_meter.PROFILE)
    for frame in frames:
        if isinstance(frame, tuple):
            arrivals.context(frame[0])
        else:
            arrivals.measurement(frame)
    arrivals.end()
    return arrivals


def test_a_context_may_come_before_its_measurement():
    readings = arrived((context(1),), measurement(1)).readings
    assert [reading.context.meal for reading in readings] == [1]


def test_a_context_belongs_to_the_measurement_before_it_where_numbers_began_again():
    before, after = arrived(measurement(1), measurement(1, day=2), (context(1),)).readings
    assert before.context is None
    assert after.context is not None


def test_a_measurement_said_twice_keeps_its_context_on_the_first():
    first, second = arrived(measurement(1), measurement(1), (context(1),)).readings
    assert first.context is not None
    assert second.context is None


def test_a_context_alone_is_kept_aside_with_its_place():
    arrivals = arrived(measurement(1), (context(9),), b"\x00")
    assert [(each.position, each.reason) for each in arrivals.refused] == [
        (2, WITHOUT_MEASUREMENT),
        (3, "too_short"),
    ]
    assert arrivals.count == 3


def test_what_is_announced_is_awaited_until_it_comes():
    assert arrived(measurement(1, announced=True)).expected_contexts == {1}
    assert not arrived(measurement(1, announced=True), (context(1),)).expected_contexts


@given(PROFILES, st.lists(st.tuples(st.booleans(), st.binary(max_size=40))))
def test_nothing_that_arrives_is_lost(profile, frames):
    arrivals = Arrivals(profile)
    for is_context, raw in frames:
        (arrivals.context if is_context else arrivals.measurement)(raw)
    arrivals.end()
    contexts = sum(reading.context is not None for reading in arrivals.readings)
    assert arrivals.count == len(frames)
    assert len(arrivals.readings) + len(arrivals.refused) <= len(frames)
    assert len(arrivals.readings) + len(arrivals.refused) + contexts >= len(
        {raw for is_context, raw in frames if not is_context}
    )

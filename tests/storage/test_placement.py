"""Segments made from times that were told: each record where it was told to be, by few segments."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.reading import ClockSegment
from storage.placement import NO_SHIFT, Placement, anew, appended

HOUR = 3_600_000_000
BEGIN = 1_790_000_000_000_000


def placement(rows: list[tuple[int, int, int, int, int]]) -> Placement:
    """Of (hours, sequence, shift in hours or -99 for none, offset in minutes, source)."""
    hours, sequence, shift, offset, source = np.array(rows, np.int64).reshape(-1, 5).T
    return Placement(
        BEGIN + hours * HOUR,
        sequence.astype(np.int32),
        np.where(shift == -99, NO_SHIFT, shift * 3600),
        offset.astype(np.int16),
        source.astype(np.int16),
    )


def holds(segments: tuple[ClockSegment, ...], wanted: Placement) -> bool:
    """Whether segments place these records so, and no two differ on any of them."""
    for one in (segments, segments[::-1]):
        found = Placement.by(wanted.recorded_at, wanted.sequence, one)
        if found.differs(wanted).any():
            return False
    return True


records: Any = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.integers(0, 6),
        st.sampled_from([-99, -1, 0, 1]),
        st.sampled_from([0, 60]),
        st.sampled_from([1, 2, 4]),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda row: row[:2],
)


@settings(deadline=None, max_examples=200)
@given(records)
def test_whatever_the_records_each_is_where_it_was_told_to_be(rows: list[Any]) -> None:
    wanted = placement(rows)
    assert holds(anew(wanted), wanted)


@settings(deadline=None, max_examples=200)
@given(records, st.integers(1, 10))
def test_batch_after_batch_no_record_moves(rows: list[Any], size: int) -> None:
    segments: tuple[ClockSegment, ...] = ()
    for begin in range(0, len(rows), size):
        told, before = placement(rows[: begin + size]), rows[begin : begin + size]
        found = appended(segments, placement(before))
        segments = anew(told) if found is None else found
        assert holds(segments, told)


def test_a_sensor_that_goes_on_has_one_segment_however_many_batches() -> None:
    segments: tuple[ClockSegment, ...] = ()
    for begin in range(0, 100, 7):
        found = appended(segments, placement([(n, n, -1, 60, 1) for n in range(begin, begin + 7)]))
        assert found is not None
        segments = found
    assert len(segments) == 1


def test_winter_after_summer_begins_a_segment_of_its_own() -> None:
    """The shift of the last winter is there; reaching over the summer it would move its records."""
    segments: tuple[ClockSegment, ...] = ()
    for begin, shift in ((0, -1), (10, -2), (20, -1), (30, -1)):
        found = appended(segments, placement([(n, n, shift, 60, 1) for n in range(begin, begin + 10)]))
        assert found is not None
        segments = found
    assert [segment.shift_seconds for segment in segments] == [-3600, -7200, -3600]


def test_a_clock_that_was_set_back_is_told_apart_by_the_numbers() -> None:
    """The same hours come twice, under higher numbers."""
    first = [(hour, hour, 0, 0, 1) for hour in range(10)]
    second = [(hour, 10 + hour, 5, 0, 1) for hour in range(10)]
    wanted = placement(first + second)
    segments = anew(wanted)
    assert holds(segments, wanted)
    assert len(segments) == 2

"""Placing records in time: segments, and how sure we are of each."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from device_profiles.reading import UNKNOWN_DATE, ClockSegment, TimeSource
from gateway.clock import segments

PARIS = ZoneInfo("Europe/Paris")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
Row = tuple[int, datetime, int]
"""Sequence number, time as the device wrote it, minutes from there to what it showed."""


def wrote(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def placed(rows, zone=PARIS, clock_error_seconds=None, history=()):
    """The segments, and the effective time and the source of each row by them."""
    found = segments(
        np.array([row[0] for row in rows], np.int32),
        np.array([int(row[1].timestamp()) * 1_000_000 for row in rows], np.int64),
        np.array([row[2] for row in rows], np.int16),
        zone,
        clock_error_seconds=clock_error_seconds,
        history=history,
    )
    return found, [effective(row, found) for row in rows]


def covering(row: Row, found: tuple[ClockSegment, ...]) -> ClockSegment:
    (one,) = [
        segment
        for segment in found
        if segment.first_sequence <= row[0] <= segment.last_sequence
        and segment.first_recorded_at <= row[1] <= segment.last_recorded_at
    ]
    return one


def effective(row: Row, found: tuple[ClockSegment, ...]) -> datetime | None:
    shift = covering(row, found).shift_seconds
    return None if shift is None else row[1] + timedelta(seconds=shift)


def times(rows, zone=PARIS, **known) -> list[str | None]:
    return [moment and moment.strftime("%m-%d %H:%M") for moment in placed(rows, zone, **known)[1]]


def sources(rows, **known) -> list[str]:
    found, _ = placed(rows, **known)
    return [covering(row, found).source.slug for row in rows]


# --- the zone and the record's own offset --------------------------------------------------------------


def test_the_records_own_offset_and_the_zones_rule_lead_to_utc():
    assert times([(4, wrote("2021-10-19T08:03:35"), 60)]) == ["10-19 07:03"]


def test_summer_and_winter_are_two_segments():
    rows = [(4, wrote("2021-10-19T08:03:35"), 60), (12, wrote("2021-11-15T12:38:40"), 60)]
    found, _ = placed(rows)
    assert [segment.shift_seconds for segment in found] == [-3600, 0]
    assert [segment.utc_offset_minutes for segment in found] == [120, 60]


def test_a_change_of_the_records_offset_ends_a_segment():
    rows = [
        (1, wrote("2024-01-10T08:00"), 0),
        (2, wrote("2024-01-11T08:00"), 60),
        (3, wrote("2024-01-12T08:00"), 60),
    ]
    assert [segment.shift_seconds for segment in placed(rows)[0]] == [-3600, 0]


def test_another_zone_gives_other_segments_and_touches_no_record():
    rows = [(1, wrote("2024-01-10T08:00"), 0)]
    assert times(rows, PARIS) == ["01-10 07:00"]
    assert times(rows, KATHMANDU) == ["01-10 02:15"]


def test_a_time_that_the_zone_skips_is_kept_by_the_rule_before():
    rows = [
        (1, wrote("2024-03-31T01:30"), 0),
        (2, wrote("2024-03-31T02:30"), 0),
        (3, wrote("2024-03-31T03:30"), 0),
    ]
    assert times(rows) == ["03-31 00:30", "03-31 01:30", "03-31 01:30"]


def test_a_time_that_occurs_twice_is_told_apart_by_the_sequence():
    rows = [
        (1, wrote("2024-10-27T02:10"), 0),
        (2, wrote("2024-10-27T02:50"), 0),
        (3, wrote("2024-10-27T02:10"), 0),
        (4, wrote("2024-10-27T02:40"), 0),
        (5, wrote("2024-10-27T03:10"), 0),
    ]
    assert times(rows) == ["10-27 00:10", "10-27 00:50", "10-27 01:10", "10-27 01:40", "10-27 02:10"]
    assert sources(rows) == ["device"] * 5


def test_a_time_that_occurs_twice_is_told_apart_by_the_rank_in_a_file():
    rows = [(rank, wrote(f"2024-10-27T02:{minute:02}"), 0) for rank in (0, 1) for minute in range(0, 60, 5)]
    found, at = placed(rows)
    assert [moment.hour for moment in at] == [0] * 12 + [1] * 12
    assert len(found) == 2


def test_a_file_of_two_equal_rows_in_the_overlap_is_an_hour_long():
    assert times([(0, wrote("2024-10-27T02:30"), 0), (1, wrote("2024-10-27T02:30"), 0)]) == [
        "10-27 00:30",
        "10-27 01:30",
    ]


def test_equal_rows_of_a_file_outside_the_overlap_stay_together():
    rows = [
        (0, wrote("2024-06-01T08:00"), 0),
        (1, wrote("2024-06-01T08:00"), 0),
        (0, wrote("2024-06-02T08:00"), 0),
    ]
    found, at = placed(rows)
    assert len(found) == 1
    assert at[0] == at[1]


def test_a_rule_of_half_an_hour_is_a_rule():
    rows = [(1, wrote("2024-04-07T01:40"), 0), (2, wrote("2024-04-07T01:35"), 0)]
    assert times(rows, LORD_HOWE) == ["04-06 14:40", "04-06 15:05"]


# --- a date that the device did not know ---------------------------------------------------------------


def test_an_unknown_date_has_no_time_and_splits_nothing():
    rows = [(1, wrote("2024-01-10T08:00"), 0), (2, UNKNOWN_DATE, 60), (3, wrote("2024-01-12T08:00"), 0)]
    assert times(rows) == ["01-10 07:00", None, "01-12 07:00"]
    assert sources(rows) == ["device", "unknown", "device"]
    assert len(placed(rows)[0]) == 2


def test_no_record_needs_no_segment():
    assert placed([])[0] == ()


# --- the error of the clock ----------------------------------------------------------------------------


def test_an_error_of_the_clock_is_taken_off():
    rows = [(1, wrote("2024-01-10T08:10"), 0)]
    assert times(rows, clock_error_seconds=600) == ["01-10 07:00"]
    assert sources(rows, clock_error_seconds=600) == ["device-corrected"]


def test_an_error_within_the_tolerance_is_left_alone():
    rows = [(1, wrote("2024-01-10T08:10"), 0)]
    assert times(rows, clock_error_seconds=120) == ["01-10 07:10"]
    assert sources(rows, clock_error_seconds=-120) == ["device"]


def test_a_clock_put_right_later_does_not_move_what_was_written_before():
    before = [(1, wrote("2024-01-10T09:00"), 0)]
    history, _ = placed(before, clock_error_seconds=3600)
    rows = [*before, (2, wrote("2024-01-20T08:00"), 0)]
    assert times(rows, clock_error_seconds=0, history=history) == ["01-10 07:00", "01-20 07:00"]
    assert sources(rows, clock_error_seconds=0, history=history) == ["device-corrected", "device"]


def test_a_clock_put_wrong_later_does_not_move_what_was_written_before():
    before = [(1, wrote("2024-01-10T08:00"), 0)]
    history, _ = placed(before, clock_error_seconds=0)
    rows = [*before, (2, wrote("2024-01-20T09:00"), 0)]
    assert times(rows, clock_error_seconds=3600, history=history) == ["01-10 07:00", "01-20 07:00"]


def test_a_clock_that_drifts_by_seconds_makes_no_segment_of_each_sync():
    history = ()
    for sync in range(1, 12):
        rows = [(n, wrote(f"2024-01-{n:02}T09:00"), 0) for n in range(1, sync + 1)]
        history, _ = placed(rows, clock_error_seconds=3600 + sync, history=history)
    assert len(history) == 1


def test_another_zone_keeps_the_error_that_was_found():
    before = [(1, wrote("2024-01-10T09:00"), 0)]
    history, _ = placed(before, clock_error_seconds=3600)
    assert times(before, KATHMANDU, history=history) == ["01-10 02:15"]


# --- a clock that was set ------------------------------------------------------------------------------


def test_what_a_clock_wrote_before_it_was_set_back_is_only_ordered():
    rows = [
        (1, wrote("2025-01-10T08:00"), 0),
        (2, wrote("2025-01-11T08:00"), 0),
        (3, wrote("2024-01-12T08:00"), 0),
    ]
    assert sources(rows, clock_error_seconds=0) == ["ordered", "ordered", "device"]
    assert times(rows, clock_error_seconds=0) == ["01-11 07:00", "01-12 07:00", "01-12 07:00"]
    assert placed(rows, clock_error_seconds=0)[1][1].year == 2024


def test_a_pulled_battery_leaves_what_came_before_where_it_was():
    rows = [(1, wrote("2024-01-10T08:00"), 0), (2, wrote("1970-01-01T00:30"), 0)]
    error = int((wrote("1970-01-02T00:00") - wrote("2024-01-12T08:00")).total_seconds())
    assert times(rows, clock_error_seconds=error) == ["01-10 07:00", "01-11 07:30"]
    assert sources(rows, clock_error_seconds=error) == ["ordered", "device-corrected"]


def test_where_the_clock_was_never_read_a_contradiction_leaves_all_as_written():
    rows = [(1, wrote("2025-01-10T08:00"), 0), (2, wrote("2024-01-12T08:00"), 0)]
    assert sources(rows) == ["ordered", "ordered"]
    assert times(rows) == ["01-10 07:00", "01-12 07:00"]


def test_an_offset_that_makes_up_for_the_base_time_is_no_setting_of_the_clock():
    rows = [(1, wrote("2024-01-10T08:00"), 0), (2, wrote("2024-01-10T03:10"), 300)]
    assert sources(rows, clock_error_seconds=0) == ["device", "device"]


def test_records_that_a_clock_reading_placed_stay_when_the_clock_is_set_back():
    before = [(1, wrote("2024-01-10T09:00"), 0)]
    history, _ = placed(before, clock_error_seconds=3600)
    rows = [*before, (2, wrote("2024-01-10T08:20"), 0)]
    assert times(rows, clock_error_seconds=0, history=history) == ["01-10 07:00", "01-10 07:20"]
    assert sources(rows, clock_error_seconds=0, history=history) == ["device-corrected", "device"]


def test_numbers_that_start_again_order_nothing():
    rows = [(n, wrote(f"202{year}-01-{n:02}T08:00"), 0) for year in (3, 4) for n in range(1, 20)]
    assert len(placed(rows)[0]) == 1
    assert set(sources(rows)) == {"device"}


# --- properties ----------------------------------------------------------------------------------------

OVERLAP = int(wrote("2024-10-27T01:00").timestamp())
"""The last hour of summer in Paris begins."""
MOMENTS = st.one_of(st.integers(0, 2**31), st.integers(OVERLAP, OVERLAP + 10_800)).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 60),
        MOMENTS | st.just(UNKNOWN_DATE),
        st.sampled_from([0, 0, 0, 60, -300]),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda row: (row[0], row[1]),
)
ZONES = st.sampled_from([PARIS, KATHMANDU, LORD_HOWE, ZoneInfo("America/New_York")])
ERRORS = st.none() | st.integers(-90_000, 90_000)


@given(ROWS, ZONES, ERRORS)
def test_every_record_is_in_exactly_one_segment(rows, zone, error):
    found, at = placed(rows, zone, error)
    assert len(at) == len(rows)
    again, _ = placed(rows, zone, error, history=found)
    for row in rows:
        covering(row, again)


@given(ROWS, ZONES, ERRORS)
def test_only_a_record_without_a_date_has_no_time(rows, zone, error):
    _, at = placed(rows, zone, error)
    assert [moment is None for moment in at] == [row[1] == UNKNOWN_DATE for row in rows]


def by_the_rules(row: Row, zone: ZoneInfo, fold: int, error: int) -> datetime:
    wall = (row[1] + timedelta(minutes=row[2])).replace(tzinfo=zone, fold=fold)
    return wall.astimezone(UTC) - timedelta(seconds=error)


DAY = 60 * 24
MINUTES = st.lists(
    st.integers(3, 500 * DAY) | st.integers(300 * DAY - 60, 300 * DAY + 180),
    min_size=1,
    max_size=60,
    unique=True,
).map(sorted)
"""Since the beginning of 2024, many of them around the end of summer in Paris."""


@given(MINUTES, st.lists(st.sampled_from([0, 60]), min_size=60, max_size=60), ZONES, ERRORS)
@example([300 * DAY, 300 * DAY + 30], [0] * 60, PARIS, None)
@example([3, 4, 129660, 129661, 129721], [0, 0, 0, 0, 60] + [0] * 55, PARIS, None)
@settings(max_examples=200)
def test_a_running_clock_is_placed_as_each_record_by_itself_in_as_few_segments_as_can_be(
    minutes, offsets, zone, error
):
    """Records of a meter that shows local time: what it wrote is known, so each UTC time is."""
    truth = [wrote("2024-01-01T00:00") + timedelta(minutes=minute) for minute in minutes]
    shown = [moment.astimezone(zone) for moment in truth]
    correction = error if error is not None and abs(error) > 120 else 0
    rows = [
        (n, at.replace(tzinfo=UTC) + timedelta(seconds=correction) - timedelta(minutes=offset), offset)
        for n, (at, offset) in enumerate(zip(shown, offsets, strict=False), start=7)
    ]
    found, at = placed(rows, zone, error)
    if any(covering(row, found).source is TimeSource.ORDERED for row in rows):
        return  # two records in an hour that occurs twice may run backwards by an error of the clock
    for row, moment in zip(rows, at, strict=True):
        assert moment in {by_the_rules(row, zone, fold, correction) for fold in (0, 1)}
    values = [
        (segment.shift_seconds, segment.utc_offset_minutes)
        for segment in (covering(row, found) for row in rows)
    ]
    assert len(found) == 1 + sum(before != after for before, after in pairwise(values))


@given(MINUTES, ZONES)
def test_the_order_of_a_running_clock_is_never_turned_round_by_the_zone(minutes, zone):
    truth = [wrote("2024-01-01T00:00") + timedelta(minutes=minute) for minute in minutes]
    rows = [(n, at.astimezone(zone).replace(tzinfo=UTC), 0) for n, at in enumerate(truth, start=1)]
    _, at = placed(rows, zone, 0)
    assert all(before - timedelta(seconds=120) <= after for before, after in pairwise(at))


def test_a_hundred_thousand_records_are_placed_in_a_blink():
    count = 100_000
    sequence = np.arange(count)
    recorded_at = (1_600_000_000 + sequence * 300) * 1_000_000
    began = time.perf_counter()
    found = segments(sequence, recorded_at, np.zeros(count, np.int64), PARIS)
    assert time.perf_counter() - began < 2.0  # a fifth of a second when the machine is idle
    assert len(found) == 3

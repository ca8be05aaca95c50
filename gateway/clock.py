"""From what a device wrote and what we know of its clock: when each record was, and how sure we are. Pure.

    wall time = recorded_at + the record's own offset          what the device showed
    UTC       = wall time − the zone's offset at that wall time − the error of the device's clock

Records that one shift takes to UTC form a segment. A segment ends where the record's offset, the zone's
rule, the error of the clock or our certainty changes, and nowhere else.

**Order.** Sequence numbers order the records of a device. In a file the number is the rank among rows of
equal time, and numbers that occur twice (a meter that was reset) order nothing: there time is the order.

**The zone's gaps and overlaps.** No record is dropped. A wall time that the zone skips was shown by a clock
nobody had moved yet: the rule before the gap holds. One that occurs twice is the earlier, unless the order
says that it is the later: the record before it was later, or it is the second row of that time in a file.

**The error of the clock** is measured when the clock is read (positive: the clock is ahead). Below
`TOLERANCE_SECONDS` it is left alone. It says something about the records that were made since the reading
before, so records that were placed already keep the error that was found first: the next owner's correct
clock does not move what was written while it was wrong. A new error within the tolerance of the last one
is the last one: a clock that drifts by seconds must not make a segment of each sync.

**A clock that was set** shows as a time that runs backwards while the numbers run forwards, by more than
the offset or the zone explains. What came after it was written by the clock that we read. What came before
was written by another clock, whose error nobody measured: only its order is sure, so it is moved as far
back as the order demands and called `ORDERED`. Where the clock was never read, nothing tells which side
was right (a person who corrected it, or a battery that was pulled): all of them are left as written and
called `ORDERED`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNKNOWN_DATE, ClockSegment, DeviceTime, Reading, TimeSource
from storage.columns import microseconds
from storage.readings import RecordColumns

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

TOLERANCE_SECONDS = 120
"""Below this an error is none. Meters show minutes and many drop the seconds; a quartz loses or gains up to
a minute a month; and nothing that is read from finger-sticks turns on two minutes."""

SET_BACK = timedelta(days=1)
"""Beyond any error of zones: this machine's clock has been set back since."""

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall times have no zone
SECOND = 1_000_000
UNKNOWN = int(UNKNOWN_DATE.timestamp()) * SECOND


def segments(
    sequence: Integers,
    recorded_at: Integers,
    offset_minutes: Integers,
    zone: tzinfo,
    *,
    clock_error_seconds: int | None = None,
    history: Sequence[ClockSegment] = (),
) -> tuple[ClockSegment, ...]:
    """The fewest clock segments that place all records of one device; each record is in exactly one.

    Columns of one length, in any order: `recorded_at` in microseconds since 1970 as if UTC (`UNKNOWN_DATE`
    where the device knew no date), `offset_minutes` from there to what the device showed (0 for none).
    Of records with one key the first counts. `clock_error_seconds`: how far the clock just read was ahead;
    None where none was read. `history`: the segments so far.
    """
    rows = np.lexsort((sequence, recorded_at))
    same = _same_as_before(recorded_at[rows]) & _same_as_before(sequence[rows])
    rows = rows[~same]
    undated = recorded_at[rows] == UNKNOWN
    found: list[ClockSegment] = []
    if not undated.all():
        records = _Records(sequence, recorded_at, offset_minutes, rows[~undated])
        found += _dated(records, zone, clock_error_seconds, history)
    if undated.any():
        numbers = sequence[rows[undated]]
        first, last = int(numbers.min()), int(numbers.max())
        found.append(ClockSegment(first, last, UNKNOWN_DATE, UNKNOWN_DATE, None, 0, TimeSource.UNKNOWN))
    return tuple(found)


def place(
    stored: RecordColumns,
    arrived: Sequence[Reading],
    zone: tzinfo,
    *,
    clock_error_seconds: int | None = None,
    history: Sequence[ClockSegment] = (),
) -> tuple[ClockSegment, ...]:
    """The `segments` of all records of a device: those that are stored, and those that have just arrived."""
    offsets = np.r_[
        stored.offset_minutes, np.array([_offset(each.device_time) for each in arrived], np.int16)
    ]
    return segments(
        np.r_[stored.sequence, np.array([each.identity.sequence for each in arrived], np.int32)],
        np.r_[stored.recorded_at_us, microseconds(each.identity.recorded_at for each in arrived)],
        np.where(offsets == RecordColumns.NO_OFFSET, 0, offsets),
        zone,
        clock_error_seconds=clock_error_seconds,
        history=history,
    )


def error_shown(clock_error: int | None, stored: RecordColumns, arrived: Sequence[Reading]) -> int | None:
    """The error of the clock that the person sees, in seconds, from what was read of it.

    Some meters let their clock be read as the base time, which the offset of their records corrects, some as
    what they show. Of the two meanings the one with the smaller error is taken: a clock is right more often
    than it is wrong by just its offset.
    """
    if clock_error is None:
        return None
    offset = int(stored.offset_minutes[-1]) if len(stored) else RecordColumns.NO_OFFSET
    if arrived:
        offset = _offset(arrived[-1].device_time)
    return min(clock_error, clock_error + (0 if offset == RecordColumns.NO_OFFSET else 60 * offset), key=abs)


def was_set_back(now: datetime, last_synced_at: datetime | None) -> bool:
    """Whether this machine's own clock is wrong: by its time, the device was last read in days to come.

    A laptop whose battery was empty may wake up years ago. Measured against it every meter's clock would be
    years ahead, and its new records would be moved back by as much.
    """
    return last_synced_at is not None and last_synced_at - now > SET_BACK


def _offset(time: DeviceTime | None) -> int:
    return RecordColumns.NO_OFFSET if time is None or time.offset_minutes is None else time.offset_minutes


class _Records:
    """The records with a date, in their order: by number where numbers order, else by time."""

    def __init__(
        self, sequence: Integers, recorded_at: Integers, offset_minutes: Integers, rows: Any
    ) -> None:
        """`rows`: the rows that count, sorted by time and number."""
        numbers = sequence[rows]
        again = _same_as_before(recorded_at[rows])
        # A rank starts from 0 at each time and goes up by one; numbers that do that are ranks.
        self.ranked = bool(np.all(np.where(again, np.diff(numbers, prepend=-1) == 1, numbers == 0)))
        self.numbered = not self.ranked and len(np.unique(numbers)) == len(numbers)
        if self.numbered:
            rows = rows[np.argsort(numbers)]
        self.sequence = sequence[rows].astype(np.int64)
        self.recorded_at = recorded_at[rows].astype(np.int64)
        self.offset = offset_minutes[rows].astype(np.int64) * 60
        self.wall = self.recorded_at // SECOND + self.offset
        self.second_row = again if self.ranked else np.zeros(len(rows), np.bool_)


def _dated(
    records: _Records, zone: tzinfo, clock_error: int | None, history: Sequence[ClockSegment]
) -> Iterator[ClockSegment]:
    utc_offset = _utc_offsets(records, zone)
    error, placed = _placed_before(records, history)
    starts = _clock_settings(records, utc_offset)
    if clock_error is not None:
        new = ~placed
        new[: starts[-1]] = False
        error[new] = _error_now(clock_error, error[placed])
    source = np.where(error == 0, TimeSource.DEVICE, TimeSource.DEVICE_CORRECTED)
    shift = records.offset - utc_offset - error
    if len(starts) > 1 and clock_error is None:
        source[~placed] = TimeSource.ORDERED
    elif len(starts) > 1:
        _move_before(records, starts, placed, shift, source)
    values = np.stack([shift, source, np.round(utc_offset / 60).astype(np.int64)])
    for rows in _lanes(records, values):
        yield from _runs(records.sequence[rows], records.recorded_at[rows], values[:, rows], records.numbered)


def _placed_before(records: _Records, history: Sequence[ClockSegment]) -> tuple[Integers, Booleans]:
    """The error of the clock in seconds with which records were placed, and which ones were."""
    error = np.zeros(len(records.wall), np.int64)
    placed = np.zeros(len(records.wall), np.bool_)
    for segment in history:
        if segment.shift_seconds is None or segment.source is TimeSource.ORDERED:
            continue
        inside = _inside(records, segment)
        placed |= inside
        if segment.source is TimeSource.DEVICE_CORRECTED:
            error[inside] = records.offset[inside] - segment.utc_offset_minutes * 60 - segment.shift_seconds
    return error, placed


def _error_now(measured: int, before: Integers) -> int:
    """The error for new records: the one of the records before where the measured one is about the same."""
    now = measured if abs(measured) > TOLERANCE_SECONDS else 0
    last = int(before[-1]) if len(before) else 0
    return last if abs(now - last) <= TOLERANCE_SECONDS else now


def _inside(records: _Records, segment: ClockSegment) -> Booleans:
    inside: Booleans = records.sequence >= segment.first_sequence
    inside &= records.sequence <= segment.last_sequence
    first, last = microseconds((segment.first_recorded_at, segment.last_recorded_at))
    inside &= (records.recorded_at >= first) & (records.recorded_at <= last)
    return inside


def _utc_offsets(records: _Records, zone: tzinfo) -> Integers:
    """The zone's offset in seconds at each record, its two meanings of one wall time told apart by order."""
    earlier = _offsets(zone, records.wall, fold=0)
    later = _offsets(zone, records.wall, fold=1)
    twice = earlier > later
    if records.ranked:
        return np.where(twice & records.second_row, later, earlier)
    chosen = earlier.copy()
    if records.numbered:
        for row in np.flatnonzero(twice[1:]) + 1:
            before = records.wall[row - 1] - chosen[row - 1]
            if (
                records.wall[row] - earlier[row]
                < before - TOLERANCE_SECONDS
                <= records.wall[row] - later[row]
            ):
                chosen[row] = later[row]
    return chosen


def _clock_settings(records: _Records, utc_offset: Integers) -> list[int]:
    """The rows with which a setting of the clock begins: the first, and each that runs backwards."""
    if not records.numbered:
        return [0]
    utc = records.wall - utc_offset
    backwards = (np.diff(records.recorded_at) < -TOLERANCE_SECONDS * SECOND) & (
        np.diff(utc) < -TOLERANCE_SECONDS
    )
    return [0, *(np.flatnonzero(backwards) + 1).tolist()]


def _move_before(
    records: _Records, starts: list[int], placed: Booleans, shift: Integers, source: Integers
) -> None:
    """Take back what an earlier setting of the clock wrote, as far as it runs ahead of what came after."""
    utc = records.recorded_at // SECOND + shift
    ends = [*starts[1:], len(utc)]
    for start, end, after in reversed(list(zip(starts, ends, ends[1:], strict=False))):
        unsure = np.arange(start, end)[~placed[start:end]]
        if len(unsure):
            ahead = max(0, int(utc[unsure].max() - utc[end:after].min()))
            shift[unsure] -= ahead
            utc[unsure] -= ahead
            source[unsure] = TimeSource.ORDERED


def _lanes(records: _Records, values: Integers) -> list[Any]:
    """Rows that share their order: all of them, but second rows apart where a time is meant twice."""
    apart = records.second_row & (values[0] != np.roll(values[0], 1))
    if not apart.any():
        return [slice(None)]
    return [np.flatnonzero(records.sequence == 0), np.flatnonzero(records.sequence > 0)]


def _runs(
    sequence: Integers, recorded_at: Integers, values: Integers, numbered: bool
) -> Iterator[ClockSegment]:
    """One segment for each run of equal values, in the order given."""
    changes = np.any(values[:, 1:] != values[:, :-1], axis=0)
    alone = np.zeros(len(sequence), np.bool_)
    if not numbered:
        # Records of one time that differ stand alone: no stretch of time could tell them apart.
        alone = np.isin(recorded_at, recorded_at[1:][changes & _same_as_before(recorded_at)[1:]])
    starts = np.flatnonzero(np.r_[True, changes | alone[1:] | alone[:-1]])
    ends = np.r_[starts[1:], len(sequence)]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        numbers, times = sequence[start:end], recorded_at[start:end]
        shift, source, utc_offset = (int(value) for value in values[:, start])
        yield ClockSegment(
            int(numbers.min()),
            int(numbers.max()),
            _moment(int(times.min())),
            _moment(int(times.max())),
            shift,
            utc_offset,
            TimeSource(source),
        )


def _same_as_before(column: Integers) -> Booleans:
    same = np.zeros(len(column), np.bool_)
    same[1:] = column[1:] == column[:-1]
    return same


def _moment(microseconds: int) -> datetime:
    return EPOCH.replace(tzinfo=UTC) + timedelta(microseconds=microseconds)


def _offsets(zone: tzinfo, wall: Integers, fold: int) -> Integers:
    """The zone's offset from UTC, in seconds, at each wall time (seconds since 1970)."""
    years = wall.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    rules = [rule for year in np.unique(years).tolist() for rule in _rules(zone, year, fold)]
    begins, offsets = np.array(rules, np.int64).T
    found: Integers = offsets[np.searchsorted(begins, wall, side="right") - 1]
    return found


@lru_cache(maxsize=1024)
def _rules(zone: tzinfo, year: int, fold: int) -> tuple[tuple[int, int], ...]:
    """When each rule of a year begins (wall time, seconds since 1970) and its offset in seconds.

    A zone tells its offset at a time and not its rules, so each day is asked, and a day with a change is
    halved until the second is found.
    """

    def offset(wall: int) -> int:
        moment = (EPOCH + timedelta(seconds=wall)).replace(tzinfo=zone, fold=fold)
        return int((moment.utcoffset() or timedelta()).total_seconds())

    begin = int((datetime(year, 1, 1) - EPOCH).total_seconds())  # noqa: DTZ001
    end = int((datetime(year, 12, 31) - EPOCH).total_seconds()) + 86_399  # noqa: DTZ001
    found = [(begin, offset(begin))]
    for day in range(begin, end, 86_400):
        low, high = day, min(day + 86_400, end)
        before, after = offset(low), offset(high)
        while before != after and high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == before else (low, middle)
        if before != after:
            found.append((high, after))
    return tuple(found)

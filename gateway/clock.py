"""From what a device wrote and what we know of its clock: when each record was, and how sure we are. Pure.

    wall time = recorded_at + the record's own offset          what the device showed
    UTC       = recorded_at − how far the base time was ahead of UTC

Records that one shift takes to UTC form a segment. A segment ends where the record's offset, the zone's
rule, the error of the clock or our certainty changes, and nowhere else.

**Order.** Sequence numbers order the records of a device, around the end of their circle too. In a file the
number is the rank among rows of equal time. Where a meter began its numbers again, what is new comes after
what was placed before; numbers that order nothing leave the time as the order.

**The zone's gaps and overlaps.** No record is dropped. A wall time that the zone skips was shown by a clock
nobody had moved yet: the rule before the gap holds. One that occurs twice is the earlier, unless the order
says that it is the later: the record before it was later, or it is the second row of that time in a file.

**The error of the clock** is measured at each look (positive: ahead); below `TOLERANCE_SECONDS` it is none,
and what was shown was the zone's time. A wrong clock is nobody's care: it runs on as it is, by one distance
to UTC, through summer and winter. What a look has placed stays: the next one measures another clock, and no
move to another zone makes a measured clock another. What is new was written between the two looks, and they
say how (`gateway.clock_evidence`): a clock that was left alone, one that drifted, one that was moved with the
zone, or one that was set. Where records tell when it was set, both sides are placed, each by its look.

**What no look vouches for** is called `ORDERED`: what a clock wrote before it was set, when nobody had
measured it; what lies outside the time in which it can have been made (after the look before, before this
one, and no meter is older than Bluetooth Low Energy); and those among which a clock was set, nobody knows
where. They keep their order and lie between what surrounds them, moved no further than that demands.

**A date that the device did not know** stays unknown. What a person said (`PERSON`) stays as they said it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNKNOWN_DATE, ClockSegment, DeviceTime, Reading, TimeSource
from gateway.clock_records import SECOND, Before, Integers, Records, same_as_before
from gateway.clock_stretch import Stretch
from gateway.numbering import in_order
from gateway.zone_rules import EPOCH
from storage.clock_looks import ClockLook, LookedBefore
from storage.columns import microseconds
from storage.readings import RecordColumns

SET_BACK: Final = timedelta(days=1)
"""Beyond any error of zones: this machine's clock has been set back since."""

WRITTEN: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""When this was written: a machine whose clock says that it is earlier has lost its time."""

LONG_AWAY: Final = timedelta(days=366)
"""A machine that says that so long has passed since it last read a meter, and a meter whose clock says that
little has, do not agree; and it is the machine's clock that nobody looks at."""

FURTHEST: Final = (1 << 31) - 1
"""Seconds, some 68 years: a clock further off than this says nothing."""

UNKNOWN: Final = int(UNKNOWN_DATE.timestamp()) * SECOND
NEVER: Final = LookedBefore()


def segments(
    sequence: Integers,
    recorded_at: Integers,
    offset_minutes: Integers,
    zone: tzinfo,
    *,
    look: ClockLook | None = None,
    before: LookedBefore = NEVER,
    history: Sequence[ClockSegment] = (),
    keep_all: bool = False,
) -> tuple[ClockSegment, ...]:
    """The fewest clock segments that place all records of one device; each record is in exactly one.

    Columns of one length, in any order: `recorded_at` in microseconds since 1970 as if UTC (`UNKNOWN_DATE`
    where the device knew no date), `offset_minutes` from there to what the device showed (0 for none).
    Of records with one key the first counts. `look`: at the device that was just read; None for a file, or
    where nothing was read. `before`: what earlier looks left; `history`: the segments so far, of which a
    later one has the word; `keep_all`: none of them is in question.
    """
    rows = np.lexsort((sequence, recorded_at))
    same = same_as_before(recorded_at[rows]) & same_as_before(sequence[rows])
    rows = rows[~same]
    undated = recorded_at[rows] == UNKNOWN
    found: list[ClockSegment] = []
    if not undated.all():
        records = Records(sequence, recorded_at, offset_minutes, rows[~undated], history)
        stretch = Stretch.of(records, zone, history, look, before, keep_all=keep_all)
        found += _as_segments(records, stretch)
    if undated.any():
        found += _undated(np.sort(sequence[rows[undated]]), history)
    return tuple(found)


def place(
    stored: RecordColumns,
    arrived: Sequence[Reading],
    zone: tzinfo,
    *,
    look: ClockLook | None = None,
    before: LookedBefore = NEVER,
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
        look=look,
        before=before,
        history=history,
    )


def error_shown(clock_error: int | None, stored: RecordColumns, arrived: Sequence[Reading]) -> int | None:
    """The error of the clock that the person sees, in seconds, from what was read of it.

    Some meters let their clock be read as the base time, which the offset of their records corrects, some as
    what they show. Of the two meanings the one with the smaller error is taken: a clock is right more often
    than it is wrong by just its offset. None for one that is off by more than a lifetime.
    """
    if clock_error is None:
        return None
    offset = int(stored.offset_minutes[-1]) if len(stored) else RecordColumns.NO_OFFSET
    if arrived:
        offset = _offset(arrived[-1].device_time)
    shown = min(clock_error, clock_error + (0 if offset == RecordColumns.NO_OFFSET else 60 * offset), key=abs)
    return shown if abs(shown) <= FURTHEST else None


def own_clock_is_wrong(now: datetime, before: ClockLook | None, error: int | None) -> bool:
    """Whether this machine's own clock is in doubt: then nothing may be placed, and no clock set, by it.

    A laptop whose battery was empty may wake up years ago, or years ahead. Measured against it every meter's
    clock would be wrong, and its records would be moved by as much. `error`: of the device's clock, by it.

    It is wrong where it says that it is earlier than this program; earlier than the look before, unless the
    device agrees with it (then it was wrong that time); or more than a year later, and the device's clock,
    which ran on since as a clock does, says otherwise.
    """
    if now < WRITTEN:
        return True
    if before is None or before.at is None:
        return False
    if before.at - now > SET_BACK:
        return error is None or timedelta(seconds=abs(error)) > SET_BACK
    if error is None or before.error_seconds is None or now - before.at < LONG_AWAY:
        return False
    ran = now - before.at + timedelta(seconds=error - before.error_seconds)
    return timedelta(0) <= ran < LONG_AWAY / 2


def last_number(stored: RecordColumns, arrived: Sequence[Reading], before: LookedBefore) -> int | None:
    """The number with which a device ends that was read to its end; None where it has no record."""
    if arrived:
        return in_order(each.identity.sequence for each in arrived)[-1]
    if before.look is not None and before.look.sequence is not None:
        return before.look.sequence
    return int(stored.sequence[-1]) if len(stored) else None


def _offset(time: DeviceTime | None) -> int:
    return RecordColumns.NO_OFFSET if time is None or time.offset_minutes is None else time.offset_minutes


def _undated(numbers: Integers, history: Sequence[ClockSegment]) -> Iterator[ClockSegment]:
    """Records without a date, by number: unknown, but where a person said when they were."""
    at = np.full(len(numbers), UNKNOWN, np.int64)
    said = Before(numbers, at, [each for each in history if each.source is TimeSource.PERSON])
    values = np.stack([said.shift, said.source, said.utc_offset // 60])
    for segment in _runs(numbers, at, values, numbered=True):
        if segment.source is TimeSource.PERSON:
            yield segment
        else:
            first, last = segment.first_sequence, segment.last_sequence
            yield ClockSegment(first, last, UNKNOWN_DATE, UNKNOWN_DATE, None, 0, TimeSource.UNKNOWN)


def _as_segments(records: Records, stretch: Stretch) -> Iterator[ClockSegment]:
    shift = stretch.utc - records.base
    offset = np.round(stretch.zone_offset / 60).astype(np.int64)
    values = np.stack([shift, stretch.source, offset])
    order: Any = np.arange(len(records))
    if records.numbered:
        order = np.argsort(records.sequence)
    elif records.ordered:
        order = np.lexsort((records.sequence, records.recorded_at))
    for rows in _lanes(records, values):
        chosen = order[rows]
        columns = records.sequence[chosen], records.recorded_at[chosen], values[:, chosen]
        yield from _runs(*columns, numbered=records.numbered)


def _lanes(records: Records, values: Integers) -> list[Any]:
    """Rows that share their order: all of them, but second rows apart where a time is meant twice."""
    apart = records.second_row & (values[0] != np.roll(values[0], 1))
    if not apart.any():
        return [slice(None)]
    return [np.flatnonzero(records.sequence == 0), np.flatnonzero(records.sequence > 0)]


def _runs(
    sequence: Integers, recorded_at: Integers, values: Integers, *, numbered: bool
) -> Iterator[ClockSegment]:
    """One segment for each run of equal values, in the order given."""
    changes = np.any(values[:, 1:] != values[:, :-1], axis=0)
    alone = np.zeros(len(sequence), np.bool_)
    if not numbered:
        # Records of one time that differ stand alone: no stretch of time could tell them apart.
        alone = np.isin(recorded_at, recorded_at[1:][changes & same_as_before(recorded_at)[1:]])
    starts = np.flatnonzero(np.r_[True, changes | alone[1:] | alone[:-1]])
    ends: npt.NDArray[np.intp] = np.r_[starts[1:], len(sequence)]
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
            TimeSource(source or TimeSource.UNKNOWN),
        )


def _moment(microseconds: int) -> datetime:
    return EPOCH.replace(tzinfo=UTC) + timedelta(microseconds=microseconds)

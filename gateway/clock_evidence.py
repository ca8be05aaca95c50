"""What two looks at a clock say of the records between them. Pure.

A look measures how far a clock was ahead of the time of its zone. Where two looks agree, nobody touched the
clock in between: it ran on, through changes of the zone's rule too, and perhaps drifted; or somebody moved it
as the zone moved. Where they do not, it was set, somewhere among the records that are new.

Times are in seconds since 1970, errors and offsets in seconds, everything by row of `Records`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

import numpy as np

from gateway.clock_records import Booleans, Integers, Records
from gateway.zone_rules import offset_at, offsets_at_wall
from storage.clock_looks import ClockLook

TOLERANCE_SECONDS: Final = 120
"""Below this an error is none. Meters show minutes and many drop the seconds; a quartz loses or gains up to
a minute a month; and nothing that is read from finger-sticks turns on two minutes."""

DRIFT_SECONDS_A_DAY: Final = 5
"""What a bad quartz in a cold or hot place loses or gains; more than that is somebody's hand."""

DRIFT_STEP_SECONDS: Final = 60
"""A drift that must be told is told in steps of this: each makes a segment."""

CARED_FOR_SECONDS: Final = 1200
"""A clock that is wrong by less is moved to summer and back, by its person or by itself; one that is wrong by
more is nobody's care. The smallest step of any zone is half an hour."""

DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Zoned:
    """What the records would mean if the device showed the zone's time: `offset` at each, `utc` by it."""

    zone: tzinfo
    offset: Integers
    utc: Integers

    @classmethod
    def of(cls, records: Records, zone: tzinfo) -> Zoned:
        """The zone's two meanings of one wall time are told apart by the order of the records."""
        offset = wall_offsets(records, records.wall, zone)
        return cls(zone, offset, records.wall - offset)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A clock as it was at one look: when each record was if it had written them."""

    utc: Integers
    constant: Integers
    """The same by one distance to UTC, through summer and winter."""
    ahead: int
    """How far the base time was ahead of UTC."""

    @classmethod
    def of(cls, records: Records, zoned: Zoned, look: ClockLook, row: int, last: int | None) -> Hypothesis:
        """By the error of a look. `row`: the last record before it; `last`: the `ahead` that placed it.

        Base time runs on while a person changes what is shown, so records of another offset are placed by it.
        An error within the tolerance is none: then what was shown was the zone's time; and by one that is not
        much more it was that and the error.
        """
        assert look.at is not None  # noqa: S101 - there is no error without a time
        assert look.error_seconds is not None  # noqa: S101 - nor a hypothesis
        ahead = offset_at(zoned.zone, look.at) + look.error_seconds - int(records.offset[row])
        about_the_same = last is not None and abs(ahead - last) <= TOLERANCE_SECONDS
        made_up = made_up_for(records)
        apart = made_up[row] - made_up
        told = last if last is not None and about_the_same else ahead
        constant = utc = records.base - told - apart
        alike = records.offset + apart == records.offset[row]
        if abs(look.error_seconds) <= TOLERANCE_SECONDS:
            utc = np.where(alike, zoned.utc, utc)
        elif abs(look.error_seconds) < CARED_FOR_SECONDS:
            utc = np.where(alike, by_zone(records, zoned, look.error_seconds + told - ahead), utc)
        return cls(near(utc, zoned.utc), near(constant, zoned.utc), ahead)


def made_up_for(records: Records) -> Integers:
    """By how much the offset of records has made up, up to each, for a base time that was set back.

    Some meters are set by a phone so: the base time jumps, its offset does too, and what is shown runs on.
    """
    change = np.diff(records.offset, prepend=records.offset[:1])
    back = np.diff(records.base, prepend=records.base[:1]) < -TOLERANCE_SECONDS
    shown_on = np.diff(records.wall, prepend=records.wall[:1]) >= -TOLERANCE_SECONDS
    return np.cumsum(np.where(back & shown_on & records.ordered, change, 0))


@dataclass(frozen=True, slots=True)
class Between:
    """Two looks at one clock: what they say together."""

    untouched: bool
    """It ran on, and drifted at most."""
    followed: bool
    """It showed the same error: it was moved with the zone."""
    drift: int
    """How far it ran ahead in between, where it was untouched."""

    @classmethod
    def of(cls, zone: tzinfo, before: ClockLook, now: ClockLook, offsets: tuple[int, int]) -> Between:
        """`offsets`: of the records before each look."""
        assert before.at is not None  # noqa: S101
        assert now.at is not None  # noqa: S101
        assert before.error_seconds is not None  # noqa: S101
        assert now.error_seconds is not None  # noqa: S101
        days = max((now.at - before.at).total_seconds(), 0) / DAY
        explained = TOLERANCE_SECONDS + DRIFT_SECONDS_A_DAY * days
        errors = now.error_seconds - before.error_seconds
        drift = errors + offset_at(zone, now.at) - offset_at(zone, before.at) - offsets[1] + offsets[0]
        same_offset = offsets[0] == offsets[1]
        return cls(abs(drift) <= explained, same_offset and abs(errors) <= explained, drift)


def drifted(
    records: Records, zoned: Zoned, looks: tuple[ClockLook, ClockLook], ahead: int, drift: int
) -> Integers:
    """Times by a clock that was `ahead` at the first look and ran away by `drift` until the other, evenly."""
    before, now = looks
    assert before.at is not None  # noqa: S101
    assert now.at is not None  # noqa: S101
    begin, end = before.at.timestamp(), now.at.timestamp()
    part = np.clip((records.base - ahead - begin) / max(end - begin, 1), 0, 1)
    steps = np.round(part * drift / DRIFT_STEP_SECONDS).astype(np.int64) * DRIFT_STEP_SECONDS
    return near(records.base - ahead - steps, zoned.utc, DRIFT_STEP_SECONDS)


def by_zone(records: Records, zoned: Zoned, error: int) -> Integers:
    """Times by a clock that showed the zone's time, summer and winter, and this error."""
    wall: Integers = records.wall - error
    return wall - wall_offsets(records, wall, zoned.zone)


def near(utc: Integers, shown: Integers, within: int = TOLERANCE_SECONDS) -> Integers:
    """Times, but what was shown where that is about the same: seconds must not make segments."""
    return np.where(np.abs(utc - shown) <= within, shown, utc)


def wall_offsets(records: Records, wall: Integers, zone: tzinfo) -> Integers:
    """The zone's offset at each wall time, its two meanings of one told apart by order."""
    earlier = offsets_at_wall(zone, wall, fold=0)
    later = offsets_at_wall(zone, wall, fold=1)
    twice = earlier > later
    if records.ranked:
        return np.where(twice & records.second_row, later, earlier)
    chosen = earlier.copy()
    if records.ordered:
        for row in np.flatnonzero(twice[1:]) + 1:
            before = wall[row - 1] - chosen[row - 1]
            if wall[row] - earlier[row] < before - TOLERANCE_SECONDS <= wall[row] - later[row]:
                chosen[row] = later[row]
    return chosen


def changed_at(
    before: Integers, after: Integers, fits_before: Booleans, fits_after: Booleans, slack: int
) -> tuple[int, int] | None:
    """From which row on, at the earliest and at the latest, a clock that was set once wrote what came after.

    `before`, `after`: times by the clock as it was and as it is; `fits_…`: where these can be. None: nowhere.
    """
    can_begin = np.r_[True, np.logical_and.accumulate(fits_before)]
    can_end = np.r_[np.logical_and.accumulate(fits_after[::-1])[::-1], True]
    joins = np.ones(len(before) + 1, np.bool_)
    joins[1:-1] = before[:-1] <= after[1:] + slack
    possible = np.flatnonzero(can_begin & can_end & joins)
    return (int(possible[0]), int(possible[-1])) if len(possible) else None

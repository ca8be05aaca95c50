"""Placing what is new on a device: by the looks before and after it, else by order alone. Pure.

Times are in seconds since 1970 in UTC, by row of `Records`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from device_profiles.reading import ClockSegment, TimeSource
from gateway.clock_evidence import (
    DAY,
    DRIFT_SECONDS_A_DAY,
    TOLERANCE_SECONDS,
    Between,
    Hypothesis,
    Zoned,
    by_zone,
    changed_at,
    drifted,
    near,
)
from gateway.clock_order import FAR, laid_in_order
from gateway.clock_records import Before, Booleans, Integers, Records
from gateway.zone_rules import offsets_at
from storage.clock_looks import ClockLook, LookedBefore

FIRST_OF_ALL: Final = int(datetime(2010, 6, 30, tzinfo=UTC).timestamp())
"""Bluetooth Low Energy was adopted then (Core 4.0): no meter that is read over it has measured before."""

OPEN: Final = 0
"""The source of a record that is not placed yet."""

Rows = npt.NDArray[np.intp]


@dataclass(eq=False)
class Stretch:
    """Where records are, and how that is known. `zone_offset`: seconds, for what is told of a time."""

    records: Records
    zoned: Zoned
    utc: Integers
    source: Integers
    zone_offset: Integers

    @classmethod
    def of(
        cls,
        records: Records,
        zone: tzinfo,
        history: Sequence[ClockSegment],
        look: ClockLook | None,
        before: LookedBefore,
        *,
        keep_all: bool = False,
    ) -> Self:
        """Keeps what is placed, places what is open."""
        zoned = Zoned.of(records, zone)
        was = Before(records.sequence, records.recorded_at, history)
        kept = was.source != OPEN if keep_all else _kept(records, was, look, before)
        source = np.where(kept, was.source, OPEN)
        made = cls(records, zoned, np.where(kept, records.base + was.shift, zoned.utc), source, zoned.offset)
        if (source == OPEN).any():
            _Placing(made, was, look, before.look).place()
        made._tell_sources()
        return made

    def _tell_sources(self) -> None:
        """A time that is what the device showed is the device's; else it was corrected."""
        shown = self.utc == self.zoned.utc
        told = (self.source == TimeSource.DEVICE) | (self.source == TimeSource.DEVICE_CORRECTED)
        same = np.abs(self.utc - self.zoned.utc) <= TOLERANCE_SECONDS
        self.source = np.where(
            told, np.where(same, TimeSource.DEVICE, TimeSource.DEVICE_CORRECTED), self.source
        )
        if not shown.all():
            self.zone_offset = np.where(shown, self.zoned.offset, offsets_at(self.zoned.zone, self.utc))


def _kept(records: Records, was: Before, look: ClockLook | None, before: LookedBefore) -> Booleans:
    """The records that stay where they are: what a person said, and what a look has vouched for.

    What was placed by no look, or came by one that did not read to the end, is placed again.
    """
    kept: Booleans = was.source == TimeSource.PERSON
    vouched: Booleans = was.source == TimeSource.DEVICE_CORRECTED
    if before.measured or (before.look is not None and (look is None or look.error_seconds is None)):
        vouched |= was.source != OPEN
    if look is not None and records.ordered:
        vouched &= ~_after(records, was, before.look)
    return kept | vouched


def _after(records: Records, was: Before, look: ClockLook | None) -> Booleans:
    """The records that were made after a look which read everything."""
    if look is None or look.sequence is None:
        return np.ones(len(records), np.bool_)
    after: Booleans = was.source == OPEN
    ended = np.flatnonzero(~after & (records.sequence == look.sequence))
    if len(ended):
        after[ended[-1] + 1 :] = True
    elif records.numbered:  # that record has no date, or was erased
        after |= records.sequence > look.sequence
    return after


class _Placing:
    """The records of a stretch that are open, block by block: a block ends where the clock was set."""

    def __init__(
        self, stretch: Stretch, was: Before, look: ClockLook | None, before: ClockLook | None
    ) -> None:
        self.stretch, self.records, self.zoned = stretch, stretch.records, stretch.zoned
        self.look, self.before = look, before
        self.open = np.flatnonzero(stretch.source == OPEN)
        count = len(self.records)
        self.first, self.last = np.full(count, -FAR), np.full(count, FAR)
        self.slack = TOLERANCE_SECONDS
        self.new = _after(self.records, was, before)
        self._bound()
        earlier = np.flatnonzero(~self.new)
        rows = int(earlier[-1]) if len(earlier) else 0, count - 1
        self.offsets = int(self.records.offset[rows[0]]), int(self.records.offset[rows[1]])
        # Of a device that had no record it is not known by which offset it showed what it showed.
        told = len(earlier) > 0 or self.offsets[0] == 0
        self.as_before = self._hypothesis(before, rows[0]) if told else None
        self.as_now = self._hypothesis(look, rows[1])

    def place(self) -> None:
        """Give every open record its time and source."""
        times, sources = self.stretch.utc, self.stretch.source
        blocks = self._blocks()
        vouched = self._vouched(blocks)
        for rows, utc in vouched:
            fits = self._fits(utc)[rows]
            times[rows] = utc[rows]
            sources[rows] = np.where(fits, TimeSource.DEVICE, TimeSource.ORDERED)
        if self.as_before or self.as_now:
            self._in_turn()
        doubtful = [rows[(sources[rows] == OPEN) | (sources[rows] == TimeSource.ORDERED)] for rows in blocks]
        doubtful = [rows for rows in doubtful if len(rows)]
        for rows in doubtful:
            sources[rows] = TimeSource.ORDERED
        laid_in_order(times, self.records.base, doubtful, self.first, self.last)

    def _bound(self) -> None:
        """When the open records can have been made: after the look before, and before this one."""
        if self.look is None or self.look.at is None:
            return
        self.first[:] = FIRST_OF_ALL
        self.last[:] = int(self.look.at.timestamp())
        if self.before is not None and self.before.at is not None and self.records.ordered:
            at = int(self.before.at.timestamp())
            self.first[self.new] = at
            self.last[~self.new] = at
            days = (self.look.at - self.before.at).total_seconds() / DAY
            self.slack += int(DRIFT_SECONDS_A_DAY * max(days, 0))

    def _hypothesis(self, look: ClockLook | None, before: int) -> Hypothesis | None:
        if look is None or look.at is None or look.error_seconds is None:
            return None
        told = self.stretch.source[: self.open[0]] == TimeSource.DEVICE_CORRECTED
        last = None
        if self.open[0] and told[-1]:
            row = self.open[0] - 1
            last = int(self.records.base[row] - self.stretch.utc[row])
        return Hypothesis.of(self.records, self.zoned, look, before, last)

    def _fits(self, utc: Integers) -> Booleans:
        fits: Booleans = (utc >= self.first - self.slack) & (utc <= self.last + self.slack)
        return fits

    def _breaks(self) -> Booleans:
        """The rows with which another setting of the clock begins: all that tells of one.

        Time runs backwards, in what the device wrote and in what it showed; or what could be no longer can.
        """
        count = len(self.records)
        breaks = np.zeros(count, np.bool_)
        if self.records.ordered:
            back = np.diff(self.records.base) < -TOLERANCE_SECONDS
            breaks[1:] = back & (np.diff(self.zoned.utc) < -TOLERANCE_SECONDS)
        known = [each.utc for each in (self.as_before, self.as_now) if each is not None] or [self.zoned.utc]
        can_be = np.logical_or.reduce([self._fits(utc) for utc in known])
        flips = np.zeros(count, np.bool_)
        flips[1:] = can_be[1:] != can_be[:-1]
        flips[self.open[0]] = False
        return breaks | flips

    def _blocks(self) -> list[Rows]:
        inside = np.flatnonzero(self._breaks()[self.open[1:]]) + 1
        return list(np.split(self.open, inside))

    def _vouched(self, blocks: list[Rows]) -> list[tuple[Rows, Integers]]:
        """The blocks that a look vouches for, each with its times."""
        first, last = blocks[0], blocks[-1]
        was = self.as_before
        if self.as_now is None:
            if was is not None:
                return [(first, was.utc)]
            return [(first, self.zoned.utc)] if len(blocks) == 1 else []
        if was is None:
            return [(last, self.as_now.utc)]
        if len(blocks) > 1:
            return [(first, was.utc), (last, self.as_now.utc)]
        return self._one_block(first, was, self.as_now)

    def _one_block(self, rows: Rows, was: Hypothesis, now: Hypothesis) -> list[tuple[Rows, Integers]]:
        """Records between two looks in which nothing tells that the clock was set: they are compared."""
        assert self.before is not None  # noqa: S101 - there are two hypotheses
        assert self.look is not None  # noqa: S101
        assert self.look.error_seconds is not None  # noqa: S101
        between = Between.of(self.zoned.zone, self.before, self.look, self.offsets)
        if between.untouched:
            if abs(between.drift) <= TOLERANCE_SECONDS:
                return [(rows, now.utc if between.followed else now.constant)]
            looks = self.before, self.look
            return [(rows, drifted(self.records, self.zoned, looks, was.ahead, between.drift))]
        if between.followed:
            shown = by_zone(self.records, self.zoned, self.look.error_seconds)
            alike = self.records.offset == self.offsets[1]
            return [(rows, np.where(alike, near(shown, self.zoned.utc), now.utc))]
        fits = self._fits(was.utc)[rows], self._fits(now.utc)[rows]
        found = changed_at(was.utc[rows], now.utc[rows], *fits, self.slack)
        if found is None:
            return []
        self.stretch.utc[rows] = now.utc[rows]  # those in between: doubtful, unless both clocks say the same
        between_them = rows[found[0] : found[1]]
        alike = np.abs(was.utc - now.utc)[between_them] <= TOLERANCE_SECONDS
        return [
            (rows[: found[0]], was.utc),
            (between_them[alike], now.utc),
            (rows[found[1] :], now.utc),
        ]

    def _in_turn(self) -> None:
        """What is later than what follows it by order, beyond what clocks err, is vouched for no more."""
        if not self.records.ordered:
            return
        times, sources = self.stretch.utc, self.stretch.source
        sure = np.flatnonzero((sources != OPEN) & (sources != TimeSource.ORDERED))
        if len(sure):
            later = np.minimum.accumulate(times[sure][::-1])[::-1]
            early = sure[times[sure] > later + self.slack]
            early = early[np.isin(early, self.open)]
            sources[early] = TimeSource.ORDERED

"""The days that a change touches, computed again from all readings that they have now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNKNOWN_TIME, ClockSegment
from storage import clock_segments, daily_summary
from storage.clock_segments import ALL_TIMES, Range, merged
from storage.columns import Columns, RecordKeys
from storage.connection import Connection
from storage.daily_summary import DayColumns, DayTable
from storage.days import DAYS, day_begins, day_date, distinct, local_days
from storage.known import KnownRecords, known_records

DAYS_APART = 31
"""Days without a reading between two stretches that are looked at apart."""

_VALUES = ("kind", "mantissa", "exponent", "unit", "absent")


@dataclass(frozen=True, slots=True)
class TouchedDays:
    """Stretches of local days of one device, from the first to the last (days since 1970)."""

    patient_id: int
    device_id: int
    zone: ZoneInfo
    in_force: Sequence[ClockSegment]
    stretches: Sequence[Range]

    @classmethod
    def of(
        cls,
        key: dict[str, int],
        zone: ZoneInfo,
        in_force: Sequence[ClockSegment],
        times: npt.NDArray[np.int64],
        spans: Sequence[Range] = (),
    ) -> TouchedDays:
        """The days of these effective times and spans of it, by the segments in force.

        UNKNOWN_TIME is on no day.
        """
        placed = times[times != UNKNOWN_TIME]
        days = local_days(np.concatenate((placed, np.array(spans, np.int64).reshape(-1))), zone)
        single = distinct(days[: len(placed)]).tolist()
        ends = days[len(placed) :].reshape(-1, 2).tolist()
        every = (*((day, day) for day in single), *((first, last) for first, last in ends))
        return cls(**key, zone=zone, in_force=in_force, stretches=merged(every, DAYS_APART))

    @classmethod
    def all(cls, key: dict[str, int], zone: ZoneInfo, in_force: Sequence[ClockSegment]) -> TouchedDays:
        """Every day there is: what a person's move to another zone touches."""
        return cls(**key, zone=zone, in_force=in_force, stretches=(DAYS,))

    @property
    def recorded(self) -> list[Range]:
        """Where in `recorded_at` the readings of these days are."""
        ranges = []
        for first, last in self.stretches:
            bounds = (
                day_begins(first, self.zone) if first > DAYS[0] else ALL_TIMES[0],
                day_begins(last + 1, self.zone) if last < DAYS[1] else ALL_TIMES[1],
            )
            ranges += clock_segments.recorded_ranges(self.in_force, *bounds)
        return merged(ranges, 0)

    def within(self, stretches: Sequence[Range]) -> bool:
        """Whether whoever knows these stretches of `recorded_at` knows all readings of the days."""
        return all(
            any(low <= first and last <= high for low, high in stretches) for first, last in self.recorded
        )

    def summaries(self, known: KnownRecords, new: Columns | None = None) -> DayTable:
        """The summaries of the days from what was stored before and what is new."""
        kept = known.without_left_out()
        parts: list[Any] = [kept] if new is None else [new] if not len(kept) else [kept, new]
        recorded_at, sequence, ordinal, *values = (
            np.concatenate([getattr(part, name) for part in parts])
            if len(parts) > 1
            else getattr(parts[0], name)
            for name in ("recorded_at", "sequence", "ordinal", *_VALUES)
        )
        effective = clock_segments.place(recorded_at, sequence, self.in_force).effective_time
        placed = effective != UNKNOWN_TIME
        # Always in the order of the key: a sum of floats depends on it in its last digit.
        if not RecordKeys(recorded_at, sequence).strictly_ordered():
            order = np.lexsort((ordinal, sequence, recorded_at))
            chosen: Any = order[placed[order]]
        else:
            chosen = slice(None) if placed.all() else np.flatnonzero(placed)
        columns = DayColumns(effective[chosen], *(column[chosen] for column in values))
        return daily_summary.summarise(columns, self.zone)

    async def write(self, conn: Connection, summaries: DayTable, *, were_empty: bool = False) -> None:
        """Puts these in the place of what the days had. The device's row must be locked."""
        for first, last in self.stretches:
            if not were_empty:
                span = (day_date(first), day_date(last))
                await daily_summary.drop(conn, self.patient_id, self.device_id, span)
            await daily_summary.add(conn, self.patient_id, self.device_id, summaries.between(first, last))

    async def renew(self, conn: Connection) -> None:
        """Computes the days again from what is stored. The device's row must be locked."""
        if self.stretches:
            key = {"patient_id": self.patient_id, "device_id": self.device_id}
            known = await known_records(conn, key, self.recorded)
            async with conn.pipeline():
                await self.write(conn, self.summaries(known))

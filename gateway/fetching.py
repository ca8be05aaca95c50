"""Asking a device for what is new, and what may be concluded from what came.

The record that the last read ended with is asked for again (see `gateway.numbering`), so that a meter that
was reset, that went over its last number or whose memory was full cannot hide a record behind a number. A
meter that does not answer such a request rightly is read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from device_profiles.procedures.record_access import (
    RecordAccessRefused,
    ResponseCode,
    all_records,
    from_sequence,
)
from device_profiles.reading import Reading
from device_profiles.services.glucose import RECORD_ACCESS_CONTROL_POINT
from gateway import numbering
from gateway.ble.arrivals import Arrivals, RefusedFrame
from gateway.ble.records import RecordReader
from gateway.numbering import LAST_NUMBER, Standing

CANNOT_CHOOSE: Final = {
    ResponseCode.OPERATOR_NOT_SUPPORTED,
    ResponseCode.INVALID_OPERATOR,
    ResponseCode.INVALID_OPERAND,
    ResponseCode.OPERAND_NOT_SUPPORTED,
}
"""A meter that answers so to a request from a number on gives its records only all at once."""


CONTROL_POINTS: Final = {RECORD_ACCESS_CONTROL_POINT}
"""What is refused of these is no record."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The record that the last read ended with: its number, and what is stored under it."""

    sequence: int
    records: frozenset[bytes]
    """Empty where the person erased it: then nothing proves that the meter goes on, and all is read."""

    def is_one(self, reading: Reading) -> bool:
        """Whether this is that record."""
        return reading.identity.sequence == self.sequence and reading.raw in self.records


class Fetch:
    """One read of a device."""

    def __init__(self, reader: RecordReader, mark: Mark | None, *, full: bool = False) -> None:
        """`mark`: None where nothing was read before. `full`: ask for everything all the same."""
        self.reader = reader
        self.mark = mark
        self.complete = False
        self._full = full
        access = reader.connection.profile.records
        # What comes by itself has no number to ask from, and not every number counts records.
        self._numbered = reader.fetches and access is not None and access.counted
        reader.unannounced = frozenset() if full or mark is None else mark.records

    async def run(self) -> None:
        """Ask, and wait until everything has come. Raises as `RecordReader.fetch`."""
        reader = self.reader
        access = reader.connection.profile.records
        if access is None or not reader.fetches:
            await reader.listen()
        elif self._full or self.mark is None or not access.incremental:
            await reader.fetch(all_records())
        else:
            await self._from_mark(self.mark)
        await reader.wait_for_contexts()
        self.complete = True

    async def _from_mark(self, mark: Mark) -> None:
        try:
            await self.reader.fetch(from_sequence(mark.sequence))
        except RecordAccessRefused as refusal:
            if refusal.code not in CANNOT_CHOOSE:
                raise
        came = self.reader.arrived.readings
        mark_came = any(mark.is_one(reading) for reading in came)
        # Over its last number a count goes on with 0, which is not "from a number on".
        if not mark_came or any(reading.identity.sequence == LAST_NUMBER for reading in came):
            self.reader.start_over()
            await self.reader.fetch(all_records())

    def end(self) -> Fetched:
        """What came, however it ended."""
        arrived, before = self.reader.arrived, self.reader.set_aside
        arrived.end()
        mark = self.mark
        numbers = [reading.identity.sequence for reading in arrived.readings]
        readings, present = arrived.readings, {*numbers, *(_number(each) for each in arrived.refused)}
        if before is not None and not self.complete:  # else all of it came again
            readings = before.readings + readings
            present |= {reading.identity.sequence for reading in before.readings}
        again = sum(mark is not None and mark.is_one(reading) for reading in readings)
        distinct = list(dict.fromkeys(numbers))
        return Fetched(
            arrived=arrived,
            readings=readings,
            complete=self.complete,
            mark=mark,
            mark_came=again > 0,
            again=0 if self._full else again,
            numbers=tuple(distinct) if self._numbered else (),
            present=frozenset(number for number in present if number is not None),
            # One record alone does not say in which direction the rest would have come.
            oldest_first=numbering.goes_forward(distinct) and (len(distinct) > 1 or again > 0),
            cut_off=self.reader.connection.lost.done(),
        )


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one read brought."""

    arrived: Arrivals
    readings: Sequence[Reading]
    """All that is to be stored, in the order in which it came."""
    complete: bool
    mark: Mark | None
    mark_came: bool
    again: int
    """How many of the readings are only the mark, asked for again: nobody is told of them."""
    numbers: tuple[int, ...]
    """Of what came, each once; none where they say nothing."""
    present: frozenset[int]
    """Also of what came and could not be read."""
    oldest_first: bool
    cut_off: bool
    """Whether the link had ended: what was still to come could not."""

    @classmethod
    def of_itself(cls, arrived: Arrivals) -> Fetched:
        """What came by itself, without a number to ask from, and was kept until now."""
        return cls(
            arrived=arrived,
            readings=arrived.readings,
            complete=False,
            mark=None,
            mark_came=False,
            again=0,
            numbers=(),
            present=frozenset(),
            oldest_first=False,
            cut_off=True,
        )

    def standing(self, cursor: int | None, stored: Stored, kept_aside: Collection[bytes]) -> Standing:
        """Where the device's numbers stand now, and what is missing in them.

        `cursor`: where they stood; `stored`: the records that are there; `kept_aside`: the frames that were
        kept aside before. Of a read that was not completed the cursor moves on only if the oldest records
        came first: else what is missing lies below it. Where something could not be read, or a context was
        announced and did not come, the next read begins there, once: it may have been the radio's fault.
        """
        mark_came = self.mark_came and self.mark is not None and self.mark.sequence == cursor
        certain = self.complete or (self.oldest_first and (cursor is None or mark_came))
        again = set(self._to_read_again(stored, kept_aside))
        held = {number for number in again if number is not None}
        if not self.numbers or not certain or len(held) < len(again):
            return Standing(None)
        return numbering.standing(
            cursor,
            self.numbers,
            mark_came=mark_came,
            known=cursor is not None and not mark_came and any(stored(each) for each in self.readings),
            present=self.present,
            held=held,
        )

    def _to_read_again(self, stored: Stored, kept_aside: Collection[bytes]) -> Iterator[int | None]:
        """Numbers; None where a frame does not even tell its number."""
        waiting = self.arrived.expected_contexts
        for reading in self.arrived.readings:
            lacks = reading.identity.sequence in waiting and reading.context is None
            if lacks and (self.cut_off or not stored(reading)):
                yield reading.identity.sequence
        for frame in self.arrived.refused:
            if frame.characteristic not in CONTROL_POINTS and frame.raw not in kept_aside:
                yield _number(frame)


Stored = Callable[[Reading], bool]
"""Whether a record is stored."""


def _number(frame: RefusedFrame) -> int | None:
    """The number that a frame of the Glucose Service begins with, after its flags (GLS §3.1.1)."""
    return int.from_bytes(frame.raw[1:3], "little") if len(frame.raw) > 2 else None

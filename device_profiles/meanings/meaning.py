"""What all families share: what a meaning is, what is known beside the bytes, how numbers and times go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from device_profiles.reading import UNKNOWN_DATE, Absent, DeviceTime, Kind, Measurand, Quantity, Reading
from device_profiles.wire import DateTime, Number, Special

NOBODY: Final = 255
"""The user index of a person whom the device does not know (BLS §3.1.1.6, WSS §3.2.1.4)."""

_ABSENT: Final[Mapping[Special, Absent]] = {
    Special.NAN: Absent.NOT_A_NUMBER,
    Special.NRES: Absent.NOT_AT_RESOLUTION,
    Special.POSITIVE_INFINITY: Absent.ABOVE_RANGE,
    Special.NEGATIVE_INFINITY: Absent.BELOW_RANGE,
    Special.RESERVED: Absent.RESERVED,
}
_MEASURED_IN: Final = range(1970, 2200)


class Heard(NamedTuple):
    """What is known beside the bytes of a measurement."""

    at: datetime | None = None
    """When it came, by the person's wall clock, taken as if UTC: the time of a device without a clock."""
    zone: tzinfo = UTC
    """The zone of that clock."""
    values: Mapping[int, bytes] = MappingProxyType({})
    """Of the characteristics that the profile says to read before the measurements come."""


NOT_HEARD: Final = Heard()


class Meaning(Protocol):
    """What the values of one characteristic mean."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Of the readings that come of them."""

    def parts(self, raw: bytes) -> tuple[bytes, ...]:
        """The measurements in a value, in its order: each is read, or refused, by itself."""

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The readings of one measurement. Raises MalformedMeasurement."""

    def continues(self, raw: bytes) -> bool:
        """Whether the rest of the measurement comes in another value, which is to be put behind this one."""


class InOneValue:
    """A meaning whose measurements are whole in each value, one in each."""

    __slots__ = ()

    def parts(self, raw: bytes) -> tuple[bytes, ...]:
        """The value itself."""
        return (raw,)

    def continues(self, raw: bytes) -> bool:
        """Never."""
        del raw
        return False


def quantity(of: Measurand, number: Number, unit: str) -> Quantity:
    """A number as written, or why there is none."""
    if isinstance(number, Decimal):
        return Quantity(of, number, unit)
    return Quantity(of, None, unit, _ABSENT[number])


def why_absent(special: Special) -> Absent:
    """What a special value says (IEEE 11073-20601)."""
    return _ABSENT[special]


def user(index: int | None) -> tuple[Quantity, ...]:
    """The quantity that says which person of the device it was; nothing where it does not know."""
    if index is None or index == NOBODY:
        return ()
    return (Quantity(Measurand.USER_INDEX, Decimal(index), "1"),)


def recorded_at(base: DateTime) -> datetime:
    """The time as written, as if UTC; a date that nobody can have measured on is as unknown as none."""
    written = base.as_if_utc()
    return UNKNOWN_DATE if written is None or written.year not in _MEASURED_IN else written


def when(timestamp: DateTime | None, heard: Heard) -> tuple[DeviceTime | None, datetime]:
    """What a device wrote of the time, and the time of the record: without a clock that of its reception.

    To the second, as devices write it: of what came at a fraction of one nothing depends on.
    """
    if timestamp is not None:
        return DeviceTime(timestamp), recorded_at(timestamp)
    return None, UNKNOWN_DATE if heard.at is None else heard.at.replace(microsecond=0)

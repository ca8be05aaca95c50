"""The dates of a search: what a value means as a stretch of time, and several of them together.

FHIR R4, search.html 3.1.1.4.7 and 3.1.1.5. A value is the whole stretch that its precision leaves open; a
reading's time is a moment. A date without a zone is meant by the person's own clock, as their days are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from fhir_mapping.errors import DateNotUnderstood
from fhir_mapping.times import MICROSECONDS

Stretch = tuple[int | None, int | None]
"""From the first to before the second, in microseconds since 1970 in UTC; None: not bounded."""

EVER: Final[Stretch] = (None, None)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VALUE: Final = re.compile(
    r"(?P<prefix>eq|ne|gt|lt|ge|le|sa|eb|ap)?"
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    # A plus sign that was not escaped in an address arrives as a space.
    r"(?P<zone>Z|[-+ ]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_NEARLY: Final = 10
"""`ap` takes in a tenth of the time between the value and now, as the specification proposes."""


def stretches_of(value: str, zone: tzinfo, now: datetime) -> list[Stretch]:
    """The times that one value lets in. `now`: aware. Raises DateNotUnderstood."""
    found = _VALUE.fullmatch(value)
    if found is None:
        raise DateNotUnderstood
    start, end = _meant(found.groupdict(), zone)
    prefix = found["prefix"] or "eq"
    if prefix == "ap":
        apart = abs(micros(now) - start) // _NEARLY
        return [(start - apart, None if end is None else end + apart)]
    after: list[Stretch] = [] if end is None else [(end, None)]
    meanings: dict[str, list[Stretch]] = {
        "eq": [(start, end)],
        "ne": [(None, start), *after],
        "ge": [(start, None)],
        "le": [(None, end)],
        "gt": after,
        "sa": after,
        "lt": [(None, start)],
        "eb": [(None, start)],
    }
    return meanings[prefix]


def _meant(said: dict[str, str | None], zone: tzinfo) -> tuple[int, int | None]:
    """The first moment of a value, and the first one after it: None beyond the calendar."""
    year, month, day = (int(said[name] or 1) for name in ("year", "month", "day"))
    hour, minute, second = (int(said[name] or 0) for name in ("hour", "minute", "second"))
    leap = second == 60  # the specification lets it through
    try:
        first = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=_zone(said["zone"], zone))
    except ValueError:
        raise DateNotUnderstood from None
    start = micros(first) + leap * MICROSECONDS
    fraction = said["fraction"]
    if fraction is not None:
        start += int(fraction[:6].ljust(6, "0"))
        return start, start + 10 ** max(0, 6 - len(fraction))
    if said["second"] is not None:
        return start, start + MICROSECONDS
    if said["hour"] is not None:
        return start, start + 60 * MICROSECONDS
    try:
        return start, micros(_next(first, said))
    except (OverflowError, ValueError):
        return start, None


def _next(first: datetime, said: dict[str, str | None]) -> datetime:
    """The begin of the next day, month or year: by the calendar, since a day can have 23 hours."""
    if said["day"] is not None:
        return first + timedelta(days=1)
    if said["month"] is not None and first.month < 12:
        return first.replace(month=first.month + 1)
    return first.replace(year=first.year + 1, month=1)


def _zone(said: str | None, usual: tzinfo) -> tzinfo:
    if said is None:
        return usual
    if said == "Z":
        return UTC
    hours, minutes = int(said[1:3]), int(said[4:6])
    if minutes > 59 or hours * 60 + minutes > 14 * 60:
        raise DateNotUnderstood
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if said[0] == "-" else offset)


def micros(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def either(stretches: Iterable[Stretch]) -> list[Stretch]:
    """All times of any of them: in order, apart from one another, none empty."""
    found: list[Stretch] = []
    for start, end in sorted(stretches, key=lambda one: (one[0] is not None, one[0] or 0)):
        if start is not None and end is not None and start >= end:
            continue
        last = found[-1][1] if found else None
        if found and (last is None or start is None or start <= last):
            found[-1] = (found[-1][0], None if last is None or end is None else max(last, end))
        else:
            found.append((start, end))
    return found


def both(some: Sequence[Stretch], others: Sequence[Stretch]) -> list[Stretch]:
    """The times in some of each. Both are as `either` gives them."""
    found: list[Stretch] = []
    mine, theirs = 0, 0
    while mine < len(some) and theirs < len(others):
        (start, end), (other_start, other_end) = some[mine], others[theirs]
        begins = [one for one in (start, other_start) if one is not None]
        ends = [one for one in (end, other_end) if one is not None]
        first, last = max(begins, default=None), min(ends, default=None)
        if first is None or last is None or first < last:
            found.append((first, last))
        if end is not None and (other_end is None or end <= other_end):
            mine += 1
        else:
            theirs += 1
    return found

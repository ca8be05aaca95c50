"""A stretch of whole days on a person's own calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Period:
    """From the first moment of `first` to the last of `last`, both days included, in `zone`."""

    first: date
    last: date
    zone: ZoneInfo

    @classmethod
    def ending(cls, last: date, days: int, zone: ZoneInfo) -> Period:
        """The `days` days that end with `last`."""
        return cls(last - timedelta(days=days - 1), last, zone)

    @property
    def start(self) -> datetime:
        """The first moment, in UTC."""
        return datetime.combine(self.first, time.min, self.zone).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """The first moment after the period, in UTC."""
        return datetime.combine(self.last + timedelta(days=1), time.min, self.zone).astimezone(UTC)

    @property
    def minutes(self) -> float:
        """Its length; a day on which the clocks change has 23 or 25 hours."""
        return (self.end - self.start) / timedelta(minutes=1)

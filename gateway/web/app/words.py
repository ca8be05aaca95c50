"""What the page says, in the person's language: sentences of the catalogue, numbers, days and times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from gateway.language import page_forms, page_text

LOCALES: Final = {"en": "en_GB", "fr": "fr_FR"}
"""Babel's name for each language: days and times as they are written in Europe."""


@dataclass(frozen=True, slots=True)
class Words:
    """How one person is spoken to."""

    language: str

    def t(self, sentence: str, **fields: object) -> str:
        """A sentence of the catalogue (context `page`), its {fields} filled."""
        text = page_text(sentence, self.language)
        return text.format(**fields) if fields else text

    def tn(self, one: str, many: str, count: int, **fields: object) -> str:
        """A sentence that counts; `{count}` is filled with the number as it is written."""
        text = page_forms(one, many, count, self.language)
        return text.format(count=self.number(count), **fields)

    def number(self, value: float, decimals: int = 0) -> str:
        """A number with so many decimals: 1,19."""
        pattern = "#,##0." + "0" * decimals if decimals else "#,##0"
        return format_decimal(value, pattern, locale=self._locale)

    def clock(self, moment: datetime) -> str:
        """The time of day that a moment's own zone shows: 08:05."""
        return format_time(moment, "HH:mm", locale=self._locale)

    def day(self, day: date, today: date) -> str:
        """A day as people say it: today, yesterday, else `Monday 3 March`, with the year of another year."""
        if day == today:
            return self.t("today")
        if day == today - timedelta(days=1):
            return self.t("yesterday")
        return format_date(day, "EEEE d MMMM" if day.year == today.year else "EEEE d MMMM y", self._locale)

    def short_day(self, day: date) -> str:
        """A day beside an arrow: Mon 2 Mar."""
        return format_date(day, "EEE d MMM", self._locale)

    def plain_day(self, day: date) -> str:
        """A day with its year, for what is kept: 2 March 2026."""
        return format_date(day, "d MMMM y", self._locale)

    def moment(self, moment: datetime, now: datetime) -> str:
        """A moment as people say it, both in the zone that counts: `yesterday at 21:10`."""
        said = self.day(moment.date(), now.date())
        return self.t("{day} at {time}", day=said, time=self.clock(moment))

    def ago(self, moment: datetime, now: datetime, zone: ZoneInfo) -> str:
        """How long ago that was, for something that keeps happening; a moment where it was long ago."""
        minutes = int((now - moment).total_seconds() // 60)
        if minutes < 1:
            return self.t("just now")
        if minutes < 60:
            return self.tn("{count} minute ago", "{count} minutes ago", minutes)
        return self.moment(moment.astimezone(zone), now.astimezone(zone))

    @property
    def _locale(self) -> str:
        return LOCALES.get(self.language, self.language)

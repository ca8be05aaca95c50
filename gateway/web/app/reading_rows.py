"""The readings of a day as the page lists them: by kind, each with what was said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from device_profiles.reading import UNKNOWN_TIME, Kind
from gateway.annotating import Listed
from gateway.web.app.details import beside, meal_in_full, short_doubt
from gateway.web.app.values import Reader, Shown, Tone, name_of
from gateway.web.app.words import Words

SENSOR: Final = Kind.INTERSTITIAL_GLUCOSE
"""A sensor's day has hundreds of readings: they are folded."""


@dataclass(frozen=True, slots=True)
class Row:
    """One reading in a list."""

    reading_id: str
    time: str
    value: str
    unit: str
    tone: Tone | None
    doubt: str
    meal: str
    note: str
    beside: list[tuple[str, str]]
    marks: list[str]
    """What keeps it from counting, or is asked of it, in words."""
    counts: bool


@dataclass(frozen=True, slots=True)
class OfKind:
    """The readings of one kind on a day, in order of time."""

    kind: Kind
    name: str
    rows: list[Row]
    summary: str
    """For a list that is folded; empty for one that is not."""


def of_day(listed: Listed, reader: Reader, *, undated: bool = False) -> list[OfKind]:
    """The readings by kind, glucose first; `undated`: only those of which nobody knows the time."""
    words = reader.words
    by_kind: dict[Kind, list[tuple[Row, Shown]]] = {}
    for number in range(len(listed.series)):
        if undated and int(listed.series.effective_time[number]) != UNKNOWN_TIME:
            continue
        shown = reader.shown(listed.series, number)
        by_kind.setdefault(shown.kind, []).append((row_of(listed, number, shown, words), shown))
    return [
        OfKind(kind, name_of(kind, words), [row for row, _ in found], _summary(kind, found, reader))
        for kind, found in sorted(by_kind.items())
    ]


def row_of(listed: Listed, number: int, shown: Shown, words: Words) -> Row:
    """One reading of a list."""
    told = listed.row(number)
    marks = [
        words.t("whose is it?") if told["asked"] else "",
        words.t("does not count") if told["excluded"] else "",
        words.t("not mine") if told["not_mine"] else "",
        words.t("given to {name}", name=told["moved_to"]) if told["moved_to"] else "",
    ]
    return Row(
        reading_id=told["id"],
        time="" if shown.at is None else words.clock(shown.at),
        value=shown.text,
        unit=shown.unit,
        tone=shown.tone,
        doubt=short_doubt(listed.series, number, words),
        meal=meal_in_full(told["meal"], told["of_meal"], words),
        note=told["note"] or "",
        beside=beside(listed.series, number, words),
        marks=[mark for mark in marks if mark],
        counts=not (told["excluded"] or told["not_mine"] or told["moved_to"]),
    )


def _summary(kind: Kind, found: list[tuple[Row, Shown]], reader: Reader) -> str:
    if kind is not SENSOR:
        return ""
    counted = [shown for row, shown in found if row.counts and shown.milligrams is not None]
    said = reader.words.tn("{count} reading", "{count} readings", len(found))
    if not counted:
        return said
    lowest, highest = (pick(counted, key=lambda each: each.milligrams or 0) for pick in (min, max))
    return reader.words.t(
        "{readings}, from {lowest} to {highest}", readings=said, lowest=lowest.full, highest=highest.full
    )

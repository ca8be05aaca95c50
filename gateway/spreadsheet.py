"""Readings as CSV, exact: for a spreadsheet, or for another program."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from device_profiles.reading import UNITS, UNKNOWN_DATE, UNKNOWN_TIME, Absent, Kind, ReadingSeries, TimeSource

COLUMNS = (
    "time",
    "time_source",
    "kind",
    "value",
    "unit",
    "meal",
    "note",
    "excluded",
    "device",
    "recorded_at",
    "sequence",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ABSENT = {
    Absent.BELOW_RANGE: "LO",
    Absent.ABOVE_RANGE: "HI",
    Absent.NOT_A_NUMBER: "",
    Absent.NOT_AT_RESOLUTION: "",
    Absent.RESERVED: "",
}
MEALS = {1: "before-meal", 2: "after-meal", 3: "fasting", 4: "casual", 5: "bedtime"}


def to_csv(series: ReadingSeries) -> str:
    """The columns of `COLUMNS`, a row a reading in order of time; times carry the person's offset to UTC."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in range(len(series)):
        device = series.devices.get(int(series.device_id[row]))
        context = series.contexts.get(row)
        writer.writerow(
            (
                time_of(series, row),
                TimeSource(int(series.time_source[row])).slug,
                Kind(int(series.kind[row])).slug,
                value_of(series, row),
                UNITS[int(series.unit[row])],
                MEALS.get(context.meal or 0, "") if context else "",
                _harmless(series.notes.get(row, "")),
                "yes" if series.excluded[row] else "",
                _harmless(" ".join(filter(None, (device.manufacturer, device.model)))) if device else "",
                recorded_of(series, row),
                int(series.sequence[row]),
            )
        )
    return text.getvalue()


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def recorded_of(series: ReadingSeries, row: int) -> str:
    """As the device wrote it, without a zone; empty where it knew no date."""
    recorded = _moment(int(series.recorded_at[row]))
    return "" if recorded == UNKNOWN_DATE else recorded.replace(tzinfo=None).isoformat()


def time_of(series: ReadingSeries, row: int) -> str:
    """When it was, with the person's offset to UTC; empty where nobody knows."""
    microseconds = int(series.effective_time[row])
    if microseconds == UNKNOWN_TIME:
        return ""
    offset = timezone(timedelta(minutes=int(series.utc_offset_minutes[row])))
    return _moment(microseconds).astimezone(offset).isoformat()


def value_of(series: ReadingSeries, row: int) -> str:
    """The first quantity exactly, or LO or HI; empty where there is none."""
    absent = int(series.absent[row])
    if absent:
        return _ABSENT[Absent(absent)]
    return format(Decimal(int(series.mantissa[row])).scaleb(int(series.exponent[row])), "f")


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text

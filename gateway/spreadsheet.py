"""Readings as CSV, exact: for a spreadsheet, or for another program."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.flags import flags_of
from device_profiles.reading import (
    UNITS,
    UNKNOWN_DATE,
    UNKNOWN_TIME,
    Absent,
    Context,
    Kind,
    Quantity,
    ReadingSeries,
    TimeSource,
)

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
    "further",
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
                _further(series, row),
            )
        )
    return text.getvalue()


ALL_COLUMNS = (
    *("id", "time", "time_source", "kind", "value", "unit", "further", "status"),
    *("meal", "carbohydrate_kg", "medication", "medication_value", "medication_unit", "exercise_seconds"),
    *("exercise_percent", "health", "tester", "hba1c_percent", "note", "excluded", "not_own"),
    *("device", "device_id", "recorded_at", "sequence", "ordinal"),
)
"""The columns of the table in an archive: nothing of a reading is left out."""


def all_rows(
    series: ReadingSeries, ids: Sequence[str], left_out: npt.NDArray[np.bool_]
) -> Iterator[tuple[object, ...]]:
    """The rows of `ALL_COLUMNS`. `left_out`: what the person said is not theirs. Shape: (n,)."""
    for row in range(len(series)):
        device = series.devices.get(int(series.device_id[row]))
        yield (
            ids[row],
            time_of(series, row),
            TimeSource(int(series.time_source[row])).slug,
            Kind(int(series.kind[row])).slug,
            value_of(series, row),
            UNITS[int(series.unit[row])],
            _further(series, row),
            " ".join(status(int(series.flags[row]), int(series.kind[row]), int(series.sample[row]))),
            *_context(series.contexts.get(row)),
            _harmless(series.notes.get(row, "")),
            "yes" if series.excluded[row] else "",
            "yes" if left_out[row] else "",
            _harmless(" ".join(filter(None, (device.manufacturer, device.model)))) if device else "",
            int(series.device_id[row]),
            recorded_of(series, row),
            int(series.sequence[row]),
            int(series.ordinal[row]),
        )


def _context(context: Context | None) -> tuple[object, ...]:
    if context is None:
        return ("",) * 10
    return (
        MEALS.get(context.meal or 0, ""),
        *(
            "" if value is None else value
            for value in (
                context.carbohydrate_kg,
                context.medication,
                context.medication_value,
                context.medication_unit,
                context.exercise_seconds,
                context.exercise_intensity_percent,
                context.health,
                context.tester,
                context.hba1c_percent,
            )
        ),
    )


def _further(series: ReadingSeries, row: int) -> str:
    """The quantities after the first, each by its name: `diastolic=79mm[Hg] pulse_rate=64/min`."""
    return " ".join(f"{each.of.name.lower()}={_number(each)}" for each in series.quantities.get(row, ()))


def _number(quantity: Quantity) -> str:
    value = "" if quantity.value is None else format(quantity.value, "f")
    return f"{value}{quantity.unit}"


def status(flags: int, kind: int, sample: int) -> list[str]:
    """The status flags of a reading by their names; one that has none by its number.

    `kind` and `sample` as in a ReadingSeries: they say what the bits mean.
    """
    meaning = flags_of(Kind(kind), sample)
    names = {int(flag): str(flag.name).lower().replace("_", "-") for flag in meaning}
    return [names.get(1 << bit, f"bit-{bit}") for bit in range(flags.bit_length()) if flags >> bit & 1]


def some_rows(series: ReadingSeries, rows: npt.NDArray[np.intp]) -> ReadingSeries:
    """Some of the rows, in this order."""
    if len(rows) == len(series):
        return series
    place = {row: number for number, row in enumerate(rows.tolist())}
    chosen: dict[str, Any] = {}
    for each in fields(series):
        value = getattr(series, each.name)
        if isinstance(value, np.ndarray):
            chosen[each.name] = value[rows]
        elif each.name in {"contexts", "quantities", "notes"}:
            chosen[each.name] = {place[row]: found for row, found in value.items() if row in place}
    return replace(series, **chosen)


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

"""Reads files of readings.

The `generic` format: a header `time,mg_dl` or `time,mmol_l`, then a row a reading. A row's own time enters
its key as it is written, never what a zone makes of it. Rows of the same time are told apart by their rank
(`ranked`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path

from device_profiles.errors import PasserelleError
from device_profiles.reading import (
    Absent,
    Device,
    DeviceIdentity,
    DeviceTime,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
)
from device_profiles.wire import DateTime
from gateway.file_errors import why

_UNITS = {"mg_dl": "mg/dL", "mmol_l": "mmol/L"}
_OUT_OF_RANGE = {
    "LO": Absent.BELOW_RANGE,
    "LOW": Absent.BELOW_RANGE,
    "HI": Absent.ABOVE_RANGE,
    "HIGH": Absent.ABOVE_RANGE,
}
# No meter and no sensor shows more; a larger number is a wrong column or a wrong unit.
_LARGEST = {"mg/dL": Decimal(1500), "mmol/L": Decimal(84)}
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_YEARS = range(1970, 2200)


class FileUnreadable(PasserelleError):
    """A file that cannot be read at all."""

    sentence = "{file} cannot be read: {why}. Nothing was stored."


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that was left out: its number in the file, the header being line 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class FileReadings:
    """What a file holds: its readings in the order of the file, not yet `ranked`, and what was left out."""

    device: Device
    readings: tuple[Reading, ...]
    refused: tuple[RefusedLine, ...]


def ranked(readings: Sequence[Reading], zone: tzinfo) -> tuple[Reading, ...]:
    """The readings with their sequence: the rank among those of equal time.

    A row that says again what another one said is the same reading and is left out, except in the hour that
    comes twice when the clocks of `zone` go back: there a time stands for two moments.
    """
    found: list[Reading] = []
    values: dict[datetime, list[bytes]] = {}
    for reading in readings:
        when = reading.identity.recorded_at
        same_time = values.setdefault(when, [])
        if reading.raw in same_time and not _comes_twice(when, zone):
            continue
        found.append(
            replace(reading, identity=RecordIdentity(when, len(same_time))) if same_time else reading
        )
        same_time.append(reading.raw)
    return tuple(found)


def _comes_twice(when: datetime, zone: tzinfo) -> bool:
    first, second = (when.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first is not None and second is not None and first > second


def read_generic(path: Path, kind: Kind) -> FileReadings:
    """Read a file of the generic format. Raises `FileUnreadable` when no row of it can be understood."""
    try:
        written = path.read_bytes()
    except OSError as error:
        raise FileUnreadable(file=path.name, why=why(error)) from None
    text = written.decode("utf-8-sig", errors="replace")  # a row with bytes of something else is named
    rows = _rows(text)
    header = [column.lower() for column in next(rows, (1, []))[1]]
    unit = _UNITS.get(header[1]) if len(header) == 2 and header[0] == "time" else None
    if unit is None:
        is_text = "\N{REPLACEMENT CHARACTER}" not in text
        header_missing = "its first line must be time,mg_dl or time,mmol_l"
        raise FileUnreadable(file=path.name, why=header_missing if is_text else "it is not text in UTF-8")
    device = Device(DeviceIdentity("file", f"generic/{kind.slug}"), model="generic file")
    readings: list[Reading] = []
    refused: list[RefusedLine] = []
    for line, row in rows:
        try:
            reading = _reading(row, kind, unit)
        except ValueError as error:
            refused.append(RefusedLine(line, str(error)))
        else:
            readings.append(reading)
    return FileReadings(device, tuple(readings), tuple(refused))


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with its number; a quote that is not closed ends with its line."""
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        try:
            (row,) = csv.reader([line.strip()]) if line.strip() else ([],)
        except csv.Error:
            row = [line]
        row = [cell.strip() for cell in row]
        if any(row):
            yield number, row


def _reading(row: list[str], kind: Kind, unit: str) -> Reading:
    """One row. Raises ValueError with a reason that repeats no value of the row."""
    if len(row) != 2:
        raise ValueError("a row has a time and a value, separated by one comma")
    when = _time(row[0])
    quantity = _quantity(row[1], unit)
    written = DateTime(when.year, when.month, when.day, when.hour, when.minute, when.second)
    canonical = quantity.absent.name if quantity.absent else str(quantity.value)
    return Reading(
        kind=kind,
        quantities=(quantity,),
        device_time=DeviceTime(written),
        identity=RecordIdentity(when, 0),
        raw=f"{canonical} {unit}".encode(),
    )


def _time(text: str) -> datetime:
    if not _TIME.fullmatch(text):
        raise ValueError("the time is not written as 2026-03-14T08:30:00 (local time, without a zone)")
    try:
        when = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("there is no such date or time") from None
    if when.year not in _YEARS:
        raise ValueError("no device wrote a reading in such a year")
    return when


def _quantity(text: str, unit: str) -> Quantity:
    absent = _OUT_OF_RANGE.get(text.upper())
    if absent is not None:
        return Quantity(Measurand.GLUCOSE, None, unit, absent)
    if not _NUMBER.fullmatch(text):
        raise ValueError("the value is not a number")
    value = Decimal(text)
    if not 0 < value <= _LARGEST[unit]:
        raise ValueError(f"no glucose value in {unit} is so small or so large")
    if value != round(value, 4):
        raise ValueError("the value has more decimals than a device can tell")
    return Quantity(Measurand.GLUCOSE, _canonical(value), unit)


def _canonical(value: Decimal) -> Decimal:
    """The number and nothing of how it was typed: 118, 118.0 and 1.18e2 are one value."""
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()

"""What differs from row to row, as columns of bytes: each distinct text is spelled once."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from device_profiles.reading import FIRST_MEASURAND, UNITS, Absent, Kind, Quantity, ReadingSeries
from fhir_mapping import components, times
from fhir_mapping.identifiers import PHD_EPOCH_SECONDS
from fhir_mapping.templates import Template
from fhir_mapping.text import members


def taken(table: Sequence[bytes], which: npt.NDArray[np.intp]) -> list[bytes]:
    """The table's entry for each row."""
    if len(table) == 1:
        return [table[0]] * len(which)
    entries = np.empty(len(table), dtype=object)
    entries[:] = table
    return list(entries[which].tolist())


def spelled(numbers: npt.NDArray[np.integer]) -> list[bytes]:
    """Whole numbers in digits: those of the list's own text, which is quicker than one by one."""
    return repr(numbers.tolist())[1:-1].encode().split(b", ")


def phd_seconds(
    series: ReadingSeries, which: npt.NDArray[np.intp], templates: Sequence[Template]
) -> list[bytes]:
    """The timestamp part of the PHD identifier: seconds since 2000, as the device wrote its time."""
    if not any(template.phd for template in templates):
        return [b""] * len(series)
    seconds, fraction = np.divmod(series.recorded_at, times.MICROSECONDS)
    column = spelled(seconds - PHD_EPOCH_SECONDS)
    for row in np.flatnonzero(fraction).tolist():
        column[row] += b".%06d" % fraction[row]
    if not all(template.phd for template in templates):
        for row, template in enumerate(which.tolist()):
            if not templates[template].phd:
                column[row] = b""
    return column


def wall_clocks(series: ReadingSeries, timed: npt.NDArray[np.bool_]) -> list[bytes]:
    """The effective time as the person's clock showed it; empty where no time is known."""
    local = series.effective_time + times.own_offsets(series) * (60 * times.MICROSECONDS)
    column = times.wall_clock(np.where(timed, local, 0))
    for row in np.flatnonzero(~timed).tolist():
        column[row] = b""
    return column


def first_quantity(series: ReadingSeries, row: int) -> Quantity:
    """The quantity that the columns of a series hold for a row."""
    return _quantity(
        int(series.kind[row]),
        int(series.mantissa[row]),
        int(series.exponent[row]),
        int(series.unit[row]),
        int(series.absent[row]),
    )


def _quantity(kind: int, mantissa: int, exponent: int, unit: int, absent: int) -> Quantity:
    return Quantity(
        FIRST_MEASURAND[Kind(kind)],
        None if absent else Decimal(f"{mantissa}E{exponent}"),
        UNITS[unit],
        Absent(absent) if absent else None,
    )


def values(series: ReadingSeries, which: npt.NDArray[np.intp], templates: Sequence[Template]) -> list[bytes]:
    """The members that say each row's value; none where all quantities are components."""
    packed = (which.astype(np.int64) << 8) | (series.exponent.astype(np.int64) & 0xFF)
    packed = (packed << 3) | series.absent
    packed = (packed << 32) | (series.mantissa.astype(np.int64) & 0xFFFFFFFF)
    _, first, distinct = np.unique(packed, return_index=True, return_inverse=True)
    rows = (series.kind, series.mantissa, series.exponent, series.unit, series.absent)
    numbers = zip(*(column[first].tolist() for column in rows), strict=True)
    spoken = (templates[place].row for place in which[first].tolist())
    return taken(
        [b"" if row.panel else _value(*one, row.unit_text) for one, row in zip(numbers, spoken, strict=True)],
        distinct,
    )


@lru_cache(maxsize=8192)
def _value(kind: int, mantissa: int, exponent: int, unit: int, absent: int, unit_text: str) -> bytes:
    return members(components.value(_quantity(kind, mantissa, exponent, unit, absent), unit_text))

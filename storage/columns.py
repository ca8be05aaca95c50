"""Readings as columns: the table `reading` as numpy arrays, and as the bytes of a binary COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, DeviceTime, Quantity, Reading, Sample
from storage.arrays import EPOCH_MICROSECONDS
from storage.errors import ValueNotStorable

NO_SAMPLE = -1
NO_OFFSET = -32768
"""Stand for none in columns without nulls: a null would make every row eight bytes longer."""

_UNIT = {code: index for index, code in enumerate(UNITS)}
_INT4 = np.iinfo(np.int32)
_INT2 = np.iinfo(np.int16)

_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER = b"\xff\xff"
_COPY_COLUMNS = (
    ("recorded_at", ">i8"),
    ("patient_id", ">i4"),
    ("sequence", ">i4"),
    ("mantissa", ">i4"),
    ("flags", ">i4"),
    ("device_id", ">i2"),
    ("ordinal", ">i2"),
    ("kind", ">i2"),
    ("exponent", ">i2"),
    ("unit", ">i2"),
    ("absent", ">i2"),
    ("sample", ">i2"),
    ("offset_minutes", ">i2"),
)
_COPY_BLOCK = 1024
"""Rows that are sent at a time: the server works on one block while the next is made."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Readings of one device, a row each. Times in microseconds since 1970 in UTC."""

    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]
    mantissa: npt.NDArray[np.int32]
    flags: npt.NDArray[np.int32]
    ordinal: npt.NDArray[np.int16]
    kind: npt.NDArray[np.int16]
    exponent: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int16]
    absent: npt.NDArray[np.int16]
    sample: npt.NDArray[np.int16]
    offset_minutes: npt.NDArray[np.int16]
    raw: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.raw)

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> Columns:
        """The columns of readings, every `ordinal` 0. Raises ValueNotStorable."""
        numbers = [stored_number(reading.quantities[0]) for reading in readings]
        mantissa, exponent, unit, absent = zip(*numbers, strict=True) if numbers else ((), (), (), ())
        count = len(readings)
        try:
            return cls(
                recorded_at=microseconds([reading.identity.recorded_at for reading in readings]),
                sequence=np.array([reading.identity.sequence for reading in readings], np.int32),
                mantissa=np.array(mantissa, np.int32),
                flags=np.fromiter([reading.flags for reading in readings], np.int32, count),
                ordinal=np.zeros(count, np.int16),
                kind=np.fromiter([reading.kind for reading in readings], np.int16, count),
                exponent=np.array(exponent, np.int16),
                unit=np.array(unit, np.int16),
                absent=np.array(absent, np.int16),
                sample=np.array([_sample(reading.sample) for reading in readings], np.int16),
                offset_minutes=np.array([_offset(reading.device_time) for reading in readings], np.int16),
                raw=[reading.raw for reading in readings],
            )
        except OverflowError:
            raise ValueNotStorable from None

    def take(self, rows: npt.NDArray[np.intp], ordinal: npt.NDArray[np.int16]) -> Columns:
        """Some of the rows in this order, under these ordinals."""
        arrays = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "raw"}
        arrays["ordinal"] = ordinal
        return Columns(**arrays, raw=[self.raw[row] for row in rows.tolist()])

    def copied(self, patient_id: int, device_id: int) -> Iterator[bytes]:
        """The input of `COPY reading FROM STDIN (FORMAT binary)` in parts, columns in the table's order."""
        yield _COPY_HEADER
        lengths = np.fromiter(map(len, self.raw), np.int32, len(self))
        for begin in range(0, len(self), _COPY_BLOCK):
            block = np.arange(begin, min(begin + _COPY_BLOCK, len(self)))
            for length in np.unique(lengths[block]).tolist():
                yield self._copied(block[lengths[block] == length], length, patient_id, device_id)
        yield _COPY_TRAILER

    def _copied(self, chosen: npt.NDArray[np.intp], length: int, patient_id: int, device_id: int) -> bytes:
        """Rows whose last column has one length, so that they are an array too."""
        rows = np.zeros(len(chosen), _copy_row(length))
        rows["count"] = len(_COPY_COLUMNS) + 1
        for name, kind in _COPY_COLUMNS:
            rows[f"{name}_length"] = np.dtype(kind).itemsize
            if name not in {"patient_id", "device_id", "recorded_at"}:
                rows[name] = getattr(self, name)[chosen]
        rows["recorded_at"] = self.recorded_at[chosen] - EPOCH_MICROSECONDS
        rows["patient_id"] = patient_id
        rows["device_id"] = device_id
        rows["raw_length"] = length
        if length:
            rows["raw"] = np.frombuffer(b"".join([self.raw[row] for row in chosen.tolist()]), f"V{length}")
        return rows.tobytes()


@cache
def _copy_row(length: int) -> np.dtype[np.void]:
    """One row of the binary COPY: how many columns, then each one's length and bytes in network order."""
    columns = [part for name, kind in _COPY_COLUMNS for part in ((f"{name}_length", ">i4"), (name, kind))]
    return np.dtype([("count", ">i2"), *columns, ("raw_length", ">i4"), ("raw", f"V{length}")])


def microseconds(times: Iterable[datetime]) -> npt.NDArray[np.int64]:
    """Aware datetimes as microseconds since 1970 in UTC; a float holds them until 2242."""
    seconds = np.array([time.timestamp() for time in times], np.float64)
    return np.rint(seconds * 1e6).astype(np.int64)


def moment(time: int) -> datetime:
    """Microseconds since 1970 as an aware datetime."""
    return datetime.fromtimestamp(time // 1_000_000, UTC).replace(microsecond=time % 1_000_000)


def stored_number(quantity: Quantity) -> tuple[int, int, int, int]:
    """(mantissa, exponent, index of the unit, absent or 0). Raises ValueNotStorable."""
    unit = _UNIT.get(quantity.unit)
    if unit is None:
        raise ValueNotStorable
    if quantity.value is None:
        return 0, 0, unit, int(quantity.absent or 0)
    # By its text, since 5.5 and 5.50 are equal and hash alike, but are written with other digits.
    mantissa, exponent = _parts(str(quantity.value))
    return mantissa, exponent, unit, 0


@lru_cache(maxsize=8192)
def _parts(number: str) -> tuple[int, int]:
    """A decimal number as mantissa and exponent that fit their columns."""
    value = Decimal(number)
    for candidate in (value, value.normalize()):
        sign, digits, exponent = candidate.as_tuple()
        if not isinstance(exponent, int):
            break
        mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
        if abs(mantissa) <= _INT4.max and abs(exponent) <= _INT2.max:
            return mantissa, exponent
    raise ValueNotStorable


def _sample(sample: Sample | None) -> int:
    return NO_SAMPLE if sample is None else sample.type | sample.location << 4


def _offset(time: DeviceTime | None) -> int:
    return NO_OFFSET if time is None or time.offset_minutes is None else time.offset_minutes

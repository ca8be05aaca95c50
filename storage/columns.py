"""Readings as columns: the table `reading` as numpy arrays, and as the bytes of a binary COPY."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, Quantity, Reading
from storage.arrays import EPOCH_MICROSECONDS
from storage.errors import ValueNotStorable

NO_SAMPLE = -1
NO_OFFSET = -32768
"""Stand for none in columns without nulls: a null would make every row eight bytes longer."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
_COPY_ROW = np.dtype(
    [("count", ">i2")]
    + [part for name, kind in _COPY_COLUMNS for part in ((f"{name}_length", ">i4"), (name, kind))]
    + [("raw_length", ">i4")]
)
"""One row of the binary COPY up to its last column, whose bytes follow."""


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
        try:
            return cls(
                recorded_at=microseconds(reading.identity.recorded_at for reading in readings),
                sequence=np.array([reading.identity.sequence for reading in readings], np.int32),
                mantissa=np.array(mantissa, np.int32),
                flags=np.array([reading.flags for reading in readings], np.int32),
                ordinal=np.zeros(len(readings), np.int16),
                kind=np.array([reading.kind for reading in readings], np.int16),
                exponent=np.array(exponent, np.int16),
                unit=np.array(unit, np.int16),
                absent=np.array(absent, np.int16),
                sample=np.array([_sample(reading) for reading in readings], np.int16),
                offset_minutes=np.array([_offset(reading) for reading in readings], np.int16),
                raw=[reading.raw for reading in readings],
            )
        except OverflowError:
            raise ValueNotStorable from None

    def take(self, rows: npt.NDArray[np.intp], ordinal: npt.NDArray[np.int16]) -> Columns:
        """Some of the rows in this order, under these ordinals."""
        arrays = {f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "raw"}
        arrays["ordinal"] = ordinal
        return Columns(**arrays, raw=[self.raw[row] for row in rows.tolist()])

    def copied(self, patient_id: int, device_id: int) -> bytes:
        """The whole input of `COPY reading FROM STDIN (FORMAT binary)`, columns in the table's order."""
        rows = np.empty(len(self), _COPY_ROW)
        rows["count"] = len(_COPY_COLUMNS) + 1
        for name, kind in _COPY_COLUMNS:
            rows[f"{name}_length"] = np.dtype(kind).itemsize
            if name not in {"patient_id", "device_id", "recorded_at"}:
                rows[name] = getattr(self, name)
        rows["recorded_at"] = self.recorded_at - EPOCH_MICROSECONDS
        rows["patient_id"] = patient_id
        rows["device_id"] = device_id
        rows["raw_length"] = np.fromiter(map(len, self.raw), np.int32, len(self))
        size, fixed = _COPY_ROW.itemsize, rows.tobytes()
        parts = [_COPY_HEADER]
        for row, raw in enumerate(self.raw):
            parts += (fixed[row * size : (row + 1) * size], raw)
        return b"".join((*parts, _COPY_TRAILER))


def microseconds(times: Iterable[datetime]) -> npt.NDArray[np.int64]:
    """Aware datetimes as microseconds since 1970 in UTC; a float holds them until 2242."""
    seconds = np.array([(time - _EPOCH).total_seconds() for time in times], np.float64)
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


def _sample(reading: Reading) -> int:
    sample = reading.sample
    return NO_SAMPLE if sample is None else sample.type | sample.location << 4


def _offset(reading: Reading) -> int:
    time = reading.device_time
    return NO_OFFSET if time is None or time.offset_minutes is None else time.offset_minutes

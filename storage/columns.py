"""Readings as columns: the table `reading` as numpy arrays, and as the bytes of a binary COPY."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, Absent, Quantity, Reading, Sample
from storage.arrays import EPOCH_MICROSECONDS
from storage.errors import ValueNotStorable

NO_SAMPLE = -1
NO_OFFSET = -32768
"""Stand for none in columns without nulls: a null would make every row eight bytes longer."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EXACT_SECONDS = 2.0**32
"""Below it, from 1834 to 2105, a float of seconds tells microseconds apart."""

_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""0001-01-01 and the end of 9999-12-31."""

_LIMITS = {
    "recorded_at": (_FIRST, _LAST),
    "exponent": (-128, 127),
    "unit": (0, len(UNITS) - 1),
    "absent": (0, 255),
    "kind": (0, 32767),
    "sample": (NO_SAMPLE, 32767),
    "ordinal": (0, 32767),
}
"""Where a column takes less than its type: what is read back shares bytes."""

Rows: TypeAlias = slice | npt.NDArray[np.intp]
"""Some rows of a batch."""

Value = TypeVar("Value")
Number = TypeVar("Number", np.int16, np.int32)

_UNIT = {code: index for index, code in enumerate(UNITS)}
_INT4 = np.iinfo(np.int32)
_INT1 = np.iinfo(np.int8)

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"
_TYPES = {
    "recorded_at": ">i8",
    "patient_id": ">i4",
    "sequence": ">i4",
    "mantissa": ">i4",
    "flags": ">i4",
    "device_id": ">i2",
    "ordinal": ">i2",
    "kind": ">i2",
    "exponent": ">i2",
    "unit": ">i2",
    "absent": ">i2",
    "sample": ">i2",
    "offset_minutes": ">i2",
}
COPY_COLUMNS = tuple(_TYPES)
"""What the statement `copy` takes before `raw`."""

SPARSE_COLUMNS = ("recorded_at", "patient_id", "sequence", "mantissa", "device_id", "kind", "unit")
"""What the statement `copy_sparse` takes before `raw`."""


@dataclass(frozen=True, slots=True, eq=False)
class RecordKeys:
    """What tells a device's records apart, a row each. Times in microseconds since 1970 in UTC."""

    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.sequence)

    def take(self, rows: Rows) -> RecordKeys:
        """Some of the keys, in this order."""
        return RecordKeys(self.recorded_at[rows], self.sequence[rows])

    def strictly_ordered(self) -> bool:
        """Whether each key is above the one before it: no two are one, told without looking at each."""
        step = np.diff(self.recorded_at)
        return bool(np.all((step > 0) | ((step == 0) & (np.diff(self.sequence) > 0))))

    @classmethod
    def of(cls, readings: Sequence[Reading], recorded_at: npt.NDArray[np.int64]) -> RecordKeys:
        """The keys of readings of these times. Raises ValueNotStorable."""
        try:
            sequence = np.array([reading.identity.sequence for reading in readings], np.int32)
        except OverflowError:
            raise ValueNotStorable from None
        return cls(recorded_at, sequence)


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
    def pack(
        cls,
        raw: Sequence[bytes],
        *,
        ordinal: npt.ArrayLike = 0,
        flags: npt.ArrayLike = 0,
        sample: npt.ArrayLike = NO_SAMPLE,
        offset_minutes: npt.ArrayLike = NO_OFFSET,
        **columns: npt.ArrayLike,
    ) -> Columns:
        """Columns from lists, arrays of whole numbers, or one number for all rows.

        `columns`: recorded_at (microseconds), sequence, mantissa, exponent, kind, unit (index into UNITS),
        absent (0 where there is a value). Raises ValueNotStorable for a number that its column cannot hold.
        """
        columns |= {"ordinal": ordinal, "flags": flags, "sample": sample, "offset_minutes": offset_minutes}
        packed = {name: _packed(name, values, len(raw)) for name, values in columns.items()}
        return cls(**packed, raw=raw)

    def keys(self) -> RecordKeys:
        """What tells the records apart, their ordinals left out."""
        return RecordKeys(self.recorded_at, self.sequence)

    @classmethod
    def of(cls, readings: Sequence[Reading], keys: RecordKeys) -> Columns:
        """The columns of readings that have these keys, every `ordinal` 0. Raises ValueNotStorable."""
        numbers = Numbers.of([reading.quantities[0] for reading in readings])
        offsets = [
            None if (time := reading.device_time) is None else time.offset_minutes for reading in readings
        ]
        try:
            return cls(
                recorded_at=keys.recorded_at,
                sequence=keys.sequence,
                mantissa=numbers.mantissa,
                flags=_column([reading.flags for reading in readings], int, np.int32),
                ordinal=np.zeros(len(readings), np.int16),
                kind=_column([reading.kind for reading in readings], int, np.int16),
                exponent=numbers.exponent,
                unit=numbers.unit,
                absent=numbers.absent,
                sample=_column([reading.sample for reading in readings], _sample, np.int16),
                offset_minutes=_column(offsets, _offset, np.int16),
                raw=[reading.raw for reading in readings],
            )
        except OverflowError:
            raise ValueNotStorable from None

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """One after the other; at least one."""
        if len(parts) == 1:
            return parts[0]
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
        return cls(**arrays, raw=[raw for part in parts for raw in part.raw])

    def under(self, ordinal: npt.NDArray[np.int16]) -> Columns:
        """The same rows under these ordinals."""
        return replace(self, ordinal=ordinal)

    def take(self, rows: Rows) -> Columns:
        """Some of the rows, in this order."""
        return Columns(**{name: getattr(self, name)[rows] for name in _ARRAYS}, raw=some(self.raw, rows))

    def sparse(self) -> bool:
        """Whether all columns but SPARSE_COLUMNS hold their defaults, so that they need not be copied."""
        zeros = (self.flags, self.ordinal, self.exponent, self.absent)
        return not (
            any(column.any() for column in zeros)
            or np.any(self.sample != NO_SAMPLE)
            or np.any(self.offset_minutes != NO_OFFSET)
        )

    def copied(self, patient_id: int, device_id: int, columns: Sequence[str]) -> bytes:
        """The rows as a binary COPY wants them between COPY_HEADER and COPY_TRAILER.

        `columns`: COPY_COLUMNS or SPARSE_COLUMNS; `raw` follows them.
        """
        keys = {"patient_id": patient_id, "device_id": device_id}
        lengths = list(map(len, self.raw))
        if lengths.count(lengths[0]) == len(lengths):  # a sensor's are all alike, which is seen at once
            return self._copied(slice(None), self.raw, keys, columns)
        places = [np.flatnonzero(np.array(lengths) == length) for length in sorted(set(lengths))]
        return b"".join(self._copied(place, some(self.raw, place), keys, columns) for place in places)

    def _copied(
        self,
        rows: Rows,
        raw: Sequence[bytes],
        keys: Mapping[str, int],
        columns: Sequence[str],
    ) -> bytes:
        """Rows whose `raw` have one length, as a binary COPY wants them."""
        length = len(raw[0])
        array = np.repeat(_copy_row(length, tuple(columns)), len(raw))
        for name in columns:
            array[name] = keys[name] if name in keys else getattr(self, name)[rows]
        array["recorded_at"] -= EPOCH_MICROSECONDS
        if length:
            array["raw"] = np.frombuffer(b"".join(raw), f"V{length}")
        return array.tobytes()


_ARRAYS = tuple(field.name for field in fields(Columns) if field.name != "raw")


def some(values: Sequence[Value], rows: Rows) -> Sequence[Value]:
    """These rows of something that is no array."""
    return values[rows] if isinstance(rows, slice) else [values[row] for row in rows.tolist()]


@cache
def _copy_row(length: int, columns: Sequence[str]) -> npt.NDArray[np.void]:
    """One row of the binary COPY: how many columns, then each one's length and bytes in network order."""
    parts = [part for name in columns for part in ((f"{name}_length", ">i4"), (name, _TYPES[name]))]
    row = np.zeros(1, [("count", ">i2"), *parts, ("raw_length", ">i4"), ("raw", f"V{length}")])
    row["count"] = len(columns) + 1
    row["raw_length"] = length
    for name in columns:
        row[f"{name}_length"] = np.dtype(_TYPES[name]).itemsize
    return row


def microseconds(times: Iterable[datetime]) -> npt.NDArray[np.int64]:
    """Aware datetimes as microseconds since 1970 in UTC, exactly."""
    moments = list(times)
    seconds = np.fromiter(map(datetime.timestamp, moments), np.float64, len(moments))
    if np.all(np.abs(seconds) < _EXACT_SECONDS):
        return np.rint(seconds * 1e6).astype(np.int64)
    return np.array(list(map(microsecond, moments)), np.int64)


def microsecond(time: datetime) -> int:
    """One aware datetime as microseconds since 1970 in UTC, exactly."""
    return (time - _EPOCH) // _MICROSECOND


def moment(time: int) -> datetime:
    """Microseconds since 1970 as an aware datetime; a time beyond the calendar becomes its first or last."""
    time = min(max(time, _FIRST), _LAST)
    return datetime.fromtimestamp(time // 1_000_000, UTC).replace(microsecond=time % 1_000_000)


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Quantities, a row each: mantissa × 10^exponent in UNITS[unit], or `absent`."""

    mantissa: npt.NDArray[np.int32]
    exponent: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int16]
    absent: npt.NDArray[np.int16]

    @classmethod
    def of(cls, quantities: Sequence[Quantity]) -> Numbers:
        """Every number digit by digit. Raises ValueNotStorable."""
        count = len(quantities)
        # By their texts, since 5.5 and 5.50 are equal and hash alike, but are written with other digits. Few
        # numbers occur, often.
        texts = list(map(str, [quantity.value for quantity in quantities]))
        parts = {text: _parts(text) for text in set(texts)}
        mantissas = {text: mantissa for text, (mantissa, _) in parts.items()}
        exponents = {exponent for _, exponent in parts.values()}
        if len(exponents) == 1:
            exponent = np.full(count, exponents.pop(), np.int16)
        else:
            exponent = np.fromiter((parts[text][1] for text in texts), np.int16, count)
        try:
            unit = _column([quantity.unit for quantity in quantities], _UNIT.__getitem__, np.int16)
        except KeyError:
            raise ValueNotStorable from None
        return cls(
            mantissa=np.fromiter(map(mantissas.__getitem__, texts), np.int32, count),
            exponent=exponent,
            unit=unit,
            absent=_column([quantity.absent for quantity in quantities], _absent, np.int16),
        )


@lru_cache(maxsize=8192)
def _parts(number: str) -> tuple[int, int]:
    """The text of a decimal number, or of None, as mantissa and exponent that fit their columns."""
    if number == "None":
        return 0, 0
    value = Decimal(number)
    for candidate in (value, value.normalize()):
        sign, digits, exponent = candidate.as_tuple()
        if not isinstance(exponent, int):
            break
        mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
        if abs(mantissa) <= _INT4.max and _INT1.min <= exponent <= _INT1.max:
            return mantissa, exponent
    raise ValueNotStorable


def _packed(name: str, values: npt.ArrayLike, count: int) -> npt.NDArray[Any]:
    """Whole numbers as a column that holds each of them."""
    given = np.asarray(values)
    kind = np.dtype(_TYPES[name]).newbyteorder("=")
    least, most = _LIMITS.get(name, (int(np.iinfo(kind).min), int(np.iinfo(kind).max)))
    if given.size and (given.dtype.kind not in "iu" or given.min() < least or given.max() > most):
        raise ValueNotStorable
    packed = np.empty(count, kind)
    packed[:] = given
    return packed


def _column(values: list[Value], code: Callable[[Value], int], kind: type[Number]) -> npt.NDArray[Number]:
    """The codes of values. Most columns hold one value throughout, which is seen at once."""
    if values and values.count(values[0]) == len(values):
        return np.full(len(values), code(values[0]), kind)
    return np.fromiter(map(code, values), kind, len(values))


def _sample(sample: Sample | None) -> int:
    return NO_SAMPLE if sample is None else sample.type | sample.location << 4


def _offset(minutes: int | None) -> int:
    return NO_OFFSET if minutes is None else minutes


def _absent(reason: Absent | None) -> int:
    return 0 if reason is None else int(reason)

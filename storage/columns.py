"""Readings as columns: the table `reading` as numpy arrays, and as the bytes of a binary COPY."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
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

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT_SECONDS = 2.0**32
"""Below it, from 1834 to 2105, a float of seconds tells microseconds apart."""

_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""0001-01-01 and the end of 9999-12-31."""

_UNIT = {code: index for index, code in enumerate(UNITS)}
_INT4 = np.iinfo(np.int32)
_INT2 = np.iinfo(np.int16)

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER = b"\xff\xff"
COPY_COLUMNS = (
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


@dataclass(frozen=True, slots=True, eq=False)
class RecordKeys:
    """What tells a device's records apart, a row each. Times in microseconds since 1970 in UTC."""

    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.sequence)

    def take(self, rows: npt.NDArray[np.intp]) -> RecordKeys:
        """Some of the keys, in this order."""
        return RecordKeys(self.recorded_at[rows], self.sequence[rows])

    def strictly_ordered(self) -> bool:
        """Whether each key is above the one before it: no two are one, told without looking at each."""
        step = np.diff(self.recorded_at)
        return bool(np.all((step > 0) | ((step == 0) & (np.diff(self.sequence) > 0))))

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> RecordKeys:
        """The keys of readings. Raises ValueNotStorable."""
        try:
            sequence = np.array([reading.identity.sequence for reading in readings], np.int32)
        except OverflowError:
            raise ValueNotStorable from None
        return cls(microseconds([reading.identity.recorded_at for reading in readings]), sequence)


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
    def of(cls, readings: Sequence[Reading], keys: RecordKeys, ordinal: npt.NDArray[np.int16]) -> Columns:
        """The columns of readings that have these keys, under these ordinals. Raises ValueNotStorable."""
        count = len(readings)
        numbers = Numbers.of([reading.quantities[0] for reading in readings])
        samples = [reading.sample for reading in readings]
        times = [reading.device_time for reading in readings]
        try:
            return cls(
                recorded_at=keys.recorded_at,
                sequence=keys.sequence,
                mantissa=numbers.mantissa,
                flags=np.fromiter([reading.flags for reading in readings], np.int32, count),
                ordinal=ordinal,
                kind=np.fromiter([reading.kind for reading in readings], np.int16, count),
                exponent=numbers.exponent,
                unit=numbers.unit,
                absent=numbers.absent,
                sample=np.fromiter(map(_sample, samples), np.int16, count)
                if any(samples)
                else np.full(count, NO_SAMPLE, np.int16),
                offset_minutes=np.fromiter(map(_offset, times), np.int16, count)
                if any(times)
                else np.full(count, NO_OFFSET, np.int16),
                raw=[reading.raw for reading in readings],
            )
        except OverflowError:
            raise ValueNotStorable from None

    @classmethod
    def joined(cls, blocks: Sequence[Columns]) -> Columns:
        """Blocks one after the other; at least one."""
        if len(blocks) == 1:
            return blocks[0]
        names = [field.name for field in fields(cls) if field.name != "raw"]
        arrays = {name: np.concatenate([getattr(block, name) for block in blocks]) for name in names}
        return cls(**arrays, raw=[raw for block in blocks for raw in block.raw])

    def take(self, rows: npt.NDArray[np.intp]) -> Columns:
        """Some of the rows, in this order."""
        arrays = {
            field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "raw"
        }
        return Columns(**arrays, raw=[self.raw[row] for row in rows.tolist()])

    def copied(self, patient_id: int, device_id: int) -> bytes:
        """The rows as a binary COPY wants them between COPY_HEADER and COPY_TRAILER.

        Columns in the order of COPY_COLUMNS, `raw` last. Rows whose `raw` has one length are an array too.
        """
        lengths = np.fromiter(map(len, self.raw), np.int32, len(self))
        found = np.unique(lengths).tolist()
        alike = [self] if len(found) == 1 else [self.take(np.flatnonzero(lengths == each)) for each in found]
        return b"".join(
            part.rows(length, patient_id, device_id).tobytes()
            for part, length in zip(alike, found, strict=True)
        )

    def rows(self, length: int, patient_id: int, device_id: int) -> npt.NDArray[np.void]:
        """The same as an array, for rows whose `raw` has this length."""
        row = _copy_row(length).copy()
        row["patient_id"] = patient_id
        row["device_id"] = device_id
        rows = np.repeat(row, len(self))
        for name, _ in COPY_COLUMNS:
            if name not in {"patient_id", "device_id", "recorded_at"}:
                rows[name] = getattr(self, name)
        rows["recorded_at"] = self.recorded_at - EPOCH_MICROSECONDS
        if length:
            rows["raw"] = np.frombuffer(b"".join(self.raw), f"V{length}")
        return rows


@cache
def _copy_row(length: int) -> npt.NDArray[np.void]:
    """One row of the binary COPY: how many columns, then each one's length and bytes in network order."""
    columns = [part for name, kind in COPY_COLUMNS for part in ((f"{name}_length", ">i4"), (name, kind))]
    layout = [("count", ">i2"), *columns, ("raw_length", ">i4"), ("raw", f"V{length}")]
    row = np.zeros(1, layout)
    row["count"] = len(COPY_COLUMNS) + 1
    row["raw_length"] = length
    for name, kind in COPY_COLUMNS:
        row[f"{name}_length"] = np.dtype(kind).itemsize
    return row


def microseconds(times: Iterable[datetime]) -> npt.NDArray[np.int64]:
    """Aware datetimes as microseconds since 1970 in UTC, exactly."""
    moments = list(times)
    seconds = np.fromiter(map(datetime.timestamp, moments), np.float64, len(moments))
    if np.all(np.abs(seconds) < _EXACT_SECONDS):
        return np.rint(seconds * 1e6).astype(np.int64)
    return np.array([(moment - _EPOCH) // timedelta(microseconds=1) for moment in moments], np.int64)


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
        place = {text: index for index, text in enumerate(set(texts))}
        parts = np.array([_parts(text) for text in place], np.int32).reshape(-1, 2)
        mantissa, exponent = parts[np.fromiter(map(place.__getitem__, texts), np.intp, count)].T
        units = [quantity.unit for quantity in quantities]
        absent = [quantity.absent for quantity in quantities]
        try:
            codes = {unit: _UNIT[unit] for unit in set(units)}
        except KeyError:
            raise ValueNotStorable from None
        return cls(
            mantissa=mantissa,
            exponent=exponent.astype(np.int16),
            unit=np.fromiter(map(codes.__getitem__, units), np.int16, count),
            absent=np.fromiter([each or 0 for each in absent], np.int16, count)
            if any(absent)
            else np.zeros(count, np.int16),
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
        if abs(mantissa) <= _INT4.max and abs(exponent) <= _INT2.max:
            return mantissa, exponent
    raise ValueNotStorable


def _sample(sample: Sample | None) -> int:
    return NO_SAMPLE if sample is None else sample.type | sample.location << 4


def _offset(time: DeviceTime | None) -> int:
    return NO_OFFSET if time is None or time.offset_minutes is None else time.offset_minutes

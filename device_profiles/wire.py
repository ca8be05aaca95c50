"""The vocabulary of the wire: integers, decimal numbers, times and checksums; each reads and writes.

Everything is little-endian (Bluetooth Core, Vol 3 Part G §2.4), and every number is exact. What cannot be
read raises `MalformedMeasurement`, what cannot be written raises `ValueError`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, whatever its name
from typing import Final, NamedTuple

from device_profiles.errors import MalformedMeasurement
from device_profiles.medical_float import FLOAT, SFLOAT, MedicalFloat, Number, Special, plain

__all__ = [
    "FLOAT",
    "SFLOAT",
    "DateTime",
    "MedicalFloat",
    "Number",
    "Reader",
    "Special",
    "Writer",
    "crc16",
    "date_time",
    "date_time_of",
    "plain",
    "with_crc",
    "without_crc",
]


class DateTime(NamedTuple):
    """A date and a time of day without a zone; 0 in year, month or day: not known (GSS §3.70 Date Time)."""

    year: int
    month: int
    day: int
    hours: int
    minutes: int
    seconds: int

    @classmethod
    def decode(cls, raw: bytes) -> DateTime:
        """Read exactly seven bytes. Raises MalformedMeasurement."""
        reader = Reader(raw)
        moment = reader.date_time()
        reader.end()
        return moment

    @classmethod
    def of(cls, moment: datetime) -> DateTime:
        """The parts of `moment` as its own zone shows them."""
        return cls(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)

    def encode(self) -> bytes:
        """Write the seven bytes. Raises ValueError where a part is no part of any date or time."""
        try:
            return _DATE_TIME.pack(*date_time(*self))
        except (MalformedMeasurement, StructError) as beyond:
            raise ValueError(f"{self} is no date and time") from beyond

    def isoformat(self) -> str:
        """`2020-07-14T11:06:05`; unknown parts are zeros: `0000-00-00T18:26:32`."""
        year, month, day, hours, minutes, seconds = self
        return f"{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}"

    def as_if_utc(self) -> datetime | None:
        """The moment if these parts were UTC; None where the date is unknown or does not exist."""
        try:
            return datetime(*self, tzinfo=UTC)
        except ValueError:
            return None


_DATE_TIME: Final = Struct("<HBBBBB")


def date_time(year: int, month: int, day: int, hours: int, minutes: int, seconds: int) -> DateTime:
    """Make a DateTime of parts from outside. Raises MalformedMeasurement("invalid_value")."""
    if (
        hours > 23
        or minutes > 59
        or seconds > 59
        or month > 12
        or day > 31
        or (year and not 1582 <= year <= 9999)
    ):
        raise MalformedMeasurement("invalid_value")
    return tuple.__new__(DateTime, (year, month, day, hours, minutes, seconds))


def date_time_of(raw: bytes) -> DateTime:
    """The DateTime in seven bytes. Raises MalformedMeasurement("invalid_value")."""
    return date_time(*_DATE_TIME.unpack(raw))


class Reader:
    """Reads the fields of a characteristic one after the other, and never beyond its bytes.

    A field that is not there raises MalformedMeasurement("too_short"); bytes left over at `end` raise
    MalformedMeasurement("trailing_bytes").
    """

    __slots__ = ("_position", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = bytes(raw)
        self._position = 0

    @property
    def remaining(self) -> int:
        """How many bytes have not been read."""
        return len(self._raw) - self._position

    def take(self, size: int) -> bytes:
        """Read the next `size` bytes."""
        end = self._position + size
        if end > len(self._raw):
            raise MalformedMeasurement("too_short")
        taken = self._raw[self._position : end]
        self._position = end
        return taken

    def rest(self) -> bytes:
        """Read all that is left."""
        return self.take(self.remaining)

    def end(self) -> None:
        """Make sure that nothing is left."""
        if self.remaining:
            raise MalformedMeasurement("trailing_bytes")

    def unsigned(self, size: int) -> int:
        """Read an unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little")

    def signed(self, size: int) -> int:
        """Read a two's complement integer of `size` bytes."""
        return int.from_bytes(self.take(size), "little", signed=True)

    def uint8(self) -> int:
        """Read 0…255."""
        return self.unsigned(1)

    def uint16(self) -> int:
        """Read 0…65 535."""
        return self.unsigned(2)

    def uint24(self) -> int:
        """Read three bytes."""
        return self.unsigned(3)

    def uint32(self) -> int:
        """Read four bytes."""
        return self.unsigned(4)

    def uint40(self) -> int:
        """Read five bytes."""
        return self.unsigned(5)

    def uint48(self) -> int:
        """Read six bytes."""
        return self.unsigned(6)

    def int8(self) -> int:
        """Read −128…127."""
        return self.signed(1)

    def int16(self) -> int:
        """Read −32 768…32 767."""
        return self.signed(2)

    def nibbles(self) -> tuple[int, int]:
        """Read an octet as (its low four bits, its high four bits)."""
        octet = self.uint8()
        return octet & 0x0F, octet >> 4

    def sfloat(self) -> Number:
        """Read a 16-bit medical float."""
        return SFLOAT.numbers[self.unsigned(SFLOAT.size)]

    def float32(self) -> Number:
        """Read a 32-bit medical float."""
        return FLOAT.numbers[self.unsigned(FLOAT.size)]

    def date_time(self) -> DateTime:
        """Read seven bytes of date and time."""
        return date_time_of(self.take(_DATE_TIME.size))


class Writer:
    """Writes fields one after the other: the mirror of `Reader`. Each call returns the writer.

    A value that does not fit raises ValueError.
    """

    __slots__ = ("_raw",)

    def __init__(self) -> None:
        self._raw = bytearray()

    def done(self) -> bytes:
        """All that was written."""
        return bytes(self._raw)

    def put(self, raw: bytes) -> Writer:
        """Write bytes as they are."""
        self._raw += raw
        return self

    def unsigned(self, value: int, size: int) -> Writer:
        """Write an unsigned integer in `size` bytes."""
        return self._integer(value, size, signed=False)

    def signed(self, value: int, size: int) -> Writer:
        """Write a two's complement integer in `size` bytes."""
        return self._integer(value, size, signed=True)

    def _integer(self, value: int, size: int, *, signed: bool) -> Writer:
        try:
            return self.put(value.to_bytes(size, "little", signed=signed))
        except OverflowError as beyond:
            raise ValueError(f"{value} does not fit into {size} bytes") from beyond

    def uint8(self, value: int) -> Writer:
        """Write 0…255."""
        return self.unsigned(value, 1)

    def uint16(self, value: int) -> Writer:
        """Write 0…65 535."""
        return self.unsigned(value, 2)

    def uint24(self, value: int) -> Writer:
        """Write three bytes."""
        return self.unsigned(value, 3)

    def uint32(self, value: int) -> Writer:
        """Write four bytes."""
        return self.unsigned(value, 4)

    def uint40(self, value: int) -> Writer:
        """Write five bytes."""
        return self.unsigned(value, 5)

    def uint48(self, value: int) -> Writer:
        """Write six bytes."""
        return self.unsigned(value, 6)

    def int8(self, value: int) -> Writer:
        """Write −128…127."""
        return self.signed(value, 1)

    def int16(self, value: int) -> Writer:
        """Write −32 768…32 767."""
        return self.signed(value, 2)

    def nibbles(self, low: int, high: int) -> Writer:
        """Write two numbers of four bits in one octet."""
        if not (0 <= low <= 0x0F and 0 <= high <= 0x0F):
            raise ValueError("a nibble holds 0 to 15")
        return self.uint8(low | high << 4)

    def sfloat(self, number: Number) -> Writer:
        """Write a 16-bit medical float."""
        return self.put(SFLOAT.encode(number))

    def float32(self, number: Number) -> Writer:
        """Write a 32-bit medical float."""
        return self.put(FLOAT.encode(number))

    def date_time(self, moment: DateTime) -> Writer:
        """Write seven bytes of date and time."""
        return self.put(moment.encode())


def _crc_row(octet: int) -> int:
    for _ in range(8):
        octet = octet >> 1 ^ 0x8408 if octet & 1 else octet >> 1
    return octet


_CRC_TABLE: Final = tuple(_crc_row(octet) for octet in range(256))


def crc16(raw: bytes) -> int:
    """The E2E-CRC of `raw`: CRC-16/MCRF4XX, x¹⁶+x¹²+x⁵+1 reflected, seed 0xFFFF (CGMS §3.11)."""
    crc = 0xFFFF
    for octet in raw:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ octet) & 0xFF]
    return crc


def with_crc(raw: bytes) -> bytes:
    """`raw` followed by its E2E-CRC."""
    return raw + crc16(raw).to_bytes(2, "little")


def without_crc(raw: bytes) -> bytes:
    """What stands before the E2E-CRC. Raises MalformedMeasurement: `too_short`, `invalid_crc`."""
    if len(raw) < 2:
        raise MalformedMeasurement("too_short")
    body, crc = raw[:-2], int.from_bytes(raw[-2:], "little")
    if crc16(body) != crc:
        raise MalformedMeasurement("invalid_crc")
    return body

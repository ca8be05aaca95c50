"""The vocabulary of the wire: integers, decimal numbers, times and checksums; each reads and writes.

Everything is little-endian (Bluetooth Core, Vol 3 Part G §2.4). Numbers are exact: a medical float is a
decimal number, so it becomes a `Decimal` that keeps its exponent, or a `Special` that says why there is
none. What cannot be read raises `MalformedMeasurement`, what cannot be written raises `ValueError`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from struct import Struct
from typing import Final, NamedTuple

from device_profiles.errors import MalformedMeasurement


class Special(Enum):
    """Why a medical float has no value (IEEE 11073-20601 Annex F; PHD Transcoding §2.2)."""

    NAN = "NaN"
    NRES = "NRes"
    POSITIVE_INFINITY = "+INF"
    NEGATIVE_INFINITY = "-INF"
    RESERVED = "RFU"


Number = Decimal | Special

CACHED_NUMBERS: Final = 1 << 16
"""How many decoded numbers a format remembers: all SFLOATs, and the FLOATs met first."""


class _Numbers(dict[int, Number]):
    """What each raw word means, worked out once: most devices send the same few hundred numbers."""

    def __init__(self, exponent_bits: int, mantissa_bits: int) -> None:
        super().__init__()
        self._exponent_bits = exponent_bits
        self._mantissa_bits = mantissa_bits
        top = 1 << (mantissa_bits - 1)
        self.specials: dict[int, Special] = {
            top - 1: Special.NAN,
            top: Special.NRES,
            top - 2: Special.POSITIVE_INFINITY,
            top + 2: Special.NEGATIVE_INFINITY,
            top + 1: Special.RESERVED,
        }

    def __missing__(self, raw: int) -> Number:
        number: Number | None = self.specials.get(raw)
        if number is None:
            mantissa = _signed(raw & ((1 << self._mantissa_bits) - 1), self._mantissa_bits)
            exponent = _signed(raw >> self._mantissa_bits, self._exponent_bits)
            number = Decimal(f"{mantissa}E{exponent}")
        if len(self) < CACHED_NUMBERS:
            self[raw] = number
        return number


class MedicalFloat:
    """A decimal floating-point format: a signed exponent of ten above a signed mantissa.

    The five special values have the exponent 0 (PHD Transcoding §2.2.1, §2.2.2); the same mantissa under
    another exponent is a number.
    """

    def __init__(self, exponent_bits: int, mantissa_bits: int) -> None:
        self.size: Final = (exponent_bits + mantissa_bits) // 8
        self.numbers = _Numbers(exponent_bits, mantissa_bits)
        """Raw word → number; ask it directly where every microsecond counts."""
        self._raw_specials = {special: raw for raw, special in self.numbers.specials.items()}
        self._mantissa_bits = mantissa_bits
        self._mantissas = range(-(1 << (mantissa_bits - 1)), 1 << (mantissa_bits - 1))
        self._exponents = range(-(1 << (exponent_bits - 1)), 1 << (exponent_bits - 1))
        self._mantissa_mask = (1 << mantissa_bits) - 1
        self._word_mask = (1 << (exponent_bits + mantissa_bits)) - 1

    def decode(self, raw: bytes) -> Number:
        """The number in exactly `size` bytes. Raises MalformedMeasurement."""
        reader = Reader(raw)
        number = self.numbers[reader.unsigned(self.size)]
        reader.end()
        return number

    def encode(self, number: Number) -> bytes:
        """`size` bytes that mean exactly `number`. Raises ValueError where there are none."""
        return self.word(number).to_bytes(self.size, "little")

    def word(self, number: Number) -> int:
        """The raw word of `number`, with the number's own exponent where it fits, else the nearest to it."""
        if isinstance(number, Special):
            return self._raw_specials[number]
        sign, digits, exponent = number.as_tuple()
        if not isinstance(exponent, int):
            raise ValueError(f"{number} is written as a Special")  # noqa: TRY004 - it is a Decimal
        mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
        word = self._word(mantissa, exponent)
        if word is not None:
            return word
        own = exponent
        for exponent in sorted(self._exponents, key=lambda other: abs(other - own)):
            scaled = _scaled(mantissa, own - exponent)
            word = None if scaled is None else self._word(scaled, exponent)
            if word is not None:
                return word
        raise ValueError(f"no {8 * self.size}-bit medical float is exactly {number}")

    def _word(self, mantissa: int, exponent: int) -> int | None:
        if mantissa not in self._mantissas or exponent not in self._exponents:
            return None
        word = (exponent << self._mantissa_bits | mantissa & self._mantissa_mask) & self._word_mask
        return None if word in self.numbers.specials else word


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _scaled(mantissa: int, power: int) -> int | None:
    """Mantissa × 10^power where that is a whole number of a few digits, else None."""
    if mantissa == 0:
        return 0
    shift: int = 10 ** min(abs(power), 300)
    if power >= 0:
        return mantissa * shift
    quotient, rest = divmod(mantissa, shift)
    return None if rest else quotient


SFLOAT: Final = MedicalFloat(exponent_bits=4, mantissa_bits=12)
"""The 16-bit medical float (IEEE 11073-20601 SFLOAT-Type; PHD Transcoding §2.2.2)."""

FLOAT: Final = MedicalFloat(exponent_bits=8, mantissa_bits=24)
"""The 32-bit medical float (IEEE 11073-20601 FLOAT-Type; PHD Transcoding §2.2.1)."""


def plain(number: Number) -> float | int | str:
    """A number for JSON: an int or the nearest float, or the special value's name."""
    if isinstance(number, Special):
        return number.value
    value = float(number)
    return int(value) if value.is_integer() and abs(value) < 1 << 53 else value


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
        """Write the seven bytes."""
        return _DATE_TIME.pack(*self)

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
        return date_time(*_DATE_TIME.unpack(self.take(_DATE_TIME.size)))


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

"""Medical floats: the decimal numbers of IEEE 11073-20601, exact in both directions.

A medical float becomes a `Decimal` that keeps its exponent, so that it is written back as it was, or a
`Special` that says why there is no value.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import Final

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
        if len(raw) != self.size:
            raise MalformedMeasurement("too_short" if len(raw) < self.size else "trailing_bytes")
        return self.numbers[int.from_bytes(raw, "little")]

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

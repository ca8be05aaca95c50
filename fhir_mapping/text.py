"""JSON fragments: what is spelled once and joined many times."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

import orjson

_FURTHEST: Final = 400
"""The power of ten beyond which no number is: a float ends at 308."""
_NO_NUMBER: Final = Decimal("NaN")
_CONTROLS: Final = {code: " " for code in range(32) if chr(code) not in "\t\r\n"} | {127: " "}


def dumps(value: object) -> bytes:
    """JSON, in UTF-8, without spaces."""
    return orjson.dumps(value)


def members(value: dict[str, object]) -> bytes:
    """The members of an object, without its braces, each after a comma: to be put into another object."""
    return b"," + orjson.dumps(value)[1:-1] if value else b""


def decimal(value: Decimal) -> bytes:
    """A decimal as its digits say: 119, 6.6, 2.0. Never a float, never an exponent (HL7 PHD, "FLOATS")."""
    return format(value, "f").encode()


def number(value: Decimal) -> orjson.Fragment:
    """A decimal inside a larger JSON value."""
    return orjson.Fragment(decimal(value))


def clean(text: str | None) -> str | None:
    """A FHIR string: no control characters, no lone surrogates, no blank text; None where nothing is left."""
    if text is None:
        return None
    return text.encode("utf-8", "replace").decode().translate(_CONTROLS).strip() or None


def received_decimal(text: str) -> Decimal:
    """A JSON number exactly as it is written, for `json.loads(…, parse_float=received_decimal)`.

    NaN for one that is unreasonably large or small: 1E3000000 takes four bytes to send, and minutes as an
    integer. JSON holds no NaN, so whatever looks at it refuses it in its place.
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        return _NO_NUMBER
    return value if abs(value.adjusted()) <= _FURTHEST else _NO_NUMBER


def shifted(value: Decimal, power: int) -> Decimal:
    """Exactly value × 10^power, whatever its number of digits."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise TypeError("a finite number is needed")
    return Decimal((sign, digits, exponent + power))

"""The User Data Service 0x181C (UDS 1.1): whose measurements a shared device holds.

Most of its characteristics are one number or one text, so that they are a table here and not a class each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from device_profiles.errors import MalformedMeasurement
from device_profiles.wire import Reader, Writer

SERVICE: Final = 0x181C
DATABASE_CHANGE_INCREMENT: Final = 0x2A99
USER_INDEX: Final = 0x2A9A
USER_CONTROL_POINT: Final = 0x2A9F
DATE_OF_BIRTH: Final = 0x2A85
FIRST_NAME, LAST_NAME, EMAIL_ADDRESS, LANGUAGE = 0x2A8A, 0x2A90, 0x2A87, 0x2AA2
UNKNOWN_USER: Final = 0xFF


class Number(NamedTuple):
    """A characteristic of one unsigned number: its field's name with its unit, its size, and 10^exponent."""

    name: str
    size: int
    exponent: int = 0
    step: int = 1


NUMBERS: Final[Mapping[int, Number]] = MappingProxyType(
    {
        0x2A80: Number("age_years", 1),
        0x2A8C: Number("gender", 1),
        0x2A98: Number("weight_kg", 2, -3, 5),
        0x2A8E: Number("height_m", 2, -2),
        0x2A96: Number("vo2_max_ml_kg_min", 1),
        0x2A8D: Number("heart_rate_max_per_min", 1),
        0x2A92: Number("resting_heart_rate_per_min", 1),
        0x2A91: Number("maximum_recommended_heart_rate_per_min", 1),
        0x2A7E: Number("aerobic_heart_rate_lower_limit_per_min", 1),
        0x2A84: Number("aerobic_heart_rate_upper_limit_per_min", 1),
        0x2A7F: Number("aerobic_threshold_per_min", 1),
        0x2A81: Number("anaerobic_heart_rate_lower_limit_per_min", 1),
        0x2A82: Number("anaerobic_heart_rate_upper_limit_per_min", 1),
        0x2A83: Number("anaerobic_threshold_per_min", 1),
        0x2A88: Number("fat_burn_heart_rate_lower_limit_per_min", 1),
        0x2A89: Number("fat_burn_heart_rate_upper_limit_per_min", 1),
        0x2A93: Number("sport_type", 1),
        0x2A97: Number("waist_circumference_m", 2, -2),
        0x2A8F: Number("hip_circumference_m", 2, -2),
        DATABASE_CHANGE_INCREMENT: Number("database_change_increment", 4),
        USER_INDEX: Number("user_index", 1),
    }
)
"""GSS by name; the numbers of the Assigned Numbers document. `gender`: 0 male, 1 female, 2 unspecified."""

TEXTS: Final[Mapping[int, str]] = MappingProxyType(
    {FIRST_NAME: "first_name", LAST_NAME: "last_name", EMAIL_ADDRESS: "email_address", LANGUAGE: "language"}
)


def number(characteristic: int, raw: bytes) -> dict[str, object]:
    """The number of one of `NUMBERS`, by its name. Raises MalformedMeasurement."""
    row = NUMBERS[characteristic]
    reader = Reader(raw)
    value = reader.unsigned(row.size) * row.step
    reader.end()
    return {row.name: round(value * 10.0**row.exponent, -row.exponent) if row.exponent else value}


# GSS §3.63 Date of Birth, and UDS §3.1.1.6 Date of Threshold Assessment, which has the same fields
@dataclass(frozen=True, slots=True)
class Date:
    """A day; 0 in year, month or day: not known."""

    year: int
    month: int
    day: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        value = cls(reader.uint16(), reader.uint8(), reader.uint8())
        reader.end()
        if value.month > 12 or value.day > 31 or (value.year and not 1582 <= value.year <= 9999):
            raise MalformedMeasurement("invalid_value")
        return value

    def encode(self) -> bytes:
        """Write the four bytes. Raises ValueError where a part does not fit."""
        return Writer().uint16(self.year).uint8(self.month).uint8(self.day).done()

    def to_json(self) -> dict[str, object]:
        """`date`; unknown parts are zeros."""
        return {"date": f"{self.year:04}-{self.month:02}-{self.day:02}"}


class UserOpCode(IntEnum):
    """What a message of the User Control Point is (UDS §3.3.1)."""

    REGISTER_NEW_USER = 0x01
    CONSENT = 0x02
    DELETE_USER_DATA = 0x03
    LIST_ALL_USERS = 0x04
    DELETE_USER = 0x05
    RESPONSE = 0x20


# UDS §3.3 User Control Point
@dataclass(frozen=True, slots=True)
class UserControlMessage:
    """One message of either side, its parameter as written."""

    op: int
    parameter: bytes = b""

    @classmethod
    def register(cls, consent_code: int) -> Self:
        """Ask for a new user, who is let in by this code (0…9 999)."""
        return cls(UserOpCode.REGISTER_NEW_USER, Writer().uint16(consent_code).done())

    @classmethod
    def consent(cls, user_index: int, consent_code: int) -> Self:
        """Say who is there, and prove it."""
        return cls(UserOpCode.CONSENT, Writer().uint8(user_index).uint16(consent_code).done())

    @classmethod
    def answer(cls, request: int, code: int, parameter: bytes = b"") -> Self:
        """The device's answer; of a registration `parameter` is the new user's index."""
        return cls(UserOpCode.RESPONSE, bytes((request, code)) + parameter)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        op = reader.uint8()
        parameter = reader.rest()
        shortest = {UserOpCode.REGISTER_NEW_USER: 2, UserOpCode.CONSENT: 3, UserOpCode.RESPONSE: 2}
        if len(parameter) < shortest.get(op, 0):  # type: ignore[call-overload]
            raise MalformedMeasurement("too_short")
        return cls(op, parameter)

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where the op code does not fit."""
        return Writer().uint8(self.op).put(self.parameter).done()

    def to_json(self) -> dict[str, object]:
        """The op code, of an answer its request and code, and the rest as hexadecimal. No consent code."""
        if self.op == UserOpCode.RESPONSE:
            request, code, *rest = self.parameter
            return {"op": self.op, "request": request, "code": code, "parameter": bytes(rest).hex()}
        if self.op == UserOpCode.CONSENT:
            return {"op": self.op, "user_index": self.parameter[0]}
        return {"op": self.op}

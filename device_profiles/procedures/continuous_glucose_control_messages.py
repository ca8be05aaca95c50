"""The values of the CGM Specific Ops Control Point 0x2AAC (CGMS 1.0.2 §3.9)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from device_profiles.layout import crc_holds, crc_of, present, with_own_crc
from device_profiles.wire import Number, Reader, Writer, crc16, plain


class OpCode(IntEnum):
    """What a message is (Table 3.19)."""

    SET_COMMUNICATION_INTERVAL = 0x01
    GET_COMMUNICATION_INTERVAL = 0x02
    COMMUNICATION_INTERVAL = 0x03
    SET_CALIBRATION = 0x04
    GET_CALIBRATION = 0x05
    CALIBRATION = 0x06
    SET_PATIENT_HIGH = 0x07
    GET_PATIENT_HIGH = 0x08
    PATIENT_HIGH = 0x09
    SET_PATIENT_LOW = 0x0A
    GET_PATIENT_LOW = 0x0B
    PATIENT_LOW = 0x0C
    SET_HYPO = 0x0D
    GET_HYPO = 0x0E
    HYPO = 0x0F
    SET_HYPER = 0x10
    GET_HYPER = 0x11
    HYPER = 0x12
    SET_RATE_OF_DECREASE = 0x13
    GET_RATE_OF_DECREASE = 0x14
    RATE_OF_DECREASE = 0x15
    SET_RATE_OF_INCREASE = 0x16
    GET_RATE_OF_INCREASE = 0x17
    RATE_OF_INCREASE = 0x18
    RESET_DEVICE_SPECIFIC_ALERT = 0x19
    START_SESSION = 0x1A
    STOP_SESSION = 0x1B
    RESPONSE = 0x1C


class ResponseCode(IntEnum):
    """How a request ended (Table 3.23)."""

    SUCCESS = 1
    OP_CODE_NOT_SUPPORTED = 2
    INVALID_OPERAND = 3
    PROCEDURE_NOT_COMPLETED = 4
    PARAMETER_OUT_OF_RANGE = 5


INTERVALS: Final = frozenset({OpCode.SET_COMMUNICATION_INTERVAL, OpCode.COMMUNICATION_INTERVAL})
CALIBRATIONS: Final = frozenset({OpCode.SET_CALIBRATION, OpCode.CALIBRATION})
LEVELS: Final = frozenset(
    op
    for op in OpCode
    if OpCode.SET_PATIENT_HIGH <= op <= OpCode.RATE_OF_INCREASE and not op.name.startswith("GET_")
)
"""Messages that carry one level, in mg/dL or mg/dL per minute."""


# CGMS §3.9.2.4 Calibration Value
@dataclass(frozen=True, slots=True)
class Calibration:
    """A finger-stick value that a sensor is calibrated with."""

    concentration: Number
    """mg/dL."""
    time_offset_min: int
    """Minutes since the session began."""
    type_sample_location: int
    """As in 0x2A18."""
    next_calibration_min: int
    """When the next one is due, in minutes since the session began; 0: at once."""
    record_number: int
    """The sensor's own; 0 when it is set."""
    status: int
    """Bit 0 rejected, 1 out of range, 2 pending."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the ten bytes. Raises MalformedMeasurement."""
        reader = Reader(raw)
        calibration = cls(
            reader.sfloat(),
            reader.uint16(),
            reader.uint8(),
            reader.uint16(),
            reader.uint16(),
            reader.uint8(),
        )
        reader.end()
        return calibration

    def encode(self) -> bytes:
        """Write the ten bytes. Raises ValueError where a value does not fit."""
        writer = Writer().sfloat(self.concentration).uint16(self.time_offset_min)
        writer.uint8(self.type_sample_location).uint16(self.next_calibration_min)
        return writer.uint16(self.record_number).uint8(self.status).done()

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return {
            "concentration_mgdl": plain(self.concentration),
            "cal_time_min": self.time_offset_min,
            "type": self.type_sample_location & 0x0F,
            "sample_location": self.type_sample_location >> 4,
            "next_cal_min": self.next_calibration_min,
            "record": self.record_number,
            "status": self.status,
        }


_SIZES: Final[dict[int, int]] = {
    **dict.fromkeys(INTERVALS, 1),
    **dict.fromkeys(CALIBRATIONS, 10),
    OpCode.GET_CALIBRATION: 2,
    **dict.fromkeys(LEVELS, 2),
    OpCode.RESPONSE: 2,
}
"""Bytes of the operand; none for the others."""


# CGMS §3.9.1 CGM Specific Ops Control Point
@dataclass(frozen=True, slots=True)
class ControlMessage:
    """One message of either side: an op code, its operand as written, and perhaps a checksum."""

    op: int
    operand: bytes = b""
    crc: int | None = None
    """As written; both sides write one where the sensor's feature says so."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement.

        Of an op code that does not exist, all that follows is the operand.
        """
        reader = Reader(raw)
        op = reader.uint8()
        if op not in _OPS:
            return cls(op, reader.rest())
        operand = reader.take(_SIZES.get(op, 0))
        return cls(op, operand, crc_of(raw, 1 + len(operand)))

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where a value does not fit."""
        return with_own_crc(self._body(), self.crc)

    def _body(self) -> bytes:
        return Writer().uint8(self.op).put(self.operand).done()

    def with_crc(self) -> ControlMessage:
        """The same message with its right checksum."""
        return ControlMessage(self.op, self.operand, crc16(self._body()))

    @property
    def crc_ok(self) -> bool | None:
        """Whether the checksum holds; None where there is none."""
        return crc_holds(self._body(), self.crc)

    @property
    def level(self) -> Number | None:
        """The level that the message carries, in mg/dL or mg/dL per minute."""
        return Reader(self.operand).sfloat() if self.op in LEVELS else None

    @property
    def interval_min(self) -> int | None:
        """Minutes between two measurements; 0 none, 255 the fastest that the sensor can."""
        return self.operand[0] if self.op in INTERVALS else None

    @property
    def calibration(self) -> Calibration | None:
        """The calibration that the message carries."""
        return Calibration.decode(self.operand) if self.op in CALIBRATIONS else None

    @property
    def response(self) -> tuple[int, int] | None:
        """The request that is answered, and how (`ResponseCode`)."""
        return (self.operand[0], self.operand[1]) if self.op == OpCode.RESPONSE else None

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        calibration, response, level = self.calibration, self.response, self.level
        record = int.from_bytes(self.operand, "little") if self.op == OpCode.GET_CALIBRATION else None
        return present(
            {
                "op": self.op,
                "interval_min": self.interval_min,
                "level": None if level is None else plain(level),
                "record": record,
                **(calibration.to_json() if calibration else {}),
                **({"request": response[0], "code": response[1]} if response else {}),
                "operand": self.operand.hex() if self.op not in _OPS else None,
                "crc_ok": self.crc_ok,
            }
        )


_OPS: Final = frozenset(OpCode)

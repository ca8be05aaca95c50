"""The values of the Record Access Control Point 0x2A52 (GLS 1.0.1 §3.4), and how it refuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, TypeVar

from device_profiles.errors import DeviceError, MalformedMeasurement
from device_profiles.wire import DateTime, Reader, Writer

CCCD_IMPROPERLY_CONFIGURED: Final = 0xFD
PROCEDURE_ALREADY_IN_PROGRESS: Final = 0xFE
INVALID_ATTRIBUTE_LENGTH: Final = 0x0D


class ProcedureInProgress(DeviceError):
    """A request was made while another one runs."""

    sentence = "The device is still answering an earlier request. Wait until it has finished, then try again."


class RecordAccessRefused(DeviceError):
    """The device answered a request with an error. `code` is its response code (GLS §3.4.3)."""

    sentence = "The device refused to give its records (answer {code}). Switch it off and on, then try again."

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code=code)


class AttributeRefused(DeviceError):
    """A device refused a read or a write at once. `code` is the ATT or profile error code."""

    sentence = "The device refused a request (error {code}). Pair it again, then try again."

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code=f"0x{code:02X}")


class OpCode(IntEnum):
    """What a message is (GLS Table 3.9)."""

    REPORT = 1
    DELETE = 2
    ABORT = 3
    COUNT = 4
    COUNT_RESPONSE = 5
    RESPONSE = 6


class Operator(IntEnum):
    """Which records a request is about."""

    NULL = 0
    ALL = 1
    AT_MOST = 2
    AT_LEAST = 3
    WITHIN = 4
    FIRST = 5
    LAST = 6


class Filter(IntEnum):
    """By what an operator with bounds chooses."""

    SEQUENCE_NUMBER = 1
    USER_FACING_TIME = 2


class ResponseCode(IntEnum):
    """How a request ended."""

    SUCCESS = 1
    OP_CODE_NOT_SUPPORTED = 2
    INVALID_OPERATOR = 3
    OPERATOR_NOT_SUPPORTED = 4
    INVALID_OPERAND = 5
    NO_RECORDS_FOUND = 6
    ABORT_UNSUCCESSFUL = 7
    PROCEDURE_NOT_COMPLETED = 8
    OPERAND_NOT_SUPPORTED = 9


# GLS §3.4 Record Access Control Point
@dataclass(frozen=True, slots=True)
class RecordAccessMessage:
    """One value of the control point, in either direction; unknown codes are kept."""

    op: int
    operator: int
    operand: bytes = b""

    @classmethod
    def decode(cls, raw: bytes) -> RecordAccessMessage:
        """Read the whole of `raw`; only answers have an operand of a known size.

        Raises MalformedMeasurement.
        """
        reader = Reader(raw)
        message = cls(reader.uint8(), reader.uint8(), reader.rest())
        if message.op in {OpCode.COUNT_RESPONSE, OpCode.RESPONSE} and len(message.operand) != 2:
            raise MalformedMeasurement("too_short" if len(message.operand) < 2 else "invalid_length")
        return message

    def encode(self) -> bytes:
        """Write the bytes."""
        return Writer().uint8(self.op).uint8(self.operator).put(self.operand).done()

    @property
    def request(self) -> int | None:
        """The op code that a response answers."""
        return self.operand[0] if self.op == OpCode.RESPONSE else None

    @property
    def code(self) -> int | None:
        """The response code of a response."""
        return self.operand[1] if self.op == OpCode.RESPONSE else None

    @property
    def count(self) -> int | None:
        """The number of records in a count response."""
        return int.from_bytes(self.operand, "little") if self.op == OpCode.COUNT_RESPONSE else None

    def to_json(self) -> dict[str, object]:
        """`op`, `operator`, and `request` and `code`, or `count`, or `operand` in hexadecimal."""
        fields: dict[str, object] = {"op": self.op, "operator": self.operator}
        if self.op == OpCode.RESPONSE:
            return fields | {"request": self.request, "code": self.code}
        if self.op == OpCode.COUNT_RESPONSE:
            return fields | {"count": self.count}
        return fields | {"operand": self.operand.hex().upper()}


def response(request: int, code: ResponseCode) -> RecordAccessMessage:
    """Say how the request with this op code ended."""
    return RecordAccessMessage(OpCode.RESPONSE, Operator.NULL, bytes((request, code)))


def count_response(count: int) -> RecordAccessMessage:
    """Say how many records there are; 65 535 stands for more."""
    return RecordAccessMessage(OpCode.COUNT_RESPONSE, Operator.NULL, min(count, 0xFFFF).to_bytes(2, "little"))


class StoredRecord(Protocol):
    """What a filter can see of a record."""

    @property
    def sequence(self) -> int:
        """Its sequence number."""

    @property
    def user_facing_time(self) -> DateTime | None:
        """What the device showed: base time and offset; None where it is not known."""


RecordT = TypeVar("RecordT", bound=StoredRecord)


Bounds = tuple[int, ...] | tuple[DateTime, ...]


class RequestRefused(Exception):
    """A server's reason not to run a request: the answer to give. It never leaves the server."""

    def __init__(self, code: ResponseCode) -> None:
        self.code = code


_BOUNDS: Final[Mapping[int, int]] = {Operator.AT_MOST: 1, Operator.AT_LEAST: 1, Operator.WITHIN: 2}


@dataclass(frozen=True, slots=True)
class RecordAccessRequest:
    """Which records: an operator and, for those with bounds, the filter and its bounds (both included)."""

    operator: Operator
    filter: Filter | None = None
    bounds: Bounds = ()

    def operand(self) -> bytes:
        """The operand's bytes: filter type, then the bounds."""
        if self.filter is None:
            return b""
        writer = Writer().uint8(self.filter)
        for bound in self.bounds:
            if isinstance(bound, DateTime):
                writer.date_time(bound)
            else:
                writer.uint16(bound)
        return writer.done()

    @classmethod
    def of(cls, message: RecordAccessMessage) -> RecordAccessRequest:
        """Read a request as a server does; what it cannot run raises `RequestRefused` with the answer."""
        if message.operator == Operator.NULL:
            raise RequestRefused(ResponseCode.INVALID_OPERATOR)
        if message.operator not in _OPERATORS:
            raise RequestRefused(ResponseCode.OPERATOR_NOT_SUPPORTED)
        operator = Operator(message.operator)
        if operator not in _BOUNDS:
            if message.operand:
                raise RequestRefused(ResponseCode.INVALID_OPERAND)
            return cls(operator)
        filter_, bounds = _read_bounds(message.operand, _BOUNDS[operator])
        return cls(operator, filter_, bounds)

    def choose(self, records: Sequence[RecordT]) -> Sequence[RecordT]:
        """Choose among records in the order in which they were stored."""
        match self.operator:
            case Operator.FIRST:
                return records[:1]
            case Operator.LAST:
                return records[-1:]
            case Operator.ALL:
                return records
        return [record for record in records if self._includes(record)]

    def _includes(self, record: StoredRecord) -> bool:
        by_time = self.filter == Filter.USER_FACING_TIME
        value = record.user_facing_time if by_time else record.sequence
        if value is None:
            return False
        above = self.operator == Operator.AT_MOST or _order(self.bounds[0]) <= _order(value)
        below = self.operator == Operator.AT_LEAST or _order(value) <= _order(self.bounds[-1])
        return above and below


def _order(bound: int | DateTime) -> tuple[int, ...]:
    return tuple(bound) if isinstance(bound, DateTime) else (bound,)


_OPERATORS: Final = frozenset(Operator) - {Operator.NULL}


def _read_bounds(operand: bytes, count: int) -> tuple[Filter, Bounds]:
    reader = Reader(operand)
    try:
        filter_type = reader.uint8()
        if filter_type not in frozenset(Filter):
            raise RequestRefused(ResponseCode.OPERAND_NOT_SUPPORTED)
        bounds: Bounds = (
            tuple(reader.uint16() for _ in range(count))
            if filter_type == Filter.SEQUENCE_NUMBER
            else tuple(reader.date_time() for _ in range(count))
        )
        reader.end()
    except MalformedMeasurement:
        raise RequestRefused(ResponseCode.INVALID_OPERAND) from None
    if _order(bounds[0]) > _order(bounds[-1]):
        raise RequestRefused(ResponseCode.INVALID_OPERAND)
    return Filter(filter_type), bounds


def all_records() -> RecordAccessRequest:
    """Every stored record."""
    return RecordAccessRequest(Operator.ALL)


def first_record() -> RecordAccessRequest:
    """The oldest record."""
    return RecordAccessRequest(Operator.FIRST)


def last_record() -> RecordAccessRequest:
    """The newest record."""
    return RecordAccessRequest(Operator.LAST)


def from_sequence(sequence: int) -> RecordAccessRequest:
    """Records numbered `sequence` or more."""
    return RecordAccessRequest(Operator.AT_LEAST, Filter.SEQUENCE_NUMBER, (sequence,))


def up_to_sequence(sequence: int) -> RecordAccessRequest:
    """Records numbered `sequence` or less."""
    return RecordAccessRequest(Operator.AT_MOST, Filter.SEQUENCE_NUMBER, (sequence,))


def within_sequences(first: int, last: int) -> RecordAccessRequest:
    """Records numbered `first` to `last`."""
    return RecordAccessRequest(Operator.WITHIN, Filter.SEQUENCE_NUMBER, (first, last))


def from_time(time: DateTime) -> RecordAccessRequest:
    """Records whose user-facing time is `time` or later."""
    return RecordAccessRequest(Operator.AT_LEAST, Filter.USER_FACING_TIME, (time,))


def up_to_time(time: DateTime) -> RecordAccessRequest:
    """Records whose user-facing time is `time` or earlier."""
    return RecordAccessRequest(Operator.AT_MOST, Filter.USER_FACING_TIME, (time,))


def within_times(first: DateTime, last: DateTime) -> RecordAccessRequest:
    """Records whose user-facing time is from `first` to `last`."""
    return RecordAccessRequest(Operator.WITHIN, Filter.USER_FACING_TIME, (first, last))

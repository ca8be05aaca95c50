"""Fetching stored records through the Record Access Control Point 0x2A52 (GLS 1.0.1 §3.4), without I/O.

Messages go in, events or actions come out; nobody waits here. The machine lives by two rules:

1. One procedure at a time. A second request is refused and changes nothing; only an abort gets through.
2. The table knows no roles. `Procedure` walks the same states on the gateway, which writes requests, and on
   a meter, which answers them; `Collector` and `Server` are what each of them sees of it.

We never ask a device to delete records: the device stays the first copy. A server refuses to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Generic

from device_profiles.errors import MalformedMeasurement
from device_profiles.procedures.record_access_messages import (
    CCCD_IMPROPERLY_CONFIGURED,
    INVALID_ATTRIBUTE_LENGTH,
    PROCEDURE_ALREADY_IN_PROGRESS,
    AttributeRefused,
    Filter,
    OpCode,
    Operator,
    ProcedureInProgress,
    RecordAccessMessage,
    RecordAccessRefused,
    RecordAccessRequest,
    RecordT,
    RequestRefused,
    ResponseCode,
    StoredRecord,
    all_records,
    count_response,
    first_record,
    from_sequence,
    from_time,
    last_record,
    response,
    up_to_sequence,
    up_to_time,
    within_sequences,
    within_times,
)

__all__ = [
    "CCCD_IMPROPERLY_CONFIGURED",
    "INVALID_ATTRIBUTE_LENGTH",
    "PROCEDURE_ALREADY_IN_PROGRESS",
    "TABLE",
    "Aborted",
    "Answer",
    "AttributeRefused",
    "Collector",
    "CollectorEvent",
    "Completed",
    "Event",
    "Filter",
    "Ignored",
    "NumberOfRecords",
    "OpCode",
    "Operator",
    "Procedure",
    "ProcedureInProgress",
    "RecordAccessMessage",
    "RecordAccessRefused",
    "RecordAccessRequest",
    "ResponseCode",
    "Send",
    "Server",
    "State",
    "StoredRecord",
    "all_records",
    "count_response",
    "first_record",
    "from_sequence",
    "from_time",
    "last_record",
    "response",
    "up_to_sequence",
    "up_to_time",
    "within_sequences",
    "within_times",
]


class State(Enum):
    """Where a procedure is; the same on both sides, but for what is on its way."""

    IDLE = auto()
    REPORTING = auto()
    COUNTING = auto()
    DELETING = auto()
    ABORTING = auto()


class Event(Enum):
    """What moves a procedure: the requests, their answers, and the end of the connection."""

    REPORT = auto()
    REPORT_ANSWERED = auto()
    COUNT = auto()
    COUNT_ANSWERED = auto()
    DELETE = auto()
    DELETE_ANSWERED = auto()
    ABORT = auto()
    ABORT_ANSWERED = auto()
    DISCONNECTED = auto()


_REQUESTS: Final[Mapping[int, Event]] = {
    OpCode.REPORT: Event.REPORT,
    OpCode.COUNT: Event.COUNT,
    OpCode.DELETE: Event.DELETE,
    OpCode.ABORT: Event.ABORT,
}
_ANSWERS: Final[Mapping[int, Event]] = {
    OpCode.REPORT: Event.REPORT_ANSWERED,
    OpCode.COUNT: Event.COUNT_ANSWERED,
    OpCode.DELETE: Event.DELETE_ANSWERED,
    OpCode.ABORT: Event.ABORT_ANSWERED,
}

TABLE: Final[Mapping[State, Mapping[Event, State]]] = {
    State.IDLE: {
        Event.REPORT: State.REPORTING,
        Event.COUNT: State.COUNTING,
        Event.DELETE: State.DELETING,
        Event.ABORT: State.ABORTING,
        Event.DISCONNECTED: State.IDLE,
    },
    State.REPORTING: {
        Event.REPORT_ANSWERED: State.IDLE,
        Event.ABORT: State.ABORTING,
        Event.DISCONNECTED: State.IDLE,
    },
    State.COUNTING: {
        Event.COUNT_ANSWERED: State.IDLE,
        Event.ABORT: State.ABORTING,
        Event.DISCONNECTED: State.IDLE,
    },
    State.DELETING: {
        Event.DELETE_ANSWERED: State.IDLE,
        Event.ABORT: State.ABORTING,
        Event.DISCONNECTED: State.IDLE,
    },
    State.ABORTING: {
        # An answer that crossed the abort on the air changes nothing: the abort's own is still to come.
        Event.REPORT_ANSWERED: State.ABORTING,
        Event.COUNT_ANSWERED: State.ABORTING,
        Event.DELETE_ANSWERED: State.ABORTING,
        Event.ABORT_ANSWERED: State.IDLE,
        Event.DISCONNECTED: State.IDLE,
    },
}


class Procedure:
    """The state of the control point, walked through `TABLE`."""

    def __init__(self) -> None:
        self.state = State.IDLE

    def may(self, event: Event) -> bool:
        """Whether `event` has a place in this state."""
        return event in TABLE[self.state]

    def advance(self, event: Event) -> None:
        """Take `event`. Raises ProcedureInProgress where it has no place."""
        if not self.may(event):
            raise ProcedureInProgress
        self.state = TABLE[self.state][event]


def _answered(message: RecordAccessMessage) -> Event | None:
    if message.op == OpCode.COUNT_RESPONSE:
        return Event.COUNT_ANSWERED
    return None if message.request is None else _ANSWERS.get(message.request)


@dataclass(frozen=True, slots=True)
class Completed:
    """All records that were asked for have been sent, in front of this answer."""

    records_found: bool


@dataclass(frozen=True, slots=True)
class NumberOfRecords:
    """The answer to a count."""

    count: int


@dataclass(frozen=True, slots=True)
class Aborted:
    """The answer to an abort; not stopped: the procedure had ended by itself."""

    stopped: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """An indication that answers nothing that runs."""

    message: RecordAccessMessage


CollectorEvent = Completed | NumberOfRecords | Aborted | Ignored


class Collector:
    """The gateway's side: it gives the bytes to write, and takes the indications.

    A connection has one collector; after `disconnected` the next connection may use it again.
    """

    def __init__(self) -> None:
        self._procedure = Procedure()

    @property
    def state(self) -> State:
        """Where the procedure is."""
        return self._procedure.state

    def report(self, request: RecordAccessRequest) -> bytes:
        """Ask for records: the bytes to write. Raises ProcedureInProgress."""
        return self._ask(OpCode.REPORT, request)

    def count(self, request: RecordAccessRequest) -> bytes:
        """Ask how many records there are: the bytes to write. Raises ProcedureInProgress."""
        return self._ask(OpCode.COUNT, request)

    def abort(self) -> bytes:
        """Ask to stop what runs: the bytes to write. Raises ProcedureInProgress when already asked."""
        self._procedure.advance(Event.ABORT)
        return RecordAccessMessage(OpCode.ABORT, Operator.NULL).encode()

    def _ask(self, op: OpCode, request: RecordAccessRequest) -> bytes:
        written = RecordAccessMessage(op, request.operator, request.operand()).encode()
        self._procedure.advance(_REQUESTS[op])
        return written

    def receive(self, indication: bytes) -> CollectorEvent:
        """Take an indication of the control point.

        Raises RecordAccessRefused when it ends what runs with an error, and MalformedMeasurement when it
        cannot be read; then the procedure still runs.
        """
        message = RecordAccessMessage.decode(indication)
        event = _answered(message)
        if event is None or not self._procedure.may(event):
            return Ignored(message)
        self._procedure.advance(event)
        if event is Event.ABORT_ANSWERED:
            return Aborted(stopped=message.code == ResponseCode.SUCCESS)
        if self._procedure.state is State.ABORTING:
            return Ignored(message)
        return _outcome(message)

    def refused(self) -> None:
        """The write itself was refused: nothing runs."""
        self._procedure = Procedure()

    def disconnected(self) -> None:
        """The connection ended, and what ran with it."""
        self._procedure.advance(Event.DISCONNECTED)


def _outcome(message: RecordAccessMessage) -> Completed | NumberOfRecords:
    if message.count is not None:
        return NumberOfRecords(message.count)
    if message.code == ResponseCode.NO_RECORDS_FOUND:
        return NumberOfRecords(0) if message.request == OpCode.COUNT else Completed(records_found=False)
    if message.code == ResponseCode.SUCCESS:
        return Completed(records_found=True)
    raise RecordAccessRefused(message.code or 0)


@dataclass(frozen=True, slots=True)
class Send(Generic[RecordT]):
    """Notify this record."""

    record: RecordT


@dataclass(frozen=True, slots=True)
class Answer:
    """Indicate this value of the control point."""

    value: bytes


class Server(Generic[RecordT]):
    """A device's side: it takes what is written and says, one action at a time, what to send.

    `records` gives the stored records, oldest first, at the moment of a request. `configured` says whether
    the client has switched the notifications and indications on; without them a request is refused.
    """

    def __init__(self, records: Callable[[], Sequence[RecordT]]) -> None:
        self._records = records
        self._procedure = Procedure()
        self._running = 0
        self._connection = 0
        self.configured = False

    @property
    def state(self) -> State:
        """Where the procedure is."""
        return self._procedure.state

    def write(self, value: bytes) -> Iterator[Send[RecordT] | Answer]:
        """Take a request; iterate over the actions as fast as the link takes them.

        An abort or a disconnection ends the iterator of what ran. Raises AttributeRefused.
        """
        if not self.configured:
            raise AttributeRefused(CCCD_IMPROPERLY_CONFIGURED)
        try:
            message = RecordAccessMessage.decode(value)
        except MalformedMeasurement:
            raise AttributeRefused(INVALID_ATTRIBUTE_LENGTH) from None
        event = _REQUESTS.get(message.op, Event.REPORT)
        if not self._procedure.may(event):
            raise AttributeRefused(PROCEDURE_ALREADY_IN_PROGRESS)
        stopped = self.state is not State.IDLE
        chosen = self._chosen(message, stopped=stopped)
        if isinstance(chosen, ResponseCode) and chosen is not ResponseCode.SUCCESS:
            return self._refuse(self._connection, response(message.op, chosen))
        self._procedure.advance(event)
        self._running += 1
        return self._run(self._running, message, chosen)

    def disconnected(self) -> None:
        """The connection ended, and what ran with it."""
        self._running += 1
        self._connection += 1
        self.configured = False
        self._procedure.advance(Event.DISCONNECTED)

    def _chosen(self, message: RecordAccessMessage, *, stopped: bool) -> Sequence[RecordT] | ResponseCode:
        """The records that a request is about, or the answer to one about none."""
        match message.op:
            case OpCode.REPORT | OpCode.COUNT:
                try:
                    return RecordAccessRequest.of(message).choose(self._records())
                except RequestRefused as refused:
                    return refused.code
            case OpCode.ABORT if message.operator != Operator.NULL:
                return ResponseCode.INVALID_OPERATOR
            case OpCode.ABORT if message.operand:
                return ResponseCode.INVALID_OPERAND
            case OpCode.ABORT:
                return ResponseCode.SUCCESS if stopped else ResponseCode.ABORT_UNSUCCESSFUL
        return ResponseCode.OP_CODE_NOT_SUPPORTED

    def _refuse(self, connection: int, answer: RecordAccessMessage) -> Iterator[Answer]:
        """Answer a request that does not run; what runs goes on."""
        if connection == self._connection:
            yield Answer(answer.encode())

    def _run(
        self, running: int, message: RecordAccessMessage, chosen: Sequence[RecordT] | ResponseCode
    ) -> Iterator[Send[RecordT] | Answer]:
        if isinstance(chosen, ResponseCode):
            answer = response(message.op, chosen)
        elif message.op == OpCode.COUNT:
            answer = count_response(len(chosen))
        else:
            for record in chosen:
                if running != self._running:
                    return
                yield Send(record)
            answer = response(message.op, ResponseCode.SUCCESS if chosen else ResponseCode.NO_RECORDS_FOUND)
        if running == self._running:
            self._procedure.advance(_ANSWERS[message.op])
            yield Answer(answer.encode())

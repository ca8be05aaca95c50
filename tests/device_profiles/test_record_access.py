"""The record access procedure: each role by itself, and both against each other over a bad link."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from device_profiles.errors import MalformedMeasurement
from device_profiles.procedures.record_access import (
    CCCD_IMPROPERLY_CONFIGURED,
    INVALID_ATTRIBUTE_LENGTH,
    PROCEDURE_ALREADY_IN_PROGRESS,
    TABLE,
    Aborted,
    Answer,
    AttributeRefused,
    Collector,
    Completed,
    Event,
    Ignored,
    NumberOfRecords,
    Operator,
    ProcedureInProgress,
    RecordAccessMessage,
    RecordAccessRefused,
    RecordAccessRequest,
    ResponseCode,
    Send,
    Server,
    State,
    all_records,
    first_record,
    from_sequence,
    from_time,
    last_record,
    up_to_sequence,
    up_to_time,
    within_sequences,
    within_times,
)
from device_profiles.wire import DateTime


class Stored(NamedTuple):
    sequence: int
    user_facing_time: DateTime | None


def at(day: int) -> DateTime:
    return DateTime(2025, 3, day, 12, 0, 0)


RECORDS = [Stored(number, at(number)) for number in range(4, 10)] + [Stored(10, None)]


def server(records: list[Stored] = RECORDS) -> Server[Stored]:
    made: Server[Stored] = Server(lambda: records)
    made.configured = True
    return made


def code(request: int, answer: ResponseCode) -> list[Any]:
    return [Answer(bytes((6, 0, request, answer)))]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (all_records(), [4, 5, 6, 7, 8, 9, 10]),
        (first_record(), [4]),
        (last_record(), [10]),
        (from_sequence(9), [9, 10]),
        (up_to_sequence(5), [4, 5]),
        (within_sequences(6, 8), [6, 7, 8]),
        (from_time(at(8)), [8, 9]),
        (up_to_time(at(4)), [4]),
        (within_times(at(5), at(6)), [5, 6]),
    ],
)
def test_each_request_is_answered_with_its_records(
    request_: RecordAccessRequest, expected: list[int]
) -> None:
    meter, collector = server(), Collector()
    *sent, answer = meter.write(collector.report(request_))
    assert [each.record.sequence for each in sent if isinstance(each, Send)] == expected
    assert isinstance(answer, Answer)
    assert collector.receive(answer.value) == Completed(records_found=True)
    assert (meter.state, collector.state) == (State.IDLE, State.IDLE)


def test_each_request_can_be_counted_instead() -> None:
    meter, collector = server(), Collector()
    (answer,) = meter.write(collector.count(from_sequence(8)))
    assert isinstance(answer, Answer)
    assert collector.receive(answer.value) == NumberOfRecords(3)


def test_asking_for_what_is_new_writes_the_bytes_that_were_captured() -> None:
    assert Collector().report(from_sequence(15)) == bytes.fromhex("0103010F00")


def test_nothing_new_is_success_without_records() -> None:
    collector = Collector()
    (answer,) = server().write(collector.report(from_sequence(11)))
    assert answer == Answer(bytes.fromhex("06000106"))
    assert collector.receive(answer.value) == Completed(records_found=False)


def test_a_count_that_finds_nothing_is_zero_in_either_form() -> None:
    collector = Collector()
    for answer in ("05000000", "06000406"):
        collector.count(all_records())
        assert collector.receive(bytes.fromhex(answer)) == NumberOfRecords(0)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0100", code(1, ResponseCode.INVALID_OPERATOR)),
        ("0107", code(1, ResponseCode.OPERATOR_NOT_SUPPORTED)),
        ("010100", code(1, ResponseCode.INVALID_OPERAND)),
        ("0103", code(1, ResponseCode.INVALID_OPERAND)),
        ("010301FF", code(1, ResponseCode.INVALID_OPERAND)),
        ("0103010F0000", code(1, ResponseCode.INVALID_OPERAND)),
        ("0103030F00", code(1, ResponseCode.OPERAND_NOT_SUPPORTED)),
        ("0104010A000900", code(1, ResponseCode.INVALID_OPERAND)),
        ("010302E9070D01000000", code(1, ResponseCode.INVALID_OPERAND)),
        ("0400", code(4, ResponseCode.INVALID_OPERATOR)),
        ("0201", code(2, ResponseCode.OP_CODE_NOT_SUPPORTED)),
        ("0901", code(9, ResponseCode.OP_CODE_NOT_SUPPORTED)),
        ("0300", code(3, ResponseCode.ABORT_UNSUCCESSFUL)),
        ("0301", code(3, ResponseCode.INVALID_OPERATOR)),
        ("030000", code(3, ResponseCode.INVALID_OPERAND)),
    ],
)
def test_a_server_says_what_it_does_not_do(written: str, expected: list[Any]) -> None:
    meter = server()
    assert list(meter.write(bytes.fromhex(written))) == expected
    assert meter.state is State.IDLE


def test_a_request_before_subscribing_is_refused_at_once() -> None:
    meter = server()
    meter.configured = False
    with pytest.raises(AttributeRefused) as refused:
        meter.write(b"\x01\x01")
    assert refused.value.code == CCCD_IMPROPERLY_CONFIGURED


@pytest.mark.parametrize("written", [b"", b"\x01", b"\x06\x00\x01"])
def test_a_request_too_short_to_be_one_is_refused_at_once(written: bytes) -> None:
    with pytest.raises(AttributeRefused) as refused:
        server().write(written)
    assert refused.value.code == INVALID_ATTRIBUTE_LENGTH


def test_a_second_request_is_refused_on_both_sides_and_changes_nothing() -> None:
    meter, collector = server(), Collector()
    running = meter.write(collector.report(all_records()))
    next(running)
    with pytest.raises(ProcedureInProgress):
        collector.count(all_records())
    with pytest.raises(AttributeRefused) as refused:
        meter.write(b"\x04\x01")
    assert refused.value.code == PROCEDURE_ALREADY_IN_PROGRESS
    assert len(list(running)) == len(RECORDS)


def test_an_abort_stops_the_records() -> None:
    meter, collector = server(), Collector()
    running = meter.write(collector.report(all_records()))
    next(running)
    (answer,) = meter.write(collector.abort())
    assert list(running) == []
    assert isinstance(answer, Answer)
    assert collector.receive(answer.value) == Aborted(stopped=True)


def test_an_abort_that_crosses_the_last_answer_ends_well() -> None:
    meter, collector = server(), Collector()
    *_, last = meter.write(collector.report(all_records()))
    abort = collector.abort()
    assert isinstance(last, Answer)
    assert isinstance(collector.receive(last.value), Ignored)
    (answer,) = meter.write(abort)
    assert isinstance(answer, Answer)
    assert collector.receive(answer.value) == Aborted(stopped=False)
    assert collector.state is State.IDLE


def test_a_second_abort_is_refused_until_the_first_is_answered() -> None:
    meter, collector = server(), Collector()
    meter.write(collector.report(all_records()))
    meter.write(collector.abort())
    with pytest.raises(ProcedureInProgress):
        collector.abort()
    with pytest.raises(AttributeRefused):
        meter.write(b"\x03\x00")


@pytest.mark.parametrize("answer", [2, 3, 4, 5, 8, 9, 42])
def test_a_request_that_fails_ends_with_its_code(answer: int) -> None:
    collector = Collector()
    collector.report(all_records())
    with pytest.raises(RecordAccessRefused) as refused:
        collector.receive(bytes((6, 0, 1, answer)))
    assert refused.value.code == answer
    assert collector.state is State.IDLE


@pytest.mark.parametrize("indication", ["06000101", "06000401", "05000100", "0101", "06000901"])
def test_an_answer_to_nothing_is_ignored(indication: str) -> None:
    collector = Collector()
    raw = bytes.fromhex(indication)
    assert collector.receive(raw) == Ignored(RecordAccessMessage.decode(raw))


def test_an_unreadable_answer_leaves_the_procedure_running() -> None:
    collector = Collector()
    collector.report(all_records())
    with pytest.raises(MalformedMeasurement):
        collector.receive(b"\x06")
    assert collector.state is State.REPORTING


def test_a_refused_write_leaves_nothing_running() -> None:
    collector = Collector()
    collector.report(all_records())
    collector.refused()
    assert collector.state is State.IDLE


def test_a_lost_connection_ends_everything_on_both_sides() -> None:
    meter, collector = server(), Collector()
    running = meter.write(collector.report(all_records()))
    next(running)
    collector.disconnected()
    meter.disconnected()
    assert list(running) == []
    assert (meter.state, collector.state, meter.configured) == (State.IDLE, State.IDLE, False)


def test_more_records_than_two_bytes_can_count_are_told_as_the_most() -> None:
    meter = server([Stored(1, None)] * 70_000)
    assert list(meter.write(b"\x04\x01")) == [Answer(bytes.fromhex("0500FFFF"))]


def test_the_table_ends_every_state_when_the_connection_does() -> None:
    assert all(transitions[Event.DISCONNECTED] is State.IDLE for transitions in TABLE.values())
    assert set(TABLE) == set(State)


REQUESTS = st.one_of(
    st.just(all_records()),
    st.just(first_record()),
    st.just(last_record()),
    st.builds(from_sequence, st.integers(0, 12)),
    st.builds(up_to_sequence, st.integers(0, 12)),
    st.builds(
        lambda first, more: within_sequences(first, first + more), st.integers(0, 9), st.integers(0, 4)
    ),
    st.builds(from_time, st.builds(at, st.integers(1, 12))),
)


class BadLink(RuleBasedStateMachine):
    """Both roles with a link between them that loses, doubles and delays, and ends when it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.server = server()
        self.collector = Collector()
        self.running: list[Iterator[Send[Stored] | Answer]] = []
        self.to_server: list[bytes] = []
        self.to_collector: list[Send[Stored] | Answer] = []
        self.received: list[Stored] = []

    @rule(request_=REQUESTS, counts=st.booleans())
    def ask(self, request_: RecordAccessRequest, counts: bool) -> None:
        idle = self.collector.state is State.IDLE
        try:
            ask = self.collector.count if counts else self.collector.report
            self.to_server.append(ask(request_))
            assert idle
        except ProcedureInProgress:
            assert not idle

    @rule()
    def abort(self) -> None:
        aborting = self.collector.state is State.ABORTING
        try:
            self.to_server.append(self.collector.abort())
            assert not aborting
        except ProcedureInProgress:
            assert aborting

    @precondition(lambda self: self.to_server)
    @rule(late=st.integers(0), twice=st.booleans(), lost=st.booleans())
    def arrive_at_server(self, late: int, twice: bool, lost: bool) -> None:
        written = self.to_server.pop(late % len(self.to_server))
        for _ in range(0 if lost else 1 + twice):
            try:
                self.running.append(self.server.write(written))
            except AttributeRefused as refused:
                assert refused.code == PROCEDURE_ALREADY_IN_PROGRESS  # noqa: PT017 - among others it may not be

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0))
    def send(self, which: int) -> None:
        running = self.running[which % len(self.running)]
        action = next(running, None)
        if action is None:
            self.running.remove(running)
        else:
            self.to_collector.append(action)

    @precondition(lambda self: self.to_collector)
    @rule(late=st.integers(0), twice=st.booleans(), lost=st.booleans())
    def arrive_at_collector(self, late: int, twice: bool, lost: bool) -> None:
        action = self.to_collector.pop(late % len(self.to_collector))
        for _ in range(0 if lost else 1 + twice):
            if isinstance(action, Send):
                self.received.append(action.record)
                continue
            try:
                self.collector.receive(action.value)
            except RecordAccessRefused as refused:
                assert refused.code == ResponseCode.ABORT_UNSUCCESSFUL  # noqa: PT017

    @rule()
    def disconnect(self) -> None:
        self.collector.disconnected()
        self.server.disconnected()
        self.to_server.clear()
        self.to_collector.clear()
        assert all(next(running, None) is None for running in self.running)
        self.running.clear()
        self.server.configured = True

    @invariant()
    def only_records_that_exist_are_sent(self) -> None:
        assert set(self.received) <= set(RECORDS)

    def teardown(self) -> None:
        """Whatever happened: connect again, read all, and all is there."""
        self.disconnect()
        *sent, answer = self.server.write(self.collector.report(all_records()))
        assert [each.record for each in sent if isinstance(each, Send)] == RECORDS
        assert isinstance(answer, Answer)
        assert self.collector.receive(answer.value) == Completed(records_found=True)


BadLink.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestBothRolesOverABadLink = BadLink.TestCase


def test_a_null_operator_chooses_nothing_by_itself() -> None:
    assert RecordAccessRequest(Operator.ALL).operand() == b""

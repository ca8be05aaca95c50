"""Steering a sensor: each role by itself, and both against each other over a link that loses and doubles."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from device_profiles.errors import MalformedMeasurement
from device_profiles.procedures.continuous_glucose_control import (
    FASTEST,
    INVALID_CRC,
    MISSING_CRC,
    ControlClient,
    ControlRefused,
    ControlServer,
    Done,
    Ignored,
    Session,
    Told,
)
from device_profiles.procedures.continuous_glucose_control_messages import (
    Calibration,
    ControlMessage,
    OpCode,
    ResponseCode,
)
from device_profiles.procedures.record_access_messages import (
    CCCD_IMPROPERLY_CONFIGURED,
    INVALID_ATTRIBUTE_LENGTH,
    PROCEDURE_ALREADY_IN_PROGRESS,
    AttributeRefused,
    ProcedureInProgress,
)

EVERYTHING = 0xFFFFFF
WITHOUT_CRC = EVERYTHING & ~(1 << 12)
FINGER = Calibration(Decimal(104), 30, 0x11, 720, 0, 0)


def sensor(features: int = EVERYTHING, session: Session | None = None) -> ControlServer:
    made = ControlServer(features, session or Session())
    made.configured = True
    return made


def asked(client: ControlClient, server: ControlServer, request: bytes) -> Done | Told | Ignored:
    answer = server.write(request)
    server.confirmed()
    return client.receive(answer)


def test_a_session_is_started_and_stopped_once() -> None:
    client, server = ControlClient(crc=True), sensor()
    assert asked(client, server, client.start_session()) == Done(OpCode.START_SESSION)
    assert server.session.running
    with pytest.raises(ControlRefused) as refused:
        asked(client, server, client.start_session())
    assert refused.value.code == ResponseCode.PROCEDURE_NOT_COMPLETED
    assert asked(client, server, client.stop_session()) == Done(OpCode.STOP_SESSION)
    assert not server.session.running


@pytest.mark.parametrize(("wanted", "kept"), [(10, 10), (0, 0), (FASTEST, 2)])
def test_the_interval_that_was_set_is_the_one_that_is_told(wanted: int, kept: int) -> None:
    client, server = ControlClient(crc=True), sensor(session=Session(fastest_min=2))
    asked(client, server, client.set_interval(wanted))
    answer = asked(client, server, client.get_interval())
    assert isinstance(answer, Told)
    assert answer.message.interval_min == kept


def test_a_faster_interval_than_the_sensor_can_is_refused() -> None:
    client, server = ControlClient(crc=True), sensor(session=Session(fastest_min=5))
    with pytest.raises(ControlRefused) as refused:
        asked(client, server, client.set_interval(1))
    assert refused.value.code == ResponseCode.PARAMETER_OUT_OF_RANGE
    assert client.running is None


def test_a_calibration_is_kept_under_a_number_of_the_sensors_own() -> None:
    client, server = ControlClient(crc=True), sensor(session=Session(running=True))
    assert asked(client, server, client.calibrate(FINGER)) == Done(OpCode.SET_CALIBRATION)
    answer = asked(client, server, client.get_calibration(0xFFFF))
    assert isinstance(answer, Told)
    assert answer.message.calibration is not None
    assert (answer.message.calibration.concentration, answer.message.calibration.record_number) == (104, 1)


@pytest.mark.parametrize("number", [0, 2, 7])
def test_a_calibration_that_is_not_there_is_refused(number: int) -> None:
    client, server = ControlClient(crc=True), sensor(session=Session(running=True))
    asked(client, server, client.calibrate(FINGER))
    with pytest.raises(ControlRefused):
        asked(client, server, client.get_calibration(number))


@pytest.mark.parametrize("setter", [op for op in OpCode if op.name.startswith("SET_") and op >= 0x07])
def test_each_level_is_set_and_told(setter: OpCode) -> None:
    client, server = ControlClient(crc=True), sensor()
    assert asked(client, server, client.set_level(setter, Decimal("71.5"))) == Done(setter)
    answer = asked(client, server, client.get_level(setter))
    assert isinstance(answer, Told)
    assert answer.message.level == Decimal("71.5")


def test_what_a_sensor_cannot_do_it_says() -> None:
    client, server = ControlClient(), sensor(features=0)
    server.session.running = True
    for request in (
        lambda: client.calibrate(FINGER),
        lambda: client.get_level(OpCode.SET_HYPO),
        client.reset_device_specific_alert,
        lambda: client.ask(ControlMessage(0x7F, b"\1")),
    ):
        with pytest.raises(ControlRefused) as refused:
            asked(client, server, request())
        assert refused.value.code == ResponseCode.OP_CODE_NOT_SUPPORTED


def test_a_second_request_while_one_runs_is_refused_on_both_sides() -> None:
    client, server = ControlClient(), sensor(WITHOUT_CRC)
    first = client.get_interval()
    with pytest.raises(ProcedureInProgress):
        client.start_session()
    answer = server.write(first)
    with pytest.raises(AttributeRefused) as refused:
        server.write(ControlMessage(OpCode.START_SESSION).encode())
    assert refused.value.code == PROCEDURE_ALREADY_IN_PROGRESS
    assert not server.session.running
    assert isinstance(client.receive(answer), Told)
    server.confirmed()
    assert asked(client, server, client.start_session()) == Done(OpCode.START_SESSION)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"\x1a", MISSING_CRC),
        (b"\x1a\x00\x00", INVALID_CRC),
        (b"\x01", INVALID_ATTRIBUTE_LENGTH),
        (b"", INVALID_ATTRIBUTE_LENGTH),
    ],
)
def test_a_request_whose_checksum_or_length_is_wrong_changes_nothing(value: bytes, code: int) -> None:
    server = sensor()
    with pytest.raises(AttributeRefused) as refused:
        server.write(value)
    assert refused.value.code == code
    assert not server.session.running


def test_without_indications_switched_on_nothing_is_taken() -> None:
    server = ControlServer(EVERYTHING, Session())
    with pytest.raises(AttributeRefused) as refused:
        server.write(ControlMessage(OpCode.START_SESSION).with_crc().encode())
    assert refused.value.code == CCCD_IMPROPERLY_CONFIGURED


def test_an_answer_whose_checksum_is_wrong_is_not_believed_and_the_right_one_still_counts() -> None:
    client, server = ControlClient(crc=True), sensor()
    answer = server.write(client.start_session())
    for damaged in (answer[:-1] + bytes((answer[-1] ^ 1,)), answer[:-2]):
        with pytest.raises(MalformedMeasurement):
            client.receive(damaged)
    assert client.receive(answer) == Done(OpCode.START_SESSION)


class OverABadLink(RuleBasedStateMachine):
    """Requests and answers may be lost, doubled or late, and the connection may end at any step."""

    def __init__(self) -> None:
        super().__init__()
        self.client = ControlClient(crc=True)
        self.server = sensor()
        self.late: list[bytes] = []
        self.wanted: int | None = None
        self.told: list[int] = []

    @rule(minutes=st.integers(0, 20))
    def ask(self, minutes: int) -> None:
        try:
            request = self.client.set_interval(minutes)
        except ProcedureInProgress:
            assert self.client.running is not None
            return
        try:
            self.late.append(self.server.write(request))
            self.wanted = minutes
        except AttributeRefused:
            self.client.refused()

    @rule(which=st.integers(0, 5), twice=st.booleans())
    def deliver(self, which: int, twice: bool) -> None:
        if not self.late:
            return
        answer = self.late.pop(which % len(self.late))
        self.server.confirmed()
        ran = self.client.running
        first = self.client.receive(answer)
        assert isinstance(first, Done if ran is not None else Ignored)
        if twice:
            assert isinstance(self.client.receive(answer), Ignored)

    @rule()
    def lose(self) -> None:
        if self.late:
            self.late.pop()

    @rule()
    def disconnect(self) -> None:
        self.client.disconnected()
        self.server.disconnected()
        self.server.configured = True

    @invariant()
    def the_sensor_holds_the_last_interval_that_it_took(self) -> None:
        if self.wanted is not None:
            assert self.server.session.interval_min == self.wanted

    def teardown(self) -> None:
        self.disconnect()
        assert asked(self.client, self.server, self.client.set_interval(7)) == Done(
            OpCode.SET_COMMUNICATION_INTERVAL
        )


TestOverABadLink = OverABadLink.TestCase
TestOverABadLink.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)

"""Steering a sensor through the CGM Specific Ops Control Point 0x2AAC (CGMS 1.0.2 §3.9), without I/O.

One procedure at a time on both sides: from the request that is written to the indication that answers it. A
second request meanwhile is refused and changes nothing. Where the sensor's feature says so, each message ends
with a checksum, and one without or with a wrong one is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from device_profiles.errors import DeviceError, MalformedMeasurement
from device_profiles.procedures.continuous_glucose_control_messages import (
    LEVELS,
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
from device_profiles.services.continuous_glucose import CRC_SUPPORTED
from device_profiles.wire import Number, Writer

MISSING_CRC: Final = 0x80
INVALID_CRC: Final = 0x81
"""Application errors of the service (CGMS Table 2.1)."""

FASTEST: Final = 0xFF
"""The communication interval that asks for the fastest that a sensor can."""

_SETTERS: Final = frozenset(op for op in LEVELS if op.name.startswith("SET_"))
_GETTER_OF: Final = {op: OpCode(op + 1) for op in _SETTERS}
_LEVEL_OF: Final = {op: OpCode(op + 2) for op in _SETTERS}
"""The three op codes of each level follow one another: set, get, and the level itself."""

_CALIBRATION, _PATIENT, _HYPO, _HYPER, _RATE, _SPECIFIC = (1 << bit for bit in range(6))
_FEATURE_OF: Final = {
    OpCode.SET_PATIENT_HIGH: _PATIENT,
    OpCode.SET_PATIENT_LOW: _PATIENT,
    OpCode.SET_HYPO: _HYPO,
    OpCode.SET_HYPER: _HYPER,
    OpCode.SET_RATE_OF_DECREASE: _RATE,
    OpCode.SET_RATE_OF_INCREASE: _RATE,
}
"""The bit of the CGM Feature without which a sensor does not know a level (§3.2.1.1)."""


class ControlRefused(DeviceError):
    """A sensor answered a request with an error. `code` is its response code (`ResponseCode`)."""

    sentence = "The sensor refused what was asked of it (answer {code}). Wait a minute, then try again."

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code=code)


@dataclass(frozen=True, slots=True)
class Done:
    """The request was carried out."""

    request: int


@dataclass(frozen=True, slots=True)
class Told:
    """The sensor answered with a value: the message's properties give the interval, level or calibration."""

    message: ControlMessage


@dataclass(frozen=True, slots=True)
class Ignored:
    """An indication that answers nothing that runs."""

    message: ControlMessage


_ANSWER_OF: Final[dict[int, OpCode]] = {
    OpCode.GET_COMMUNICATION_INTERVAL: OpCode.COMMUNICATION_INTERVAL,
    OpCode.GET_CALIBRATION: OpCode.CALIBRATION,
    **{_GETTER_OF[op]: _LEVEL_OF[op] for op in _SETTERS},
}
"""What answers a question; everything else is answered by a response code."""


class ControlClient:
    """The gateway's side: it gives the bytes to write, and takes the indications.

    `crc`: whether the sensor's feature announces the E2E-CRC.
    """

    def __init__(self, *, crc: bool = False) -> None:
        self._crc = crc
        self._running: int | None = None

    @property
    def running(self) -> int | None:
        """The op code of the request that is not answered yet."""
        return self._running

    def start_session(self) -> bytes:
        """Ask the sensor to begin a session. Raises ProcedureInProgress, as all that ask."""
        return self.ask(ControlMessage(OpCode.START_SESSION))

    def stop_session(self) -> bytes:
        """Ask it to end the session."""
        return self.ask(ControlMessage(OpCode.STOP_SESSION))

    def set_interval(self, minutes: int) -> bytes:
        """Ask for a measurement every so many minutes; 0 for none, FASTEST for the fastest it can."""
        return self.ask(ControlMessage(OpCode.SET_COMMUNICATION_INTERVAL, bytes((minutes,))))

    def get_interval(self) -> bytes:
        """Ask how often it measures."""
        return self.ask(ControlMessage(OpCode.GET_COMMUNICATION_INTERVAL))

    def calibrate(self, calibration: Calibration) -> bytes:
        """Give it a finger-stick value to calibrate with."""
        return self.ask(ControlMessage(OpCode.SET_CALIBRATION, calibration.encode()))

    def get_calibration(self, record_number: int) -> bytes:
        """Ask for a calibration; 0xFFFF for the last one."""
        operand = Writer().uint16(record_number).done()
        return self.ask(ControlMessage(OpCode.GET_CALIBRATION, operand))

    def set_level(self, op: OpCode, level: Number) -> bytes:
        """Set an alert's level: `op` is one of the SET op codes. Raises ValueError for another."""
        if op not in _SETTERS:
            raise ValueError(f"{op.name} sets no level")
        return self.ask(ControlMessage(op, Writer().sfloat(level).done()))

    def get_level(self, op: OpCode) -> bytes:
        """Ask for the level that `op` sets."""
        return self.ask(ControlMessage(_GETTER_OF[op]))

    def reset_device_specific_alert(self) -> bytes:
        """Silence what only this sensor knows."""
        return self.ask(ControlMessage(OpCode.RESET_DEVICE_SPECIFIC_ALERT))

    def ask(self, message: ControlMessage) -> bytes:
        """The bytes of a request. Raises ProcedureInProgress."""
        if self._running is not None:
            raise ProcedureInProgress
        self._running = message.op
        return (message.with_crc() if self._crc else message).encode()

    def receive(self, indication: bytes) -> Done | Told | Ignored:
        """Take an indication of the control point.

        Raises ControlRefused when it ends what runs with an error, and MalformedMeasurement when it cannot be
        read or its checksum does not hold; then the procedure still runs.
        """
        message = ControlMessage.decode(indication)
        if message.crc_ok is False or (self._crc and message.crc is None):
            raise MalformedMeasurement("invalid_crc")
        if self._running is None:
            return Ignored(message)
        if message.response is not None:
            return self._responded(message, *message.response)
        if _ANSWER_OF.get(self._running) != message.op:
            return Ignored(message)
        self._running = None
        return Told(message)

    def _responded(self, message: ControlMessage, request: int, code: int) -> Done | Ignored:
        if request != self._running:
            return Ignored(message)
        if code == ResponseCode.SUCCESS and request in _ANSWER_OF:
            return Ignored(message)  # a question is answered by its value alone
        self._running = None
        if code != ResponseCode.SUCCESS:
            raise ControlRefused(code)
        return Done(request)

    def refused(self) -> None:
        """The write itself was refused: nothing runs."""
        self._running = None

    def disconnected(self) -> None:
        """The connection ended, and what ran with it."""
        self._running = None


@dataclass
class Session:
    """What a sensor remembers of its session."""

    running: bool = False
    interval_min: int = 5
    fastest_min: int = 1
    calibrations: list[Calibration] = field(default_factory=list)
    levels: dict[int, Number] = field(default_factory=dict)
    """By the op code that sets them."""


class ControlServer:
    """A sensor's side: it takes what is written and gives the value to indicate.

    `features`: its CGM Feature bits. `session`: what it remembers; requests change it. An answer is on its
    way until `confirmed`: a request meanwhile is refused.
    """

    def __init__(self, features: int, session: Session) -> None:
        self._features = features
        self._crc = bool(features & CRC_SUPPORTED)
        self.session = session
        self.configured = False
        self._answering = False

    def write(self, value: bytes) -> bytes:
        """Take a request; the value to indicate. Raises AttributeRefused."""
        if not self.configured:
            raise AttributeRefused(CCCD_IMPROPERLY_CONFIGURED)
        if self._answering:
            raise AttributeRefused(PROCEDURE_ALREADY_IN_PROGRESS)
        try:
            message = ControlMessage.decode(value)
        except MalformedMeasurement:
            raise AttributeRefused(INVALID_ATTRIBUTE_LENGTH) from None
        if self._crc and message.crc is None:
            raise AttributeRefused(MISSING_CRC)
        if message.crc_ok is False:
            raise AttributeRefused(INVALID_CRC)
        answer = self._answer(message)
        self._answering = True
        return (answer.with_crc() if self._crc else answer).encode()

    def confirmed(self) -> None:
        """The client confirmed the indication."""
        self._answering = False

    def disconnected(self) -> None:
        """The connection ended; the session goes on."""
        self._answering = False
        self.configured = False

    def _answer(self, message: ControlMessage) -> ControlMessage:
        done = self._done(message)
        return done if isinstance(done, ControlMessage) else _response(message.op, done)

    def _done(self, message: ControlMessage) -> ControlMessage | ResponseCode:
        match message.op:
            case OpCode.START_SESSION | OpCode.STOP_SESSION:
                return self._switch(on=message.op == OpCode.START_SESSION)
            case OpCode.SET_COMMUNICATION_INTERVAL:
                return self._set_interval(message.operand[0])
            case OpCode.GET_COMMUNICATION_INTERVAL:
                return ControlMessage(OpCode.COMMUNICATION_INTERVAL, bytes((self.session.interval_min,)))
            case OpCode.SET_CALIBRATION | OpCode.GET_CALIBRATION if self._features & _CALIBRATION:
                return self._calibration(message)
            case OpCode.RESET_DEVICE_SPECIFIC_ALERT if self._features & _SPECIFIC:
                return ResponseCode.SUCCESS
        return self._level(message)

    def _switch(self, *, on: bool) -> ResponseCode:
        if self.session.running == on:
            return ResponseCode.PROCEDURE_NOT_COMPLETED
        self.session.running = on
        return ResponseCode.SUCCESS

    def _set_interval(self, minutes: int) -> ResponseCode:
        if minutes == FASTEST:
            minutes = self.session.fastest_min
        elif 0 < minutes < self.session.fastest_min:
            return ResponseCode.PARAMETER_OUT_OF_RANGE
        self.session.interval_min = minutes
        return ResponseCode.SUCCESS

    def _calibrate(self, calibration: Calibration) -> ResponseCode:
        if not self.session.running:
            return ResponseCode.PROCEDURE_NOT_COMPLETED
        if not _is_level(calibration.concentration):
            return ResponseCode.PARAMETER_OUT_OF_RANGE
        number = len(self.session.calibrations) + 1
        kept = Calibration(
            calibration.concentration,
            calibration.time_offset_min,
            calibration.type_sample_location,
            calibration.next_calibration_min,
            number,
            0,
        )
        self.session.calibrations.append(kept)
        return ResponseCode.SUCCESS

    def _calibration(self, message: ControlMessage) -> ControlMessage | ResponseCode:
        if message.calibration is not None:
            return self._calibrate(message.calibration)
        known = self.session.calibrations
        number = int.from_bytes(message.operand, "little")
        if number == 0xFFFF:
            number = len(known)
        if not 1 <= number <= len(known):
            return ResponseCode.PARAMETER_OUT_OF_RANGE
        return ControlMessage(OpCode.CALIBRATION, known[number - 1].encode())

    def _level(self, message: ControlMessage) -> ControlMessage | ResponseCode:
        for setter, getter in _GETTER_OF.items():
            if message.op not in {setter, getter} or not self._features & _FEATURE_OF[setter]:
                continue
            if message.op == getter:
                level = self.session.levels.get(setter, Decimal(0))
                return ControlMessage(_LEVEL_OF[setter], Writer().sfloat(level).done())
            wanted = message.level
            if wanted is None or not _is_level(wanted):
                return ResponseCode.PARAMETER_OUT_OF_RANGE
            self.session.levels[setter] = wanted
            return ResponseCode.SUCCESS
        return ResponseCode.OP_CODE_NOT_SUPPORTED


def _is_level(number: Number) -> bool:
    return isinstance(number, Decimal) and number >= 0


def _response(request: int, code: ResponseCode) -> ControlMessage:
    return ControlMessage(OpCode.RESPONSE, bytes((request, code)))

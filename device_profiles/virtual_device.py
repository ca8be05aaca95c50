"""A device without hardware: from a profile and records, the GATT table and the reactions; no I/O here.

The radio side declares `gatt_table()`, passes on what a client reads, writes and subscribes to, and sends the
effects one after the other as fast as its link takes them. Faults are asked for by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from device_profiles.devices import glucose_meter
from device_profiles.errors import MalformedMeasurement
from device_profiles.procedures.record_access import (
    PROCEDURE_ALREADY_IN_PROGRESS,
    Answer,
    AttributeRefused,
    OpCode,
    Operator,
    ResponseCode,
    Send,
    Server,
    response,
)
from device_profiles.profile import SUPPORTING_OFFER, DeviceProfile, Source
from device_profiles.services import battery, current_time
from device_profiles.services.battery import BatteryLevel
from device_profiles.services.current_time import CurrentTime
from device_profiles.services.device_information import DeviceInformation
from device_profiles.transcript import CaptureUnreadable, DeviceEvent, read_sessions
from device_profiles.virtual_effects import (
    CharacteristicDeclaration,
    Disconnect,
    Effect,
    Frame,
    Indicate,
    LinkDropped,
    Notify,
    ServiceDeclaration,
    Silence,
)
from device_profiles.virtual_faults import NO_FAULTS, Faults, damaged
from device_profiles.virtual_features import FEATURES
from device_profiles.virtual_memory import StoredRecord, stored_record
from device_profiles.virtual_records import Record, generated_records
from device_profiles.wire import DateTime

__all__ = [
    "AttributeRefused",
    "CaptureUnreadable",
    "CharacteristicDeclaration",
    "Disconnect",
    "Effect",
    "Faults",
    "Indicate",
    "LinkDropped",
    "Notify",
    "Record",
    "ServiceDeclaration",
    "Silence",
    "VirtualDevice",
    "from_transcript",
    "generated_records",
]

READ_NOT_PERMITTED: Final = 0x02
WRITE_NOT_PERMITTED: Final = 0x03
VALUE_NOT_ALLOWED: Final = 0x13
NOTIFICATIONS: Final = 1
INDICATIONS: Final = 2
EVERYTHING: Final = bytes([OpCode.REPORT, Operator.ALL])
NOT_COMPLETED: Final = response(OpCode.REPORT, ResponseCode.PROCEDURE_NOT_COMPLETED).encode()


class VirtualDevice:
    """A peripheral with one client at a time. `faults` may be changed between two requests."""

    def __init__(  # noqa: PLR0913 - what a device is made of; all but two by name
        self,
        profile: DeviceProfile,
        records: Sequence[Record] = (),
        *,
        information: DeviceInformation = DeviceInformation(),  # noqa: B008 - frozen
        clock: Callable[[], datetime] | None = None,
        battery_percent: int = 80,
        protected: bool = True,
        capacity: int | None = None,
        values: Mapping[int, bytes] = MappingProxyType({}),
        faults: Faults = NO_FAULTS,
    ) -> None:
        """Make a device.

        `clock` gives the time that a right clock of its person shows, without it the device has none;
        `protected`: its records are only for who paired; `capacity`: how many records it keeps, the newest;
        `values`: what else can be read of it.
        """
        self.profile = profile
        self.name = profile.virtual_name
        self.advertised_services = profile.match.services
        self.protected = protected
        self.faults = faults
        self._clock = clock
        self._clock_ahead: timedelta | None = None
        self._values = {
            **FEATURES,
            **information.characteristics(),
            battery.BATTERY_LEVEL: BatteryLevel(battery_percent).encode(),
            **values,
        }
        self._stored: list[StoredRecord] = []
        self._capacity = capacity
        self._messages = 0
        self._ending: Indicate | Silence | None = None
        self._subscriptions: dict[int, int] = {}
        self._server: Server[StoredRecord] = Server(self._memory)
        for record in records:
            self.add(record)

    @classmethod
    def playing(cls, profile: DeviceProfile, session: Sequence[DeviceEvent]) -> VirtualDevice:
        """A device that sends what was captured, as `from_transcript` says."""
        access = profile.records
        if access is None:
            raise CaptureUnreadable("$.sessions")
        device = cls(profile, protected=False)
        device._ending = Silence()
        groups: list[list[Frame]] = []
        for operation, characteristic, value in session:
            if operation == "indicate" and characteristic == access.control_point:
                device._ending = Indicate(characteristic, value)
            elif operation == "notify" and characteristic in {access.measurement, access.context}:
                device._ending = Silence()
                if characteristic == access.measurement or not groups:
                    groups.append([])
                groups[-1].append(Notify(characteristic, value))
        sequence = 0
        for frames in groups:
            numbered = frames[0].value[1:3]
            sequence = int.from_bytes(numbered, "little") if len(numbered) == 2 else sequence
            device._stored.append(stored_record(sequence, frames))
        return device

    def add(self, record: Record) -> None:
        """Store one more record, as after a measurement."""
        source = self.profile.sources[0]
        if record.characteristic is not None:
            source = self.profile.source_of(record.characteristic) or source
        send = Indicate if source.indicated else Notify
        frames: list[Frame] = [
            send(source.characteristic, value) for value in (record.measurement, *record.following)
        ]
        if record.context is not None and self.profile.records is not None:
            frames.append(Notify(self.profile.records.context, record.context))
        self._stored.append(stored_record(record.sequence, frames))
        if self._capacity is not None:
            del self._stored[: -self._capacity]

    def delete(self, sequence: int | None = None) -> None:
        """Delete a record, or all, as its person does with the buttons; a reset deletes them too."""
        self._stored[:] = [
            each for each in self._stored if sequence is not None and each.sequence != sequence
        ]

    def _memory(self) -> Sequence[StoredRecord]:
        """The records in the order in which they are sent."""
        if self.faults.by_number:
            return sorted(self._stored, key=lambda each: each.sequence)
        return self._stored[::-1] if self.faults.newest_first else self._stored

    def _drops(self) -> bool:
        """Count a message; whether the link ends instead of it."""
        self._messages += 1
        if self._messages != self.faults.disconnect_at:
            return False
        self.disconnected()
        return True

    @property
    def last_sequence(self) -> int:
        """The number of the record that was stored last; 0 where there is none."""
        return self._stored[-1].sequence if self._stored else 0

    def __len__(self) -> int:
        """The number of stored records."""
        return len(self._stored)

    def gatt_table(self) -> tuple[ServiceDeclaration, ...]:
        """The services, with only those characteristics that this device has a value for."""
        table = []
        for service, characteristics in self.profile.offer.items():
            declared = [self._declaration(service, uuid) for uuid in characteristics]
            present = tuple(each for each in declared if each is not None)
            if present:
                table.append(ServiceDeclaration(service, present))
        return tuple(table)

    def _declaration(self, service: int, uuid: int) -> CharacteristicDeclaration | None:
        access = self.profile.records
        properties = {"read"}
        if (source := self.profile.source_of(uuid)) is not None:
            properties = {"indicate" if source.indicated else "notify"}
        elif access is not None and uuid == access.context:
            properties = {"notify"}
        elif access is not None and uuid == access.control_point:
            properties = {"write", "indicate"}
        elif uuid not in self._values and not self._shows_clock(uuid):
            return None
        elif self._shows_clock(uuid) and not self.faults.clock_read_only:
            properties = {"read", "write"}
        return CharacteristicDeclaration(
            uuid, frozenset(properties), protected=self.protected and service not in SUPPORTING_OFFER
        )

    def _shows_clock(self, uuid: int) -> bool:
        return uuid == self.profile.clock and self._clock is not None

    def read(self, uuid: int) -> bytes:
        """The value of a characteristic now. Raises AttributeRefused, LinkDropped."""
        if self._drops():
            raise LinkDropped
        if self._clock is not None and self._shows_clock(uuid):
            ahead = self._clock_ahead
            if ahead is None:
                ahead = timedelta(seconds=self.faults.clock_error_seconds)
            shown = self._clock() + ahead
            time = DateTime.of(shown)
            if uuid == current_time.CURRENT_TIME:
                return CurrentTime(time, shown.isoweekday(), shown.microsecond * 256 // 1_000_000).encode()
            return time.encode()
        if uuid not in self._values:
            raise AttributeRefused(READ_NOT_PERMITTED)
        return self._values[uuid]

    def subscribe(self, uuid: int, value: int) -> Iterator[Effect]:
        """Take a client characteristic configuration: 0 none, 1 notifications, 2 indications.

        Iterate over what it sets off: a device that sends by itself begins when somebody listens.
        Raises LinkDropped.
        """
        if self._drops():
            raise LinkDropped
        access = self.profile.records
        self._subscriptions[uuid] = value
        source = self.profile.source_of(uuid)
        if source is not None and (source.live or not self._gives_when_asked()):
            return self._lasting(self._pushed(source)) if self._listened_to(source) else iter(())
        if access is None:
            return iter(())
        self._server.configured = bool(
            self._listened_to(self.profile.sources[0])
            and self._subscriptions.get(access.control_point, 0) & INDICATIONS
        )
        return iter(())

    def _gives_when_asked(self) -> bool:
        access = self.profile.records
        return access is not None and any(
            access.control_point in offered for offered in self.profile.offer.values()
        )

    def _listened_to(self, source: Source) -> bool:
        wanted = INDICATIONS if source.indicated else NOTIFICATIONS
        return bool(self._subscriptions.get(source.characteristic, 0) & wanted)

    def _pushed(self, source: Source) -> Iterator[Effect]:
        """What a device without a control point sends: each measurement until it was taken, then goodbye.

        It forgets a measurement when the next effect is asked for: an indication that was not confirmed is
        sent again to the next who listens.
        """
        own = [one for one in self._stored if one.frames[0].characteristic == source.characteristic]
        for sent, record in enumerate(own):
            if self.faults.disconnect_after == sent:
                break
            yield from self._faulty(record.frames, sent + 1)
            if not self._listened_to(source):  # the link ended while another source was sending
                return
            self._stored.remove(record)
        if (own and not self._stored) or self.faults.disconnect_after is not None:
            self.disconnected()
            yield Disconnect()

    def write(self, uuid: int, value: bytes) -> Iterator[Effect]:
        """Take a write; iterate over what it sets off. Raises AttributeRefused and LinkDropped at once."""
        if self._drops():
            raise LinkDropped
        if self._shows_clock(uuid) and not self.faults.clock_read_only:
            self._set_clock(value)
            return iter(())
        access = self.profile.records
        if access is None or uuid != access.control_point:
            raise AttributeRefused(WRITE_NOT_PERMITTED)
        reports = value[0] == OpCode.REPORT
        if reports and self.faults.busy:
            raise AttributeRefused(PROCEDURE_ALREADY_IN_PROGRESS)
        refusal = self._refusal(value)
        if refusal is not None:
            return self._lasting(iter([Indicate(uuid, response(OpCode.REPORT, refusal).encode())]))
        actions = self._server.write(EVERYTHING if reports and self.faults.ignored_filter else value)
        if self.faults.silent_control_point:
            return iter([Silence()])
        return self._lasting(self._effects(actions, reports=reports))

    def _refusal(self, value: bytes) -> ResponseCode | None:
        """How a request from a number on is refused, where it is."""
        if value[:2] != bytes([OpCode.REPORT, Operator.AT_LEAST]):
            return None
        if self.faults.no_incremental:
            return ResponseCode.OPERATOR_NOT_SUPPORTED
        return ResponseCode.NO_RECORDS_FOUND if self.faults.empty_incremental else None

    def _lasting(self, effects: Iterator[Effect]) -> Iterator[Effect]:
        """The effects, as long as the link lasts."""
        for effect in effects:
            if isinstance(effect, Notify | Indicate) and self._drops():
                yield Disconnect()
                return
            yield effect

    def _set_clock(self, value: bytes) -> None:
        """Take a time, or only say so. Raises AttributeRefused for a value that is none."""
        try:
            written = self.profile.clock_time(value).as_if_utc()
        except MalformedMeasurement:
            written = None
        if written is None:
            raise AttributeRefused(VALUE_NOT_ALLOWED)
        if self._clock is not None and not self.faults.clock_write_ignored:
            self._clock_ahead = written - self._clock().replace(tzinfo=UTC)

    def disconnected(self) -> None:
        """The link ended; the next client subscribes anew."""
        self._subscriptions.clear()
        self._server.disconnected()
        self._messages = 0

    def _effects(self, actions: Iterator[Send[StoredRecord] | Answer], *, reports: bool) -> Iterator[Effect]:
        late: list[Frame] = []
        for sent, action in enumerate(actions):
            if reports and self.faults.disconnect_after == sent:
                self.disconnected()
                yield Disconnect()
                return
            if reports and self.faults.silent_after == sent:
                yield Silence()
                return
            if reports and self.faults.abort_after == sent:
                for _ in actions:  # the procedure ends with the answer that is not given
                    pass
                yield self._answer(Answer(NOT_COMPLETED), reports=False, found=False)
                return
            if isinstance(action, Answer):
                yield self._answer(action, reports=reports, found=sent > 0)
                yield from late
                return
            for frame in self._faulty(action.record.frames, sent + 1):
                if self.faults.late_context and self._is_context(frame):
                    late.append(frame)
                else:
                    yield frame

    def _answer(self, answer: Answer, *, reports: bool, found: bool) -> Effect:
        if self._ending is not None and reports and (found or not self._stored):
            return self._ending
        access = self.profile.records
        value = answer.value[:-1] if self.faults.garbled_answer else answer.value
        return Indicate(0 if access is None else access.control_point, value)

    def _is_context(self, frame: Frame) -> bool:
        return self.profile.records is not None and frame.characteristic == self.profile.records.context

    def _faulty(self, frames: Sequence[Frame], number: int) -> Iterator[Frame]:
        """The frames of the record sent as number so and so, as the faults and subscriptions have them."""
        faults = self.faults
        for frame in frames:
            wanted = INDICATIONS if isinstance(frame, Indicate) else NOTIFICATIONS
            if not self._subscriptions.get(frame.characteristic, 0) & wanted:
                continue
            if faults.no_context and self._is_context(frame):
                continue
            sent = frame if self._is_context(frame) else damaged(frame, faults, number)
            for _ in range(2 if faults.duplicate else 1):
                yield sent


def from_transcript(
    transcript: object, profile: DeviceProfile = glucose_meter.PROFILE
) -> tuple[VirtualDevice, ...]:
    """The sessions of a captured sync, each as a device that plays its frames again, byte for byte.

    Asked for all, it sends what was captured, malformed frames too, and ends as the capture ends: with the
    same indication, or in silence. Asked from a sequence number on, it goes by bytes 1 and 2 of each frame.
    It has no clock and needs no pairing. Raises CaptureUnreadable.
    """
    return tuple(VirtualDevice.playing(profile, session) for session in read_sessions(transcript))

"""What arrives while records are read: readings made as notifications come, contexts joined to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from device_profiles.errors import MalformedMeasurement
from device_profiles.meanings.meaning import NOT_HEARD
from device_profiles.profile import DeviceProfile, Heard, Source
from device_profiles.reading import Context, Reading
from device_profiles.services.glucose import MEASUREMENT_CONTEXT as CONTEXT

CONTEXT_FOLLOWS = 1 << 4
"""The flag of a measurement whose context comes too (GLS §3.1.1.1)."""

WITHOUT_MEASUREMENT = "without_measurement"
"""Why a context is refused whose measurement did not come."""


@dataclass(frozen=True, slots=True)
class RefusedFrame:
    """A notification that cannot be read, kept as it came. `position` counts from 1 in order of arrival."""

    position: int
    characteristic: int
    raw: bytes
    reason: str


class Arrivals:
    """The notifications of one read. Nothing that arrives is lost: it is a reading, a context, or refused."""

    def __init__(self, profile: DeviceProfile, heard: Callable[[], Heard] = lambda: NOT_HEARD) -> None:
        """`heard`: what is known beside the bytes of a measurement, asked when it comes."""
        self.readings: list[Reading] = []
        self.refused: list[RefusedFrame] = []
        self.count = 0
        """Notifications, whatever was in them."""
        self.expected_contexts: set[int] = set()
        """Sequence numbers of the contexts that were announced and have not come."""
        self._profile = profile
        self._heard = heard
        self._begun: dict[int, bytes] = {}
        """By characteristic: the first part of a measurement whose rest is to come."""
        self._ended: dict[int, bytes] = {}
        """By characteristic: the last part of the measurement that came in several values before this one."""
        self._row: dict[int, int] = {}
        """By sequence number: the measurement that came last."""
        self._early: dict[int, tuple[int, Context]] = {}

    def measurement(self, raw: bytes, characteristic: int | None = None) -> None:
        """Take a value of a source of measurements; None: of the first, which may announce contexts."""
        self.count += 1
        source = self._profile.sources[0]
        if characteristic is not None and characteristic != source.characteristic:
            source = self._profile.source_of(characteristic) or source
        said_before = (self._begun.get(source.characteristic), self._ended.pop(source.characteristic, None))
        if raw in said_before:  # a part that is said twice is no other part
            self._ended[source.characteristic] = raw
            return
        if source.characteristic in self._begun or source.meaning.continues(raw):
            part, raw = raw, self._begun.pop(source.characteristic, b"") + raw
            if source.meaning.continues(raw):
                self._begun[source.characteristic] = raw
                return
            self._ended[source.characteristic] = part
        for part in source.meaning.parts(raw):
            self._take(source, part)

    def _take(self, source: Source, raw: bytes) -> None:
        """A whole measurement, or what there is of one."""
        if source.has_contexts and raw and raw[0] & CONTEXT_FOLLOWS:
            self.expected_contexts.add(int.from_bytes(raw[1:3], "little"))
        try:
            found = source.meaning.readings(raw, self._heard())
        except MalformedMeasurement as error:
            self._refuse(source.characteristic, raw, error.reason)
            return
        if not source.has_contexts:
            self.readings += found
            return
        (reading,) = found
        sequence = reading.identity.sequence
        if sequence in self._early:
            reading = self._profile.joined(reading, self._early.pop(sequence)[1])
        row = self._row.get(sequence)
        if row is None or self.readings[row].raw != raw:  # else the device said it twice
            self._row[sequence] = len(self.readings)
        self.readings.append(reading)

    def context(self, raw: bytes) -> None:
        """Take a context, before or after its measurement."""
        self.count += 1
        try:
            sequence, context = self._profile.context(raw)
        except MalformedMeasurement as error:
            self._refuse(CONTEXT, raw, error.reason)
            return
        self.expected_contexts.discard(sequence)
        row = self._row.get(sequence)
        if row is None:
            self._early[sequence] = self.count, context
        else:
            self.readings[row] = self._profile.joined(self.readings[row], context)

    def refuse(self, characteristic: int, raw: bytes, reason: str) -> None:
        """Take a notification of another characteristic that cannot be read."""
        self.count += 1
        self._refuse(characteristic, raw, reason)

    def refusals(self) -> list[dict[str, Any]]:
        """What was refused, for an answer: `line`, the place in the order of arrival, and `reason`."""
        return [{"line": each.position, "reason": each.reason} for each in self.refused]

    def end(self) -> None:
        """Nothing more comes: contexts that wait for their measurement are kept aside."""
        for position, early in self._early.values():
            self.refused.append(RefusedFrame(position, CONTEXT, early.raw, WITHOUT_MEASUREMENT))
        self._early.clear()
        for characteristic, raw in self._begun.items():
            self._take(self._profile.source_of(characteristic) or self._profile.sources[0], raw)
        self._begun.clear()
        self.refused.sort(key=lambda each: each.position)

    def _refuse(self, characteristic: int, raw: bytes, reason: str) -> None:
        self.refused.append(RefusedFrame(self.count, characteristic, raw, reason))

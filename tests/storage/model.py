"""The store as a plain model: dictionaries and loops, nothing clever, to be equal to the real one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from device_profiles.reading import (
    Absent,
    ClockSegment,
    Context,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
)
from storage.annotations import LEAVES_OUT, AnnotationKind

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Key = tuple[datetime, int, int]
"""recorded_at, sequence, ordinal."""

GLUCOSE = Measurand.GLUCOSE
MEASUREMENTS: Mapping[bytes, tuple[Kind, tuple[Quantity, ...]]] = {
    b"53": (Kind.BLOOD_GLUCOSE, (Quantity(GLUCOSE, Decimal(53), "mg/dL"),)),
    b"54": (Kind.BLOOD_GLUCOSE, (Quantity(GLUCOSE, Decimal(54), "mg/dL"),)),
    b"180": (Kind.INTERSTITIAL_GLUCOSE, (Quantity(GLUCOSE, Decimal(180), "mg/dL"),)),
    b"3.9": (Kind.BLOOD_GLUCOSE, (Quantity(GLUCOSE, Decimal("3.9"), "mmol/L"),)),
    b"5.50": (Kind.INTERSTITIAL_GLUCOSE, (Quantity(GLUCOSE, Decimal("5.50"), "mmol/L"),)),
    b"LO": (Kind.BLOOD_GLUCOSE, (Quantity(GLUCOSE, None, "mg/dL", Absent.BELOW_RANGE),)),
    b"HI": (Kind.INTERSTITIAL_GLUCOSE, (Quantity(GLUCOSE, None, "mg/dL", Absent.ABOVE_RANGE),)),
    b"NaN": (Kind.BLOOD_GLUCOSE, (Quantity(GLUCOSE, None, "mmol/L", Absent.NOT_A_NUMBER),)),
    b"control": (Kind.CONTROL_SOLUTION, (Quantity(GLUCOSE, Decimal(40), "mg/dL"),)),
    b"121/80": (
        Kind.BLOOD_PRESSURE,
        (
            Quantity(Measurand.SYSTOLIC, Decimal(121), "mm[Hg]"),
            Quantity(Measurand.DIASTOLIC, Decimal("80.5"), "mm[Hg]"),
        ),
    ),
}
"""What a device can say, by its bytes."""

BOUNDS = {"mg/dL": (54, 70, 180, 250), "mmol/L": (3.0, 3.9, 10.0, 13.9)}


def said(at: datetime, sequence: int, raw: bytes, context: Context | None = None) -> Reading:
    kind, quantities = MEASUREMENTS[raw]
    return Reading(kind, quantities, None, RecordIdentity(at, sequence), raw, context=context)


@dataclass
class Annotated:
    kind: AnnotationKind
    value: str | None
    withdrawn: bool = False


@dataclass
class OneDevice:
    """What the store shall hold of one device."""

    readings: dict[Key, bytes] = field(default_factory=dict)
    contexts: dict[Key, Context] = field(default_factory=dict)
    annotations: dict[Key, list[Annotated]] = field(default_factory=dict)
    segments: tuple[ClockSegment, ...] = ()
    erased: set[tuple[datetime, int]] = field(default_factory=set)
    cursor: int | None = None
    refused: set[bytes] = field(default_factory=set)
    created: int = 0
    """How many readings the outbox was told of as new."""
    told: set[Key] = field(default_factory=set)
    """Those of them that are still there."""
    joined: int = 0
    retimed: list[tuple[datetime, datetime]] = field(default_factory=list)
    annotated: set[datetime] = field(default_factory=set)

    def store(
        self, batch: Iterable[Reading], segments: tuple[ClockSegment, ...], *, moves_cursor: bool
    ) -> tuple[int, int, int]:
        """New, known and left out; the key is found out by the measurement."""
        keyed = []
        ranks: dict[tuple[datetime, int], list[tuple[int, bytes]]] = {}
        for key, raw in self.readings.items():
            ranks.setdefault(key[:2], []).append((key[2], raw))
        for reading in batch:
            at, sequence = reading.identity.recorded_at, reading.identity.sequence
            of_key = ranks.setdefault((at, sequence), [])
            of_key.sort()
            same = [rank for rank, raw in of_key if raw == reading.raw]
            ordinal = same[0] if same else of_key[-1][0] + 1 if of_key else 0
            of_key += [] if same else [(ordinal, reading.raw)]
            keyed.append(((at, sequence, ordinal), reading))
        return self.store_given(keyed, segments, moves_cursor=moves_cursor, tells_spaces=True)

    def store_given(
        self,
        batch: Sequence[tuple[Key, Reading]],
        segments: tuple[ClockSegment, ...] | None,
        *,
        moves_cursor: bool = False,
        tells_spaces: bool = False,
    ) -> tuple[int, int, int]:
        new, known, erased = {}, [], 0
        for key, reading in batch:
            if key in self.readings or key in new:
                known.append((key, reading))
            elif key[:2] in self.erased:
                erased += 1
            else:
                new[key] = reading
        late = 0
        for key, reading in new.items():
            self.readings[key] = reading.raw
            if reading.context:
                self.contexts[key] = reading.context
        for key, reading in known:
            if reading.context and key not in self.contexts:
                self.contexts[key] = reading.context
                late += 1
        if moves_cursor and batch:
            self.cursor = max(reading.identity.sequence for _, reading in batch)
        if tells_spaces:
            self.created += len(new)
            self.told |= set(new)
            self.joined += late
        self.place(self.segments if segments is None else segments, tells_spaces=tells_spaces)
        return len(new), len(known), erased

    def place(self, segments: tuple[ClockSegment, ...], *, tells_spaces: bool) -> None:
        if tells_spaces:
            kept = [_placing(each) for each in segments]
            self.retimed += [
                (each.first_recorded_at, each.last_recorded_at)
                for each in self.segments
                if _placing(each) not in kept
            ]
        self.segments = segments

    def effective(self, key: Key) -> datetime | None:
        return effective(self.segments, key)

    def left_out(self, key: Key, kinds: Iterable[AnnotationKind] = LEAVES_OUT) -> bool:
        return any(each.kind in kinds and not each.withdrawn for each in self.annotations.get(key, ()))

    def erase(self, keys: Iterable[Key]) -> int:
        gone = [key for key in keys if key in self.readings]
        for key in gone:
            del self.readings[key]
            self.contexts.pop(key, None)
            self.annotations.pop(key, None)
            self.erased.add(key[:2])
            self.told.discard(key)
        if gone:
            times = {at for at, *_ in self.readings}
            self.annotated &= times
            self.retimed = [each for each in self.retimed if any(each[0] <= at <= each[1] for at in times)]
        return len(gone)

    def days(self, zone: ZoneInfo) -> dict[tuple[date, Kind, str], list[Decimal | Absent]]:
        """The values of each day, kind and unit."""
        found: dict[tuple[date, Kind, str], list[Decimal | Absent]] = {}
        for key, raw in sorted(self.readings.items()):
            time = self.effective(key)
            if time is not None and not self.left_out(key):
                kind, (quantity, *_) = MEASUREMENTS[raw]
                value = quantity.absent or quantity.value
                assert value is not None
                found.setdefault((time.astimezone(zone).date(), kind, quantity.unit), []).append(value)
        return found


def _placing(segment: ClockSegment) -> tuple[object, ...]:
    """What a segment says of the records that it covers."""
    return segment.shift_seconds, segment.utc_offset_minutes, segment.source


def effective(segments: Iterable[ClockSegment], key: Key) -> datetime | None:
    """The last segment that covers a record places it."""
    time = None
    for segment in segments:
        if (
            segment.first_recorded_at <= key[0] <= segment.last_recorded_at
            and segment.first_sequence <= key[1] <= segment.last_sequence
        ):
            shift = segment.shift_seconds
            time = None if shift is None else key[0] + timedelta(seconds=shift)
    return time


def summary(kind: Kind, unit: str, values: Sequence[Decimal | Absent]) -> dict[str, float | None]:
    """A day by counting, one value after the other."""
    numbers = [float(value) for value in values if isinstance(value, Decimal)]
    low, high = values.count(Absent.BELOW_RANGE), values.count(Absent.ABOVE_RANGE)
    ranges = dict.fromkeys(("very_low", "low", "target", "high", "very_high"), 0)
    if kind in {Kind.BLOOD_GLUCOSE, Kind.INTERSTITIAL_GLUCOSE}:
        a, b, c, d = BOUNDS[unit]
        for value in numbers:
            name = (
                "very_low" if value < a
                else "low" if value < b
                else "target" if value <= c
                else "high" if value <= d
                else "very_high"
            )  # fmt: skip
            ranges[name] += 1
        ranges["very_low"] += low
        ranges["very_high"] += high
    return {
        "readings": len(values),
        "below_range": low,
        "above_range": high,
        **ranges,
        "numbers": len(numbers),
        "total": sum(numbers),
        "squares": sum(value * value for value in numbers),
        "lowest": min(numbers, default=None),
        "highest": max(numbers, default=None),
    }

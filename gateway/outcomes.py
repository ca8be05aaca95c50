"""What a sync did, as it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate
from time import monotonic
from typing import Any

from gateway.fetching import Fetched
from gateway.setting_clock import LEFT, ClockSetting
from gateway.storing import Kept
from storage.devices import StoredDevice


@dataclass(frozen=True, slots=True)
class Refused:
    """A notification that was kept aside: its number in order of arrival, from 1, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """What a sync did."""

    device: StoredDevice
    records_read: int
    stored: int
    known: int
    refused: tuple[Refused, ...]
    notifications: int
    """How many arrived, whatever was in them."""
    clock_error_seconds: int | None
    seconds: Mapping[str, float]
    """Of the phases `scan` and `pair` (where they were part of it), `read` and `store`."""
    erased: int = 0
    """How many the person had erased before: they are not taken again."""
    missing: int = 0
    """How many numbers the device has passed over, seen now for the first time: readings nobody has."""
    set_clock: ClockSetting = LEFT
    """What became of the device's clock, once everything was stored."""
    own_clock_in_doubt: bool = False
    """This machine's clock looks wrong: no time was corrected, and no clock set, by it."""

    @classmethod
    def of(cls, fetched: Fetched, kept: Kept, laps: Laps) -> SyncOutcome:
        """The outcome of one read."""
        return cls(
            device=kept.device,
            records_read=len(fetched.readings) - fetched.again,
            stored=kept.stored,
            known=kept.known,
            refused=tuple(Refused(**refusal) for refusal in fetched.arrived.refusals()),
            notifications=fetched.arrived.count,
            clock_error_seconds=kept.device.clock_error_seconds,
            seconds=laps.seconds,
            erased=kept.erased,
            missing=kept.missing,
            own_clock_in_doubt=kept.own_clock_in_doubt,
        )

    def counts(self) -> dict[str, Any]:
        """The numbers that are told, also of a read that broke off."""
        refused = [asdict(frame) for frame in self.refused]
        return {"stored": self.stored, "known": self.known, "refused": refused, "missing": self.missing}

    @classmethod
    def together(cls, outcomes: Sequence[SyncOutcome]) -> SyncOutcome:
        """Several as one: numbers added up, notifications counted on; device and clock are the last one's."""
        before = [0, *accumulate(each.notifications for each in outcomes)]
        refused = tuple(
            Refused(start + one.line, one.reason)
            for start, each in zip(before, outcomes, strict=False)
            for one in each.refused
        )
        phases = dict.fromkeys(phase for each in outcomes for phase in each.seconds)
        return replace(
            outcomes[-1],
            records_read=sum(each.records_read for each in outcomes),
            stored=sum(each.stored for each in outcomes),
            known=sum(each.known for each in outcomes),
            erased=sum(each.erased for each in outcomes),
            missing=sum(each.missing for each in outcomes),
            own_clock_in_doubt=any(each.own_clock_in_doubt for each in outcomes),
            refused=refused,
            notifications=before[-1],
            seconds={phase: sum(each.seconds.get(phase, 0) for each in outcomes) for phase in phases},
        )


@dataclass(slots=True)
class Laps:
    """How long each phase took."""

    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=monotonic)

    def end(self, phase: str) -> None:
        """End a phase; the next begins."""
        now = monotonic()
        self.seconds[phase] = round(now - self._began, 3)
        self._began = now

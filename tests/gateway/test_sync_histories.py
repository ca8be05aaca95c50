"""Every record once, whatever happens: generated lives of a meter, and of two homes that read it.

The meter is the virtual one with its faults; the gateways' way from the notification to the database is the
real one, over a link without radio (`thin_link`). A short run in the ordinary suite; `make test-long` goes
through thousands.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from device_profiles.devices import glucose_meter
from device_profiles.errors import DeviceError
from device_profiles.profile import RecordAccess
from device_profiles.services.device_information import DeviceInformation
from device_profiles.services.glucose import GlucoseMeasurement, GlucoseMeasurementContext
from device_profiles.virtual_device import Faults, Record, VirtualDevice
from device_profiles.wire import DateTime
from gateway.sync import DeviceSwapped, Storing, SyncOutcome, sync_connected
from storage import devices, patients
from storage.database import Database
from storage.devices import StoredDevice
from storage.patients import Patient
from tests.conftest import DATABASE
from tests.gateway.thin_link import BRIEF, PATIENT, thin_link

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
EXAMPLES, STEPS = (int(os.environ.get("HISTORIES", "4000")), 14) if LONG else (15 if DATABASE else 40, 10)

QUICK = bool(os.environ.get("NO_SHRINKING"))
"""While looking for what is wrong, not for the smallest case of it."""

PARIS = ZoneInfo("Europe/Paris")
NEWER = datetime(2026, 3, 1, 8, 0, tzinfo=PARIS)
CIRCLE = 1 << 16
Result = TypeVar("Result")

QUIRKS = ("newest_first", "by_number", "ignored_filter", "no_incremental", "empty_incremental")
quirks = st.sampled_from(["", "", "", *QUIRKS])
faults = st.one_of(
    st.builds(Faults, disconnect_at=st.integers(1, 30)),
    st.builds(Faults, disconnect_at=st.integers(8, 16)),
    st.builds(Faults, disconnect_after=st.integers(0, 6)),
    st.builds(Faults, silent_after=st.integers(0, 5)),
    st.builds(Faults, abort_after=st.integers(0, 5)),
    st.builds(Faults, malformed=st.integers(1, 4)),
    st.builds(Faults, truncated=st.integers(1, 4)),
    st.builds(Faults, overlong=st.integers(1, 4), disconnect_after=st.none() | st.integers(1, 5)),
    st.builds(Faults, duplicate=st.just(True), disconnect_at=st.none() | st.integers(9, 25)),
    st.builds(Faults, late_context=st.just(True), disconnect_at=st.none() | st.integers(9, 25)),
    st.builds(Faults, no_context=st.just(True)),
    st.builds(Faults, silent_control_point=st.just(True)),
    st.builds(Faults, busy=st.just(True)),
    st.builds(Faults, garbled_answer=st.just(True)),
)
DAMAGES = ("malformed", "truncated", "overlong")


class Died(Exception):
    """Stands for whatever ends a gateway between two statements."""


@contextmanager
def dying_at(statement: int) -> Iterator[None]:
    """The gateway's statement of that number (from 0) is not sent any more; the pool's do not count."""
    left = iter(range(statement))
    cursor = psycopg.AsyncCursor
    execute, copy = cursor.execute, cursor.copy

    async def counted(self: Any, query: Any, *arguments: Any, **more: Any) -> Any:
        if "passerelle." in str(query) and next(left, None) is None:
            raise Died
        return await execute(self, query, *arguments, **more)

    def copied(self: Any, *arguments: Any, **more: Any) -> Any:
        if next(left, None) is None:
            raise Died
        return copy(self, *arguments, **more)

    cursor.execute, cursor.copy = counted, copied  # type: ignore[method-assign]
    try:
        yield
    finally:
        cursor.execute, cursor.copy = execute, copy  # type: ignore[method-assign]


@dataclass
class Held:
    """What a gateway must hold by now, and what it may lack."""

    patient: Patient
    device: StoredDevice | None = None
    must: set[bytes] = field(default_factory=set)
    """The measurements that it read to the end."""
    contexts: dict[bytes, bytes] = field(default_factory=dict)
    damaged: Counter[bytes] = field(default_factory=Counter)
    """How often each was damaged on its way: what comes damaged twice is taken for the meter's own."""
    without_context: Counter[bytes] = field(default_factory=Counter)
    missing: int = 0
    """What it said was missing."""
    clean: bool = True
    """Whether its first read went well; else what was gone before it may never be noticed."""


class Lives(RuleBasedStateMachine):
    """One meter and two homes."""

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]
    ran: ClassVar[int] = 0

    @initialize(
        number=st.sampled_from([0, 1, 40, 65_531, 65_533, 65_534, 65_535]),
        capacity=st.none() | st.integers(2, 6),
        quirk=quirks,
        whole=st.booleans(),
        first=st.integers(0, 4),
        read=st.booleans(),
    )
    def begin(
        self, number: int, capacity: int | None, quirk: str, whole: bool, first: int, read: bool
    ) -> None:
        type(self).ran += 1
        if LONG and self.ran % 100 == 0:
            print(f"{self.ran} lives", file=sys.__stderr__, flush=True)
        self.quirk = Faults(**{quirk: True}) if quirk else Faults()
        profile = glucose_meter.PROFILE.but(records=RecordAccess(incremental=not whole))
        self.shown: datetime | None = NEWER
        self.serial = f"SN-{uuid4()}"
        self.meter = VirtualDevice(
            profile, information=self._information(self.serial), clock=lambda: NEWER, capacity=capacity
        )
        self.capacity = capacity
        self.number = number
        self.made: dict[bytes, Record] = {}
        self.memory: list[Record] = []
        self.passed: list[bytes | None] = []
        """Of this count, in order: each record by its bytes, and each number that was skipped."""
        self.began_again = False
        self.homes = [Held(self.running(self._person())) for _ in range(2)]
        self.measure(first, with_context=False)
        if read:
            self.sync(0, full=False)

    @staticmethod
    def _information(serial: str) -> DeviceInformation:
        return DeviceInformation("Acme", "One", serial)

    async def _person(self) -> Patient:
        async with self.database.writer() as conn:
            return await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")

    def running(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    # --- the life of a meter --------------------------------------------------------------------------

    @rule(count=st.integers(1, 4), with_context=st.booleans())
    def measure(self, count: int, with_context: bool) -> None:
        for _ in range(count):
            if self.shown is not None:
                self.shown += timedelta(minutes=47)
            at = DateTime(0, 0, 0, 0, 0, 0) if self.shown is None else DateTime.of(self.shown)
            value = Decimal(50 + len(self.made)).scaleb(-5)
            measurement = GlucoseMeasurement.of(
                self.number, at, concentration=value, type=1, sample_location=1, context_follows=with_context
            ).encode()
            context = GlucoseMeasurementContext.of(self.number, meal=1 + len(self.made) % 5).encode()
            record = Record(self.number, measurement, context if with_context else None)
            self.made[measurement] = record
            self.passed.append(measurement)
            self.memory.append(record)
            self.meter.add(record)
            self.number = (self.number + 1) % CIRCLE
        if self.capacity is not None:
            del self.memory[: -self.capacity]

    @rule(count=st.integers(1, 4), with_context=st.booleans(), home=st.integers(0, 1))
    def measure_and_sync(self, count: int, with_context: bool, home: int) -> None:
        """What happens on most days."""
        self.measure(count, with_context)
        self.sync(home, full=False)

    @rule(first=st.integers(0, 2), count=st.integers(1, 6), home=st.integers(0, 1))
    def begin_again(self, first: int, count: int, home: int) -> None:
        """A reset that nobody saw: the new numbers may have gone past the old ones when it is read."""
        self.reset(first)
        self.measure(count, with_context=False)
        self.sync(home, full=False)

    @rule(by=st.integers(1, 3))
    def skip_numbers(self, by: int) -> None:
        """Records that were made and lost before anybody saw them."""
        self.number = (self.number + by) % CIRCLE
        self.passed += [None] * by

    @rule(pick=st.none() | st.integers(0, 10))
    def delete(self, pick: int | None) -> None:
        """A person deletes one record on the meter, or all."""
        if pick is None:
            self.memory.clear()
            self.meter.delete()
        elif self.memory:
            gone = self.memory.pop(pick % len(self.memory))
            self.meter.delete(gone.sequence)

    @rule(first=st.integers(0, 2))
    def reset(self, first: int) -> None:
        """All records go, and the numbers begin again."""
        self.memory.clear()
        self.meter.delete()
        self.number = first
        self.passed.clear()
        self.began_again = True

    @rule(to=st.sampled_from([timedelta(days=-400), timedelta(hours=-3), timedelta(hours=1), None]))
    def set_clock(self, to: timedelta | None) -> None:
        """The clock is set, or its battery is pulled: then it knows no date until it is set."""
        self.shown = None if to is None else (self.shown or NEWER) + to

    # --- reading it -----------------------------------------------------------------------------------

    @rule(home=st.integers(0, 1), fault=faults)
    def sync_with_a_fault(self, home: int, fault: Faults) -> None:
        held = self.homes[home]
        self.meter.faults = self._with_quirk(fault)
        silent = fault.silent_control_point or fault.silent_after is not None
        slow = silent or fault.garbled_answer or fault.no_context
        try:
            outcome = self.running(self._sync(held, slow=slow))
        except DeviceError as error:
            note(f"{type(error).__name__}")
            held.missing += int(str(error.details.get("missing", 0)))
            held.clean = held.clean and bool(held.must)
        else:
            self._completed(held, outcome, fault)
        finally:
            self._tally(held, fault)
            self.meter.faults = self.quirk

    def _tally(self, held: Held, fault: Faults) -> None:
        """What of this read may be taken for the meter's own fault if it comes again."""
        if any(getattr(fault, each) is not None for each in DAMAGES):
            held.damaged.update(record.measurement for record in self.memory)
        if fault.no_context:
            held.without_context.update(record.measurement for record in self.memory)

    def _with_quirk(self, fault: Faults) -> Faults:
        names = [name for name in QUIRKS if getattr(self.quirk, name)]
        return replace(fault, **dict.fromkeys(names, True))

    @rule(home=st.integers(0, 1), statement=st.integers(0, 40))
    def die(self, home: int, statement: int) -> None:
        """The gateway ends at a statement."""
        held = self.homes[home]

        async def doomed() -> SyncOutcome:
            with dying_at(statement):
                return await self._sync(held)

        try:
            self._completed(held, self.running(doomed()), Faults())
        except Died:
            held.clean = held.clean and bool(held.must)
            held.missing = -1  # what it would have said is said by the next

    @rule(home=st.integers(0, 1), full=st.booleans())
    def sync(self, home: int, full: bool) -> None:
        held = self.homes[home]
        self._completed(held, self.running(self._sync(held, full=full)), Faults())

    @precondition(lambda self: any(held.device for held in self.homes))
    @rule(home=st.integers(0, 1))
    def swap(self, home: int) -> None:
        """Another meter of that name answers."""
        held = self.homes[home]
        if held.device is None:
            return
        other = VirtualDevice(
            glucose_meter.PROFILE,
            [Record(9, GlucoseMeasurement.of(9, DateTime.of(NEWER)).encode())],
            information=self._information("another"),
        )

        async def read_another() -> None:
            async with thin_link(other) as connection:
                await sync_connected(connection, Storing(self.database, held.patient, expected=held.device))

        with pytest.raises(DeviceSwapped):
            self.running(read_another())

    async def _sync(self, held: Held, *, full: bool = False, slow: bool = False) -> SyncOutcome:
        async with thin_link(self.meter, BRIEF if slow else PATIENT) as connection:
            storing = Storing(self.database, held.patient, expected=held.device)
            return await sync_connected(connection, storing, full=full)

    def _completed(self, held: Held, outcome: SyncOutcome, fault: Faults) -> None:
        held.device = outcome.device
        if held.missing >= 0:
            held.missing += outcome.missing
        damages = any(getattr(fault, each) is not None for each in DAMAGES)
        for record in self.memory:
            if damages or held.damaged[record.measurement] > 1:
                continue
            held.must.add(record.measurement)
            may_lack = fault.no_context or held.without_context[record.measurement] > 1
            may_lack = may_lack or (fault.late_context and fault.disconnect_at is not None)
            if record.context is not None and not may_lack:
                held.contexts[record.measurement] = record.context

    # --- the truth ------------------------------------------------------------------------------------

    @invariant()
    def every_record_is_there_once(self) -> None:
        for held in getattr(self, "homes", ()):
            found, contexts = self.running(self._held_by(held.patient))
            counted = Counter(found)
            assert not [raw for raw, count in counted.items() if count > 1], "stored twice"
            assert set(counted) <= set(self.made), "stored what the meter never said"
            assert held.must <= set(counted), "lost"
            for raw, context in held.contexts.items():
                assert contexts.get(raw) == context, "lost a context"

    async def _held_by(self, patient: Patient) -> tuple[list[bytes], dict[bytes, bytes]]:
        async with self.database.writer() as conn:
            rows = await (await conn.execute(ROWS, (patient.patient_id,))).fetchall()
        return [raw for raw, _ in rows], {raw: context for raw, context in rows if context is not None}

    def teardown(self) -> None:
        """At the end each home reads once more: it holds exactly what it could, and said what is missing."""
        for held in getattr(self, "homes", ()):
            self._completed(held, self.running(self._sync(held)), Faults())
        if hasattr(self, "homes"):
            self.every_record_is_there_once()
            for held in self.homes:
                self._says_what_is_missing(held)

    def _says_what_is_missing(self, held: Held) -> None:
        async def gaps() -> int:
            async with self.database.writer() as conn:
                (device,) = await devices.of_patient(conn, held.patient.patient_id)
            return sum(gap.count for gap in device.gaps)

        kept = self.running(gaps())
        assert held.missing in {-1, kept}, "what was told is what is kept"
        if self.began_again or not held.clean or held.damaged:
            return
        found, _ = self.running(self._held_by(held.patient))
        here = [place for place, raw in enumerate(self.passed) if raw in set(found)]
        between = self.passed[here[0] : here[-1]] if here else []
        assert kept == sum(raw not in set(found) for raw in between)


ROWS = """
SELECT r.raw, c.raw FROM passerelle.reading r LEFT JOIN passerelle.reading_context c
    USING (patient_id, recorded_at, sequence, device_id, ordinal) WHERE r.patient_id = %s
"""


@pytest.mark.timeout(14_400)
def test_every_life_of_a_meter_ends_with_its_records_stored_once(
    database_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with asyncio.Runner() as runner:
        opening = Database.open(database_home, DATABASE)
        Lives.runner, Lives.ran = runner, 0
        Lives.database = runner.run(opening.__aenter__())
        try:
            run_state_machine_as_test(
                Lives,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    report_multiple_bugs=False,
                    phases=set(Phase) - ({Phase.explain, Phase.shrink} if QUICK else {Phase.explain}),
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opening.__aexit__(None, None, None))
    if LONG:
        with capsys.disabled():
            print(f"\n{Lives.ran} lives of a meter, each read to the end")
    assert Lives.ran >= EXAMPLES

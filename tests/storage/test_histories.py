"""The laws of the store: whatever happens in whatever order, it ends equal to a plain model.

A short run in the ordinary suite; `make test-long` (HYPOTHESIS_PROFILE=long) goes through thousands.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from device_profiles.reading import (
    UNITS,
    UNKNOWN_DATE,
    UNKNOWN_TIME,
    ClockSegment,
    Device,
    DeviceIdentity,
    Reading,
    TimeSource,
)
from storage import annotations, clock_segments, daily_summary, devices, erasure, outbox, patients, readings
from storage.annotations import AnnotationKind, ReadingKey
from storage.columns import microseconds, moment
from storage.connection import Connection
from storage.contexts import Beside
from storage.database import Database
from storage.devices import StoredDevice
from storage.outbox import Change
from storage.readings import RefusedFrame
from tests.conftest import DATABASE
from tests.storage.model import EPOCH, MEASUREMENTS, Annotated, Key, OneDevice, effective, said, summary
from tests.storage.samples import columns_of, meal

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
EXAMPLES, STEPS = (int(os.environ.get("HISTORIES", "4000")), 12) if LONG else (15 if DATABASE else 50, 12)

QUICK = bool(os.environ.get("NO_SHRINKING"))
"""While looking for what is wrong, not for the smallest case of it."""

MOMENTS = [
    UNKNOWN_DATE,
    EPOCH,
    datetime(2026, 3, 2, 8, 0, tzinfo=UTC),
    datetime(2026, 3, 2, 8, 0, 0, 250_000, tzinfo=UTC),
    datetime(2026, 3, 28, 23, 30, tzinfo=UTC),  # around the changes of the hour, in Europe
    datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
    datetime(2026, 10, 24, 22, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 23, 59, 59, tzinfo=UTC),
    datetime(2037, 12, 31, 23, 0, tzinfo=UTC),
    datetime(2105, 1, 1, tzinfo=UTC),
]
ZONES = ["Europe/Paris", "America/St_Johns", "Pacific/Apia", "UTC"]
SHIFTS = [0, -3600, 5 * 3600, 86_400 * 400, -86_400 * 3, None]
WIDE = (datetime(1890, 1, 1, tzinfo=UTC), datetime(2110, 1, 1, tzinfo=UTC))
HIGHEST = 1 << 30

Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """What a sensor brings: enough for a COPY."""

    first: int
    count: int
    raws: tuple[bytes, ...]

    def readings(self) -> list[Reading]:
        begin = datetime(2026, 3, 27, tzinfo=UTC)
        return [
            said(begin + timedelta(minutes=15 * number), number, self.raws[number % len(self.raws)])
            for number in range(self.first, self.first + self.count)
        ]


@dataclass(frozen=True)
class One:
    """A record of a meter; the same one, or another under its key, comes again soon."""

    at: datetime
    sequence: int
    raw: bytes
    meal: int | None = None

    def readings(self) -> list[Reading]:
        return [said(self.at, self.sequence, self.raw, None if self.meal is None else meal(self.meal))]


raws = st.sampled_from(sorted(MEASUREMENTS))
ones = st.builds(One, st.sampled_from(MOMENTS), st.integers(0, 4), raws, st.none() | st.integers(1, 4))
runs = st.builds(
    Run, st.integers(0, 300), st.integers(100, 130), st.lists(raws, min_size=1, max_size=3).map(tuple)
)
batches = st.lists(ones, max_size=8) | st.tuples(runs).map(list) | st.tuples(runs, ones).map(list)


def spoken(batch: Sequence[Run | One]) -> list[Reading]:
    return [reading for part in batch for reading in part.readings()]


@st.composite
def segment_sets(draw: st.DrawFn) -> tuple[ClockSegment, ...]:
    """One for all, or some that share the records by number and by time; each record is in one."""
    shape = draw(st.sampled_from(["all", "by number", "by time", "corner"]))
    one, two = draw(st.sampled_from(SHIFTS)), draw(st.sampled_from(SHIFTS))
    edge, middle = draw(st.integers(0, 5)), draw(st.sampled_from(MOMENTS))
    every, low, high = (0, HIGHEST), (0, edge), (edge + 1, HIGHEST)
    before, after = (WIDE[0], middle - timedelta(microseconds=1)), (middle, WIDE[1])
    return {
        "all": (_segment(every, WIDE, one),),
        "by number": (_segment(low, WIDE, one), _segment(high, WIDE, two)),
        "by time": (_segment(every, before, one), _segment(every, after, two)),
        "corner": (
            _segment(every, before, None),
            _segment(low, after, one),
            _segment(high, after, two),
        ),
    }[shape]


def _segment(numbers: tuple[int, int], times: tuple[datetime, datetime], shift: int | None) -> ClockSegment:
    source = TimeSource.UNKNOWN if shift is None else TimeSource.DEVICE
    return ClockSegment(*numbers, *times, shift, 60 if shift else 0, source)


def covered(segments: Iterable[ClockSegment], reading: Reading) -> bool:
    identity = reading.identity
    return any(
        each.first_sequence <= identity.sequence <= each.last_sequence
        and each.first_recorded_at <= identity.recorded_at <= each.last_recorded_at
        for each in segments
    )


class Interrupted(Exception):
    """Stands for whatever ends a program between two statements."""


@contextmanager
def interrupted_at(statement: int) -> Iterator[None]:
    """The statement of that number, counted from 0, is not sent any more."""
    left = iter(range(statement))
    cursor = psycopg.AsyncCursor
    execute, copy = cursor.execute, cursor.copy

    async def counted(self: Any, *arguments: Any, **more: Any) -> Any:
        if next(left, None) is None:
            raise Interrupted
        return await execute(self, *arguments, **more)

    def copied(self: Any, *arguments: Any, **more: Any) -> Any:
        if next(left, None) is None:
            raise Interrupted
        return copy(self, *arguments, **more)

    cursor.execute, cursor.copy = counted, copied  # type: ignore[method-assign]
    try:
        yield
    finally:
        cursor.execute, cursor.copy = execute, copy  # type: ignore[method-assign]


class Histories(RuleBasedStateMachine):
    """One person with two devices."""

    runner: ClassVar[asyncio.Runner]
    database: ClassVar[Database]
    ran: ClassVar[int] = 0
    said_readings = Bundle("said_readings")

    @initialize(zone=st.sampled_from(ZONES))
    def begin(self, zone: str) -> None:
        type(self).ran += 1
        if LONG and self.ran % 100 == 0:
            print(f"{self.ran} histories", file=sys.__stderr__, flush=True)
        self.models = (OneDevice(), OneDevice())

        async def made(conn: Connection) -> tuple[int, list[StoredDevice]]:
            person = await patients.add(conn, f"patient-{uuid4()}", zone)
            identities = [DeviceIdentity("serial", str(uuid4())) for _ in self.models]
            return person.patient_id, [
                await devices.register(conn, person.patient_id, Device(each)) for each in identities
            ]

        self.zone = patients.ZoneInfo(zone)
        self.patient_id, self.devices = self.writing(made)

    def writing(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        async def transaction() -> Result:
            async with self.database.writer() as conn:
                return await work(conn)

        return self.runner.run(transaction())

    @rule(
        which=st.integers(0, 1),
        batch=batches,
        placed=segment_sets(),
        moves_cursor=st.booleans(),
        refused=st.none() | st.sampled_from([b"\x00", b"\x01\x02"]),
    )
    def store(
        self,
        which: int,
        batch: list[Run | One],
        placed: tuple[ClockSegment, ...],
        moves_cursor: bool,
        refused: bytes | None,
    ) -> None:
        frames = [] if refused is None else [RefusedFrame("2A18", refused, "too_short")]
        outcome = self.writing(
            lambda conn: self._stored(conn, which, batch, placed, frames, moves_cursor=moves_cursor)
        )
        model = self.models[which]
        expected = model.store(spoken(batch), placed, moves_cursor=moves_cursor)
        model.refused |= {frame.raw for frame in frames}
        assert (outcome.stored, outcome.known, outcome.erased) == expected
        self._adopt_segments(which)

    @rule(which=st.integers(0, 1), batch=batches, placed=segment_sets(), statement=st.integers(0, 16))
    def store_interrupted(
        self, which: int, batch: list[Run | One], placed: tuple[ClockSegment, ...], statement: int
    ) -> None:
        """A program that ends at a statement leaves nothing; one that ends after the last leaves all."""

        async def stored(conn: Connection) -> bool:
            with interrupted_at(statement):
                await self._stored(conn, which, batch, placed, [], moves_cursor=True)
            return True

        try:
            done = self.writing(stored)
        except Interrupted:
            done = False
        note(f"interrupted at {statement}: {not done}")
        if done:
            self.models[which].store(spoken(batch), placed, moves_cursor=True)
            self._adopt_segments(which)

    async def _stored(
        self,
        conn: Connection,
        which: int,
        batch: list[Run | One],
        placed: tuple[ClockSegment, ...],
        frames: list[RefusedFrame],
        *,
        moves_cursor: bool,
    ) -> readings.Stored:
        async with readings.writing(conn, self.devices[which]) as writing:
            return await writing.store(spoken(batch), placed, frames, moves_cursor=moves_cursor)

    @rule(
        which=st.integers(0, 1),
        batch=batches,
        ranks=st.lists(st.integers(0, 2), min_size=1, max_size=5),
        placed=st.none() | segment_sets(),
    )
    def store_given(
        self,
        which: int,
        batch: list[Run | One],
        ranks: list[int],
        placed: tuple[ClockSegment, ...] | None,
    ) -> None:
        """What a gateway sorted out before comes with its ordinals."""
        said_ = spoken(batch)
        in_force = self.models[which].segments
        if placed is None and not all(covered(in_force, reading) for reading in said_):
            placed = (_segment((0, HIGHEST), WIDE, None),)
        ordinals = [ranks[row % len(ranks)] for row in range(len(said_))]
        columns = columns_of(said_).under(np.array(ordinals, np.int16))

        async def stored(conn: Connection) -> readings.StoredColumns:
            async with readings.writing(conn, self.devices[which]) as writing:
                return await writing.store_columns(columns, placed, beside=Beside.of(said_))

        outcome = self.writing(stored).told
        keyed = [
            ((each.identity.recorded_at, each.identity.sequence, rank), each)
            for each, rank in zip(said_, ordinals, strict=True)
        ]
        assert (outcome.stored, outcome.known, outcome.erased) == self.models[which].store_given(
            keyed, placed
        )
        self._adopt_segments(which)

    @rule(
        target=said_readings,
        which=st.integers(0, 1),
        pick=st.integers(0, 10_000),
        kind=st.sampled_from(AnnotationKind),
        value=st.none() | st.sampled_from(["after lunch", "'; DROP TABLE passerelle.reading;--"]),
    )
    def annotate(self, which: int, pick: int, kind: AnnotationKind, value: str | None) -> Any:
        model = self.models[which]
        if not model.readings:
            return multiple()
        key = sorted(model.readings)[pick % len(model.readings)]
        named = ReadingKey(key[0], key[1], self.devices[which].device_id, key[2])
        made = self.writing(lambda conn: annotations.add(conn, self.patient_id, named, kind, "test", value))
        in_model = Annotated(kind, value)
        model.annotations.setdefault(key, []).append(in_model)
        model.annotated.add(key[0])
        return (which, key, made, in_model)

    @rule(told=said_readings)
    def withdraw(self, told: Any) -> None:
        which, key, made, in_model = told
        if in_model in self.models[which].annotations.get(key, ()):
            self.writing(lambda conn: annotations.withdraw(conn, self.patient_id, made))
            in_model.withdrawn = True

    @rule(which=st.integers(0, 1), picks=st.lists(st.integers(0, 10_000), min_size=1, max_size=4))
    def erase(self, which: int, picks: list[int]) -> None:
        model = self.models[which]
        if not model.readings:
            return
        keys = {sorted(model.readings)[pick % len(model.readings)] for pick in picks}
        number = self.devices[which].device_id
        named = [ReadingKey(at, sequence, number, ordinal) for at, sequence, ordinal in keys]
        receipt = self.writing(lambda conn: erasure.erase_records(conn, self.patient_id, named))
        assert receipt.readings == model.erase(keys) == len(keys)
        self._adopt_segments(which)

    def _adopt_segments(self, which: int) -> None:
        """The segments in force: fewer only where something was erased, and none placed otherwise by it."""
        model = self.models[which]
        found = self.writing(lambda conn: clock_segments.of_patient(conn, self.patient_id))
        in_force = found.get(self.devices[which].device_id, ())
        if set(in_force) != set(model.segments):
            assert model.erased, "segments that nobody asked for"
            for key in model.readings:
                assert effective(in_force, key) == model.effective(key)
            model.segments = in_force

    @invariant()
    def equal_at_each_step(self) -> None:
        """To see where it went wrong; otherwise the end tells."""
        if QUICK:
            self.teardown()

    def teardown(self) -> None:
        if hasattr(self, "devices"):
            self.runner.run(compare(self.database, self.patient_id, self.zone, self.devices, self.models))


async def compare(
    database: Database,
    patient_id: int,
    zone: Any,
    owned: list[StoredDevice],
    models: tuple[OneDevice, ...],
) -> None:
    """Everything that the store says of a person, beside the model."""
    by_id = {device.device_id: model for device, model in zip(owned, models, strict=True)}
    async with database.writer() as conn:
        series = await readings.series(conn, patient_id)
        days = await daily_summary.days(conn, patient_id, date(1, 1, 1), date(9999, 12, 31))
        entries = await outbox.entries_after(conn, patient_id, 0, 100_000)
        cursors = {each.device_id: each.last_sequence for each in await devices.of_patient(conn, patient_id)}
        frames = {each.device_id: await readings.refused_frames(conn, each) for each in owned}
        rows = await (await conn.execute(RAW, (patient_id,))).fetchall()
    compare_rows(rows, by_id)
    compare_series(series, by_id)
    compare_days(days, by_id, zone)
    compare_outbox(entries, by_id)
    for device_id, model in by_id.items():
        assert cursors[device_id] == model.cursor
        assert {frame.raw for frame in frames[device_id]} == model.refused


RAW = "SELECT recorded_at, sequence, device_id, ordinal, raw FROM passerelle.reading WHERE patient_id = %s"


def compare_rows(rows: list[tuple[Any, ...]], by_id: dict[int, OneDevice]) -> None:
    found = {
        (device_id, (at.astimezone(UTC), number, rank)): raw for at, number, device_id, rank, raw in rows
    }
    assert len(found) == len(rows)
    assert found == {
        (device_id, key): raw for device_id, model in by_id.items() for key, raw in model.readings.items()
    }


def compare_series(series: Any, by_id: dict[int, OneDevice]) -> None:
    others = (AnnotationKind.NOT_MINE, AnnotationKind.MOVED_TO)
    shown: dict[tuple[int, Key], int] = {}
    for row in range(len(series)):
        key = (moment(int(series.recorded_at[row])), int(series.sequence[row]), int(series.ordinal[row]))
        shown[int(series.device_id[row]), key] = row
    assert set(shown) == {
        (device_id, key)
        for device_id, model in by_id.items()
        for key in model.readings
        if not model.left_out(key, others)
    }
    assert np.all(np.diff(series.effective_time.astype(object)) >= 0)
    for (device_id, key), row in shown.items():
        model = by_id[device_id]
        kind, quantities = MEASUREMENTS[model.readings[key]]
        time = model.effective(key)
        placed = UNKNOWN_TIME if time is None else int(microseconds((time,))[0])
        assert int(series.effective_time[row]) == placed
        first = quantities[0]
        digits = (int(series.mantissa[row]), int(series.exponent[row]))
        wanted = first.value.as_tuple() if first.value is not None else None
        assert int(series.kind[row]) == kind
        assert UNITS[series.unit[row]] == first.unit
        assert int(series.absent[row]) == int(first.absent or 0)
        if wanted is not None:
            assert digits == (int("".join(map(str, wanted.digits))), wanted.exponent)
        assert series.quantities.get(row, ()) == quantities[1:]
        assert series.contexts.get(row) == model.contexts.get(key)
        assert bool(series.excluded[row]) == model.left_out(key, (AnnotationKind.EXCLUDED,))
        notes = [
            each.value
            for each in model.annotations.get(key, ())
            if each.kind is AnnotationKind.NOTE and not each.withdrawn and each.value is not None
        ]
        assert series.notes.get(row) == (notes[-1] if notes else None)


def compare_days(days: Any, by_id: dict[int, OneDevice], zone: Any) -> None:
    wanted = {
        (device_id, *group): summary(group[1], group[2], values)
        for device_id, model in by_id.items()
        for group, values in model.days(zone).items()
    }
    found = {(day.device_id, day.day, day.kind, day.unit): day for day in days}
    assert set(found) == set(wanted)
    assert len(found) == len(days)
    for group, day in found.items():
        for name, value in wanted[group].items():
            there = getattr(day, name)
            assert there == value or (value is not None and math.isclose(there, value)), (group, name)


def compare_outbox(entries: Any, by_id: dict[int, OneDevice]) -> None:
    """Every reading that was stored, joined, placed otherwise or spoken of lies in an entry that says so."""
    for device_id, model in by_id.items():
        told = {
            change: [each for each in entries if (each.device_id, each.change) == (device_id, change)]
            for change in Change
        }
        if not model.erased:  # an entry for what is no more goes with it
            assert sum(each.readings for each in told[Change.CREATED]) == model.created
            assert sum(each.readings for each in told[Change.JOINED]) == model.joined
        covered = [(each.first_recorded_at, each.last_recorded_at) for each in told[Change.CREATED]]
        for at, *_ in model.told:
            assert any(first <= at <= last for first, last in covered)
        assert model.annotated <= {each.first_recorded_at.astimezone(UTC) for each in told[Change.ANNOTATED]}
        retimed = {
            (each.first_recorded_at.astimezone(UTC), each.last_recorded_at.astimezone(UTC))
            for each in told[Change.RETIMED]
        }
        assert set(model.retimed) <= retimed


@pytest.mark.timeout(7200)
def test_every_history_ends_with_the_store_equal_to_a_plain_model(
    database_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with asyncio.Runner() as runner:
        opening = Database.open(database_home, DATABASE)
        Histories.runner, Histories.ran = runner, 0
        Histories.database = runner.run(opening.__aenter__())
        try:
            run_state_machine_as_test(
                Histories,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    report_multiple_bugs=False,
                    phases=set(Phase) - {Phase.explain, Phase.shrink}
                    if QUICK
                    else set(Phase) - {Phase.explain},
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(opening.__aexit__(None, None, None))
    if LONG:
        with capsys.disabled():
            print(f"\n{Histories.ran} histories, each equal to the model")
    assert Histories.ran >= EXAMPLES

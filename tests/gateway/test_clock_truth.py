"""Placing in time against a simulated truth: a meter whose clock goes as real ones do, over several syncs.

The simulation knows when each record was made, and writes what the meter's faulty clock wrote. What is placed
is compared with it. Two things cannot be found out by anybody, and are left out: a clock that was set while
nobody had ever measured it, and one that was set twice between two looks.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.reading import UNKNOWN_DATE, ClockSegment, TimeSource
from gateway.clock import NEVER, segments
from gateway.clock_evidence import CARED_FOR_SECONDS, DRIFT_SECONDS_A_DAY, TOLERANCE_SECONDS
from storage.clock_looks import ClockLook, LookedBefore
from storage.clock_segments import place

BEGIN = datetime(2027, 1, 4, 8, tzinfo=UTC)
HOME = ZoneInfo("Europe/Paris")
AWAY = ZoneInfo("America/New_York")
FIRST_DAY = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Made:
    """A record, and what only the simulation knows of it."""

    sequence: int
    written: datetime
    offset: int
    truth: datetime
    epoch: int


@dataclass
class Simulation:
    """A meter and its person, and the gateway that syncs it. Times of the world in `now`."""

    drift: int = 0
    """Seconds a day."""
    follows_zone: bool = False
    """Whether the meter moves its clock with the zone of home by itself."""
    now: datetime = BEGIN
    since: datetime = BEGIN
    wrote: datetime = BEGIN + HOUR
    """What the base time showed at `since`."""
    offset: int = 0
    epoch: int = 0
    knows_date: bool = True
    records: list[Made] = field(default_factory=list)
    stored: int = 0
    before: LookedBefore = NEVER
    history: tuple[ClockSegment, ...] = ()
    changes: int = 0
    """How often the clock was set since the last look that was kept."""

    def base(self) -> datetime:
        ran = self.now - self.since
        wrote = self.wrote + ran + timedelta(seconds=int(self.drift * ran / DAY))
        if self.follows_zone:
            wrote += (utc_offset(self.now, HOME) - utc_offset(self.since, HOME)) * 1
        return wrote

    def set_base(self, to: datetime) -> None:
        self.wrote, self.since = to, self.now
        self.epoch += 1
        self.changes += 1

    # what happens

    def passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    def measures(self) -> None:
        self.now += MINUTE
        written = self.base() if self.knows_date else UNKNOWN_DATE
        made = Made(len(self.records) + 1, written.replace(microsecond=0), self.offset, self.now, self.epoch)
        self.records.append(made)

    def is_set(self, error_minutes: int, away: bool = False) -> None:
        shown = self.now + utc_offset(self.now, AWAY if away else HOME)
        self.knows_date = True
        self.set_base(shown + error_minutes * MINUTE - self.offset * MINUTE)

    def loses_battery(self) -> None:
        self.set_base(FIRST_DAY)

    def loses_date(self) -> None:
        self.knows_date = False
        self.set_base(FIRST_DAY)

    def shows_zone_of(self, away: bool) -> None:
        """The person changes what is shown; the base time runs on, and the offset of records says so."""
        apart = utc_offset(self.now, AWAY) - utc_offset(self.now, HOME)
        self.offset = round(apart / MINUTE) if away else 0

    def syncs(self, *, readable: bool = True, reads: int | None = None) -> Synced:
        self.now += MINUTE
        new = self.records[self.stored :]
        complete = reads is None or reads >= len(new)
        self.stored = len(self.records) if complete else self.stored + (reads or 0)
        look = ClockLook(self.now, self.error() if readable else None, self.stored or None)
        found = self.segments(look)
        synced = Synced(self, look, self.before, found)
        self.history = found
        if complete and (look.error_seconds is not None or not self.before.measured):
            self.before = LookedBefore(look)
            self.changes = self.shown_otherwise
        return synced

    @property
    def shown_otherwise(self) -> int:
        """1 where what is shown was changed after the last record: no record tells of it."""
        return int(bool(self.stored) and self.records[self.stored - 1].offset != self.offset)

    def error(self) -> int | None:
        if not self.knows_date:
            return None
        shown = self.base() + self.offset * MINUTE
        return round((shown - self.now - utc_offset(self.now, HOME)).total_seconds())

    def segments(self, look: ClockLook | None, zone: ZoneInfo = HOME) -> tuple[ClockSegment, ...]:
        rows = self.records[: self.stored]
        return segments(
            np.array([each.sequence for each in rows], np.int32),
            np.array([int(each.written.timestamp()) * 1_000_000 for each in rows], np.int64),
            np.array([each.offset for each in rows], np.int16),
            zone,
            look=look,
            before=self.before,
            history=self.history,
        )


@dataclass
class Synced:
    """What a sync made of it."""

    of: Simulation
    look: ClockLook
    before: LookedBefore
    found: tuple[ClockSegment, ...]

    def __post_init__(self) -> None:
        rows = self.of.records[: self.of.stored]
        self.rows = rows
        self.epoch = self.of.epoch
        self.changes = self.of.changes + self.of.shown_otherwise
        at = np.array([int(each.written.timestamp()) * 1_000_000 for each in rows], np.int64)
        placed = place(at, np.array([each.sequence for each in rows], np.int32), self.found)
        self.sources = [TimeSource(source) for source in placed.time_source.tolist()]
        self.times = [
            None if each.written == UNKNOWN_DATE else FIRST_DAY + timedelta(microseconds=time)
            for each, time in zip(rows, placed.effective_time.tolist(), strict=True)
        ]

    @property
    def slack(self) -> timedelta:
        """What is promised: twice the tolerance, and what a clock may drift unseen between two looks."""
        begin = BEGIN if self.before.look is None else self.before.look.at
        days = (self.look.at - begin) / DAY
        return timedelta(seconds=2 * TOLERANCE_SECONDS + DRIFT_SECONDS_A_DAY * days)

    def can_be_known(self, row: Made) -> bool:
        """Whether what two looks, or the only one, say of a record is enough to know when it was made."""
        if row.sequence <= self.settled and self.before.measured:
            return True  # it was compared when it was new
        measured = self.before.measured
        if self.before.look is not None and self.before.look.sequence is None and row.offset:
            return False  # by which offset it showed what it showed, an empty meter does not say
        if self.look.error_seconds is None:
            begin = self.before.look.at if measured else self.look.at
            return measured and self.changes == 0 and utc_offset(row.truth, HOME) == utc_offset(begin, HOME)
        if not measured:
            return row.epoch == self.epoch and not self.of.shown_otherwise and self.goes_as_supposed(row)
        moved = utc_offset(self.before.look.at, HOME) != utc_offset(self.look.at, HOME)
        return self.changes == 0 or (self.changes == 1 and not moved)

    def goes_as_supposed(self, row: Made) -> bool:
        """One look cannot tell whether a clock goes with the zone: one that is about right is supposed to."""
        if utc_offset(row.truth, HOME) == utc_offset(self.look.at, HOME):
            return True
        return (abs(self.look.error_seconds or 0) < CARED_FOR_SECONDS) == self.of.follows_zone

    def off(self) -> list[tuple[int, TimeSource, timedelta]]:
        """The records that are called the device's and lie further from the truth than is promised."""
        return [
            (row.sequence, source, time - row.truth)
            for row, time, source in zip(self.rows, self.times, self.sources, strict=True)
            if source in {TimeSource.DEVICE, TimeSource.DEVICE_CORRECTED}
            and time is not None
            and self.can_be_known(row)
            and row.sequence > self.settled
            and abs(time - row.truth) > self.slack
        ]

    @property
    def settled(self) -> int:
        return 0 if self.before.look is None else self.before.look.sequence or 0


def utc_offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


# --- the property --------------------------------------------------------------------------------------

PAUSES = st.sampled_from([1, 5, 30, 60, 180, 600, 1440, 4320, 10_080, 40_320])
ERRORS = st.sampled_from(
    [0, 0, 0, 1, -3, 9, 60, -60, 180, 1440, -1440, 43_200, -131_000, 525_600, -1_576_800]
)
EVENTS = st.one_of(
    st.tuples(st.just("passes"), PAUSES),
    st.tuples(st.just("measures"), PAUSES),
    st.tuples(st.just("measures"), PAUSES),
    st.tuples(st.just("syncs"), st.just(None)),
    st.tuples(st.just("syncs"), st.just(None)),
    st.tuples(st.just("breaks off"), st.integers(0, 4)),
    st.tuples(st.just("cannot read the clock"), st.just(None)),
    st.tuples(st.just("is set"), ERRORS),
    st.tuples(st.just("is set away"), st.just(0)),
    st.tuples(st.just("shows away"), st.booleans()),
    st.tuples(st.just("loses battery"), st.just(None)),
    st.tuples(st.just("loses date"), st.just(None)),
)
HISTORIES = st.lists(EVENTS, min_size=1, max_size=24)


def happens(world: Simulation, event: str, detail) -> Synced | None:
    match event:
        case "passes":
            world.passes(detail)
        case "measures":
            world.passes(detail)
            world.measures()
        case "syncs":
            return world.syncs()
        case "breaks off":
            return world.syncs(reads=detail)
        case "cannot read the clock":
            return world.syncs(readable=False)
        case "is set" | "is set away":
            world.is_set(detail, away=event == "is set away")
        case "shows away":
            world.shows_zone_of(detail)
        case "loses battery":
            world.loses_battery()
        case "loses date":
            world.loses_date()
    return None


def check(synced: Synced, earlier: dict[int, tuple[datetime | None, TimeSource]]) -> None:
    each_in_one_segment(synced)
    only_what_has_no_date_is_unknown(synced)
    assert synced.off() == []
    in_order_between_their_neighbours(synced)
    for row, time, source in zip(synced.rows, synced.times, synced.sources, strict=True):
        if row.sequence <= synced.settled and synced.before.measured:
            assert (time, source) == earlier[row.sequence]
        earlier[row.sequence] = time, source


def each_in_one_segment(synced: Synced) -> None:
    for row in synced.rows:
        covering = [
            segment
            for segment in synced.found
            if segment.first_sequence <= row.sequence <= segment.last_sequence
            and segment.first_recorded_at <= row.written <= segment.last_recorded_at
        ]
        assert len(covering) == 1


def only_what_has_no_date_is_unknown(synced: Synced) -> None:
    unknown = [source is TimeSource.UNKNOWN for source in synced.sources]
    assert unknown == [row.written == UNKNOWN_DATE for row in synced.rows]


def in_order_between_their_neighbours(synced: Synced) -> None:
    """Doubtful records keep their order, and lie between those around them and within the looks."""
    dated = [n for n, time in enumerate(synced.times) if time is not None]
    for one, other in itertools.pairwise(dated):
        if TimeSource.ORDERED in {synced.sources[one], synced.sources[other]}:
            assert synced.times[one] <= synced.times[other] + synced.slack
    for n in dated:
        if synced.sources[n] is TimeSource.ORDERED and synced.rows[n].sequence > synced.settled:
            assert synced.times[n] <= synced.look.at + synced.slack
            if synced.before.look is not None:
                assert synced.times[n] >= synced.before.look.at - synced.slack


@given(HISTORIES, st.sampled_from([0, 0, 2, -3]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_whatever_happens_to_a_clock_what_is_called_known_is_near_the_truth_and_the_rest_in_order(
    events, drift, follows_zone
):
    world = Simulation(drift=drift, follows_zone=follows_zone)
    earlier: dict[int, tuple[datetime | None, TimeSource]] = {}
    for event, detail in [*events, ("syncs", None)]:
        synced = happens(world, event, detail)
        if synced is not None:
            check(synced, earlier)


# --- the cases by name ---------------------------------------------------------------------------------


def known(world: Simulation) -> list[str]:
    """Sync once more; nothing that is called known is off, and how each time is known."""
    synced = world.syncs()
    assert synced.off() == []
    in_order_between_their_neighbours(synced)
    return [source.slug for source in synced.sources]


def measured_each_day(world: Simulation, days: int) -> None:
    for _ in range(days):
        world.passes(1439)
        world.measures()


def test_a_clock_that_is_months_off_has_its_records_where_they_were_made():
    world = Simulation()
    world.is_set(-200_000)
    measured_each_day(world, 5)
    assert known(world) == ["device-corrected"] * 5


def test_a_clock_that_was_set_right_between_two_readings_and_two_looks():
    world = Simulation()
    world.is_set(-129_600)  # three months behind
    measured_each_day(world, 3)
    world.syncs()
    measured_each_day(world, 2)
    world.is_set(0)
    measured_each_day(world, 2)
    assert known(world) == ["device-corrected"] * 5 + ["device"] * 2


def test_a_battery_that_was_pulled_and_a_clock_that_nobody_set_since():
    world = Simulation()
    measured_each_day(world, 2)
    world.syncs()
    measured_each_day(world, 2)
    world.loses_battery()
    measured_each_day(world, 2)
    assert known(world) == ["device"] * 4 + ["device-corrected"] * 2


def test_a_battery_that_was_pulled_twice_between_two_looks():
    world = Simulation()
    measured_each_day(world, 2)
    world.syncs()
    measured_each_day(world, 1)
    world.loses_battery()
    measured_each_day(world, 2)
    world.loses_battery()
    measured_each_day(world, 1)
    assert known(world) == ["device"] * 3 + ["ordered"] * 2 + ["device-corrected"]


def test_a_battery_that_was_pulled_and_a_clock_that_was_put_right_before_the_next_look():
    world = Simulation()
    measured_each_day(world, 2)
    world.syncs()
    measured_each_day(world, 1)
    world.loses_battery()
    measured_each_day(world, 1)
    world.is_set(0)
    measured_each_day(world, 1)
    assert known(world) == ["device", "device", "device", "ordered", "device"]


def test_a_meter_that_lost_its_date_has_unknown_times_and_right_ones_around_them():
    world = Simulation()
    measured_each_day(world, 1)
    world.syncs()
    world.loses_date()
    measured_each_day(world, 2)
    world.is_set(0)
    measured_each_day(world, 1)
    assert known(world) == ["device", "unknown", "unknown", "device"]


def test_a_traveller_who_sets_the_clock_there_and_syncs_there_and_at_home():
    world = Simulation()
    measured_each_day(world, 2)
    world.syncs()
    world.passes(600)
    world.is_set(0, away=True)
    assert known(world)[:2] == ["device"] * 2
    measured_each_day(world, 3)
    assert known(world) == ["device"] * 2 + ["device-corrected"] * 3
    world.is_set(0)
    known(world)
    measured_each_day(world, 2)
    assert known(world)[5:] == ["device"] * 2


def test_a_traveller_who_leaves_the_meter_as_it_is():
    world = Simulation()
    measured_each_day(world, 9)
    assert known(world) == ["device"] * 9


def test_a_meter_that_nobody_moves_to_summer_is_right_on_both_sides_of_it():
    world = Simulation()
    world.passes(60 * 24 * 80)  # 25 March 2027; summer begins on the 28th
    world.syncs()
    measured_each_day(world, 8)
    assert known(world) == ["device"] * 2 + ["device-corrected"] * 6


def test_a_meter_that_goes_to_summer_by_itself_is_right_on_both_sides_of_it():
    world = Simulation(follows_zone=True)
    world.passes(60 * 24 * 80)
    world.syncs()
    measured_each_day(world, 8)
    assert known(world) == ["device"] * 8


def test_a_meter_in_the_hour_that_occurs_twice_keeps_every_record_in_order():
    world = Simulation(follows_zone=True)
    world.passes(60 * 24 * 299)
    world.now = datetime(2027, 10, 30, 22, tzinfo=UTC)  # summer ends at 01:00 UTC on the 31st
    world.syncs()
    for _ in range(12):
        world.passes(29)
        world.measures()
    assert known(world) == ["device"] * 12


def test_a_clock_that_drifts_for_a_year_is_never_further_off_than_is_promised():
    world = Simulation(drift=3)
    for _ in range(12):
        measured_each_day(world, 30)
        known(world)
    assert set(known(world)) <= {"device", "device-corrected"}


def test_a_date_to_come_is_doubtful_and_what_surrounds_it_is_not():
    world = Simulation()
    measured_each_day(world, 2)
    world.syncs()
    world.is_set(5_000_000)
    measured_each_day(world, 1)
    world.is_set(0)
    measured_each_day(world, 1)
    assert known(world) == ["device", "device", "ordered", "device"]

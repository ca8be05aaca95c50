"""From what was measured of one machine to what many people need: a model that computes.

Pure: numbers in, numbers out. `Inputs` are measured (benchmarks.scale_inputs says how), `Habits` are what
people do, `Machine` and `Prices` what is bought; each of the last three says where it comes from, or that it
is assumed. Times are seconds, sizes bytes, prices US dollars, unless a name says otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

DAY = 86_400.0
YEAR_DAYS = 365.25
TB = 1e12


@dataclass(frozen=True)
class Cost:
    """What a thing costs by transaction and by reading in it: seconds of one core, or bytes."""

    each: float
    reading: float

    def of(self, readings: float) -> float:
        """Of one transaction with so many readings."""
        return self.each + self.reading * readings


@dataclass(frozen=True)
class Inputs:
    """What was measured; `scale_inputs.json` holds the last run."""

    machine: str
    measured: str
    row_bytes: float
    """A reading in rows: table, key and what its pages waste."""
    summary_bytes: float
    """A day of one device in the daily summary."""
    wal: Cost
    """Of the write-ahead log."""
    flush: float
    """Seconds of one disk flush."""
    ingest_space: Cost
    """Of a space's process for a FHIR transaction."""
    ingest_server: Cost
    """Of PostgreSQL for it, with all its processes."""
    json: Cost
    """Bytes of a FHIR transaction."""
    refusal: float
    """Of a space's process for a request that is told to come again."""
    page_client: float
    """Of a space's process for a fortnight read and rendered as FHIR (4 032 Observations)."""
    page_server: float
    """Of PostgreSQL for it."""
    page_bytes: float
    erase_server: float
    """Of PostgreSQL to delete one reading in rows."""


@dataclass(frozen=True)
class Elsewhere:
    """What cannot be measured here."""

    compressed_bytes: float = 18.6
    """On a real TimescaleDB 2.28, 8 million readings with a meter's bytes (docs/engines.md). A space keeps
    the value in words instead: 6.2 there with made-up values, so this is the careful number."""
    timescale_ingest: float = 1.6
    """Cost of ingest there, as a ratio to plain PostgreSQL (the same run; 0.9 for the COPY alone)."""
    citus_bytes: float = 128.0
    """A reading in rows on a real Citus 13.2 (the same run)."""
    citus_ingest: float = 1.38
    """Cost of ingest there, as a ratio to plain PostgreSQL."""
    pack_rate: float = 1_350_000.0
    """Readings a second that one core compresses, on a real TimescaleDB 2.28 (`benchmarks.packing`). To take
    them out again for erasing a part costs the same at most: assumed."""
    replay_rate: float = 100e6
    """Bytes a second of log that a restored server replays: assumed."""
    hot_bytes: float = 5 * 8192.0
    """Pages of each person that every sync touches, and that should lie in memory: five, counted by hand."""
    failover: float = 30.0
    """Seconds until a standby serves in the place of a lost server: assumed."""


@dataclass(frozen=True)
class Habits:
    """What people and their devices do: assumed, all of it; the sensitivity says what hangs on it."""

    readings_a_day: float = 288
    syncs_a_day: float = 24
    """A gateway that is online feeds every hour."""
    morning_share: float = 0.6
    """Of the gateways come on around 08:00, with a night to bring."""
    morning_spread: float = 20 * 60
    """Standard deviation of that moment."""
    night_hours: float = 8
    pages_a_day: float = 0.05
    """A fortnight read by a professional, for each person."""
    years: float = 10

    @property
    def batch(self) -> float:
        return self.readings_a_day / self.syncs_a_day

    @property
    def night(self) -> float:
        return self.readings_a_day * self.night_hours / 24


@dataclass(frozen=True)
class Machine:
    """A server as it is rented: assumed."""

    cores: int = 16
    """The most; one is rented with as many as it needs, and no fewer than `least_cores`."""
    least_cores: int = 4
    memory: float = 128e9
    disk: float = 8 * TB
    disk_rate: float = 1e9
    network_rate: float = 10e9 / 8
    busy: float = 0.6
    """Of its cores, at the worst moment of the day: a queue of 16 is still short there."""
    restore: float = 4 * 3600
    """Seconds within which one has to be restored from its backup."""


@dataclass(frozen=True)
class Prices:
    """What is paid for; a year has 8 766 hours."""

    core_hour: float = 0.0408
    """Half of an m7g.large (2 vCPU), 0.0816 an hour in us-east-1, June 2026: factualminds.com,
    "Amazon EC2 On-Demand Pricing" of 2026-06-17. No discount for a year or three."""
    disk_tb_month: float = 80.0
    """Block storage on SSD: assumed, the usual list price."""
    backup_tb_month: float = 23.0
    """Object storage: assumed, the usual list price."""


@dataclass(frozen=True)
class Engine:
    """How the readings are kept. `copies`: of each byte, standbys included; `rows_days`: kept as rows."""

    name: str
    row_bytes: float
    packed_bytes: float
    rows_days: float
    ingest: float
    copies: int
    shards: bool


@dataclass(frozen=True)
class Assumed:
    """All that is not measured."""

    elsewhere: Elsewhere = field(default_factory=Elsewhere)
    habits: Habits = field(default_factory=Habits)
    machine: Machine = field(default_factory=Machine)
    prices: Prices = field(default_factory=Prices)


def engines(inputs: Inputs, elsewhere: Elsewhere) -> dict[str, Engine]:
    """The steps of growth. A chunk of a month is compressed 60 days after its end: 75 days on average."""
    rows, packed = inputs.row_bytes, elsewhere.compressed_bytes
    return {
        "laptop": Engine("the laptop's own PostgreSQL", rows, rows, 0, 1, 1, False),
        "plain": Engine("one PostgreSQL", rows, rows, 0, 1, 2, False),
        "timescale": Engine("one TimescaleDB", rows, packed, 75, elsewhere.timescale_ingest, 2, False),
        "citus": Engine(
            "Citus", elsewhere.citus_bytes, elsewhere.citus_bytes, 0, elsewhere.citus_ingest, 2, True
        ),
        "regions": Engine(
            "a TimescaleDB for each region", rows, packed, 75, elsewhere.timescale_ingest, 2, True
        ),
    }


@dataclass(frozen=True)
class Load:
    """What so many spaces bring, in a second unless said otherwise."""

    readings: float
    hourly: float
    """Transactions of an hour's readings, on average."""
    morning: float
    """Transactions of a night's readings, at the worst moment of the morning."""
    space_cores: float
    """Busy cores of the space's processes at that moment."""
    server_cores: float
    """Busy cores of the databases at that moment."""
    flushes: float
    """Commits at that moment, each a flush where none shares one."""
    in_bytes: float
    """Over the network at that moment."""
    wal_bytes: float
    """Of log in a second, on average."""

    @property
    def transactions(self) -> float:
        return self.hourly + self.morning


def load(spaces: float, inputs: Inputs, assumed: Assumed, engine: Engine) -> Load:
    """The load of a day and of its worst moment, 08:00."""
    habits = assumed.habits
    hourly = spaces * habits.syncs_a_day / DAY
    morning = spaces * habits.morning_share / (habits.morning_spread * math.sqrt(2 * math.pi))
    pages = spaces * habits.pages_a_day / (8 * 3600)
    space = hourly * inputs.ingest_space.of(habits.batch) + morning * inputs.ingest_space.of(habits.night)
    server = hourly * inputs.ingest_server.of(habits.batch) + morning * inputs.ingest_server.of(habits.night)
    return Load(
        readings=spaces * habits.readings_a_day / DAY,
        hourly=hourly,
        morning=morning,
        space_cores=space + pages * inputs.page_client,
        server_cores=server * engine.ingest + pages * inputs.page_server,
        flushes=hourly + morning,
        in_bytes=hourly * inputs.json.of(habits.batch) + morning * inputs.json.of(habits.night),
        wal_bytes=hourly * inputs.wal.of(habits.batch),
    )


@dataclass(frozen=True)
class Plan:
    """What so many spaces need on one engine, after the years that are kept."""

    spaces: float
    engine: Engine
    load: Load
    stored: float
    """Bytes of one copy."""
    databases: int
    """Servers that hold a part of the people each; as many standbys, where there are copies."""
    bound_by: str
    """What decides how many."""
    database_cores: int
    """Of each of them."""
    space_machines: int
    space_cores: int
    """Of each of them; a process of the space uses one."""
    disk: float
    """Bytes of all copies."""
    backup: float
    cost_a_year: float
    restore: float
    """Seconds to restore one database from its backup."""

    @property
    def machines(self) -> int:
        return self.databases * self.engine.copies + self.space_machines


def stored(spaces: float, inputs: Inputs, assumed: Assumed, engine: Engine) -> float:
    """Bytes of one copy of all that is kept, at the end of the years."""
    habits = assumed.habits
    days = habits.years * YEAR_DAYS
    as_rows = min(days, engine.rows_days)
    reading = as_rows * engine.row_bytes + (days - as_rows) * engine.packed_bytes
    return spaces * (habits.readings_a_day * reading + days * inputs.summary_bytes)


def needs(spaces: float, inputs: Inputs, assumed: Assumed, engine: Engine) -> dict[str, float]:
    """How many database servers each resource alone would want."""
    machine, elsewhere = assumed.machine, assumed.elsewhere
    brought = load(spaces, inputs, assumed, engine)
    kept = stored(spaces, inputs, assumed, engine)
    log = brought.wal_bytes * DAY
    return {
        "cores": brought.server_cores / (machine.cores * machine.busy),
        "disk": kept / (machine.disk * 0.75),
        "memory": spaces * elsewhere.hot_bytes / (machine.memory * 0.75),
        "flushes": brought.flushes * inputs.flush / machine.busy,
        "network": brought.in_bytes / (machine.network_rate * machine.busy),
        "restore time": (kept / machine.disk_rate + log / elsewhere.replay_rate) / machine.restore,
    }


def plan(spaces: float, inputs: Inputs, assumed: Assumed, engine: Engine) -> Plan:
    """Machines, disks and cost."""
    machine, prices, elsewhere = assumed.machine, assumed.prices, assumed.elsewhere
    brought = load(spaces, inputs, assumed, engine)
    kept = stored(spaces, inputs, assumed, engine)
    wanted = needs(spaces, inputs, assumed, engine)
    bound_by = max(wanted, key=lambda name: wanted[name])
    databases = max(1, math.ceil(wanted[bound_by]))
    database_cores = _rented(brought.server_cores / databases, machine)
    space_machines = (
        0 if spaces == 1 else max(2, math.ceil(brought.space_cores / machine.busy / machine.cores))
    )
    space_cores = _rented(brought.space_cores / max(1, space_machines), machine)
    log = brought.wal_bytes * DAY
    backup = kept + 7 * log
    cores = databases * engine.copies * database_cores + space_machines * space_cores
    yearly = (
        cores * prices.core_hour * 24 * YEAR_DAYS
        + 12 * prices.disk_tb_month * kept * engine.copies / TB
        + 12 * prices.backup_tb_month * backup / TB
    )
    return Plan(
        spaces=spaces,
        engine=engine,
        load=brought,
        stored=kept,
        databases=databases,
        bound_by=bound_by,
        database_cores=database_cores,
        space_machines=space_machines,
        space_cores=space_cores,
        disk=kept * engine.copies,
        backup=backup,
        cost_a_year=0.0 if spaces == 1 else yearly,
        restore=(kept / machine.disk_rate + log / elsewhere.replay_rate) / databases,
    )


def _rented(busy: float, machine: Machine) -> int:
    """The cores of a server of which so many are busy at the worst moment."""
    return min(machine.cores, max(machine.least_cores, math.ceil(busy / machine.busy)))


def most_spaces(inputs: Inputs, assumed: Assumed, engine: Engine) -> dict[str, float]:
    """How many spaces one database server bears, by what would break."""
    return {name: 1 / want for name, want in needs(1.0, inputs, assumed, engine).items()}

"""The tables of docs/scale.md, computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace

from benchmarks.scale_model import (
    DAY,
    TB,
    YEAR_DAYS,
    Assumed,
    Cost,
    Engine,
    Inputs,
    Plan,
    engines,
    most_spaces,
    needs,
    plan,
)
from benchmarks.scale_rush import Rush, rush, wait_beyond
from gateway.api.pressure import LONGEST_WAIT

SIZES = (1, 10_000, 1_000_000, 65_400_000)
RUSH_SECONDS = 60
QUEUE = 27
"""Places of a process of the space: three at once, eight times as many waiting (`Pressure.of`)."""


@dataclass(frozen=True)
class Model:
    """All that the page is computed from."""

    inputs: Inputs
    assumed: Assumed = field(default_factory=Assumed)

    def engine(self, name: str) -> Engine:
        return engines(self.inputs, self.assumed.elsewhere)[name]

    def plan(self, spaces: float, name: str) -> Plan:
        return plan(spaces, self.inputs, self.assumed, self.engine(name))

    def plans(self) -> list[Plan]:
        """The plan of each size: the first engine that bears it on one server, else both ways to many."""
        chosen = [self.plan(SIZES[0], "laptop")]
        for spaces in SIZES[1:]:
            fitting = [
                name
                for name in ("plain", "timescale")
                if max(needs(spaces, self.inputs, self.assumed, self.engine(name)).values()) <= 1
            ]
            names = fitting[:1] or ["regions", "citus"]
            chosen += [self.plan(spaces, name) for name in names]
        return chosen


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def digits(value: float, count: int = 2) -> str:
    """A number with two digits that count, and a space between thousands."""
    if value == 0 or math.isinf(value):
        return "0" if value == 0 else "never"
    places = count - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    places = count - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(0, places)}f}".replace(",", " ")


def size(value: float) -> str:
    """Bytes in the unit that suits."""
    for unit, factor in (("PB", 1e15), ("TB", TB), ("GB", 1e9), ("MB", 1e6)):
        if value >= factor:
            return f"{digits(value / factor)} {unit}"
    return f"{digits(value / 1e3)} kB"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits."""
    for unit, factor in (("days", 2 * DAY), ("h", 2 * 3600.0), ("min", 120.0)):
        if seconds >= factor:
            return f"{digits(seconds / (factor / 2))} {unit}"
    return f"{digits(seconds)} s" if seconds >= 1 else f"{digits(seconds * 1e3)} ms"


def people(spaces: float) -> str:
    return f"{spaces:,.0f}".replace(",", " ")


def money(value: float) -> str:
    return "–" if value == 0 else f"${digits(value)}"


def summary(model: Model) -> str:
    """What each size needs."""
    rows = [
        [
            people(one.spaces),
            one.engine.name,
            digits(one.load.readings),
            digits(one.load.transactions),
            "your laptop"
            if one.spaces == 1
            else f"{people(one.databases)} × {one.engine.copies}, {one.database_cores} cores",
            "–" if one.spaces == 1 else f"{one.space_machines}, {one.space_cores} cores",
            size(one.disk),
            size(one.backup),
            money(one.cost_a_year),
            money(one.cost_a_year / one.spaces),
        ]
        for one in model.plans()
    ]
    head = (
        *("spaces", "design", "readings/s", "transactions/s at 08:00", "database servers × copies"),
        *("servers of the space", "disk after ten years, all copies", "backup", "a year", "a year and space"),
    )
    return table(head, rows)


def breaks(model: Model) -> str:
    """How many spaces one database server bears, by each thing that would break."""
    rows = []
    for name in ("plain", "timescale", "citus"):
        engine = model.engine(name)
        most = most_spaces(model.inputs, model.assumed, engine)
        first = min(most, key=lambda resource: most[resource])
        rows.append([engine.name, *(people(float(f"{most[one]:.2g}")) for one in most), first])
    head = ("one server of", *most_spaces(model.inputs, model.assumed, model.engine("plain")), "breaks first")
    return table(head, rows)


def morning(model: Model) -> str:
    """08:00: the ordinary one, and the one when all come within a minute."""
    rows = []
    for one in model.plans()[1:]:
        wait = waiting(model, one)
        crowd = crowded(model, one)
        rows.append(
            [
                people(one.spaces),
                one.engine.name,
                digits(one.load.morning),
                duration(wait) if wait else "none",
                digits(capacity(model, one)),
                duration(crowd.served_after),
                duration(crowd.median),
                digits(crowd.refusals),
            ]
        )
    head = (
        *("spaces", "design", "nights/s at 08:00", "99th percentile of the wait for a core"),
        *("nights/s it can take", "all within a minute: last one served", "median", "refusals each"),
    )
    return table(head, rows)


def waiting(model: Model, one: Plan) -> float:
    """The wait at 08:00 that one in a hundred exceeds: for a process of the space, and for a database."""
    del model
    space = one.load.space_cores / one.load.transactions
    database = one.load.server_cores / one.load.transactions
    return wait_beyond(
        0.01, one.space_machines * one.space_cores, one.load.transactions, space
    ) + wait_beyond(0.01, one.database_cores, one.load.transactions / one.databases, database)


def capacity(model: Model, one: Plan) -> float:
    """Nights a second that all servers of a plan together can take in."""
    inputs, night = model.inputs, model.assumed.habits.night
    servers = one.databases * one.database_cores / (inputs.ingest_server.of(night) * one.engine.ingest)
    space = one.space_machines * one.space_cores / inputs.ingest_space.of(night)
    return min(servers, space)


def crowded(model: Model, one: Plan, longest_wait: float = LONGEST_WAIT) -> Rush:
    """All gateways within a minute, each with a night."""
    inputs = model.inputs
    processes = max(1, one.space_machines * one.space_cores)
    return rush(
        round(one.spaces),
        RUSH_SECONDS,
        capacity(model, one),
        longest_wait=longest_wait,
        refusal_share=inputs.refusal / inputs.ingest_space.of(model.assumed.habits.night),
        queue=QUEUE * processes,
    )


def faults(model: Model) -> str:
    """A worker lost, a month compressed, a person erased, a server restored, the network."""
    rows = []
    elsewhere, habits = model.assumed.elsewhere, model.assumed.habits
    for one in model.plans():
        packed = one.engine.rows_days > 0
        month = one.spaces * habits.readings_a_day * YEAR_DAYS / 12 / one.databases
        mine = habits.readings_a_day * habits.years * YEAR_DAYS
        erasing = mine * (model.inputs.erase_server + (2 / elsewhere.pack_rate if packed else 0))
        busy = min(0.95, one.load.transactions / (capacity(model, one) or math.inf)) if one.spaces > 1 else 0
        back = elsewhere.failover * busy / (1 - busy)
        rows.append(
            [
                people(one.spaces),
                one.engine.name,
                "–" if one.engine.copies < 2 else f"1 in {people(one.databases)}",
                "–" if one.engine.copies < 2 else duration(elsewhere.failover + back),
                duration(month / elsewhere.pack_rate) if packed else "–",
                duration(erasing),
                duration(one.restore),
                size(one.load.in_bytes) + "/s",
                size(one.load.wal_bytes * DAY / one.databases),
            ]
        )
    head = (
        *("spaces", "design", "a database lost: people who wait", "until all is taken in again"),
        *("a month compressed, on one core", "one person of ten years erased, on one core"),
        *("one server restored", "network in at 08:00", "log a day and server"),
    )
    return table(head, rows)


def sensitivity(model: Model) -> str:
    """What the yearly cost of the largest size becomes when one number is half, or double."""
    base = model.plan(SIZES[-1], "regions").cost_a_year
    rows = []
    for name, halved, doubled in _variations(model):
        costs = [one.plan(SIZES[-1], "regions").cost_a_year / base for one in (halved, doubled)]
        rows.append([name, *(f"{(cost - 1) * 100:+.0f} %" for cost in costs)])
    rows.sort(key=lambda row: -max(abs(int(cell.split()[0])) for cell in row[1:]))
    return table(("one number, all else the same", "half of it", "twice"), rows)


def _variations(model: Model) -> list[tuple[str, Model, Model]]:
    inputs, assumed = model.inputs, model.assumed

    def of_inputs(name: str) -> list[Model]:
        value = getattr(inputs, name)
        return [
            replace(model, inputs=replace(inputs, **{name: _times(value, factor)})) for factor in (0.5, 2)
        ]

    def of_assumed(group: str, name: str) -> list[Model]:
        held = getattr(assumed, group)
        return [
            replace(
                model,
                assumed=replace(assumed, **{group: replace(held, **{name: getattr(held, name) * factor})}),
            )
            for factor in (0.5, 2)
        ]

    return [
        ("work of the space's processes for a transaction", *of_inputs("ingest_space")),
        ("work of PostgreSQL for it", *of_inputs("ingest_server")),
        ("bytes of a compressed reading", *of_assumed("elsewhere", "compressed_bytes")),
        ("bytes of a reading in rows", *of_inputs("row_bytes")),
        ("syncs a day", *of_assumed("habits", "syncs_a_day")),
        ("how spread the morning is", *of_assumed("habits", "morning_spread")),
        ("readings a day", *of_assumed("habits", "readings_a_day")),
        ("years kept", *of_assumed("habits", "years")),
        ("price of a core", *of_assumed("prices", "core_hour")),
        ("price of the disk", *of_assumed("prices", "disk_tb_month")),
        ("price of the backup", *of_assumed("prices", "backup_tb_month")),
        ("time in which a server must be restored", *of_assumed("machine", "restore")),
    ]


def _times(value: float | Cost, factor: float) -> float | Cost:
    return Cost(value.each * factor, value.reading * factor) if isinstance(value, Cost) else value * factor


def cadence(model: Model) -> str:
    """What it costs to feed at once, hourly, or once a day."""
    rows = []
    for name, syncs in (("every reading at once", 288.0), ("hourly", 24.0), ("every six hours", 4.0)):
        habits = replace(model.assumed.habits, syncs_a_day=syncs)
        one = replace(model, assumed=replace(model.assumed, habits=habits)).plan(SIZES[-1], "regions")
        needed = (str(one.databases), str(one.space_machines))
        rows.append([name, digits(one.load.transactions), *needed, money(one.cost_a_year / one.spaces)])
    head = (
        "a gateway feeds",
        "transactions/s at 08:00",
        "database servers",
        "servers of the space",
        "a space",
    )
    return table(head, rows)


def measured(model: Model) -> str:
    """The inputs as they were measured."""
    rows = []
    for one in fields(Inputs):
        value = getattr(model.inputs, one.name)
        if isinstance(value, Cost):
            rows.append([one.name, f"{value.each:.4g}", f"{value.reading:.4g}"])
        elif isinstance(value, float):
            rows.append([one.name, f"{value:.4g}", "–"])
    return table(("measured", "each", "and for each reading"), rows)


def assumptions(model: Model) -> str:
    """All that is assumed, as it is in the source."""
    rows = [
        [f"{group.name}.{one.name}", f"{getattr(getattr(model.assumed, group.name), one.name):.10g}"]
        for group in fields(Assumed)
        for one in fields(getattr(model.assumed, group.name))
    ]
    return table(("assumed, or measured elsewhere", "value"), rows)


def figures(model: Model) -> dict[str, str]:
    """The numbers that the page's sentences hold."""
    inputs, assumed = model.inputs, model.assumed
    habits = assumed.habits
    hour, night = habits.batch, habits.night
    million = model.plan(1_000_000, "regions")
    country, citus = model.plan(SIZES[-1], "regions"), model.plan(SIZES[-1], "citus")
    plain = most_spaces(inputs, assumed, model.engine("plain"))
    timescale = most_spaces(inputs, assumed, model.engine("timescale"))
    short, long = crowded(model, million, 60), crowded(model, million)
    return {
        "machine": inputs.machine,
        "date": inputs.measured,
        "hour_ms": digits(inputs.ingest_space.of(hour) * 1e3),
        "night_ms": digits(inputs.ingest_space.of(night) * 1e3),
        "hours_a_core": digits(1 / inputs.ingest_space.of(hour)),
        "nights_a_core": digits(1 / inputs.ingest_space.of(night)),
        "readings_a_core": digits(night / inputs.ingest_space.of(night)),
        "server_ms": digits(inputs.ingest_server.of(hour) * 1e3),
        "server_hours_a_core": digits(1 / inputs.ingest_server.of(hour)),
        "flushes": digits(1 / inputs.flush),
        "plain_disk": people(float(f"{plain['disk']:.2g}")),
        "plain_cores": people(float(f"{plain['cores']:.2g}")),
        "timescale_disk": people(float(f"{timescale['disk']:.2g}")),
        "row_bytes": digits(inputs.row_bytes, 3),
        "packed_bytes": f"{assumed.elsewhere.compressed_bytes:g}",
        "wal_hour": size(inputs.wal.of(hour)),
        "json_reading": digits(inputs.json.reading, 2),
        "citus_times": digits(citus.cost_a_year / country.cost_a_year),
        "citus_servers": people(citus.databases),
        "country_servers": people(country.databases),
        "country_cost": money(country.cost_a_year),
        "failover": f"{assumed.elsewhere.failover:g}",
        "refusal_ms": digits(inputs.refusal * 1e3),
        "short_wait": duration(short.served_after),
        "short_refusals": digits(short.refusals),
        "long_wait": duration(long.served_after),
        "long_refusals": digits(long.refusals),
        "longest": duration(float(LONGEST_WAIT)),
        "page_ms": digits((inputs.page_client + inputs.page_server) * 1e3),
        "page_size": size(inputs.page_bytes),
    }


TABLES = {
    "summary": summary,
    "breaks": breaks,
    "morning": morning,
    "faults": faults,
    "sensitivity": sensitivity,
    "cadence": cadence,
    "measured": measured,
    "assumptions": assumptions,
}

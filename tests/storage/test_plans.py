"""How the hot queries are answered: by an index, in its order, in the months that are asked for and no other.

Of statements the plan is looked at; of functions, whose plans nobody shows, what the server counted: scans
of each table in this transaction.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from storage import migrate
from storage.arrays import register_arrays
from storage.connection import Connection
from storage.embedded import EmbeddedServer, erase
from storage.statements import statements

PEOPLE = 40
MONTHS = 6
HOUR = "timestamptz '2026-01-01 00:00+00' + interval '1 hour' *"
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LAST = datetime(2026, 4, 21, tzinfo=UTC)
"""The end of the fortnight that is read; it lies in one month, of the six."""
START = LAST - timedelta(days=14)
TOKEN = sha256(b"token of patient 7").digest()
GRANT = sha256(b"grant of patient 7").digest()

FILL = f"""
INSERT INTO passerelle.patient
    SELECT n, gen_random_uuid(), 'p' || n, 'p' || n, 'Europe/Paris', NULL, NULL, now()
    FROM generate_series(1, {PEOPLE}) AS n;
INSERT INTO passerelle.device (patient_id, device_id, scheme, identity, added_at)
    SELECT n, 1, 'serial', 'd' || n, now() FROM generate_series(1, {PEOPLE}) AS n;
INSERT INTO passerelle.clock_segment
    SELECT n, 1, k, k % 5 * 1000, k % 5 * 1000 + 999, {HOUR} (k % 5 * 1000), {HOUR} (k % 5 * 1000 + 999),
        -3600, 60, 1, now(), CASE WHEN k >= 5 THEN now() END
    FROM generate_series(1, {PEOPLE}) AS n, generate_series(0, 99) AS k;
SELECT passerelle.ensure_months('reading', ARRAY(
    SELECT generate_series('2026-01-01', '2026-06-01', interval '1 month')::date));
INSERT INTO passerelle.reading (recorded_at, patient_id, sequence, mantissa, device_id, kind, unit, raw)
    SELECT {HOUR} s, n, s, 100 + s % 50, 1, 1, 0, '\\x0102030405060708'
    FROM generate_series(0, 24 * 30 * {MONTHS} - 1) AS s, generate_series(1, {PEOPLE}) AS n
    ORDER BY s / 24, n, s;
INSERT INTO passerelle.daily_summary (patient_id, day, kind, unit, device_id, readings, below_range,
    above_range, very_low, low, target, high, very_high, numbers, total, squares)
    SELECT n, date '2020-01-01' + d, 1, 0, 1, 24, 0, 0, 0, 0, 24, 0, 0, 24, 2400, 240000
    FROM generate_series(1, {PEOPLE}) AS n, generate_series(0, 2400) AS d;
INSERT INTO passerelle.outbox (patient_id, device_id, change, first_recorded_at, last_recorded_at, readings,
    version, made_at)
    SELECT n, 1, 0, now(), now(), 1, 1, now() FROM generate_series(1, 500), generate_series(1, {PEOPLE}) AS n;
INSERT INTO passerelle.token SELECT sha256(('other ' || t)::bytea), 1 + t % {PEOPLE}, NULL, now(), 'infinity'
    FROM generate_series(1, 5000) AS t;
INSERT INTO passerelle.token SELECT sha256('token of patient 7'), 7, NULL, now(), 'infinity';
INSERT INTO passerelle.grant_ SELECT n, gen_random_uuid(), 'a clinic', NULL, 'care', NULL,
    '2026-04-01', '2026-05-01', 'infinity', now()
    FROM generate_series(1, {PEOPLE}) AS n, generate_series(1, 50);
INSERT INTO passerelle.token SELECT sha256('grant of patient 7'), 7, grant_id, now(), 'infinity'
    FROM passerelle.grant_ WHERE patient_id = 7 LIMIT 1;
VACUUM ANALYZE
"""
"""All that a plan depends on: 170 000 readings that came day by day, so that no table is small enough to be
read whole."""

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        server = EmbeddedServer.hold(home)
        try:
            with psycopg.connect(server.address("owner"), autocommit=True) as conn:
                asyncio.run(migrated(server.address("owner")))
                for statement in FILL.split(";\n"):
                    conn.execute(statement)
            yield server.address("owner")
        finally:
            server.release()
            erase(home)


async def migrated(address: str) -> None:
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as conn:
        await migrate.migrate_space(conn, None, None)


@pytest.fixture
async def conn(address: str) -> AsyncIterator[Connection]:
    async with await psycopg.AsyncConnection.connect(address) as opened:
        register_arrays(opened)
        yield opened


class Plan:
    """What `EXPLAIN` says of a statement."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.nodes = list(self._walk(root))

    def _walk(self, node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        yield node
        for child in node.get("Plans", ()):
            yield from self._walk(child)

    @property
    def kinds(self) -> set[str]:
        return {node["Node Type"] for node in self.nodes}

    @property
    def tables(self) -> set[str]:
        return {node["Relation Name"] for node in self.nodes if "Relation Name" in node}

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}

    @property
    def conditions(self) -> str:
        return " ".join(node.get("Index Cond", "") for node in self.nodes)


async def plan_of(conn: Connection, aggregate: str, name: str, **values: object) -> Plan:
    answer = await conn.execute(f"EXPLAIN (FORMAT JSON) {statements(aggregate)[name]}", values)
    row = await answer.fetchone()
    assert row is not None
    return Plan(row[0][0]["Plan"])


def assert_by_index(plan: Plan, *, ordered: bool = False) -> None:
    """No table is read whole, and no row sorted; `ordered`: the index gives the order."""
    assert not plan.kinds & {"Seq Scan", "Sort", "Incremental Sort"}, plan.kinds
    in_order = {"Index Scan", "Index Only Scan"}
    assert plan.kinds & (in_order if ordered else in_order | {"Bitmap Index Scan"}), plan.kinds


async def test_the_records_that_are_known_are_looked_up_in_their_month(conn: Connection) -> None:
    plan = await plan_of(conn, "writing", "known", patient_id=7, device_id=1, first=START, last=LAST)
    assert_by_index(plan)
    assert plan.tables == {"reading_2026_04"}
    assert "patient_id" in plan.conditions
    assert "recorded_at" in plan.conditions


async def test_a_fortnight_of_a_person_is_read_in_its_month(conn: Connection) -> None:
    plan = await plan_of(
        conn, "readings", "readings_of_patient", patient_id=7, kinds=None, first=START, last=LAST
    )
    assert_by_index(plan)
    assert plan.tables == {"reading_2026_04"}
    assert plan.indexes == {"reading_2026_04_pkey"}
    assert "recorded_at" in plan.conditions


async def test_the_latest_of_a_segment_is_one_step_backwards_in_the_key(conn: Connection) -> None:
    plan = await plan_of(
        conn,
        "readings",
        "last_of_segment",
        patient_id=7,
        device_id=1,
        first_recorded_at=FIRST + timedelta(hours=2000),
        last_recorded_at=FIRST + timedelta(hours=2999),
        first_sequence=2000,
        last_sequence=2999,
        kinds=[1],
        shift=-3600,
    )
    assert_by_index(plan, ordered=True)
    assert {"Limit"} <= plan.kinds
    assert {node.get("Scan Direction") for node in plan.nodes if "Scan Direction" in node} == {"Backward"}
    assert plan.tables == {"reading_2026_03", "reading_2026_04", "reading_2026_05"}


async def test_what_a_space_is_fed_comes_in_the_order_of_the_key(conn: Connection) -> None:
    where = {"patient_id": 7, "device_id": 1, "first": START, "last": LAST, "limit": 100}
    plan = await plan_of(conn, "readings", "page_of_device", **where, after_sequence=-1, after_ordinal=0)
    assert_by_index(plan, ordered=True)
    assert plan.tables == {"reading_2026_04"}


async def test_ten_years_by_day_are_read_in_order(conn: Connection) -> None:
    whole = {"first": date(2016, 1, 1), "last": date(2026, 12, 31)}
    plan = await plan_of(conn, "daily_summary", "days", patient_id=7, **whole)
    assert_by_index(plan, ordered=True)
    assert plan.indexes == {"daily_summary_pkey"}


async def test_a_cohort_is_summed_from_its_days(conn: Connection) -> None:
    some = {"patient_ids": list(range(1, 20)), "first": date(2026, 4, 7), "last": date(2026, 4, 20)}
    plan = await plan_of(conn, "daily_summary", "cohort", **some)
    assert plan.tables == {"daily_summary"}
    assert "Seq Scan" not in plan.kinds
    assert "day" in plan.conditions


async def test_entries_after_the_cursor_come_in_order(conn: Connection) -> None:
    plan = await plan_of(conn, "outbox", "entries_after", patient_id=7, entry_id=3, limit=100)
    assert_by_index(plan, ordered=True)
    assert plan.indexes == {"outbox_pkey"}


async def test_a_person_s_segments_are_found_by_their_key(conn: Connection) -> None:
    plan = await plan_of(conn, "clock_segments", "of_patient", patient_id=7)
    assert plan.tables == {"clock_segment"}
    assert "Seq Scan" not in plan.kinds


PAGE = "%(token)s, NULL, NULL, NULL, %(first)s, %(last)s, NULL, NULL, NULL, NULL, NULL, 100"

COUNTED = """SELECT relname, coalesce(seq_scan, 0), coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables
    WHERE schemaname = 'passerelle' AND (seq_scan > 0 OR idx_scan > 0)"""


async def scans_of(conn: Connection, call: str, **values: object) -> dict[str, tuple[int, int]]:
    """Table → how often this call read it whole, and by an index."""
    await (await conn.execute(f"SELECT * FROM passerelle.{call}", values)).fetchall()
    rows = await (await conn.execute(COUNTED)).fetchall()
    return {name: (whole, indexed) for name, whole, indexed in rows}


@pytest.mark.parametrize("token", [TOKEN, GRANT], ids=["session", "grant"])
@pytest.mark.parametrize(
    "call",
    [
        "readings_by_token(%(token)s, NULL, %(first)s, %(last)s)",
        "contexts_by_token(%(token)s, %(first)s, %(last)s)",
        "quantities_by_token(%(token)s, %(first)s, %(last)s)",
        "annotations_by_token(%(token)s, %(first)s, %(last)s)",
        "days_by_token(%(token)s, %(first)s::date, %(last)s::date)",
        f"page_by_token({PAGE}, false)",
        f"page_by_token({PAGE}, true)",
        "segments_by_token(%(token)s)",
        "patient_by_token(%(token)s)",
    ],
    ids=lambda call: call.partition("(")[0],
)
async def test_what_a_token_opens_is_found_by_keys_in_its_month(
    conn: Connection, call: str, token: bytes
) -> None:
    scans = await scans_of(conn, call, token=token, first=START, last=LAST)
    assert scans.pop("token") == (0, 1)
    large = {name: whole for name, (whole, _) in scans.items() if name != "patient"}
    assert {name for name, whole in large.items() if whole} <= SMALL, scans
    assert {name for name in scans if name.startswith("reading_2")} <= {"reading_2026_04"}, scans


SMALL = {"device", "annotation", "reading_context", "observation_version"}
"""Tables that are empty or of a few rows here: a server reads such whole whatever the keys are."""


async def test_a_page_reads_no_more_rows_than_it_holds(conn: Connection) -> None:
    await scans_of(
        conn,
        f"page_by_token({PAGE}, false)",
        token=TOKEN,
        first=START,
        last=LAST,
    )
    read = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'reading_2026_04'"
    row = await (await conn.execute(read)).fetchone()
    assert row is not None
    assert row[0] <= 110

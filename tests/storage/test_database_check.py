"""`passerelle database migrate` and `check`: what is there, what is missing, the next step; on any server."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from device_profiles.errors import StorageError
from storage import engine_report, findings, migrate
from storage.addresses import Addresses, addresses_of
from storage.embedded import EmbeddedServer, erase
from storage.engine_report import Report
from storage.errors import DatabaseUnreachable, EncodingOther, RightsMissing, RoleUnknown
from storage.migrate import migrations
from tests import servers
from tests.servers import DATABASE

ROOT = Path(__file__).parents[2]


@contextmanager
def fresh() -> Iterator[Addresses]:
    """A database with nothing in it: on the server that was named, else in a home of its own."""
    if DATABASE:
        with servers.fresh() as made:
            yield addresses_of(None, made.owner, made.writer, made.reader, None)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        server = EmbeddedServer.hold(home)
        try:
            yield addresses_of(server, None, None, None, None)
        finally:
            server.release()
            erase(home)


@pytest.fixture(scope="module")
def empty() -> Iterator[Addresses]:
    with fresh() as addresses:
        yield addresses


@pytest.fixture(scope="module")
def addresses() -> Iterator[Addresses]:
    with fresh() as made:
        yield made


async def look(addresses: Addresses) -> Report:
    return await engine_report.look(addresses, embedded=not DATABASE)


def names(found: tuple[StorageError, ...]) -> list[str]:
    return [type(each).__name__ for each in found]


async def run(addresses: Addresses, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(addresses.owner, autocommit=True) as conn:
        for statement in statements:
            await conn.execute(statement)


async def test_a_look_at_an_empty_database_makes_nothing(empty: Addresses) -> None:
    for _ in range(2):
        report = await look(empty)
        assert names(report.must) == ["NothingThere"]
        assert report.holdings is None
    async with await psycopg.AsyncConnection.connect(empty.owner) as conn:
        schemas = await conn.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname IN ('passerelle', 'shelf')"
        )
        assert await schemas.fetchone() == (0,)


async def test_after_migrating_nothing_is_to_be_done_and_all_is_told(addresses: Addresses) -> None:
    done = await engine_report.migrate(addresses)
    engine = done.server.engine
    assert done.space == tuple(step.name for step in migrations("base", engine))
    assert done.shelf == ("shelf/0006_shelf.sql",)
    again = await engine_report.migrate(addresses)
    assert (again.space, again.shelf) == ((), ())
    report = await look(addresses)
    assert names(report.must) == []
    assert report.holdings is not None
    assert {"reading", "patient", "daily_summary"} <= report.holdings.bytes_by_table.keys()
    assert all(role.connects for role in report.roles)


async def test_months_and_rows_are_counted(addresses: Addresses) -> None:
    await engine_report.migrate(addresses)
    await run(
        addresses,
        "SELECT passerelle.ensure_months('reading', '{2026-03-01,2026-04-01}')",
        "INSERT INTO passerelle.reading (recorded_at, patient_id, sequence, mantissa, device_id, kind, unit,"
        " raw)"
        " SELECT timestamptz '2026-03-05 00:00+00' + n * interval '1 hour', 1, n, 100, 1, 1, 0, ''"
        " FROM generate_series(1, 700) AS n",
        "ANALYZE passerelle.reading",
    )
    holdings = (await look(addresses)).holdings
    assert holdings is not None
    assert holdings.readings == 700
    if servers.engine_named() != "timescaledb":  # whose months are of thirty days
        assert (holdings.months.first, holdings.months.last) == ("2026_03", "2026_04")
    assert holdings.months.count == 2
    assert holdings.bytes_by_table["reading"] > 700 * 90


async def test_a_step_that_is_missing_is_named(addresses: Addresses, monkeypatch: pytest.MonkeyPatch) -> None:
    await engine_report.migrate(addresses)
    steps = migrations("base", (await look(addresses)).server.engine)
    later = (*steps, migrate.Migration(9000, "base/9000_later.sql", "SELECT 1"))
    with monkeypatch.context() as newer:
        newer.setattr(
            migrate, "migrations", lambda *folders: later if "base" in folders else migrations(*folders)
        )
        (finding,) = (await look(addresses)).must
    assert "base/9000_later.sql" in str(finding)


@pytest.mark.roles
async def test_rights_that_are_not_given_and_a_role_that_may_too_much(addresses: Addresses) -> None:
    await engine_report.migrate(addresses)
    reader = migrate_role(addresses.reader)
    await run(addresses, "UPDATE passerelle.migration SET checksum = '' WHERE number = 0")
    assert names((await look(addresses)).must) == ["RightsNotGiven"]
    await engine_report.migrate(addresses)
    await run(addresses, f'GRANT SELECT ON passerelle.reading TO "{reader}"')
    (finding,) = (await look(addresses)).must
    assert isinstance(finding, findings.ReaderMayTooMuch)
    assert reader in str(finding)
    await run(addresses, f'REVOKE SELECT ON passerelle.reading FROM "{reader}"')
    assert names((await look(addresses)).must) == []


async def test_one_role_for_all_is_an_advice(addresses: Addresses) -> None:
    alone = Addresses(*(addresses.owner,) * 3, addresses.shelf_owner, addresses.shelf_owner)
    await engine_report.migrate(alone)
    report = await look(alone)
    assert names(report.advice) == ["OneRoleForAll"]
    assert [role.work for role in report.roles] == ["owner"]
    assert names(report.must) == []
    await engine_report.migrate(addresses)


@pytest.mark.roles
async def test_a_role_without_the_right_to_make_tables_is_told_who_may(empty: Addresses) -> None:
    small = Addresses(empty.reader, *(empty.reader,) * 2, empty.shelf, empty.shelf_owner)
    with pytest.raises(RightsMissing) as refused:
        await engine_report.migrate(small)
    role = migrate_role(empty.reader)
    assert f"GRANT CREATE ON DATABASE {database_of(empty)} TO {role}" in str(refused.value)


async def test_a_role_that_is_not_there_is_named(addresses: Addresses) -> None:
    missing = addresses.owner.replace(f"user={migrate_role(addresses.owner)}", "user=nobody_of_this_name")
    elsewhere = Addresses(addresses.owner, missing, missing, addresses.shelf, addresses.shelf_owner)
    with pytest.raises(RoleUnknown) as refused:
        await engine_report.migrate(elsewhere)
    assert "nobody_of_this_name" in str(refused.value)
    report = await look(elsewhere)
    assert "RoleCannotConnect" in names(report.must)


async def test_a_server_that_does_not_answer_is_said_without_its_password() -> None:
    address = "postgresql://someone:secret@127.0.0.1:9/passerelle"
    with pytest.raises(DatabaseUnreachable) as refused:
        await look(Addresses(*(address,) * 5))
    assert "secret" not in str(refused.value)


class Latin:
    """A connection as to a database with another encoding."""

    class info:  # noqa: N801
        server_version = 180_000

        @staticmethod
        def parameter_status(_: str) -> str:
            return "LATIN1"


async def test_a_database_that_cannot_hold_every_name_is_refused() -> None:
    with pytest.raises(EncodingOther, match="LATIN1"):
        await migrate.server_of(Latin())  # type: ignore[arg-type]


def migrate_role(address: str) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(address)["user"])


def database_of(addresses: Addresses) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(addresses.owner)["dbname"])


HALF = """
import asyncio, sys
from storage import migrate
import psycopg

async def main():
    address, at, before = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    record = migrate._record

    async def stopping(conn, schema, number, name, checksum):
        if before == "recorded" and number == at:
            print("here", flush=True)
            sys.stdin.readline()
        await record(conn, schema, number, name, checksum)
        if before == "committed" and number == at:
            print("here", flush=True)
            sys.stdin.readline()

    migrate._record = stopping
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as conn:
        await migrate.migrate_space(conn, None, None)

asyncio.run(main())
"""


async def test_a_migration_that_is_killed_half_way_goes_on_where_it_was() -> None:
    """The step that was killed did not happen, those before it did, and the next run does the rest."""
    with fresh() as addresses:
        steps = migrations("base", (await look(addresses)).server.engine)
        for position, moment in ((0, "recorded"), (1, "committed"), (len(steps) - 1, "recorded")):
            killed(addresses.owner, steps[position].number, moment)
            report = await look(addresses)
            assert len(report.space.applied) == position
            assert names(report.must) == ["StepsMissing" if position else "NothingThere"]
        killed(addresses.owner, 0, "recorded")
        assert names((await look(addresses)).must) == ["RightsNotGiven"]
        await engine_report.migrate(addresses)
        assert names((await look(addresses)).must) == []


def killed(address: str, number: int, moment: str) -> None:
    command = [sys.executable, "-c", HALF, address, str(number), moment]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"here\n"
        program.kill()

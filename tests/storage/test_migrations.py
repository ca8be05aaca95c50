"""Migrations: one order, once, by whoever comes first, and never backwards."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from storage import binaries, embedded, migrate, patients, readings
from storage.database import Database
from storage.embedded import EmbeddedServer, erase
from storage.errors import (
    DatabaseAddressUnusable,
    DatabaseChanged,
    DatabaseNewer,
    DatabaseUnreachable,
    EngineChanged,
    EngineTooOld,
    EngineUnknown,
    ExtensionTooOld,
    LicenceTooNarrow,
)
from storage.migrate import Engine, Migration, migrations
from storage.readings import Stored
from storage.statements import one_by_one, statements
from tests.storage.samples import glucose, new_device, segment, store

pytestmark = pytest.mark.embedded

FOLDERS = ("base", "plain", "timescale", "citus", "shelf")

FOUND_BY = {
    "token": "token_hash",
    "gateway_token": "token_hash",
    "registration_code": "code_hash",
    "gateway": "gateway_id",
    "tenant": "tenant_id",
    "space_patient": "uuid",
    "space_secret": "one",
}
"""Tables whose rows are no patient's: what comes when they are looked for."""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "home"
        yield place
        erase(place)


def test_numbers_are_unique_across_the_folders_and_give_one_order() -> None:
    numbers = [step.number for step in migrations(*FOLDERS)]
    assert numbers == sorted(set(numbers))


def test_every_engine_has_the_same_columns_of_readings() -> None:
    shapes = set()
    for engine in Engine:
        (step,) = [step for step in migrations(engine) if step.name.endswith("_readings.sql")]
        text = re.sub(r"\s*--[^\n]*", "", step.text)
        tables = re.findall(
            r"CREATE TABLE passerelle\.(reading|reading_quantity) \((.*?)\n\)", text, re.DOTALL
        )
        shapes.add(tuple((name, " ".join(body.split())) for name, body in tables))
    assert len(shapes) == 1


def test_every_key_of_the_space_starts_with_its_patient_or_is_a_token_s_hash() -> None:
    text = "".join(step.text for step in migrations("base", "plain"))
    tables = re.findall(r"CREATE TABLE passerelle\.(\w+) \((.*?)\n\)", text, re.DOTALL)
    for name, body in tables:
        key = re.search(r"PRIMARY KEY \((\w+)", body) or re.search(r"(\w+)\s+\w+ PRIMARY KEY", body)
        assert key is not None, name
        assert key.group(1) == FOUND_BY.get(name, "patient_id"), name


def test_every_table_that_erasing_takes_rows_from_is_written_anew_by_a_sweep() -> None:
    text = "".join(step.text for step in migrations("base") if step.number >= 50)
    taken = set(re.findall(r"erase_rows\('(\w+)'|DELETE FROM passerelle\.(\w+)", text))
    swept = statements("erasure")["sweep"] + statements("erasure")["sweep_months"]
    names = {name for pair in taken for name in pair if name} - {"job_claim"}  # which names nobody
    assert len(names) > 15
    assert names <= set(re.findall(r"passerelle\.(\w+)", swept))


def test_every_table_of_base_is_distributed_on_citus() -> None:
    tables = set(
        re.findall(r"CREATE TABLE passerelle\.(\w+)", "".join(step.text for step in migrations("base")))
    )
    spread = "".join(step.text for step in migrations("citus"))
    assert tables <= set(re.findall(r"create_distributed_table\('passerelle\.(\w+)'", spread))


def test_no_statement_has_a_form_that_another_engine_refuses() -> None:
    texts = {step.name: step.text for step in migrations(*FOLDERS)}
    texts |= {path.name: path.read_text("utf-8") for path in files("storage").joinpath("queries").iterdir()}
    for name, text in texts.items():
        code = re.sub(r"--[^\n]*|'[^']*'", "", text).upper()
        for refused in (
            "ROW LEVEL SECURITY",
            "CREATE TRIGGER",
            "REFERENCES",
            "CONCURRENTLY",
            "SKIP LOCKED",
            "MERGE INTO",
            "SECURITY_BARRIER",
            "SET ROLE",
        ):
            assert refused not in code, (name, refused)
        assert not re.search(r"PASSERELLE\.READING\b[^;]*FOR UPDATE", code), name


@pytest.mark.parametrize("step", migrations(*FOLDERS), ids=lambda step: step.name)
def test_a_migration_is_taken_one_statement_after_the_other_and_whole(step: Migration) -> None:
    statements_of_it = list(one_by_one(step.text))
    without = re.sub(r"--[^\n]*|\s|;", "", step.text)
    assert re.sub(r"--[^\n]*|\s|;", "", "".join(statements_of_it)) == without
    for statement in statements_of_it:
        outside = re.sub(r"--[^\n]*|\$\$.*?\$\$|'[^']*'", "", statement, flags=re.DOTALL)
        begins = re.findall(r"^(?:CREATE|ALTER|SELECT|CALL|DO|UPDATE)\b", outside, re.MULTILINE)
        assert len(begins) == 1, statement


async def test_programs_that_migrate_at_once_do_it_once(home: Path) -> None:
    server = await asyncio.to_thread(EmbeddedServer.hold, home)
    try:

        async def one() -> int:
            conn = await psycopg.AsyncConnection.connect(server.address("owner"), autocommit=True)
            async with conn:
                return await migrate.migrate_space(conn, "writer", "reader")

        await asyncio.gather(*(one() for _ in range(4)))
        assert await one() == 0
        with psycopg.connect(server.address("owner")) as conn:
            rows = conn.execute("SELECT number FROM passerelle.migration ORDER BY number").fetchall()
        assert [number for (number,) in rows] == [0, *(step.number for step in migrations("base", "plain"))]
    finally:
        await asyncio.to_thread(server.release)


async def test_a_function_that_a_later_step_makes_is_nobody_s_until_rights_are_given_and_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = """CREATE FUNCTION passerelle.later() RETURNS int4 LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
        CREATE FUNCTION passerelle.later_by_token() RETURNS int4 LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
        CREATE TABLE passerelle.later_table ()"""
    asked = """SELECT has_function_privilege('reader', 'passerelle.later()', 'EXECUTE'),
        has_function_privilege('reader', 'passerelle.later_by_token()', 'EXECUTE'),
        has_table_privilege('writer', 'passerelle.later_table', 'SELECT')"""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        server = await asyncio.to_thread(EmbeddedServer.hold, home)
        try:
            async with await psycopg.AsyncConnection.connect(
                server.address("owner"), autocommit=True
            ) as conn:
                await migrate.migrate_space(conn, "writer", "reader")
                steps = (*migrations("base", "plain"), Migration(9000, "base/9000_later.sql", later))
                monkeypatch.setattr(migrate, "migrations", lambda *_: steps)
                with monkeypatch.context() as killed:
                    killed.delitem(migrate._SQL, "name_role")  # type: ignore[arg-type]
                    with pytest.raises(KeyError):
                        await migrate.migrate_space(conn, "writer", "reader")
                assert await (await conn.execute(asked)).fetchone() == (False, False, False)
                await migrate.migrate_space(conn, "writer", "reader")
                assert await (await conn.execute(asked)).fetchone() == (False, True, True)
        finally:
            await asyncio.to_thread(server.release)
            erase(home)


async def test_a_newer_database_is_refused_in_one_sentence(home: Path) -> None:
    await spoilt(home, "INSERT INTO passerelle.migration VALUES (9999, 'later', '', now())")
    with pytest.raises(DatabaseNewer) as refused:
        await opened(home)
    assert str(refused.value).count(".") == 1
    await spoilt(home, "DELETE FROM passerelle.migration WHERE number = 9999")
    await opened(home)


async def test_a_database_of_another_edition_is_refused(home: Path) -> None:
    await spoilt(home, "UPDATE passerelle.migration SET checksum = 'x' || checksum WHERE number = 1")
    with pytest.raises(DatabaseChanged) as refused:
        await opened(home)
    assert "step 1" in str(refused.value)
    await spoilt(home, "UPDATE passerelle.migration SET checksum = substr(checksum, 2) WHERE number = 1")
    await opened(home)


async def test_rights_that_were_lost_come_back_with_other_names(home: Path) -> None:
    await spoilt(home, "UPDATE passerelle.migration SET checksum = '' WHERE number = 0")
    await spoilt(home, "REVOKE ALL ON ALL TABLES IN SCHEMA passerelle FROM writer")
    async with Database.open(home) as database, database.writer() as conn:
        assert await patients.list_all(conn) == ()


async def test_the_engine_is_found_by_its_extension(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await asyncio.to_thread(EmbeddedServer.hold, home)
    try:
        async with await psycopg.AsyncConnection.connect(server.address("owner")) as conn:
            assert await migrate.engine_of(conn) is Engine.PLAIN
            for name, version, engine in (
                ("timescaledb", "2.23.0", Engine.TIMESCALE),
                ("citus", "13.2-1", Engine.CITUS),
            ):
                pretend(monkeypatch, **{name: version})
                found = await migrate.server_of(conn)
                assert (found.engine, found.extension) == (engine, version)
            pretend(monkeypatch, citus="13.2-1", timescaledb="2.23.0")
            with pytest.raises(EngineUnknown):
                await migrate.engine_of(conn)
            monkeypatch.setattr(migrate, "OLDEST_MAJOR", 99)
            with pytest.raises(EngineTooOld):
                await migrate.engine_of(conn)
    finally:
        await asyncio.to_thread(server.release)


@pytest.mark.parametrize(
    ("installed", "said"),
    [
        ({"timescaledb": "2.22.1"}, "TimescaleDB 2.22.1 is too old: version 2.23 or newer is needed."),
        ({"citus": "12.1-1"}, "Citus 12.1-1 is too old: version 13.2 or newer is needed."),
    ],
)
async def test_an_extension_that_is_too_old_is_said_with_the_version_that_is_needed(
    home: Path, monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], said: str
) -> None:
    server = await asyncio.to_thread(EmbeddedServer.hold, home)
    try:
        async with await psycopg.AsyncConnection.connect(server.address("owner")) as conn:
            pretend(monkeypatch, **installed)
            with pytest.raises(ExtensionTooOld) as refused:
                await migrate.engine_of(conn)
    finally:
        await asyncio.to_thread(server.release)
    assert str(refused.value) == said


async def test_timescaledb_without_its_columnstore_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await asyncio.to_thread(EmbeddedServer.hold, home)
    try:
        async with await psycopg.AsyncConnection.connect(server.address("owner")) as conn:
            pretend(monkeypatch, licence="apache", timescaledb="2.28.3")
            with pytest.raises(LicenceTooNarrow):
                await migrate.engine_of(conn)
    finally:
        await asyncio.to_thread(server.release)


async def test_an_extension_that_came_after_the_schema_is_no_newer_database(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await opened(home)
    server = await asyncio.to_thread(EmbeddedServer.hold, home)
    try:
        async with await psycopg.AsyncConnection.connect(server.address("owner")) as conn:
            pretend(monkeypatch, timescaledb="2.28.3")
            with pytest.raises(EngineChanged) as refused:
                await migrate.standing_of_space(conn, None, None)
    finally:
        await asyncio.to_thread(server.release)
    assert "set up for PostgreSQL and has TimescaleDB now" in str(refused.value)


def pretend(monkeypatch: pytest.MonkeyPatch, licence: str = "timescale", **extensions: str) -> None:
    rows = ", ".join(f"('{name}', '{version}')" for name, version in extensions.items())
    answers = {"extensions": f"VALUES {rows}", "licence": f"SELECT '{licence}'"}
    monkeypatch.setattr(migrate, "_SQL", dict(statements("migrate")) | answers)


async def test_a_server_that_does_not_answer_is_said_without_its_password(tmp_path: Path) -> None:
    address = "postgresql://someone:secret@127.0.0.1:9/passerelle"
    with pytest.raises(DatabaseUnreachable) as refused:
        await opened(tmp_path, address)
    assert "secret" not in f"{refused.value}{refused.value.__cause__}"
    assert refused.value.__suppress_context__
    with pytest.raises(DatabaseAddressUnusable):
        await opened(tmp_path, "not an address")
    assert await asyncio.to_thread(os.listdir, tmp_path) == []


async def test_a_server_that_was_named_serves_all_roles_under_one_name(tmp_path: Path) -> None:
    with served(binaries.find_binaries()) as address:
        await journey(tmp_path, address)


@contextmanager
def served(programs: binaries.Binaries) -> Iterator[str]:
    """A server that was there before us: its owner's address."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "find_binaries", lambda: programs)
        home = Path(folder) / "home"
        server = EmbeddedServer.hold(home)
        try:
            yield server.address("owner")
        finally:
            server.release()
            erase(home)


async def journey(home: Path, address: str) -> None:
    """The way of a batch, all roles under the owner's address."""
    async with Database.open(home, address) as database:
        async with database.writer() as conn:
            patient = await patients.add(conn, "Test patient", "Europe/Paris")
        device = await new_device(database, patient)
        batch = [glucose(number) for number in range(250)]
        assert await store(database, device, batch) == Stored(250, 0)
        assert await store(database, device, batch, segment(batch, -3600)) == Stored(0, 250)
        async with database.reader() as conn:
            assert len(await readings.series(conn, patient.patient_id)) == 250
        async with database.shelf() as conn:
            assert await (await conn.execute("SELECT count(*) FROM shelf.link")).fetchone() == (0,)
        health = await database.health()
    assert health.engine is Engine.PLAIN
    assert not health.embedded


async def opened(home: Path, address: str | None = None) -> None:
    async with Database.open(home, address):
        pass


async def spoilt(home: Path, statement: str) -> None:
    server = await asyncio.to_thread(EmbeddedServer.hold, home)
    with psycopg.connect(server.address("owner")) as conn:
        conn.execute(statement)
    await asyncio.to_thread(server.release)


def test_the_files_of_storage_are_in_the_package() -> None:
    names = {path.name for path in files("storage").joinpath("migrations").iterdir()}
    assert {*FOLDERS, "rights.sql", "shelf_rights.sql"} <= names

"""A real PostgreSQL for every test that asks for one: started once, in a home that is thrown away."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storage import patients
from storage.database import Database
from storage.embedded import EmbeddedServer, erase
from storage.patients import Patient

DATABASE = os.environ.get("PASSERELLE_TEST_DATABASE")
"""A server to run the tests against, instead of the embedded one."""


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI everything is there, so nothing may be skipped; elsewhere the summary says how to get it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("Tests were skipped, and in CI none may be.", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def database_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home whose server runs for the whole session, so that no test waits for its start."""
    home = tmp_path_factory.mktemp("home")
    if DATABASE:
        yield home
        return
    server = EmbeddedServer.hold(home)
    try:
        yield home
    finally:
        server.release()
        erase(home)


@pytest.fixture
async def database(database_home: Path) -> AsyncIterator[Database]:
    async with Database.open(database_home, DATABASE) as opened:
        yield opened


@pytest.fixture
async def patient(database: Database) -> Patient:
    """A fresh patient: tests of one session share a database and never a person."""
    async with database.writer() as conn:
        return await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")

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
from tests import servers

DATABASE = servers.shared().owner if servers.DATABASE else None
"""The session's own database on a server that was named; None: the embedded one."""


def pytest_report_header() -> list[str]:
    """On which server the tests run, where it is not the embedded one."""
    if not DATABASE:
        return []
    made, why_not = servers.roles()
    parted = "roles of their own for writing and serving" if made else f"one role for all ({why_not})"
    return [f"database: {servers.engine_named() or 'PostgreSQL'} of PASSERELLE_TEST_DATABASE, {parted}"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On a server that was named: not the tests about the home's own; those about roles where it has them."""
    if not DATABASE:
        return
    left_out = {"embedded"}
    if not servers.roles()[0]:
        left_out |= {"roles", "sealed"}
    if servers.engine_named() == "citus":
        left_out.add("sealed")
    chosen = [item for item in items if not any(item.get_closest_marker(name) for name in left_out)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


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
    async with servers.opened(database_home) as opened:
        yield opened


@pytest.fixture
async def patient(database: Database) -> Patient:
    """A fresh patient: tests of one session share a database and never a person."""
    async with database.writer() as conn:
        return await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")

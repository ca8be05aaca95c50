from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.gateway.api.space_serving import RunningSpace


@pytest.fixture(scope="session")
def running_space(database_home: Path) -> Iterator[RunningSpace]:
    """One space for all tests: each has tenants, gateways and persons of its own."""
    with RunningSpace(database_home) as running:
        yield running


@pytest.fixture
def space(running_space: RunningSpace) -> Iterator[RunningSpace]:
    """The space; after the test its clock is back in its place."""
    yield running_space
    running_space.ahead = timedelta(0)

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.gateway.api.serving import RunningShelf


@pytest.fixture(scope="session")
def running_shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningShelf]:
    """One shelf for all tests: each has gateways and links of its own."""
    with RunningShelf(tmp_path_factory.mktemp("shelf")) as running:
        yield running


@pytest.fixture
def shelf(running_shelf: RunningShelf) -> Iterator[RunningShelf]:
    """The shelf; after the test its clock is back in its place."""
    yield running_shelf
    running_shelf.ahead = timedelta(0)

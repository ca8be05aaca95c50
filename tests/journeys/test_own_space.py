"""A person feeds a Passerelle space: what they change at home changes there, and what they erase is gone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fhir_mapping.observation import render_each
from fhir_mapping.opaque import ReadingIds
from storage import devices, patients, readings
from storage.clock_segments import ALL_TIMES
from tests import servers
from tests.gateway.outbox.homes import by_identifier
from tests.journeys.conftest import CAPTURE, CommandLine, free_port
from tests.journeys.offline import rows_of, two_homes

IDS = ReadingIds(bytes(32))


async def _said(home: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    async with servers.database_of(home) as database, database.owner() as conn:
        for patient in await patients.list_all(conn):
            for device in await devices.of_patient(conn, patient.patient_id, forgotten=True):
                page = await readings.page_of_device(
                    conn, patient.patient_id, device.device_id, ALL_TIMES, limit=100_000
                )
                kept = page.series.take(np.flatnonzero(~page.left_out))
                found |= by_identifier(render_each(kept, IDS))
    return found


def said(of: CommandLine) -> dict[str, dict[str, Any]]:
    """What all readings of a home say as Observations, by our identifier; those left out are another's."""
    return asyncio.run(_said(of.home))


def feed(gateway: CommandLine) -> int:
    told = gateway.json("space", "feed")
    assert (told["waiting"], told["refused"]) == (0, 0)
    return int(told["told"])


def until_told(gateway: CommandLine) -> dict[str, Any]:
    """Waits until the gateway's own jobs have told the space everything."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        (status,) = gateway.json("space", "status")
        if status["state"] == "current":
            return dict(status)
    raise AssertionError("the space was never told")


def listed(gateway: CommandLine) -> list[str]:
    return [one["id"] for one in gateway.json("readings", "list", "--patient", "Ada")]


@pytest.mark.timeout(240)
def test_what_changes_at_home_changes_at_the_space_and_what_is_erased_is_gone(tmp_path: Path) -> None:
    with two_homes(tmp_path) as (gateway, space):
        space.json("tenants", "add", "clinic")
        code = space.json("tenants", "code", "clinic")["code"]
        with space.serving("--role", "space", port=free_port()) as address:
            gateway.run("replay", str(CAPTURE), "--patient", "Ada", "--timezone", "Europe/Paris")
            connected = gateway.json("space", "connect", address, "--patient", "Ada", "--code", code)
            assert connected["state"] == "waiting"
            with gateway.serving("--role", "gateway"):
                told = until_told(gateway)
            assert told["told"] == len(said(gateway)) > 5
            assert said(space) == said(gateway)
            _change(gateway, space)
            _erase(gateway, space)
            _end(gateway, address)


def _change(gateway: CommandLine, space: CommandLine) -> None:
    first, second, *_ = listed(gateway)
    gateway.run("readings", "note", first, "après le repas")
    gateway.run("readings", "not-mine", second)
    (status,) = gateway.json("space", "status")
    assert (status["waiting"], status["changes"]) == (0, 2)
    assert feed(gateway) == 2
    assert said(space) == said(gateway)


def _erase(gateway: CommandLine, space: CommandLine) -> None:
    gateway.run("erase", "--patient", "Ada", "--yes")
    feed(gateway)
    assert said(space) == {}
    reached = asyncio.run(rows_of(gateway.home, "erasure_at_space"))
    assert reached
    assert all(told_at is not None for *_, told_at in reached)


def _end(gateway: CommandLine, address: str) -> None:
    ended = gateway.json("space", "disconnect", address, "--patient", "Ada")
    assert ended["space_knows"]
    (status,) = gateway.json("space", "status", "--patient", "Ada")
    assert status["state"] == "disconnected"

"""`passerelle` alone, as somebody types it or as the icon starts it: the page, in a program that stays."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.opening import FILE
from tests.journeys.conftest import CommandLine


def told(passerelle: CommandLine) -> dict[str, object]:
    return json.loads((passerelle.home / FILE).read_text())


@pytest.fixture
def screenless(passerelle: CommandLine) -> Iterator[CommandLine]:
    """A home on a computer without a screen; what was started in the background is ended."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        passerelle.environment.pop(name, None)
    yield passerelle
    if (passerelle.home / FILE).exists():
        end(int(str(told(passerelle)["pid"])))


def end(pid: int) -> None:
    """End a program that is no child of this one, and wait for it."""
    descriptor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGTERM)
    select.select([descriptor], [], [], 60)
    os.close(descriptor)


def test_alone_it_starts_in_the_background_and_the_second_time_it_only_opens(screenless: CommandLine) -> None:
    first = screenless.run()
    assert "No browser could be opened here" in first.stderr
    one = told(screenless)
    second = screenless.run("open", "--print")
    assert told(screenless) == one
    for address in (first.stdout.strip(), second.stdout.strip()):
        assert urlsplit(address).hostname == "127.0.0.1"
        with httpx.Client(trust_env=False, follow_redirects=True) as client:
            page = client.get(address)
            assert page.status_code == 200
            assert str(page.url) == f"{one['address']}/welcome"


def test_help_still_helps(passerelle: CommandLine) -> None:
    assert "serve" in passerelle.run("--help").stdout

"""A clean home and the real command line, as a person at a terminal has them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from storage.embedded import erase
from tests import servers

ROOT = Path(__file__).parents[2]
CAPTURE = ROOT / "gateway" / "demonstration" / "accuchek_guide_full_read.json"
WEEKS = sorted((ROOT / "gateway" / "demonstration").glob("hall_2018_*.csv"))


@dataclass(frozen=True)
class CommandLine:
    """Runs `passerelle` in a home of its own."""

    home: Path
    environment: dict[str, str]

    def run(
        self, *arguments: str, status: int = 0, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its exit status must be `status`."""
        ended = subprocess.run(
            [sys.executable, "-m", "gateway", *arguments],
            env=self.environment,
            cwd=self.home.parent,
            input=text,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert ended.returncode == status, (
            f"{arguments} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        )
        return ended

    def json(self, *arguments: str, status: int = 0) -> Any:
        """What a command answers with --json."""
        return json.loads(self.run(*arguments, "--json", status=status).stdout)

    def json_bundle(self, patient: str) -> list[dict[str, Any]]:
        """The Observations of a patient's exported Bundle."""
        bundle = json.loads(self.run("export", "--patient", patient, "--format", "fhir").stdout)
        resources = [entry["resource"] for entry in bundle["entry"]]
        return [resource for resource in resources if resource["resourceType"] == "Observation"]

    def with_environment(self, **variables: str) -> CommandLine:
        return CommandLine(self.home, self.environment | variables)

    @contextmanager
    def serving(self, *arguments: str, port: int | None = None) -> Iterator[str]:
        """`passerelle serve` on a free port, until the block ends; gives its address."""
        port = port or free_port()
        address = f"http://127.0.0.1:{port}"
        with self.printed.open("ab") as printed:
            serving = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--port", str(port), *arguments],
                env=self.environment,
                cwd=self.home.parent,
                stdout=printed,
                stderr=printed,
            )
        try:
            wait_for(f"{address}/health", serving)
            yield address
        finally:
            serving.terminate()
            serving.wait(timeout=30)

    @property
    def printed(self) -> Path:
        """What everything that served has printed."""
        return self.home.parent / "printed.log"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise AssertionError(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2).read()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"{url} never answered")


@pytest.fixture
def passerelle(tmp_path: Path) -> Iterator[CommandLine]:
    home = tmp_path / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PASSERELLE_")}
    environment |= {
        "PASSERELLE_HOME": str(home),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
    }
    environment["PASSERELLE_SHELF_URL"] = "http://127.0.0.1:9"  # nobody listens there
    with servers.fresh_for(home) as where:
        yield CommandLine(home, environment | where)
    erase(home)

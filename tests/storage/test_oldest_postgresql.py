"""The heart of the store's suite once more, on the oldest PostgreSQL that the schema is for: Debian's 15."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.cluster import ENVIRONMENT, Account, place_of

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
ROOT = Path(__file__).parents[2]
SUITE = [
    str(Path(__file__).with_name(f"test_{name}.py"))
    for name in ("aggregates", "erasure", "isolation", "storing")
]
QUICK = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(
        not PROGRAMS.is_dir(), reason="Debian's PostgreSQL 15 is missing: apt-get install postgresql-15"
    ),
]


@pytest.fixture
def server() -> Iterator[str]:
    """A server that was there before us, with a superuser: on a private socket, durable for nobody."""
    with tempfile.TemporaryDirectory(prefix="pg15-") as folder:
        account = place_of(Path(folder) / "home", Path(folder) / "parent").account
        place = Path(folder) / "server"
        place.mkdir(mode=0o700)
        Path(folder).chmod(0o711)
        account.give(place)
        run(account, "initdb", f"--pgdata={place / 'data'}", "--username=tester", *QUICK)
        options = f"-c listen_addresses= -c fsync=off -k {place} -c max_connections=60"
        run(
            account,
            "pg_ctl",
            "-D",
            str(place / "data"),
            "-w",
            "-l",
            str(place / "log"),
            "-o",
            options,
            "start",
        )
        try:
            yield f"host={place} user=tester dbname=postgres"
        finally:
            run(account, "pg_ctl", "-D", str(place / "data"), "-m", "immediate", "stop")


def run(account: Account, program: str, *arguments: str) -> None:
    subprocess.run(
        [PROGRAMS / program, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
        env=ENVIRONMENT,
        timeout=60,
        **account.options(),
    )


@pytest.mark.timeout(300)
def test_the_suite_of_the_store_passes_on_it(server: str) -> None:
    """By way of `PASSERELLE_TEST_DATABASE`, so that this way is tested too."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-qx", *SUITE],
        cwd=ROOT,
        env=os.environ | {"PASSERELLE_TEST_DATABASE": server},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-1000:]
    assert "100%" in ended.stdout

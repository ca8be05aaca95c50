"""What starting costs: the command line's first answer, and the memory of a serving process."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

from benchmarks.table import Row

ROUNDS = 15


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def _version() -> Row:
    program = [str(Path(sys.executable).with_name("passerelle")), "--version"]
    bare = [sys.executable, "-c", "pass"]
    pairs = [(_seconds(program), _seconds(bare)) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    bound = 2 * theirs + 0.150
    return Row(
        "passerelle --version",
        f"{ours * 1000:.0f} ms (python -c pass: {theirs * 1000:.0f} ms)",
        f"<= {bound * 1000:.0f} ms",
        ours <= bound,
    )


def _resident(pid: int) -> float:
    """Megabytes of a process and its children, PostgreSQL apart."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return max(p.memory_info().rss for p in family if "postgres" not in p.name()) / 2**20


def _serving() -> Row:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        program = str(Path(sys.executable).with_name("passerelle"))
        serving = subprocess.Popen(
            [program, "serve", "--port", str(port)],
            env={**os.environ, "PASSERELLE_HOME": home},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _answer(f"http://127.0.0.1:{port}/health")
            for _ in range(200):
                _answer(f"http://127.0.0.1:{port}/view")
            megabytes = _resident(serving.pid)
        finally:
            serving.terminate()
            serving.wait(20)
    return Row("serving process, resident", f"{megabytes:.0f} MB", "<= 150 MB", megabytes <= 150)


def _answer(url: str) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=5).read()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def run() -> list[Row]:
    return [_version(), _serving()]

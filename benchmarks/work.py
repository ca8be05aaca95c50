"""Work in seconds of processor time: what a measurement counts while others use the machine too."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from storage.cluster import ROOT_PARENT, place_of
from storage.embedded import EmbeddedServer


def of_process(pid: int) -> float:
    """Of one process so far; 0 for one that ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        times = psutil.Process(pid).cpu_times()
        return times.user + times.system
    return 0.0


def of_postgres(home: Path) -> float:
    """Of the home's server so far, with all its processes: those that live, and those that ended."""
    postmaster = psutil.Process(EmbeddedServer(place_of(home, ROOT_PARENT)).pid)
    times = postmaster.cpu_times()
    spent = times.user + times.system + times.children_user + times.children_system
    return spent + sum(of_process(child.pid) for child in postmaster.children())

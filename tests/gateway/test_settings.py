"""The folder that holds all state: closed to others, and never at the cost of a folder that others use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.settings import HomeUnusable, prepare_home
from storage.errors import HomeOfAnother


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o7777


def test_a_home_is_closed_to_others_whether_it_is_new_empty_or_of_before(tmp_path: Path) -> None:
    new, empty, before = (tmp_path / name for name in ("new", "empty", "before"))
    for folder in (empty, before):
        folder.mkdir()
        folder.chmod(0o755)
    (before / "secret").touch()
    for folder in (new, empty, before):
        assert prepare_home(folder) == folder
        assert mode(folder) == 0o700


def test_a_folder_that_others_use_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    shared, full = tmp_path / "shared", tmp_path / "full"
    for folder, rights in ((shared, 0o1777), (full, 0o755)):
        folder.mkdir()
        folder.chmod(rights)
    (full / "something").touch()
    for folder, rights in ((shared, 0o1777), (full, 0o755)):
        with pytest.raises(HomeUnusable):
            prepare_home(folder)
        assert mode(folder) == rights


def test_a_home_that_somebody_else_could_replace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    with pytest.raises(HomeOfAnother):
        prepare_home(tmp_path)

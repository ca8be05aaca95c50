"""Done, done again, and taken away: what is written is what is removed, and nothing of anybody else's."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway import installing
from gateway.install import linux
from gateway.install.plan import File, Plan, Program
from gateway.installing import (
    LIST,
    CannotInstall,
    Done,
    Installed,
    ListUnreadable,
    install,
    not_carried,
    uninstall,
)


def works(command: Sequence[str]) -> bool:
    del command
    return True


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder of the readings."""
    folder = tmp_path / "readings"
    folder.mkdir()
    (folder / "secret").write_text("s")
    return folder


@pytest.fixture
def person(tmp_path: Path) -> Path:
    """A person's home directory with something in it already."""
    folder = tmp_path / "person"
    (folder / ".config" / "autostart").mkdir(parents=True)
    (folder / ".config" / "autostart" / "other.desktop").write_text("another program's")
    return folder


def plan_for(person: Path, *, user_manager: bool = True) -> Plan:
    return linux.plan(Program(("/opt/passerelle",)), {}, person, user_manager=user_manager)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, with the content of files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("user_manager", [True, False])
def test_what_was_written_is_taken_away_and_nothing_else(
    home: Path, person: Path, user_manager: bool
) -> None:
    before = tree(person), tree(home)
    plan = plan_for(person, user_manager=user_manager)
    done = install(plan, home, works)
    assert done.those(Done.WRITTEN) == [file.path for file in plan.files]
    assert all(file.path.read_bytes() == file.content for file in plan.files)
    taken = uninstall(home, works)
    assert taken
    assert set(taken.those(Done.REMOVED)) == {file.path for file in plan.files}
    assert (tree(person), tree(home)) == before


def test_installing_again_changes_nothing(home: Path, person: Path) -> None:
    install(plan_for(person), home, works)
    before = {path: path.stat().st_mtime_ns for path in person.rglob("*")}
    done = install(plan_for(person), home, works)
    assert {what for _, what in done.files} == {Done.THERE}
    assert {path: path.stat().st_mtime_ns for path in person.rglob("*")} == before


def test_what_its_person_changed_is_kept_and_told(home: Path, person: Path) -> None:
    install(plan_for(person), home, works)
    entry = person / ".local" / "share" / "applications" / "passerelle.desktop"
    entry.write_text("as I want it")
    assert install(plan_for(person), home, works).those(Done.KEPT) == [entry]
    listed = Installed.read(home)
    assert listed
    assert listed.changed() == [entry]
    taken = uninstall(home, works)
    assert taken
    assert taken.those(Done.KEPT) == [entry]
    assert entry.read_text() == "as I want it"


def test_a_file_of_somebody_else_is_neither_overwritten_nor_taken_away(home: Path, person: Path) -> None:
    entry = person / ".local" / "share" / "applications" / "passerelle.desktop"
    entry.parent.mkdir(parents=True)
    entry.write_text("of a package")
    assert install(plan_for(person), home, works).those(Done.KEPT) == [entry]
    taken = uninstall(home, works)
    assert taken
    assert entry not in dict(taken.files)
    assert entry.read_text() == "of a package"


def test_an_upgrade_renews_what_was_written_and_removes_what_is_no_longer_part(
    home: Path, person: Path
) -> None:
    install(plan_for(person, user_manager=False), home, works)
    autostart = person / ".config" / "autostart" / "passerelle-serve.desktop"
    assert autostart.exists()
    newer = linux.plan(Program(("/opt/newer",)), {}, person, user_manager=True)
    done = install(newer, home, works)
    assert done.those(Done.REMOVED) == [autostart]
    assert b"/opt/newer" in (person / ".config" / "systemd" / "user" / linux.UNIT).read_bytes()
    assert {what for _, what in install(newer, home, works).files} == {Done.THERE}


def test_a_file_that_went_is_put_back(home: Path, person: Path) -> None:
    plan = plan_for(person)
    install(plan, home, works)
    plan.files[0].path.unlink()
    assert install(plan, home, works).those(Done.WRITTEN) == [plan.files[0].path]


def test_what_a_killed_install_wrote_is_known_and_taken_away(home: Path, person: Path) -> None:
    before = tree(person)
    plan = plan_for(person)
    broken = Plan((*plan.files[:2], File(Path("/dev/null/none"), b"")))
    with pytest.raises(CannotInstall):
        install(broken, home, works)
    uninstall(home, works)
    assert tree(person) == before


def test_the_link_by_which_systemd_starts_the_unit_is_taken_away_where_systemd_does_not(
    home: Path, person: Path
) -> None:
    """As after a change of session: `systemctl` made the link, and nobody answers when it is to go."""
    before = tree(person)
    units = person / ".config" / "systemd" / "user"

    def enable(command: Sequence[str]) -> bool:
        if "enable" in command:
            (units / "default.target.wants").mkdir()
            (units / "default.target.wants" / linux.UNIT).symlink_to(units / linux.UNIT)
        return True

    install(plan_for(person), home, enable)
    taken = uninstall(home, lambda _: False)
    assert taken
    assert taken.failed
    assert not (units / "default.target.wants" / linux.UNIT).is_symlink()
    assert {name for name, content in tree(person).items() if content is not None} == {
        name for name, content in before.items() if content is not None
    }


def test_nothing_is_taken_away_where_nothing_was_installed(home: Path) -> None:
    assert uninstall(home, works) is None


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"files": 3, "folders": [], "end": [], "afterwards": []}']
)
def test_a_list_that_cannot_be_read_is_said_so_and_nothing_is_touched(
    home: Path, person: Path, content: str
) -> None:
    (home / LIST).write_text(content)
    before = tree(person)
    with pytest.raises(ListUnreadable):
        uninstall(home, works)
    with pytest.raises(ListUnreadable):
        install(plan_for(person), home, works)
    assert tree(person) == before


def test_settings_that_only_the_terminal_has_are_named() -> None:
    environment = {
        "PASSERELLE_HOME": "x",
        "PASSERELLE_DATABASE": "y",
        "PASSERELLE_SHELF_TOKEN": "z",
        "PATH": "",
    }
    assert not_carried(environment) == ["PASSERELLE_DATABASE", "PASSERELLE_SHELF_TOKEN"]
    for secret in ("PASSERELLE_DATABASE", "PASSERELLE_SHELF_TOKEN", "PASSERELLE_BACKUP_PASSPHRASE"):
        assert secret not in installing.CARRIED


def test_a_command_of_the_system_that_is_missing_or_fails_is_no_success(tmp_path: Path) -> None:
    assert installing.run(("true",))
    assert not installing.run(("false",))
    assert not installing.run((f"no-such-program-{os.getpid()}",))


def test_the_list_says_in_plain_text_what_was_written(home: Path, person: Path) -> None:
    plan = plan_for(person)
    install(plan, home, works)
    listed = json.loads((home / LIST).read_text())
    assert set(listed["files"]) == {str(file.path) for file in plan.files}
    assert ["systemctl", "--user", "disable", "--now", linux.UNIT] in listed["end"]

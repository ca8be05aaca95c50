"""A person saves a home and has it again elsewhere, with the real command line; or is told why not."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator

import pytest

from storage.embedded import erase
from tests.journeys.conftest import ROOT, WEEKS, CommandLine
from tests.storage.test_embedded import mounted

pytestmark = pytest.mark.embedded

PASSPHRASE = "cheval agrafe pile"


@pytest.fixture
def with_week(passerelle: CommandLine) -> CommandLine:
    passerelle.run("import", str(WEEKS[0]), "--patient", "Léa", "--timezone", "Europe/Paris")
    return passerelle


@pytest.fixture
def elsewhere(passerelle: CommandLine) -> Iterator[CommandLine]:
    """Another machine, or the same one after its disk was replaced."""
    home = passerelle.home.with_name("elsewhere")
    yield CommandLine(home, passerelle.environment | {"PASSERELLE_HOME": str(home)})
    for left in home.parent.glob("elsewhere*"):
        erase(left)


def test_a_home_is_saved_while_it_serves_and_is_the_same_elsewhere(
    with_week: CommandLine, elsewhere: CommandLine
) -> None:
    file, secret = with_week.home.with_name("saved"), with_week.home.with_name("passphrase")
    secret.write_text(f"{PASSPHRASE}\nnot this line\n")
    before = with_week.json_bundle("Léa")
    with with_week.serving("--role", "gateway"):
        made = with_week.json("backup", str(file), "--passphrase-file", str(secret))
    assert made["tables"]["passerelle/reading"] == len(before)
    assert file.stat().st_size == made["size"]
    assert file.stat().st_mode & 0o777 == 0o600
    environment = elsewhere.with_environment(PASSERELLE_BACKUP_PASSPHRASE=f" {PASSPHRASE} ")
    restored = environment.json("restore", str(file))
    assert restored["rows"] == made["rows"]
    assert restored["set_aside"] is None
    # With their FHIR ids, which are made under the secret of the home.
    assert elsewhere.json_bundle("Léa") == before
    again = elsewhere.run("import", str(WEEKS[0]), "--patient", "Léa", "--timezone", "Europe/Paris", "--json")
    assert f'"known": {len(before)}' in again.stdout


def test_what_cannot_be_is_said_in_one_sentence_and_changes_nothing(
    with_week: CommandLine, elsewhere: CommandLine
) -> None:
    saving = with_week.with_environment(PASSERELLE_BACKUP_PASSPHRASE=PASSPHRASE)
    file = with_week.home.with_name("saved")
    assert "passphrase is needed" in with_week.run("backup", str(file), status=1).stderr
    short = with_week.with_environment(PASSERELLE_BACKUP_PASSPHRASE="court")
    assert "at least 8 characters" in short.run("backup", str(file), status=1).stderr
    assert not file.exists()
    saving.run("backup", str(file))
    assert "it is there already" in saving.run("backup", str(file), status=1).stderr
    assert "no such file or folder" in saving.run("backup", "/nowhere/saved", status=1).stderr
    assert "something in" in saving.run("restore", str(file), status=1).stderr
    french = elsewhere.with_environment(
        PASSERELLE_BACKUP_PASSPHRASE="une autre phrase", LANG="fr_FR.UTF-8", LC_ALL=""
    )
    assert "La phrase secrète n’est pas celle" in french.run("restore", str(file), status=1).stderr
    named = elsewhere.with_environment(PASSERELLE_DATABASE="host=/nowhere")
    assert "Unset PASSERELLE_DATABASE" in named.run("restore", str(file), status=1).stderr
    assert not elsewhere.home.exists()


def test_a_disk_that_is_full_or_takes_no_writing_is_said(with_week: CommandLine) -> None:
    saving = with_week.with_environment(PASSERELLE_BACKUP_PASSPHRASE=PASSPHRASE)
    for options, words in (("size=4k", "the disk is full"), ("ro", "the disk takes no writing")):
        with mounted(options) as disk:
            if disk is None:
                assert "it is not allowed" in saving.run("backup", "/saved", status=1).stderr
            else:
                assert words in saving.run("backup", str(disk / "saved"), status=1).stderr
                assert list(disk.iterdir()) == []
    assert with_week.json("patients", "list")


def typed(passerelle: CommandLine, answers: list[str], *arguments: str) -> tuple[int, str]:
    """A command at a terminal, which answers each question that ends with a colon; what was to be seen."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-m", "gateway", *arguments], passerelle.environment)
    seen = ""
    waiting = list(answers)
    while True:
        try:
            part = os.read(terminal, 1000)
        except OSError:
            break
        if not part:
            break
        seen += part.decode()
        if waiting and part.rstrip(b" ").endswith(b":"):
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), seen


def test_a_passphrase_is_asked_for_twice_and_never_shown(with_week: CommandLine) -> None:
    file = with_week.home.with_name("saved")
    status, seen = typed(with_week, [PASSPHRASE, "cheval agrafe pole"], "backup", str(file))
    assert status == 1
    assert "not the same" in seen
    assert not file.exists()
    status, seen = typed(with_week, [PASSPHRASE, PASSPHRASE], "backup", str(file))
    assert status == 0
    assert "were read back" in seen
    assert "cheval" not in seen
    assert file.exists()

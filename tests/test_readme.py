"""What the README says is true: every command and option in it exists, every file it points to is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from gateway.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted({span for span in re.findall(r"`(passerelle [^`]+)`", README) if span != "passerelle "})


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 12


@pytest.mark.parametrize("written", COMMANDS)
def test_a_command_of_the_readme_exists_with_its_options(written: str) -> None:
    command: Any = get_command(app)
    for word in shlex.split(written)[1:]:
        if word.startswith("-"):
            assert word in {option for parameter in command.params for option in parameter.opts}
        elif word in getattr(command, "commands", {}):
            command = command.commands[word]
    assert not hasattr(command, "commands") or command.name == "passerelle" or written.endswith(command.name)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_a_file_that_the_readme_points_to_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_target_the_readme_names_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)

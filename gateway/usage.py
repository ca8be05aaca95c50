"""Wrong use and `--help`, in the person's language: the option parser knows English only.

Its errors become one sentence that says what to do next; the texts of `--help` are looked up in the
catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NoReturn

import typer
from typer.main import get_command

from gateway import terminal
from gateway.language import ENGLISH

HELP_OPTIONS: Final = ("--help", "-h")

SENTENCES: Final[tuple[tuple[str, str], ...]] = (
    (
        r"No such option: (?P<option>\S+)(?: \(Possible options: (?P<nearest>.+)\))?",
        "There is no {option} here.",
    ),
    (r"No such command '(?P<command>.*?)'.*", "There is no command {command} here."),
    (r"Missing \w+ '(?P<name>.+?)'.*", "{name} is missing."),
    (r"Got unexpected extra argument\(?s?\)? \((?P<extra>.*)\)", "{extra} is too much here."),
    (r"Option '(?P<option>.+)' requires an argument\.", "{option} needs a value."),
    (r"Option '(?P<option>.+)' does not take a value\.", "{option} takes no value."),
    (r"Invalid value for (?P<name>.+?): (?P<why>.*)", "{name} cannot be used so: {why}."),
)
"""What the parser says, and our sentence with the same fields; the first that fits the whole text counts."""

REASONS: Final[tuple[tuple[str, str], ...]] = (
    (r"Input should be a valid integer.*", "a whole number is needed"),
    (r"Input should be a valid number.*", "a number is needed"),
    (r"Input should be greater than or equal to (?P<least>\S+)", "at least {least} is needed"),
    (r"Input should be less than or equal to (?P<most>\S+)", "at most {most} is possible"),
    (r"(?:Value error, )?'.*' does not match the formats? .*", "a date such as 2026-03-31 is needed"),
    (r"(?:Value error, )?'.*' is not one of (?P<choices>.*?)\.?", "it is one of {choices}"),
)
"""The same for why a value cannot be used."""

PANELS: Final = {
    "ARGUMENTS_PANEL_TITLE": "Arguments",
    "OPTIONS_PANEL_TITLE": "Options",
    "COMMANDS_PANEL_TITLE": "Commands",
    "DEFAULT_STRING": "[default: {}]",
    "REQUIRED_LONG_STRING": "[required]",
}
"""Texts of `--help` that are the parser's own, by their names in `typer.rich_utils`."""


def run(app: typer.Typer, arguments: Sequence[str]) -> NoReturn:
    """Run a command to its end and leave with its status: 2 for wrong use, told in one sentence."""
    command = get_command(app)
    shows_help = len(arguments) <= 1 or set(arguments) & set(HELP_OPTIONS)
    if shows_help and terminal.language() != ENGLISH:
        _translate(command)
    try:
        status = command.main(list(arguments), prog_name="passerelle", standalone_mode=False)
    except typer.Abort:
        raise SystemExit(1) from None
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _tell(error)
        raise SystemExit(2) from None
    raise SystemExit(status if isinstance(status, int) else 0)


def texts(command: Any) -> Iterator[tuple[Any, str]]:
    """Every text of `--help` below a command, with the command or parameter whose `help` it is."""
    context = typer.Context(command, help_option_names=list(HELP_OPTIONS))
    for owner in (command, *command.params, command.get_help_option(context)):
        if getattr(owner, "help", None):
            yield owner, owner.help
    for below in getattr(command, "commands", {}).values():
        yield from texts(below)


def sentence_of(said: str) -> tuple[str, dict[str, str]]:
    """Our sentence for what the parser said, and its fields; else the parser's own words."""
    for pattern, sentence in SENTENCES:
        if found := re.fullmatch(pattern, said, re.DOTALL):
            fields = {name: text.strip("'") for name, text in found.groupdict().items() if text}
            if "why" in fields:
                fields["why"] = _reason(fields["why"])
            return sentence, fields
    return "{said}", {"said": said}


def _reason(said: str) -> str:
    for pattern, sentence in REASONS:
        if found := re.fullmatch(pattern, said, re.DOTALL):
            return terminal.tr(sentence, **found.groupdict())
    return terminal.tr(said.rstrip("."))


def _tell(error: Any) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":  # the help is on the screen already
        return
    sentence, fields = sentence_of(error.format_message())
    terminal.note(sentence, **fields)
    if "nearest" in fields:
        terminal.note("Did you mean {nearest}?", **fields)
    if error.ctx is not None:
        terminal.note("How it is used: {command} --help", command=error.ctx.command_path)


def _translate(command: Any) -> None:
    from typer import rich_utils  # noqa: PLC0415 (Rich is loaded for a help page only)

    for name, text in PANELS.items():
        setattr(rich_utils, name, terminal.tr(text))
    for owner, text in texts(command):
        owner.help = terminal.tr(text)

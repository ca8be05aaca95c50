"""The command line: `passerelle`."""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import pairwise
from typing import Annotated

import typer

from gateway import terminal, usage
from gateway.commands import (
    annotating,
    audit,
    backup,
    database,
    decoding,
    demonstration,
    doctor,
    erasing,
    exporting,
    grants,
    installing,
    opening,
    people,
    profiles,
    radio,
    readings,
    reporting,
    serving,
    sharing,
    space,
    tenants,
)

app = typer.Typer(
    name="passerelle",
    help="From your medical device to the people who care for you. Nothing lost, nothing counted twice, "
    "nobody sees what you did not share.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _passerelle(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    del version  # answered in gateway.entry, before anything is loaded


for group in (
    opening,
    demonstration,
    radio,
    readings,
    exporting,
    reporting,
    annotating,
    people,
    sharing,
    space,
    grants,
    serving,
    tenants,
    backup,
    erasing,
    audit,
    decoding,
    profiles,
    database,
    installing,
    doctor,
):
    group.register(app)


def main() -> None:
    """Run the command line; alone, `passerelle` opens the person's page."""
    terminal.write_any_name()
    os.umask(0o077)  # what a command writes is a person's own
    if sys.platform == "win32":  # the loop that psycopg can wait in
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    usage.run(app, _with_chosen_passcode(sys.argv[1:] or ["open"]))


def _with_chosen_passcode(arguments: list[str]) -> list[str]:
    """`--passcode` may stand alone, which the option parser does not know: then one is chosen."""
    completed: list[str] = []
    for argument, following in pairwise([*arguments, "--"]):
        alone = argument == "--passcode" and following.startswith("--")
        completed += [argument, sharing.CHOOSE_A_PASSCODE] if alone else [argument]
    return completed

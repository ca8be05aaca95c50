"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway import terminal

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]
PatientName = Annotated[str, typer.Option("--patient", metavar="NAME", help="Whose readings.")]
Zone = Annotated[
    str | None,
    typer.Option("--timezone", metavar="ZONE", help="The clock they were written by, such as Europe/Paris."),
]


def tell_of_erased(count: int) -> None:
    """Say that a device or a file still holds what its person erased; nothing where there is none."""
    if count:
        terminal.note(
            "{count} readings were erased before and left out. To let them come again: passerelle take-again",
            count=count,
        )

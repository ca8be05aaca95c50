"""The options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on standard output.")]
PatientName = Annotated[str, typer.Option("--patient", metavar="NAME", help="Whose readings.")]
Zone = Annotated[
    str | None,
    typer.Option("--timezone", metavar="ZONE", help="The clock they were written by, such as Europe/Paris."),
]

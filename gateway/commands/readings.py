"""`passerelle import`: readings in from files."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway import terminal
from gateway.commands.options import Json, PatientName, Zone, tell_of_erased
from gateway.commands.people import tell_if_new

LINES_TOLD: Final = 20
"""Lines of a file that are named one by one: a file of another format is wrong in each."""


class FileFormat(StrEnum):
    """The formats `import` reads."""

    GENERIC = "generic"


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="import")(import_file)


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv")],
    patient: PatientName,
    file_format: Annotated[FileFormat, typer.Option("--format")] = FileFormat.GENERIC,
    timezone: Zone = None,
    finger_stick: Annotated[
        bool, typer.Option("--finger-stick", help="They are of a meter, not of a sensor.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Store the readings of a file, once; a line that cannot be read is named and the rest is kept."""
    del file_format  # one so far; the option says which when there are more

    async def command() -> dict[str, Any]:
        from device_profiles.reading import Kind
        from gateway.files import read_generic
        from gateway.home import opened
        from gateway.importing import import_readings

        kind = Kind.BLOOD_GLUCOSE if finger_stick else Kind.INTERSTITIAL_GLUCOSE
        readings = read_generic(file, kind)
        async with opened() as home:
            await tell_if_new(home.database, patient)
            stored = await import_readings(home.database, patient, timezone, readings)
        answer = {
            "stored": stored.stored,
            "known": stored.known,
            "refused": [asdict(line) for line in readings.refused],
        }
        return answer | ({"erased": stored.erased} if stored.erased else {})

    answer = terminal.run(command())
    if as_json:
        terminal.write_json(answer)
    else:
        for line in answer["refused"][:LINES_TOLD]:
            terminal.note(
                "Line {line} was left out: {reason}.", line=line["line"], reason=terminal.tr(line["reason"])
            )
        more = len(answer["refused"]) - LINES_TOLD
        if more > 0:
            terminal.note("{count} more lines were left out; --json names them all.", count=more)
        tell_of_erased(answer.pop("erased", 0))
        terminal.say("{stored} readings stored, {known} were already there.", **answer)
    if answer["refused"] and not answer["stored"] + answer["known"]:
        raise SystemExit(1)

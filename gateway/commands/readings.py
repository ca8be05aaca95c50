"""`passerelle import`, `export`: readings in from files, and out to files."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from device_profiles.errors import PasserelleError
from gateway import terminal
from gateway.commands.options import Json, PatientName, Zone
from gateway.commands.people import tell_if_new
from gateway.file_errors import why


class FileFormat(StrEnum):
    """The formats `import` reads."""

    GENERIC = "generic"


class ExportFormat(StrEnum):
    """The formats `export` writes."""

    FHIR = "fhir"
    CSV = "csv"


class FileUnwritable(PasserelleError):
    """The file to write cannot be written."""

    sentence = "{file} cannot be written: {why}. Choose another file with -o."


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="import")(import_file)
    app.command(name="export")(export)


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
        return {
            "stored": stored.stored,
            "known": stored.known,
            "refused": [asdict(line) for line in readings.refused],
        }

    answer = terminal.run(command())
    if as_json:
        terminal.write_json(answer)
    else:
        for line in answer["refused"]:
            terminal.note(
                "Line {line} was left out: {reason}.", line=line["line"], reason=terminal.tr(line["reason"])
            )
        terminal.say("{stored} readings stored, {known} were already there.", **answer)
    if answer["refused"] and not answer["stored"] + answer["known"]:
        raise SystemExit(1)


def export(
    patient: PatientName,
    export_format: Annotated[ExportFormat, typer.Option("--format")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; - or nothing: the terminal."),
    ] = None,
) -> None:
    """Write everything that is kept of a person: a FHIR collection Bundle, or CSV."""

    async def command() -> bytes:
        from gateway.home import opened
        from gateway.sharing import collection
        from gateway.spreadsheet import to_csv
        from storage import patients, readings

        async with opened() as home, home.database.writer() as connection:
            person = await patients.find(connection, patient)
            series = await readings.series(connection, person.patient_id)
            if export_format is ExportFormat.CSV:
                return to_csv(series).encode()
            return collection(home.secret, person, series)

    content = terminal.run(command())
    try:
        if output is None or output == Path("-"):
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return
        with open(output, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            if output.is_file():  # not /dev/stdout, nor /dev/null
                output.chmod(0o600)
            file.write(content)
    except BrokenPipeError:  # who read it has seen enough
        _give_up_stdout()
        raise SystemExit(1) from None
    except OSError as error:
        name = output.name if output else "stdout"
        _give_up_stdout()
        terminal.fail(FileUnwritable(file=name, why=why(error)))


def _give_up_stdout() -> None:
    """What could not be written is not tried again when Python ends, which would be told a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

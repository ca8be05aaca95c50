"""`passerelle export`: readings out to files, or everything that is kept of a person."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from device_profiles.errors import PasserelleError
from gateway import terminal
from gateway.commands.options import Json
from gateway.file_errors import why

if TYPE_CHECKING:
    from gateway.archive import Written


class ExportFormat(StrEnum):
    """The formats `export` writes."""

    FHIR = "fhir"
    CSV = "csv"


class FileUnwritable(PasserelleError):
    """The file to write cannot be written."""

    sentence = "{file} cannot be written: {why}. Choose another file with -o."


class FileUnreadable(PasserelleError):
    """The file to check cannot be read."""

    sentence = "{file} cannot be read: {why}."


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(name="export")(export)


def export(
    patient: Annotated[
        str | None,
        typer.Option("--patient", metavar="NAME", help="Whose readings; with --all, or everybody."),
    ] = None,
    export_format: Annotated[
        ExportFormat | None, typer.Option("--format", help="What the readings are written as.")
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="All that is kept: FHIR, CSV, the raw bytes and the rest, in one zip file."
        ),
    ] = False,
    check: Annotated[
        Path | None,
        typer.Option(metavar="FILE.zip", help="Write nothing: look whether such a file is whole."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; - or nothing: the terminal."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write everything that is kept of a person: a FHIR collection Bundle, or CSV; or both and more."""
    if check is not None:
        _check(check, as_json=as_json)
    elif everything:
        if output is None or output == Path("-"):
            raise typer.BadParameter("--all needs a file: -o FILE.zip", param_hint="--output")
        _write_all(patient, output, as_json=as_json)
    elif export_format is None:
        raise typer.BadParameter("give --format fhir or csv, or --all", param_hint="--format")
    elif patient is None:
        raise typer.BadParameter("say whose readings", param_hint="--patient")
    else:
        _write(_content(patient, export_format), output)


def _content(patient: str, export_format: ExportFormat) -> bytes:
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

    return terminal.run(command())


def _write(content: bytes, output: Path | None) -> None:
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


def _write_all(patient: str | None, output: Path, *, as_json: bool) -> None:
    async def command() -> Written:
        from gateway import archive
        from gateway.home import opened

        async with opened() as home:
            people = await archive.everybody(home, patient)
            try:
                return await archive.write(home, people, output)
            except OSError as error:
                raise FileUnwritable(file=output.name, why=terminal.tr(why(error))) from None

    written = terminal.run(command())
    if as_json:
        terminal.write_json(
            {
                "files": written.files,
                "persons": written.persons,
                "readings": written.readings,
                "manifest_sha256": written.manifest_sha256,
            }
        )
        return
    terminal.say(
        "{readings} readings of {persons} persons in {files} files. README.txt says what each one is.",
        readings=written.readings,
        persons=written.persons,
        files=written.files,
    )
    terminal.say("SHA-256 of its manifest: {digest}", digest=written.manifest_sha256)


def _check(path: Path, *, as_json: bool) -> None:
    from gateway import archive

    try:
        checked = archive.check(path)
    except OSError as error:
        terminal.fail(FileUnreadable(file=path.name, why=why(error)))
    except PasserelleError as error:
        terminal.fail(error)
    if as_json:
        terminal.write_json(
            {
                "whole": not checked.wrong,
                "files": checked.files,
                "made_at": checked.made_at,
                "manifest_sha256": checked.manifest_sha256,
                "wrong": list(checked.wrong),
            }
        )
    else:
        for name in checked.wrong:
            terminal.say("{file} is not what was written.", file=name)
        if not checked.wrong:
            terminal.say("All {count} files are as they were written.", count=checked.files)
        terminal.say("SHA-256 of its manifest: {digest}", digest=checked.manifest_sha256)
    if checked.wrong:
        raise SystemExit(1)

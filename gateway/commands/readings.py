"""`passerelle import`, `export`, `report`: readings in from files, out to files, and their numbers."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device_profiles.errors import PasserelleError
from gateway import terminal
from gateway.commands.options import Json, PatientName, Zone
from gateway.commands.people import tell_if_new
from gateway.file_errors import why

if TYPE_CHECKING:
    from gateway.reports.period import Period
    from gateway.reports.statistics import GlucoseStatistics


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


FIGURES = {
    "Share of the expected readings": "%",
    "Mean": "mg/dL",
    "Standard deviation": "mg/dL",
    "Coefficient of variation": "%",
    "Glucose management indicator": "%",
    "Time below 54 mg/dL": "%",
    "Time from 54 to 69 mg/dL": "%",
    "Time from 70 to 180 mg/dL": "%",
    "Time from 181 to 250 mg/dL": "%",
    "Time above 250 mg/dL": "%",
}
"""What `report` prints, in its order, each with its unit."""


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="import")(import_file)
    app.command(name="export")(export)
    app.command(name="report")(report)


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


def report(
    patient: PatientName,
    days: Annotated[
        int | None,
        typer.Option(min=1, max=3660, help="So many days, ending with the last that has sensor data."),
    ] = None,
    first: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="First day.")
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="Last day, included."),
    ] = None,
    as_json: Json = False,
) -> None:
    """The numbers of the consensus for a person's sensor readings."""
    if days is not None and (first or last):
        raise typer.BadParameter("give --days, or --from and --to", param_hint="--days")
    if (first is None) != (last is None):
        raise typer.BadParameter("--from and --to go together", param_hint="--from")
    if first and last and first > last:
        raise typer.BadParameter("--from comes after --to", param_hint="--from")

    async def command() -> tuple[GlucoseStatistics, Period]:
        from gateway.home import opened
        from gateway.reports.request import sensor_report

        bounds = (first.date(), last.date()) if first and last else None
        async with opened() as home:
            return await sensor_report(home.database, patient, bounds or (days or 14))

    statistics, period = terminal.run(command())
    answer = {
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        "timezone": period.zone.key,
        **asdict(statistics),
    }
    if as_json:
        terminal.write_json(answer)
    else:
        _write_report(answer)


def _write_report(answer: dict[str, Any]) -> None:
    terminal.say(
        "{first} to {last}, sensor readings: {n}", first=answer["from"], last=answer["to"], n=answer["n"]
    )
    if not answer["n"]:
        terminal.say("There is no sensor reading in these days.")
        return
    names = ("completeness_percent", "mean_mg_dl", "sd_mg_dl", "cv_percent", "gmi_percent")
    values = (*(answer[name] for name in names), *_summing_to_100(answer["time_in_range"].values()))
    for (name, unit), value in zip(FIGURES.items(), values, strict=True):
        figure = terminal.tr("not enough readings") if value is None else terminal.number(value, unit)
        print(f"  {terminal.tr(name):<38} {figure}")  # noqa: T201


def _summing_to_100(percents: Iterable[float]) -> list[float]:
    """The percentages with one decimal each that together are 100 (largest remainder)."""
    tenths = [10 * percent for percent in percents]
    shown = [math.floor(value) for value in tenths]
    by_remainder = sorted(range(len(tenths)), key=lambda row: shown[row] - tenths[row])
    for row in by_remainder[: 1000 - sum(shown)]:
        shown[row] += 1
    return [value / 10 for value in shown]

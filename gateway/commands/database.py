"""`passerelle database`: what the readings lie in, for who runs a server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import typer

from gateway import terminal
from gateway.commands.options import Json

if TYPE_CHECKING:
    from device_profiles.errors import PasserelleError
    from storage.addresses import Addresses
    from storage.engine_report import Holdings, Migrated, Report
    from storage.migrate import Standing

LARGEST = 5
"""Tables whose sizes are shown to a person; the others are summed up."""


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="The database: bring it up to date, or look at it.", no_args_is_help=True)
    group.command(name="migrate")(migrate)
    group.command(name="check")(check)
    app.add_typer(group, name="database")


def migrate(as_json: Json = False) -> None:
    """Find the engine and bring the database to this program's schema."""

    async def command() -> None:
        from storage import engine_report

        async with _addresses() as addresses:
            done = await engine_report.migrate(addresses)
        if as_json:
            terminal.write_json(
                {
                    "engine": done.server.engine,
                    "server": done.server.words,
                    "space": done.space,
                    "shelf": done.shelf,
                }
            )
        else:
            _say_migrated(done)

    terminal.run(command())


def check(as_json: Json = False) -> None:
    """Look at what is there and what is missing; ends with 1 where something must be done."""

    async def command() -> int:
        from storage import engine_report

        async with _addresses() as addresses:
            report = await engine_report.look(addresses, embedded=_is_embedded())
        if as_json:
            terminal.write_json(_answer(report))
        else:
            _say_report(report)
        return 1 if report.must else 0

    status = terminal.run(command())
    if status:
        raise SystemExit(status)


def _is_embedded() -> bool:
    from gateway import settings

    return settings.load().database is None


def _addresses() -> AbstractAsyncContextManager[Addresses]:
    from gateway import settings as configuration
    from gateway.home import revealed
    from storage.addresses import held

    settings = configuration.load()
    configuration.prepare_home(settings.home)
    return held(
        settings.home,
        revealed(settings.database),
        writer=revealed(settings.database_writer),
        reader=revealed(settings.database_reader),
        shelf=revealed(settings.database_shelf),
    )


def _say_migrated(done: Migrated) -> None:
    terminal.say("The database is {server}.", server=done.server.words)
    taken = (*done.space, *done.shelf)
    if not taken:
        terminal.say("It is up to date: there was nothing to do.")
        return
    terminal.say(
        "It is up to date now. Steps taken: {steps}", steps=", ".join(_short(name) for name in taken)
    )


def _short(step: str) -> str:
    """`base/0005_sharing.sql` as `0005 sharing`."""
    return step.partition("/")[2].removesuffix(".sql").replace("_", " ")


def _say_report(report: Report) -> None:
    if report.embedded:
        terminal.say("The database of this home: {server}.", server=report.server.words)
    else:
        terminal.say("The database of PASSERELLE_DATABASE: {server}.", server=report.server.words)
    if report.space.applied:
        terminal.say("Schema: up to step {last} ({count} in all).", **_last(report.space))
    if report.shelf.applied:
        terminal.say("The shelf's schema: up to step {last} ({count} in all).", **_last(report.shelf))
    for role in report.roles:
        terminal.say("Role {name}: {work}", name=role.name, work=role.work)
    if report.holdings is not None:
        _say_holdings(report.holdings)
    for finding in (*report.must, *report.advice):
        terminal.say(finding.sentence, **finding.details)
    if not report.must:
        terminal.say("Nothing has to be done.")


def _last(standing: Standing) -> Mapping[str, Any]:
    return {"count": len(standing.applied), "last": _short(standing.applied[-1])}


def _say_holdings(holdings: Holdings) -> None:
    terminal.say(
        "About {readings} readings of {patients} patients, {size} with all indexes.",
        readings=holdings.readings,
        patients=holdings.patients,
        size=_size(sum(holdings.bytes_by_table.values())),
    )
    largest = list(holdings.bytes_by_table.items())[:LARGEST]
    terminal.say(
        "Largest tables: {tables}", tables=", ".join(f"{name} {_size(size)}" for name, size in largest)
    )
    months = holdings.months
    if months.count:
        terminal.say(
            "Months of readings: {count}, from {first} to {last}; {columns} of them in columns.",
            count=months.count,
            first=str(months.first).replace("_", "-"),
            last=str(months.last).replace("_", "-"),
            columns=months.in_columns,
        )
    if holdings.bytes_in_columns and holdings.bytes_in_rows_before:
        terminal.say(
            "In columns they take {columns} instead of {rows}.",
            columns=_size(holdings.bytes_in_columns),
            rows=_size(holdings.bytes_in_rows_before),
        )
    for job in holdings.jobs:
        terminal.say("Job {number} on {table}: {name}", number=job.number, table=job.table, name=job.name)
    if holdings.machines:
        terminal.say("Machines: {machines}", machines=", ".join(each.address for each in holdings.machines))


def _size(size: int) -> str:
    """Bytes as a person reads them."""
    for unit, step in (("GB", 1 << 30), ("MB", 1 << 20)):
        if size >= step:
            return terminal.number(size / step, unit)
    return terminal.number(size / 1024, "kB")


def _answer(report: Report) -> Mapping[str, object]:
    holdings = report.holdings
    return {
        "engine": report.server.engine,
        "server": report.server.words,
        "embedded": report.embedded,
        "space": _standing(report.space),
        "shelf": _standing(report.shelf),
        "roles": [{"work": role.work, "name": role.name, "connects": role.connects} for role in report.roles],
        "holdings": holdings and _holdings(holdings),
        "must": _findings(report.must),
        "advice": _findings(report.advice),
    }


def _standing(standing: Standing) -> Mapping[str, object]:
    return {"applied": standing.applied, "pending": standing.pending, "rights": standing.rights_given}


def _holdings(holdings: Holdings) -> Mapping[str, object]:
    months = holdings.months
    return {
        "readings": holdings.readings,
        "patients": holdings.patients,
        "bytes": dict(holdings.bytes_by_table),
        "months": {
            "count": months.count,
            "in_columns": months.in_columns,
            "first": months.first,
            "last": months.last,
        },
        "bytes_in_rows_before": holdings.bytes_in_rows_before,
        "bytes_in_columns": holdings.bytes_in_columns,
        "jobs": [
            {
                "number": job.number,
                "name": job.name,
                "table": job.table,
                "failed": job.failed,
                "overdue": job.overdue,
            }
            for job in holdings.jobs
        ],
        "machines": [
            {"number": each.number, "address": each.address, "current": each.current}
            for each in holdings.machines
        ],
    }


def _findings(found: Sequence[PasserelleError]) -> Sequence[Mapping[str, object]]:
    return [
        {
            "finding": re.sub(r"(?<=.)([A-Z])", r"_\1", type(each).__name__).lower(),
            "sentence": terminal.tr(each.sentence, **each.details),
        }
        for each in found
    ]

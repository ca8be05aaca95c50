"""`passerelle readings`: what there is, reading by reading, and what its person says of it."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway import terminal, time_words
from gateway.commands import clocks
from gateway.commands.options import Json, PatientName

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.annotating import Listed
    from gateway.home import Home

ReadingId = Annotated[str, typer.Argument(metavar="ID", help="The id, as passerelle readings list shows it.")]


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="Single readings, and what you say of them.", no_args_is_help=True)
    group.command(name="list")(list_readings)
    group.command(name="note")(note)
    group.command(name="exclude")(exclude)
    group.command(name="include")(include)
    group.command(name="not-mine")(not_mine)
    group.command(name="move")(move)
    group.command(name="time")(clocks.say_when)
    app.add_typer(group, name="readings")


def list_readings(
    patient: PatientName,
    days: Annotated[
        int | None, typer.Option(min=1, max=36600, help="The last days that have readings; all unless given.")
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
    """Every reading with its id, in order of time: what was measured, and what was said of it."""
    if days is not None and (first or last):
        raise typer.BadParameter("give --days, or --from and --to", param_hint="--days")
    if (first is None) != (last is None):
        raise typer.BadParameter("--from and --to go together", param_hint="--from")
    if first and last and first > last:
        raise typer.BadParameter("--from comes after --to", param_hint="--from")

    async def command() -> Listed:
        from gateway import annotating
        from gateway.home import opened

        bounds = (first.date(), last.date()) if first and last else None
        async with opened() as home:
            return await annotating.listed(home, patient, days, bounds)

    listed = terminal.run(command())
    rows = (listed.row(row) for row in range(len(listed.series)))
    if as_json:
        terminal.write_json(list(rows))
    elif not len(listed.series):
        terminal.say("There is no reading in these days.")
    else:
        for row in rows:
            print(_line(row))  # noqa: T201


def _line(row: dict[str, Any]) -> str:
    marks = [
        row["meal"],
        terminal.tr("excluded") if row["excluded"] else None,
        terminal.tr("not mine") if row["not_mine"] else None,
        terminal.tr("moved to {name}", name=row["moved_to"]) if row["moved_to"] else None,
        "“" + " ".join(row["note"].split()) + "”" if row["note"] else None,
    ]
    further = [f"{each['value']} {each['unit']}" for each in row["further"]]
    time = row["time"] or terminal.tr("time unknown")
    value = row["value"] or "–"
    known = time_words.beside(row["time_source"]) if row["time"] else None
    doubt = terminal.tr(known) if known else None
    parts = (row["id"], time, doubt, f"{value} {row['unit']}", *further, row["kind"], *marks)
    return "  ".join(filter(None, parts))


def note(
    reading: ReadingId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What you want to say of it.")],
) -> None:
    """Write something of a reading; it takes the place of the note before."""
    _say(lambda annotating, home: annotating.note(home, reading, text))
    terminal.say("The note is kept.")


def exclude(
    reading: ReadingId,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why it does not count.")] = None,
) -> None:
    """Leave a reading out of every statistic; it stays, marked, and can be taken in again."""
    _say(lambda annotating, home: annotating.exclude(home, reading, reason))
    terminal.say("It counts in no statistic any more.")


def include(reading: ReadingId) -> None:
    """Let a reading that was excluded, or said to be another's, count again."""
    _say(lambda annotating, home: annotating.include(home, reading))
    terminal.say("It counts again.")


def not_mine(reading: ReadingId) -> None:
    """Say that a reading is somebody else's: it is shown and shared no more."""
    _say(lambda annotating, home: annotating.not_mine(home, reading))
    terminal.say("It is shown and shared no more.")


def move(
    reading: ReadingId,
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Whose it is.")],
) -> None:
    """Give a reading to whom it belongs."""
    _say(lambda annotating, home: annotating.move(home, reading, to))
    terminal.say("It is {name}'s now.", name=to)


def _say(what: Callable[[Any, Home], Coroutine[Any, Any, object]]) -> None:
    """Do it in the home, and tell the shelves of live shares at once where they answer."""

    async def command() -> None:
        from gateway import annotating, sharing
        from gateway.home import opened

        async with opened() as home:
            await what(annotating, home)
            await sharing.deliver_waiting(home)

    terminal.run(command())

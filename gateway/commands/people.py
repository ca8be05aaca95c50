"""`passerelle patients`: whose readings this home keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway import terminal
from gateway.commands import clocks, household
from gateway.commands.options import Json

if TYPE_CHECKING:
    from storage.database import Database


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="The people whose readings are kept here.", invoke_without_command=True)
    group.callback()(_list_by_default)
    group.command(name="list")(list_all)
    group.command(name="add")(add)
    group.command(name="zone")(clocks.live_in)
    household.register(group)
    app.add_typer(group, name="patients")


def _list_by_default(context: typer.Context, as_json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_all(as_json)


def list_all(as_json: Json = False) -> None:
    """Who is here, and in which time zone they live."""

    async def command() -> None:
        from gateway.home import opened
        from storage import patients

        async with opened() as home, home.database.writer() as connection:
            people = await patients.list_all(connection)
        if as_json:
            terminal.write_json([_answer(patient) for patient in people])
        elif not people:
            terminal.say("Nobody yet. Add a person with: passerelle patients add NAME")
        else:
            for patient in people:
                print(f"{patient.name}  ({patient.timezone})")  # noqa: T201

    terminal.run(command())


def add(
    name: Annotated[str, typer.Argument(help="How you call this person.")],
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Their zone, such as Europe/Paris; the system's unless given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a person; their zone is the system's unless given."""

    async def command() -> None:
        from gateway.home import opened, zone_named
        from storage import patients

        zone = zone_named(timezone)
        async with opened() as home, home.database.writer() as connection:
            patient = await patients.add(connection, name, zone.key)
        if as_json:
            terminal.write_json(_answer(patient))
        else:
            terminal.say(
                "{name} is here now, in the time zone {zone}.", name=patient.name, zone=patient.timezone
            )

    terminal.run(command())


def _answer(patient: object) -> dict[str, str]:
    return {
        "id": str(patient.uuid),  # type: ignore[attr-defined]
        "name": patient.name,  # type: ignore[attr-defined]
        "timezone": patient.timezone,  # type: ignore[attr-defined]
    }


async def tell_if_new(database: Database, name: str) -> None:
    """Say that a person is about to be added, who may be somebody else's name mistyped."""
    from storage import patients
    from storage.errors import UnknownPatient

    try:
        async with database.writer() as connection:
            await patients.find(connection, name)
    except UnknownPatient:
        terminal.note("{name} is new here, and is added.", name=name)

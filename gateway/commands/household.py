"""`passerelle patients settings|guardian|device|questions|answer`: how people read, and what is whose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway import terminal
from gateway.commands.options import Json

if TYPE_CHECKING:
    from gateway.home import Home
    from storage.household import PersonSettings
    from storage.patients import Patient

Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose.")]
Target = Annotated[
    str | None, typer.Option(metavar="NUMBER", help="As the doctor wrote it; '' takes it back.")
]

SITUATIONS = ("standard", "older", "pregnancy-type-1", "pregnancy-other")
TARGETS = ("low", "high", "before_low", "before_high", "after_high")


def register(group: typer.Typer) -> None:
    """Add the commands to `passerelle patients`."""
    group.command(name="settings")(settings)
    group.command(name="guardian")(guardian)
    group.command(name="device")(device)
    group.command(name="questions")(questions)
    group.command(name="answer")(answer)


def settings(  # noqa: PLR0913, PLR0917 - a command's options
    name: Name,
    language: Annotated[str | None, typer.Option(metavar="fr|en", help="The language of their page.")] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="g/L|mg/dL|mmol/L", help="In which they read glucose, and targets.")
    ] = None,
    situation: Annotated[
        str | None, typer.Option(metavar="|".join(SITUATIONS), help="Whose goals are theirs.")
    ] = None,
    low: Target = None,
    high: Target = None,
    before_low: Target = None,
    before_high: Target = None,
    after_high: Target = None,
    as_json: Json = False,
) -> None:
    """How somebody reads and what their doctor aims at; changed where something is given."""
    if situation is not None and situation not in SITUATIONS:
        raise typer.BadParameter(
            "standard, older, pregnancy-type-1 or pregnancy-other", param_hint="--situation"
        )
    typed = dict(zip(TARGETS, (low, high, before_low, before_high, after_high), strict=True))

    async def command() -> tuple[Patient, PersonSettings]:
        from gateway import household
        from gateway.home import opened

        async with opened() as home:
            person = await _find(home, name)
            if language is not None or unit is not None:
                chosen = (language or person.language, unit or person.unit)
                await household.read_in(home, person, *chosen)
                person = await _find(home, name)
            if situation is not None or any(text is not None for text in typed.values()):
                await _aim(home, person, situation, typed)
            return person, await household.settings_of(home, person)

    person, chosen = terminal.run(command())
    told = _told(person, chosen)
    if as_json:
        terminal.write_json(told)
    else:
        for field, value in told.items():
            print(f"{field:<12} {'–' if value is None else value}")  # noqa: T201


async def _aim(home: Home, person: Patient, situation: str | None, typed: dict[str, str | None]) -> None:
    """Change what was given; the other targets stay, in the unit in which this person reads."""
    from dataclasses import replace

    from gateway import aims, household

    known = await household.settings_of(home, person)
    unit = person.unit or known.unit or "mg/dL"
    written = aims.written_unit(unit)
    kept: dict[str, Any] = {
        target: aims.target_of(text, unit)
        if text is not None
        else aims.rewritten(getattr(known, target), known.unit, written)
        for target, text in typed.items()
    }
    wanted = replace(known, situation=situation or known.situation, unit=written, **kept)
    await aims.aim_at(home, person, wanted)


def guardian(
    name: Name,
    add: Annotated[str | None, typer.Option(metavar="NAME", help="Who acts for them from now on.")] = None,
    end: Annotated[bool, typer.Option("--end", help="They act for themselves from now on.")] = False,
    as_json: Json = False,
) -> None:
    """Who acts for somebody; a child can act for themselves one day."""
    if add is not None and end:
        raise typer.BadParameter("--add and --end exclude each other", param_hint="--end")

    async def command() -> list[str]:
        from gateway import household
        from gateway.home import opened

        async with opened() as home:
            person = await _find(home, name)
            if add is not None:
                await household.act_for(home, person, await _find(home, add))
            if end:
                await household.act_no_more(home, person)
            members = await household.members(home)
        return [acting.name for member in members if member.person == person for acting in member.guardians]

    acting = terminal.run(command())
    if as_json:
        terminal.write_json({"guardians": acting})
    elif acting:
        for each in acting:
            terminal.say("{guardian} acts for {person}.", guardian=each, person=name)
    else:
        terminal.say("{person} acts for themselves.", person=name)


def device(
    name: Name,
    wanted: Annotated[str, typer.Argument(metavar="DEVICE", help="Its number, serial, name or address.")],
    also: Annotated[
        list[str] | None, typer.Option("--with", metavar="NAME", help="Who measures with it too.")
    ] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Nobody else measures with it.")] = False,
    as_json: Json = False,
) -> None:
    """Who else measures with somebody's device: then it is asked whose each reading is."""
    if bool(also) == alone:
        raise typer.BadParameter("say who measures with it too, or --alone", param_hint="--with")

    async def command() -> list[str]:
        from datetime import UTC, datetime

        from gateway import erasing
        from gateway.home import opened
        from storage import questions as asked

        async with opened() as home:
            person = await _find(home, name)
            stored = await erasing.device_named(home, person, wanted)
            others = [await _find(home, other) for other in also or ()]
            users = [other for other in others if other != person]
            async with home.database.writer() as connection:
                await asked.share(connection, stored, [other.uuid for other in users], datetime.now(UTC))
        return [other.name for other in users]

    users = terminal.run(command())
    if as_json:
        terminal.write_json({"users": users})
    elif users:
        terminal.say("From now on it is asked whose a reading is: passerelle patients questions")
    else:
        terminal.say("What it measures is {person}'s.", person=name)


def questions(as_json: Json = False) -> None:
    """Readings of shared devices of which nobody has said whose they are."""

    async def command() -> list[dict[str, Any]]:
        from device_profiles.reading import UNITS, Kind
        from gateway import asking, spreadsheet
        from gateway.home import opened

        async with opened() as home:
            return [
                {
                    "id": each.reading_id,
                    "time": spreadsheet.time_of(each.series, 0) or None,
                    "kind": Kind(int(each.series.kind[0])).slug,
                    "value": spreadsheet.value_of(each.series, 0) or None,
                    "unit": UNITS[int(each.series.unit[0])],
                    "keeper": each.keeper.name,
                    "candidates": [person.name for person in each.candidates],
                }
                for each in await asking.open_questions(home)
            ]

    found = terminal.run(command())
    if as_json:
        terminal.write_json(found)
    elif not found:
        terminal.say("Nothing is asked.")
    for each in () if as_json else found:
        value = f"{each['value'] or '–'} {each['unit']}"
        time = each["time"] or terminal.tr("time unknown")
        print(f"{each['id']}  {time}  {value}  {each['kind']}  {', '.join(each['candidates'])}")  # noqa: T201


def answer(
    reading: Annotated[str, typer.Argument(metavar="ID", help="The id, as patients questions shows it.")],
    whose: Annotated[str | None, typer.Option(metavar="NAME", help="Whose it is.")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="It is somebody's who is not here.")] = False,
) -> None:
    """Say whose a reading is."""
    if (whose is not None) == nobody:
        raise typer.BadParameter("say whose it is, or --nobody", param_hint="--whose")

    async def command() -> None:
        from gateway import asking, sharing
        from gateway.home import opened

        async with opened() as home:
            person = None if whose is None else await _find(home, whose)
            await asking.answer(home, reading, None if person is None else person.uuid)
            await sharing.deliver_waiting(home)

    terminal.run(command())
    if whose is None:
        terminal.say("It counts for nobody here.")
    else:
        terminal.say("It is {name}'s now.", name=whose)


async def _find(home: Home, name: str) -> Patient:
    from storage import patients

    async with home.database.writer() as connection:
        return await patients.find(connection, name)


def _told(person: Patient, chosen: PersonSettings) -> dict[str, Any]:
    from gateway import aims

    targets = {
        name: None if getattr(chosen, name) is None else aims.shown(getattr(chosen, name)) for name in TARGETS
    }
    return {
        "name": person.name,
        "language": person.language,
        "unit": person.unit,
        "timezone": person.timezone,
        "relation": chosen.relation,
        "situation": aims.situation_of(chosen).value,
        "targets_in": chosen.unit,
        **targets,
    }

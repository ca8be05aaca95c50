"""`passerelle erase`, `receipts`, `retention`: what is no longer kept, and the proof of it."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device_profiles.reading import Kind
from gateway import terminal
from gateway.commands.options import Json, PatientName

if TYPE_CHECKING:
    from gateway.erasing import Plan
    from storage.receipts import Receipt

KindSlug = StrEnum("KindSlug", [(kind.name, kind.slug) for kind in Kind])  # type: ignore[misc]

KindName = Annotated[
    KindSlug,
    typer.Option("--kind", metavar="KIND", help="A kind of readings: interstitial-glucose, ketone, …"),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="erase")(erase)
    app.command(name="receipts")(list_receipts)
    app.command(name="take-again")(take_again)
    group = typer.Typer(help="How long which kind of readings is kept.", no_args_is_help=True)
    group.command(name="set")(set_rule)
    group.command(name="list")(list_rules)
    group.command(name="remove")(remove_rule)
    app.add_typer(group, name="retention")


def erase(
    patient: Annotated[str | None, typer.Option("--patient", metavar="NAME", help="Whose readings.")] = None,
    device: Annotated[
        str | None, typer.Option(metavar="ID", help="Of one device only: its number, serial or name.")
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="First day; the first there is."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to-date", formats=["%Y-%m-%d"], metavar="DATE", help="Last day, included."),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="The person too, and all that is kept of them. With --home: though a shelf or a space that "
            "holds a copy does not answer.",
        ),
    ] = False,
    whole_home: Annotated[
        bool, typer.Option("--home", help="Everybody, and this whole home of Passerelle.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase readings and all that lies around them, for good, with a receipt."""
    part = device is not None or first is not None or last is not None
    if whole_home:
        if patient or part:
            raise typer.BadParameter("--home stands alone", param_hint="--home")
        _erase_home(anyway=everything, yes=yes, as_json=as_json)
        return
    if patient is None:
        raise typer.BadParameter("say whose readings with --patient, or --home", param_hint="--patient")
    if everything and part:
        raise typer.BadParameter("--everything goes with no part of it", param_hint="--everything")
    if first and last and first > last:
        raise typer.BadParameter("--from comes after --to-date", param_hint="--from")
    days = (first.date() if first else None, last.date() if last else None)
    _erase(patient, device, days, everything=everything, yes=yes, as_json=as_json)


def _erase(
    name: str,
    device: str | None,
    days: tuple[date | None, date | None],
    *,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    async def command() -> Receipt:
        from gateway import erasing
        from gateway.home import opened
        from storage import patients
        from storage.receipts import Scope

        async with opened() as home:
            async with home.database.writer() as connection:
                person = await patients.find(connection, name)
            device_id = (await erasing.device_named(home, person, device)).device_id if device else None
            scope = Scope(device_id, None, *days, everything=everything)
            plan = await erasing.plan(home, person, scope)
            if not yes:
                _show(plan)
                _confirm(person.name)
            return await erasing.erase(home, person, scope)

    _tell(terminal.run(command()), as_json=as_json)


def _show(plan: Plan) -> None:
    """What will go, before it is asked for."""
    terminal.note("{count} readings will be erased, with all that lies around them:", count=plan.count)
    for device, count in plan.readings.items():
        terminal.note("  {count} of device {device}", count=count, device=device)
    if plan.scope.whole:
        terminal.note("{count} shares end, and every grant.", count=plan.open_shares)
    elif plan.open_shares:
        terminal.note("{count} shares are sealed again without them.", count=plan.open_shares)
    for space, fed in plan.spaces.items():
        if fed:
            terminal.note("The space {space} will be told to erase them too.", space=space)
        else:
            terminal.note("The space {space} was disconnected and is not told: ask it yourself.", space=space)
    if plan.scope.everything:
        terminal.note("The person is erased too. This cannot be undone.")
    else:
        terminal.note("This cannot be undone.")


def _confirm(expected: str) -> None:
    """The person types what it is about. Raises `NotConfirmed`."""
    from gateway.erasing import NotConfirmed

    terminal.note("Type {name} to go on:", name=expected)
    if " ".join(sys.stdin.readline().split()) != expected:
        raise NotConfirmed


def _tell(receipt: Receipt, *, as_json: bool, whose: str | None = None) -> None:
    from gateway.erasing import told

    answer = told(receipt)
    if as_json:
        terminal.write_json(answer)
        return
    terminal.say("{count} readings are erased. Receipt {id}:", count=receipt.readings, id=answer["receipt"])
    terminal.say(
        "  {time}, {person}: {reason}",
        time=receipt.erased_at.astimezone().strftime("%Y-%m-%d %H:%M"),
        person=whose or terminal.tr("person number {number}", number=receipt.patient_id),
        reason=terminal.tr(REASONS[answer["reason"]]),
    )
    for name, count in answer["erased"].items():
        if count:
            print(f"  {terminal.tr(COUNTS[name]):<32} {count}")  # noqa: T201
    terminal.say("  SHA-256 over what was erased: {digest}", digest=answer["sha256"])
    if answer["access_log_head"]:
        terminal.say("  head of the access log: {head}", head=answer["access_log_head"])
    for space in answer["spaces"]:
        waiting = "not told: ask them yourself" if space["not_told"] else "to be told"
        terminal.say(
            "  {count} at {space}: {state}",
            count=space["readings"],
            space=space["space"],
            state=space["confirmed_at"] or terminal.tr(waiting),
        )


REASONS = {
    "asked": "it was asked for",
    "retention": "its time was over",
    "gateway": "a gateway deleted it",
}
"""Why something was erased, in words."""

COUNTS = {
    "readings": "readings",
    "quantities": "further quantities",
    "contexts": "contexts",
    "annotations": "notes and marks",
    "refused_frames": "frames that could not be read",
    "clock_segments": "clock segments",
    "outbox_entries": "entries for spaces",
    "shares": "shares",
    "grants": "grants",
    "tokens": "tokens",
    "log_entries": "entries of the access log",
}
"""What a receipt counts, in words."""


def take_again(
    patient: PatientName,
    device: Annotated[
        str | None, typer.Option(metavar="ID", help="Of one device only: its number, serial or name.")
    ] = None,
) -> None:
    """Let erased readings that a meter still holds come again; otherwise they never do."""

    async def command() -> None:
        from gateway import erasing
        from gateway.home import opened
        from storage import devices, erasure, patients

        async with opened() as home:
            async with home.database.writer() as connection:
                person = await patients.find(connection, patient)
                known = await devices.of_patient(connection, person.patient_id, forgotten=True)
            chosen = [await erasing.device_named(home, person, device)] if device else known
            async with home.database.writer() as connection:
                for stored in chosen:
                    await erasure.allow_again(connection, person.patient_id, stored.device_id)

    terminal.run(command())
    terminal.say("What the meter still holds comes again when it is read from the start.")


def _erase_home(*, anyway: bool, yes: bool, as_json: bool) -> None:
    async def command() -> list[Receipt]:
        from gateway import settings as configuration
        from gateway.erasing import erase_home

        settings = configuration.load()
        if not yes:
            terminal.note("Everybody and everything in {folder} will be erased.", folder=settings.home)
            _confirm(settings.home.name)
        return await erase_home(settings, anyway=anyway)

    receipts = terminal.run(command())
    from gateway.erasing import told

    if as_json:
        terminal.write_json({"receipts": [told(receipt) for receipt in receipts]})
        return
    for receipt in receipts:
        _tell(receipt, as_json=False)
    terminal.say("The home is gone. These receipts were kept in it: print or store them now.")


def list_receipts(
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="NAME", help="Of one person only.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What was erased, when, and which spaces confirmed it; of people too who are not here any more."""

    async def command() -> tuple[list[Receipt], dict[int, str]]:
        from gateway.home import opened
        from storage import patients, receipts

        async with opened() as home, home.database.writer() as connection:
            person = await patients.find(connection, patient) if patient else None
            receipts_ = await receipts.list_all(connection, person.patient_id if person else None)
            names = {known.patient_id: known.name for known in await patients.list_all(connection)}
            return list(receipts_), names

    found, names = terminal.run(command())
    if as_json:
        from gateway.erasing import told

        terminal.write_json([told(receipt) for receipt in found])
    elif not found:
        terminal.say("Nothing was ever erased here.")
    else:
        for receipt in found:
            _tell(receipt, as_json=False, whose=names.get(receipt.patient_id))


def set_rule(
    patient: PatientName,
    kind: KindName,
    days: Annotated[int, typer.Option(min=1, max=36525, help="So many whole days are kept.")],
    as_json: Json = False,
) -> None:
    """Keep a kind of readings for so many days; what is older is erased once a day, with a receipt."""
    chosen = Kind[kind.name]

    async def command() -> None:
        from gateway.home import opened
        from storage import patients, retention

        async with opened() as home, home.database.writer() as connection:
            person = await patients.find(connection, patient)
            await retention.keep_for(connection, person.patient_id, chosen, days, datetime.now(UTC))

    terminal.run(command())
    if as_json:
        terminal.write_json({"kind": chosen.slug, "days": days})
    else:
        terminal.say("Readings of the kind {kind} are kept for {days} days.", kind=chosen.slug, days=days)


def list_rules(patient: PatientName, as_json: Json = False) -> None:
    """Which kinds are kept for how long; all others for good."""

    async def command() -> list[dict[str, Any]]:
        from gateway.home import opened
        from storage import patients, retention

        async with opened() as home, home.database.writer() as connection:
            person = await patients.find(connection, patient)
            rules = await retention.rules(connection, person.patient_id)
        return [{"kind": rule.kind.slug, "days": rule.days} for rule in rules]

    rules = terminal.run(command())
    if as_json:
        terminal.write_json(rules)
    elif not rules:
        terminal.say("Everything is kept for good.")
    for rule in () if as_json else rules:
        terminal.say("Readings of the kind {kind} are kept for {days} days.", **rule)


def remove_rule(patient: PatientName, kind: KindName) -> None:
    """Keep a kind of readings for good again."""
    chosen = Kind[kind.name]

    async def command() -> None:
        from gateway.home import opened
        from storage import patients, retention

        async with opened() as home, home.database.writer() as connection:
            person = await patients.find(connection, patient)
            await retention.keep_for_good(connection, person.patient_id, chosen)

    terminal.run(command())
    terminal.say("Readings of the kind {kind} are kept for good.", kind=chosen.slug)

"""`passerelle audit`: who looked, and whether the log of it is whole."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway import terminal
from gateway.commands.options import Json, PatientName

if TYPE_CHECKING:
    from storage.access_log import Access, Verdict

REASONS = {
    "missing": "is missing",
    "changed": "was changed",
    "does not follow": "does not follow from the one before it",
    "emptied": "lost its content, and no receipt of an erasure says so",
}
"""What can be wrong with an entry, in words."""


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="Who looked at the readings, and the proof of it.", no_args_is_help=True)
    group.command(name="list")(list_entries)
    group.command(name="verify")(verify)
    app.add_typer(group, name="audit")


def list_entries(patient: PatientName, as_json: Json = False) -> None:
    """Every entry of a person's access log, the newest first."""

    async def command() -> list[Access]:
        from gateway.home import opened
        from storage import access_log, patients

        async with opened() as home, home.database.writer() as connection:
            person = await patients.find(connection, patient)
            found: list[Access] = []
            before = access_log.LAST
            while page := await access_log.of_patient(
                connection, person.patient_id, before=before, limit=1000
            ):
                found += page
                before = page[-1].entry_id
            return found

    entries = [_entry(entry) for entry in terminal.run(command())]
    if as_json:
        terminal.write_json(entries)
    elif not entries:
        terminal.say("Nobody has looked yet.")
    else:
        for entry in entries:
            if entry["way"] == "erased":
                terminal.say("{entry}  erased", entry=entry["entry"])
            else:
                told = (entry["who"], entry["organisation"], entry["purpose"], entry["what"])
                said = entry["outcome"]
                outcome = terminal.tr(said)
                print(entry["entry"], entry["at"], *filter(None, told), outcome, sep="  ")  # noqa: T201


def _entry(entry: Access) -> dict[str, Any]:
    erased = entry.outcome is None
    return {
        "entry": entry.entry_id,
        "at": None if erased else entry.at.astimezone(UTC).isoformat(),
        "way": entry.way.name.lower(),
        "outcome": entry.outcome.name.lower().replace("_", "-") if entry.outcome else None,
        "share": str(entry.share_id) if entry.share_id else None,
        "grant": str(entry.grant_id) if entry.grant_id else None,
        "who": entry.who,
        "organisation": entry.organisation,
        "purpose": entry.purpose,
        "what": entry.what,
        "files": entry.files,
    }


def verify(
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="NAME", help="Of one person only.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(metavar="HEAD", help="A head that was printed before: it must still be in the log."),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take the log as it is now, as after the restore of a backup.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look whether every entry is there, unchanged and in its order; ends with 1 if one is not.

    Keep the head it prints: with it, entries that are taken away at the end are seen later.
    """
    if head is not None and patient is None:
        raise typer.BadParameter("--head goes with --patient", param_hint="--head")

    async def command() -> list[tuple[Verdict, str | None]]:
        from gateway import auditing
        from gateway.home import opened
        from storage import patients
        from storage.access_log import Head

        known = Head.parse(head) if head is not None else None
        async with opened() as home:
            async with home.database.writer() as connection:
                everybody = await patients.list_all(connection)
                person = await patients.find(connection, patient) if patient else None
            names = {each.patient_id: each.name for each in everybody}
            number = person.patient_id if person else None
            found = await auditing.verify(home, number, known=known, accept=accept)
        return [(verdict, names.get(verdict.patient_id)) for verdict in found]

    found = terminal.run(command())
    if as_json:
        terminal.write_json([_verdict(verdict, name) for verdict, name in found])
    else:
        for verdict, name in found:
            _tell(verdict, name or terminal.tr("a person who was erased"))
        if not found:
            terminal.say("Nobody has looked yet.")
    if not all(verdict.whole for verdict, _ in found):
        raise SystemExit(1)


def _verdict(verdict: Verdict, name: str | None) -> dict[str, Any]:
    return {
        "patient": name,
        "patient_number": verdict.patient_id,
        "entries": verdict.head.entries,
        "erased": verdict.erased,
        "head": str(verdict.head),
        "whole": verdict.whole,
        "first_wrong_entry": verdict.wrong_at,
        "why": verdict.why,
    }


def _tell(verdict: Verdict, name: str) -> None:
    if verdict.whole:
        terminal.say(
            "{name}: {count} entries, whole. Head: {head}",
            name=name,
            count=verdict.head.entries,
            head=verdict.head,
        )
    else:
        reason = REASONS[str(verdict.why)]
        why = terminal.tr(reason)
        terminal.say("{name}: entry {entry} {why}.", name=name, entry=verdict.wrong_at, why=why)

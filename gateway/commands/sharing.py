"""`passerelle share`: a link for whom the patient chose, and who opened it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from gateway import terminal
from gateway.commands.options import Json, PatientName

if TYPE_CHECKING:
    from gateway.sharing import CreatedShare, FollowedShare
    from storage.access_log import Access

CHOOSE_A_PASSCODE = "*"
"""`--passcode` with nothing behind it: one is chosen."""


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="What you share, with whom, and who opened it.", no_args_is_help=True)
    group.command(name="create")(create)
    group.command(name="list")(list_shares)
    group.command(name="revoke")(revoke)
    app.add_typer(group, name="share")


def create(
    patient: PatientName,
    days: Annotated[
        int | None, typer.Option(min=1, max=3660, help="The last days that have readings; all unless given.")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], metavar="DATE", help="The last day it opens; 30 days unless given."
        ),
    ] = None,
    passcode: Annotated[
        str | None,
        typer.Option(
            metavar="[PASSCODE]",
            help="Ask for a passcode too. Alone, one is chosen; one that is given shows in the list of "
            "programs that run on this machine.",
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="For whom or what it is; they see it too.")] = None,
    as_json: Json = False,
) -> None:
    """Make a link that opens a page with the readings; whoever has it can open it until its last day."""

    async def command() -> CreatedShare:
        from gateway import sharing
        from gateway.home import opened

        chosen = sharing.new_passcode() if passcode == CHOOSE_A_PASSCODE else passcode
        async with opened() as home:
            made = await sharing.create(
                home, patient, days=days, until=until.date() if until else None, passcode=chosen, label=label
            )
            if not made.waiting:
                await sharing.deliver_waiting(home)
            return made

    created = terminal.run(command())
    if created.waiting:
        terminal.note(
            "The shelf at {shelf} does not answer: the share waits, and opens once passerelle serve, "
            "or the next share command, has delivered it.",
            shelf=created.share.shelf_url,
        )
    if as_json:
        terminal.write_json(_created(created))
        return
    terminal.say(
        "{count} readings are shared until {end}:",
        count=created.observations,
        end=_day(created.share.expires_at),
    )
    print(created.url)  # noqa: T201
    if created.passcode:
        terminal.say("Passcode, to be told separately: {passcode}", passcode=created.passcode)
    terminal.say("To end it sooner: passerelle share revoke {id}", id=created.share.share_id)


def list_shares(
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="NAME", help="Of one person only.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Every share, and who opened it when."""

    async def command() -> list[FollowedShare]:
        from gateway import sharing
        from gateway.home import opened

        async with opened() as home:
            failures = {*await sharing.deliver_waiting(home), *await sharing.fetch_openings(home)}
            for sentence, details in {(e.sentence, tuple(e.details.items())) for e in failures}:
                terminal.note(sentence, **dict(details))
            return await sharing.followed(home, patient)

    shares = terminal.run(command())
    if as_json:
        terminal.write_json([_followed(share) for share in shares])
    elif not shares:
        terminal.say("Nothing is shared.")
    else:
        for share in shares:
            _write_followed(share)


def revoke(
    share_id: Annotated[UUID, typer.Argument(metavar="ID", help="As `share list` shows it.")],
    as_json: Json = False,
) -> None:
    """End a share: the link no longer opens."""

    async def command() -> bool:
        from gateway import sharing
        from gateway.home import opened

        async with opened() as home:
            told = await sharing.revoke(home, share_id)
            await sharing.deliver_waiting(home)
            return told

    told = terminal.run(command())
    if not told:
        terminal.note(
            "The shelf does not answer: the link may still open until it has been told. "
            "passerelle serve, or the next share command, tells it."
        )
    if as_json:
        terminal.write_json({"id": str(share_id), "revoked": True, "waiting": not told})
    elif told:
        terminal.say("The link no longer opens.")


def _created(created: CreatedShare) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": str(created.share.share_id),
        "url": created.url,
        "expires_at": _moment(created.share.expires_at),
        "observations": created.observations,
        "waiting": created.waiting,
    }
    return answer | ({"passcode": created.passcode} if created.passcode else {})


def _followed(followed: FollowedShare) -> dict[str, Any]:
    share = followed.share
    return {
        "id": str(share.share_id),
        "patient": followed.patient_name,
        "label": share.label,
        "state": followed.state,
        "created_at": _moment(share.created_at),
        "expires_at": _moment(share.expires_at),
        "passcode": share.has_passcode,
        "openings": [
            {
                "opened_at": _moment(opening.at),
                "recipient": opening.who,
                "outcome": _outcome(opening),
                "files": opening.files,
            }
            for opening in followed.openings
        ],
    }


def _write_followed(followed: FollowedShare) -> None:
    share = followed.share
    state = terminal.tr(followed.state)
    print(f"{share.share_id}  {followed.patient_name}  {share.label or ''}")  # noqa: T201
    terminal.say(
        "  {state}, made {made}, until {end}",
        state=state,
        made=_day(share.created_at),
        end=_day(share.expires_at),
    )
    for opening in followed.openings:
        when = opening.at.astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"  {when}  {opening.who}  {terminal.tr(_outcome(opening))}")  # noqa: T201


def _outcome(opening: Access) -> str:
    return opening.outcome.name.lower().replace("_", "-") if opening.outcome else "erased"


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None


def _day(moment: datetime | None) -> str:
    return moment.astimezone().strftime("%Y-%m-%d") if moment else "–"

"""`passerelle grant`: who may read from a space, which kinds, which period, until when; and who looked."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from gateway import terminal
from gateway.commands.options import Json, PatientName

if TYPE_CHECKING:
    from gateway.granting import Bounds, Granted

_Space = Annotated[
    str | None,
    typer.Option(
        "--space", metavar="URL", help="The space; the one they feed, else this home's own, unless given."
    ),
]
_Kinds = Annotated[
    str | None,
    typer.Option("--kinds", metavar="KIND,…", help="Which kinds, such as blood-glucose; all unless given."),
]
_Days = Annotated[int | None, typer.Option(min=1, max=36600, help="The last days, and what comes.")]
_From = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="The first day of the readings."),
]
_To = Annotated[
    datetime | None,
    typer.Option("--to-date", formats=["%Y-%m-%d"], metavar="DATE", help="The last day of the readings."),
]
ONE_VISIT: Final = timedelta(minutes=10)
"""Looks that lie closer are told as one."""

_GrantId = Annotated[UUID, typer.Argument(metavar="ID", help="As `grant list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="Who may read from a space, and who looked.", no_args_is_help=True)
    group.command(name="create")(create)
    group.command(name="list")(list_grants)
    group.command(name="narrow")(narrow)
    group.command(name="revoke")(revoke)
    app.add_typer(group, name="grant")


def create(  # noqa: PLR0913, PLR0917 - a command's options
    patient: PatientName,
    to: Annotated[str, typer.Option("--to", metavar="WHO", help="Who may read: a person or a service.")],
    until: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="The last day of the grant.")
    ],
    organisation: Annotated[str | None, typer.Option(metavar="NAME", help="For whom they work.")] = None,
    purpose: Annotated[str, typer.Option(metavar="TEXT", help="What for.")] = "care",
    kinds: _Kinds = None,
    days: _Days = None,
    first: _From = None,
    last: _To = None,
    space: _Space = None,
    link: Annotated[
        bool, typer.Option("--link", help="Put the access into a sealed link, to be opened by software.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let somebody read from a space; the token is shown once."""
    if days is not None and first is not None:
        raise typer.BadParameter("not together with --days", param_hint="--from")
    if not to.strip():
        raise typer.BadParameter("it is empty", param_hint="--to")

    async def command() -> Granted:
        from gateway import granting
        from gateway.home import opened

        async with opened() as home:
            bounds = _bounds(days, first, last, until)
            wish = granting.Wish(to, organisation, purpose, _names(kinds), bounds)
            return await granting.create(home, patient, space, wish, link=link)

    granted = terminal.run(command())
    made = granted.link
    if made is not None and made.waiting:
        terminal.note(
            "The shelf at {shelf} does not answer: the share waits, and opens once passerelle serve, "
            "or the next share command, has delivered it.",
            shelf=made.share.shelf_url,
        )
    if as_json:
        answer = {
            "id": str(granted.grant_id),
            "token": granted.token,
            "fhir": granted.fhir,
            "patient": f"Patient/{granted.patient}",
        }
        terminal.write_json(answer | ({"url": made.url} if made is not None else {}))
        return
    terminal.say(
        "{who} may read at {fhir} until {end}.", who=to, fhir=granted.fhir, end=_last_day(granted.ends_at)
    )
    if made is not None:
        terminal.say(
            "This link carries the access. It is for software that reads FHIR; the space, unlike the shelf, "
            "can read what it serves:"
        )
        print(made.url)  # noqa: T201
    else:
        terminal.say("Their token, to be told to nobody else: {token}", token=granted.token)
        terminal.say("There the person is Patient/{id}.", id=granted.patient)
    terminal.say(
        "To end it sooner: passerelle grant revoke {id} --patient {name}",
        id=granted.grant_id,
        name=shlex.quote(patient),
    )


def list_grants(patient: PatientName, space: _Space = None, as_json: Json = False) -> None:
    """Every grant of a person, and who looked, when, at what."""

    async def command() -> list[dict[str, Any]]:
        from gateway import granting
        from gateway.home import opened

        async with opened() as home:
            return await granting.followed(home, patient, space)

    found = terminal.run(command())
    if as_json:
        terminal.write_json(found)
    elif not found:
        terminal.say("Nothing is granted.")
    else:
        for grant in found:
            _write(grant)


def narrow(  # noqa: PLR0913, PLR0917 - a command's options
    grant_id: _GrantId,
    patient: PatientName,
    kinds: _Kinds = None,
    days: _Days = None,
    first: _From = None,
    last: _To = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="The last day of the grant."),
    ] = None,
    space: _Space = None,
    as_json: Json = False,
) -> None:
    """Take back a part of a grant; it never opens more than before."""

    async def command() -> None:
        from gateway import granting
        from gateway.home import opened

        async with opened() as home:
            bounds = _bounds(days, first, last, until)
            await granting.narrow(home, patient, space, grant_id, kinds=_names(kinds), bounds=bounds)

    terminal.run(command())
    if as_json:
        terminal.write_json({"id": str(grant_id), "narrowed": True})
    else:
        terminal.say("The grant opens only this from now on.")


def revoke(grant_id: _GrantId, patient: PatientName, space: _Space = None, as_json: Json = False) -> None:
    """End a grant at once; a link that carries it ends too."""

    async def command() -> None:
        from gateway import granting
        from gateway.home import opened

        async with opened() as home:
            await granting.revoke(home, patient, space, grant_id)

    terminal.run(command())
    if as_json:
        terminal.write_json({"id": str(grant_id), "revoked": True})
    else:
        terminal.say("The grant is over: its token opens nothing any more.")


def _names(kinds: str | None) -> list[str]:
    return [] if kinds is None else [name for name in kinds.split(",") if name.strip()]


def _bounds(
    days: int | None, first: datetime | None, last: datetime | None, until: datetime | None
) -> Bounds:
    from gateway.granting import Bounds

    dates = (None if moment is None else moment.date() for moment in (first, last, until))
    return Bounds(days, *dates)


def _write(grant: dict[str, Any]) -> None:
    who = ", ".join(str(part) for part in (grant["grantee"], grant["organisation"]) if part)
    print(f"{grant['id']}  {who}  {grant['purpose']}")  # noqa: T201
    terminal.say(
        "  {state}, made {made}, until {end}",
        state=terminal.tr(_state(grant)),
        made=_day(_moment(grant["made_at"])),
        end=_last_day(_moment(grant["ends_at"])),
    )
    for visit in _visits([(_moment(look["at"]), str(look["what"] or "")) for look in grant["looks"]]):
        when = visit.began.astimezone().strftime("%Y-%m-%d %H:%M")
        print(f"  {when}  {'; '.join(_looked_at(what, count) for what, count in visit.seen.items())}")  # noqa: T201


@dataclass(slots=True)
class _Visit:
    """Looks of one reader that follow one another: a program that turns pages is one visit."""

    began: datetime
    ended: datetime
    seen: dict[str, int]
    """How many of what: the resource and, of readings, their kinds."""


def _visits(looks: list[tuple[datetime, str]]) -> list[_Visit]:
    """Looks put together, the newest visit first. `Observation 12 blood-glucose` is how the log keeps one."""
    visits: list[_Visit] = []
    for at, what in sorted(looks):
        resource, _, rest = what.partition(" ")
        number, _, kinds = rest.partition(" ")
        counted = number.isdigit()
        seen = f"{resource} {kinds}".strip() if counted else what
        if not visits or at - visits[-1].ended > ONE_VISIT:
            visits.append(_Visit(at, at, {}))
        visit = visits[-1]
        visit.ended = at
        visit.seen[seen] = visit.seen.get(seen, 0) + (int(number) if counted else 0)
    return visits[::-1]


def _looked_at(what: str, count: int) -> str:
    """What somebody looked at, in words."""
    resource, _, kinds = what.partition(" ")
    sentences = {
        "Observation": "{count} readings: {kinds}",
        "Device": "devices: {count}",
        "Patient": "who the person is",
    }
    if resource not in sentences:
        return what
    return terminal.tr(sentences[resource]).format(count=count, kinds=kinds.replace(" ", ", ") or "–")


def _state(grant: dict[str, Any]) -> str:
    if grant["revoked_at"]:
        return "revoked"
    return "open" if _moment(grant["ends_at"]) > datetime.now(UTC) else "expired"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _last_day(end: datetime) -> str:
    """The last day before an end that is not included."""
    return _day(end - timedelta(seconds=1))


def _day(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d")

"""`passerelle space`: the spaces that a person feeds, and how far each was told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device_profiles.errors import PasserelleError
from gateway import terminal
from gateway.commands.options import Json, PatientName

if TYPE_CHECKING:
    from gateway.outbox.client import Entrance
    from gateway.outbox.status import SpaceStatus


class DialectName(StrEnum):
    """The dialects of FHIR that a space may want."""

    INTERNATIONAL = "international"
    ANS = "ans"


class SecretUnreadable(PasserelleError):
    """The file that holds the client's secret cannot be read, or is empty."""

    sentence = "The file {file} holds no secret that can be read. Write it there, on one line."


CONDITIONS = {
    "current": "told everything",
    "waiting": "waiting",
    "paused": "paused",
    "shut": "shut",
    "disconnected": "disconnected",
}
"""How it stands with a space, in words."""

UNEXPLAINED = "no reason given"

Url = Annotated[str, typer.Argument(metavar="URL", help="The space's address.")]
OnePatient = Annotated[
    str | None, typer.Option("--patient", metavar="NAME", help="Whose spaces; everybody's unless given.")
]


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="The spaces that your readings are told to.", no_args_is_help=True)
    group.command(name="connect")(connect)
    group.command(name="status")(status)
    group.command(name="feed")(feed)
    group.command(name="disconnect")(disconnect)
    app.add_typer(group, name="space")


def connect(  # noqa: PLR0913, PLR0917 - a command's options
    url: Url,
    patient: PatientName,
    code: Annotated[
        str | None, typer.Option(metavar="CODE", help="The code that a Passerelle space's operator gave.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="The bearer token of another FHIR R4 server.")
    ] = None,
    token_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where another server gives tokens (OAuth2).")
    ] = None,
    client_id: Annotated[str | None, typer.Option(metavar="ID", help="This gateway's name there.")] = None,
    client_secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with this gateway's secret there.")
    ] = None,
    dialect: Annotated[
        DialectName | None,
        typer.Option(help="How the space wants its FHIR; what it says itself unless given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell a space all readings of a person, those of before and those to come.

    Give a code, or a token, or the three options of OAuth2 client credentials.
    """
    by_client = (token_url, client_id, client_secret_file)
    given = [code is not None, token is not None, any(by_client)]
    if sum(given) != 1 or (any(by_client) and not all(by_client)):
        raise typer.BadParameter(
            terminal.tr("Give --code, or --token, or --token-url with --client-id and --client-secret-file")
        )

    async def command() -> SpaceStatus:
        from gateway.home import opened
        from gateway.outbox import connections, status
        from gateway.outbox.errors import NotConnected, SpaceUnreachable

        entrance = _entrance(url, token, token_url, client_id, client_secret_file)
        async with opened() as home:
            try:
                made = await connections.connect(
                    home, patient, entrance, code=code, dialect=dialect.value if dialect else None
                )
            except SpaceUnreachable as error:
                raise NotConnected(**error.details) from None
            return await status.status_of(home, made)

    made = terminal.run(command())
    if as_json:
        terminal.write_json(_answer(made))
        return
    terminal.say(
        "{name} feeds {space} now. Readings that wait: {waiting}. They are told by passerelle serve, or at "
        "once by: passerelle space feed",
        name=made.space.patient_name,
        space=made.space.url,
        waiting=made.waiting,
    )


def _entrance(
    url: str, token: str | None, token_url: str | None, client_id: str | None, secret_file: Path | None
) -> Entrance:
    from gateway.outbox.client import Entrance

    secret = None
    if secret_file is not None:
        try:
            secret = secret_file.read_text("utf-8").strip()
        except (OSError, ValueError):
            secret = None
        if not secret:
            raise SecretUnreadable(file=str(secret_file))
    return Entrance(
        base=url, fhir=url, token=token, token_url=token_url, client_id=client_id, client_secret=secret
    )


def status(patient: OnePatient = None, as_json: Json = False) -> None:
    """How far each space was told, what waits, and what it refused."""

    async def command() -> list[SpaceStatus]:
        from gateway.home import opened
        from gateway.outbox import status as statuses

        async with opened() as home:
            return await statuses.followed(home, patient)

    found = terminal.run(command())
    if as_json:
        terminal.write_json([_answer(one) for one in found])
    elif not found:
        terminal.say("No space is fed. Connect one with: passerelle space connect")
    else:
        for one in found:
            _tell(one)


def feed(
    patient: OnePatient = None,
    retry_refused: Annotated[
        bool, typer.Option("--retry-refused", help="What a space refused before, once more.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell every space what waits for it, now; ends with 1 if a space could not be told."""

    async def command() -> tuple[dict[str, int], list[PasserelleError]]:
        from device_profiles.errors import SpaceError
        from gateway.home import opened
        from gateway.outbox import feeder
        from gateway.outbox import status as statuses
        from gateway.outbox.exchange import Told

        total = {"told": 0, "waiting": 0, "refused": 0}
        failures: list[PasserelleError] = []
        async with opened() as home:
            for one in await statuses.followed(home, patient):
                if one.space.disconnected_at is not None:
                    continue
                so_far = Told()
                try:
                    await feeder.feed(home, one.space, so_far, retry_refused=retry_refused)
                except SpaceError as error:
                    failures.append(error)
                after = await statuses.status_of(home, one.space)
                total["told"] += so_far.told
                total["waiting"] += after.waiting
                total["refused"] += after.refused
        return total, failures

    total, failures = terminal.run(command())
    if as_json:
        terminal.write_json(total)
    else:
        terminal.say("Told: {told}. Waiting: {waiting}. Refused: {refused}.", **total)
    for failure in failures:
        if getattr(failure, "words", None):
            terminal.note("  The space says: {words}", words=failure.words)  # type: ignore[attr-defined]
    for failure in failures[1:]:
        terminal.note(failure.sentence, **failure.details)
    if failures:
        terminal.fail(failures[0])


def disconnect(url: Url, patient: PatientName, as_json: Json = False) -> None:
    """Tell a space nothing more. What it was told stays there; its operator can erase it."""

    async def command() -> tuple[SpaceStatus, bool]:
        from gateway.home import opened
        from gateway.outbox import connections, status

        async with opened() as home:
            ended, told = await connections.disconnect(home, patient, url)
            return await status.status_of(home, ended), told

    ended, told = terminal.run(command())
    if as_json:
        terminal.write_json(_answer(ended) | {"state": "disconnected", "space_knows": told})
        return
    terminal.say(
        "{space} is told nothing more. It keeps the readings it was told: {told}. To have them erased "
        "there, ask its operator.",
        space=ended.space.url,
        told=ended.told,
    )
    if not told:
        terminal.note(
            "The space did not answer, so it does not know yet. Its operator can end the registration there."
        )


def _tell(one: SpaceStatus) -> None:
    terminal.say(
        "{name} → {space}: {state}. Told: {told}, waiting: {waiting}, refused: {refused}.",
        name=one.space.patient_name,
        space=one.space.url,
        state=terminal.tr(CONDITIONS[one.condition.value]),
        told=one.told,
        waiting=one.waiting,
        refused=one.refused,
    )
    if one.changes:
        terminal.say("  Changes of readings that it was told, to look at: {count}.", count=one.changes)
    if one.shown:
        terminal.say(
            "  It takes no changes: of {count} readings it shows an older version than yours.",
            count=one.shown,
        )
    if one.to_erase:
        terminal.say("  It still shows readings that you erased: {count}.", count=one.to_erase)
    for words, count in one.refusals:
        reason = terminal.tr(words or UNEXPLAINED)
        terminal.say("  Refused {count}: {reason}", count=count, reason=reason)
    if one.space.problem_words:
        terminal.say("  The space says: {words}", words=one.space.problem_words)
    if one.space.not_before is not None:
        terminal.say("  Next try: {time}", time=_local(one.space.not_before))


def _local(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def _answer(one: SpaceStatus) -> dict[str, Any]:
    space = one.space
    return {
        "space": space.url,
        "patient": space.patient_name,
        "dialect": space.dialect,
        "connected_at": space.connected_at.isoformat(),
        "told": one.told,
        "waiting": one.waiting,
        "changes": one.changes,
        "refused": one.refused,
        "shown": one.shown,
        "to_erase": one.to_erase,
        "last_told_at": space.last_told_at.isoformat() if space.last_told_at else None,
        "next_try_at": space.not_before.isoformat() if space.not_before else None,
        "state": one.condition.value,
        "problem": space.problem_words or space.problem,
        "refusals": [{"reason": words, "readings": count} for words, count in one.refusals],
    }

"""`passerelle install` and `passerelle uninstall`: with the session, and in the menu."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import terminal
from gateway.commands.options import Json

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.install.plan import Plan
    from gateway.installing import Outcome


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="install")(install)
    app.command(name="uninstall")(uninstall)


def install(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be written and run.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let Passerelle start with your session, and put it into the menu. May be repeated."""

    async def command() -> None:
        from gateway import installing, settings

        plan = installing.plan_here()
        if dry_run:
            _show(plan, as_json=as_json)
            return
        home = settings.prepare_home(settings.load().home)
        outcome = installing.install(plan, home)
        if as_json:
            terminal.write_json(_answer(outcome))
        else:
            _tell_installed(outcome, installing.not_carried(os.environ))

    terminal.run(command())


def uninstall(as_json: Json = False) -> None:
    """Take away what install wrote, and only that. Your readings stay."""

    async def command() -> None:
        from gateway import installing, settings

        home = settings.load().home
        outcome = installing.uninstall(home)
        if as_json:
            terminal.write_json({"installed": outcome is not None, **(_answer(outcome) if outcome else {})})
        else:
            _tell_uninstalled(outcome, home)

    terminal.run(command())


def _show(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        terminal.write_json(
            {
                "files": [{"path": str(file.path), "content": _text(file.content)} for file in plan.files],
                "commands": [list(command) for command in (*plan.first, *plan.begin)],
            }
        )
        return
    terminal.say("Nothing is written. This would be:")
    for file in plan.files:
        print(f"\n{file.path}")  # noqa: T201 - a path, and the content of a file
        text = _text(file.content)
        if text is None:
            terminal.say("  (a picture of {size} bytes)", size=len(file.content))
        else:
            print("\n".join(f"  {line}" for line in text.splitlines()))  # noqa: T201
    if plan.begin:
        terminal.say("\nAnd this would be run:")
        for command in (*plan.first, *plan.begin):
            print(f"  {' '.join(command)}")  # noqa: T201
    print(flush=True)  # noqa: T201


def _text(content: bytes) -> str | None:
    """A file as a person reads it; None for a picture."""
    if content.startswith((b"\x89PNG", b"icns", b"\x00\x00\x01\x00")):
        return None
    return content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")


def _tell_installed(outcome: Outcome, lost: list[str]) -> None:
    from gateway.installing import Done

    written = outcome.those(Done.WRITTEN)
    if written:
        terminal.say("Passerelle is in your menu, and starts with your session from now on.")
        _list(written)
    elif outcome.failed:
        terminal.say("Everything was there already.")
    else:
        terminal.say("Everything was there already; nothing was changed.")
    if outcome.failed:
        terminal.note("It could not be started at once. It starts the next time you log in.")
    for path in outcome.those(Done.KEPT):
        terminal.note(
            "{file} is not as Passerelle wrote it, and was left as it is. "
            "To have it made anew, remove it and run passerelle install again.",
            file=str(path),
        )
    if lost:
        terminal.note(
            "These settings are known in this terminal only, not to what starts with your session: {names}.",
            names=", ".join(lost),
        )


def _tell_uninstalled(outcome: Outcome | None, home: Path) -> None:
    from gateway.installing import Done

    if outcome is None:
        terminal.say("Nothing was installed for this home, so nothing was taken away.")
    else:
        terminal.say("Passerelle no longer starts with your session. Taken away:")
        _list(outcome.those(Done.REMOVED))
        for path in outcome.those(Done.KEPT):
            terminal.note("{file} was changed since, so it is yours: it was left there.", file=str(path))
    terminal.say("Your readings stay where they are: {folder}", folder=str(home))
    terminal.say("To erase them: passerelle erase --everything --patient NAME")
    terminal.say("To remove the program itself: pipx uninstall passerelle, or uv tool uninstall passerelle")


def _list(paths: list[Path]) -> None:
    for path in paths:
        print(f"  {path}", flush=True)  # noqa: T201


def _answer(outcome: Outcome) -> dict[str, object]:
    return {
        "files": {str(path): str(done) for path, done in outcome.files},
        "failed": [list(command) for command in outcome.failed],
    }

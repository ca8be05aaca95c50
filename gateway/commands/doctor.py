"""`passerelle doctor`: what is wrong on this machine, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import terminal
from gateway.commands.options import Json

if TYPE_CHECKING:
    from gateway.doctor.checks import Examined
    from gateway.doctor.findings import Finding


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(name="doctor")(doctor)


def doctor(
    as_json: Json = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also write what was found for who helps you: without names, values or addresses.",
        ),
    ] = None,
) -> None:
    """Look at everything that Passerelle needs and say what to do; ends with 1 if something does not work."""

    async def command() -> int:
        from gateway import settings
        from gateway.doctor import checks

        examined = await checks.examine(settings.load())
        if report is not None:
            _write(report, examined)
        if as_json:
            terminal.write_json({"bad": checks.is_bad(examined), "checks": _answer(examined)})
        else:
            _say(examined)
        if report is not None:
            terminal.note(
                "The report is in {file}. Read it before you send it: it is plain text.", file=str(report)
            )
        return 1 if checks.is_bad(examined) else 0

    status = terminal.run(command())
    if status:
        raise SystemExit(status)


def _write(path: Path, examined: Sequence[Examined]) -> None:
    from gateway.doctor.report import ReportUnwritable, write
    from gateway.file_errors import why

    try:
        write(path, examined)
    except OSError as error:
        raise ReportUnwritable(file=str(path), why=why(error)) from None


def _say(examined: Sequence[Examined]) -> None:
    from gateway.doctor.findings import State

    words = {State.OK: "  ok  ", State.WARN: "  !   ", State.BAD: "  X   "}
    for one in examined:
        for each in one.findings:
            print(words[each.state] + _means(each), flush=True)  # noqa: T201
            if each.meaning.then:
                print("      " + _then(each), flush=True)  # noqa: T201
    counted = [each.state for one in examined for each in one.findings]
    bad, warned = counted.count(State.BAD), counted.count(State.WARN)
    if bad:
        terminal.say("\nNot working: {bad}. To be looked at: {warned}.", bad=bad, warned=warned)
    elif warned:
        terminal.say("\nEverything works. To be looked at: {warned}.", warned=warned)
    else:
        terminal.say("\nEverything is in order.")


def _answer(examined: Sequence[Examined]) -> list[dict[str, object]]:
    return [
        {
            "check": one.check,
            "code": each.meaning.code,
            "state": str(each.state),
            "means": _means(each),
            "then": _then(each) or None,
            "facts": dict(each.facts),
        }
        for one in examined
        for each in one.findings
    ]


def _means(finding: Finding) -> str:
    return terminal.tr(finding.meaning.means, **_shown(finding))


def _then(finding: Finding) -> str:
    return terminal.tr(finding.meaning.then, **_shown(finding)) if finding.meaning.then else ""


def _shown(finding: Finding) -> dict[str, object]:
    """What fills the sentences; a sentence of the catalogue among it is said in the person's language."""
    return {
        name: terminal.tr(told) if isinstance(told, str) else told for name, told in finding.shown.items()
    }

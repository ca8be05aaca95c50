"""`passerelle profiles`: the devices that are known, how well, and what each gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway import terminal
from gateway.commands.options import Json

if TYPE_CHECKING:
    from device_profiles.profile import DeviceProfile
    from gateway.conformance import Checked


def register(app: typer.Typer) -> None:
    """Add the group to `app`."""
    group = typer.Typer(help="The devices that are known here.", invoke_without_command=True)
    group.callback()(_list_by_default)
    group.command(name="list")(list_all)
    group.command(name="show")(show)
    group.command(name="check")(check)
    group.command(name="new")(new)
    app.add_typer(group, name="profiles")


def _list_by_default(context: typer.Context, as_json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_all(as_json=as_json)


def list_all(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORD]...", help="Only those with all of these words.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Every kind of device that is known: how it is known, and what it gives."""
    from device_profiles import catalogue

    wanted = [word.casefold() for word in words or ()]
    found = [
        profile
        for profile in catalogue.profiles()
        if all(word in _searched(profile).casefold() for word in wanted)
    ]
    if as_json:
        terminal.write_json([_answer(profile) for profile in found])
        return
    for profile in found:
        given = ", ".join(kind.slug for kind in profile.kinds)
        print(f"{profile.name:<24} {profile.known_by:<12} {given}")  # noqa: T201
    for problem in catalogue.problems():
        terminal.note("{plugin} was left out: {reason}", plugin=problem.plugin, reason=problem.reason)


def show(
    name: Annotated[str, typer.Argument(help="As passerelle profiles lists it.")], as_json: Json = False
) -> None:
    """All that is known of one kind of device, and the public source of it."""
    from device_profiles import catalogue
    from device_profiles.errors import PasserelleError

    try:
        answer = _answer(catalogue.by_name(name))
    except PasserelleError as error:
        terminal.note(error.sentence, **error.details)
        raise SystemExit(2) from None
    if as_json:
        terminal.write_json(answer)
        return
    for key, value in answer.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        print(f"{key:<16} {shown}")  # noqa: T201


def check(
    name: Annotated[
        str | None, typer.Argument(help="As passerelle profiles lists it, or a file of a profile.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every profile.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Write what was found as a page.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write it for a build server.")] = None,
    as_json: Json = False,
) -> None:
    """Prove a profile: its bytes, a virtual device with every fault, and FHIR; exit 1 if a check fails."""
    from device_profiles import catalogue
    from device_profiles.errors import PasserelleError
    from gateway import conformance
    from gateway.conformance import written

    names = [profile.name for profile in catalogue.profiles()] if every else [name] if name else []
    try:
        wanted = [conformance.subject(each) for each in names]
    except PasserelleError as error:
        terminal.note(error.sentence, **error.details)
        raise SystemExit(2) from None
    if not wanted:
        terminal.note("Name a profile, or give --all.")
        raise SystemExit(2)
    checked = []
    for each in wanted:
        checked.append(terminal.run(conformance.check(each)))
        if not as_json:
            _write_checked(checked[-1])
    if html is not None:
        html.write_text(written.html(checked, terminal.tr), encoding="utf-8")
    if junit is not None:
        junit.write_text(written.junit(checked, terminal.tr), encoding="utf-8")
    if as_json:
        terminal.write_json([_found(one) for one in checked])
    raise SystemExit(0 if all(one.is_right for one in checked) else 1)


def new(
    title: Annotated[str, typer.Argument(help="What it is called, such as 'Acme One'.")],
    service: Annotated[
        str | None, typer.Option("--service", help="What it measures, such as glucose.")
    ] = None,
    name_pattern: Annotated[
        str | None, typer.Option("--name-pattern", help="The name it advertises: # a digit, * anything.")
    ] = None,
    manufacturer: Annotated[str | None, typer.Option("--manufacturer", help="Who makes it.")] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="The public document that says what is known.")
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write.")] = Path(),
    package: Annotated[
        bool, typer.Option("--package", help="A whole package that can be installed.")
    ] = False,
) -> None:
    """Write a profile for a new device, its vectors and a test."""
    from device_profiles.errors import PasserelleError
    from gateway.file_errors import why
    from gateway.new_profile import SERVICES, Answers, write_profile

    asked = {"service": service, "name-pattern": name_pattern, "manufacturer": manufacturer, "source": source}
    missing = [flag for flag, answer in asked.items() if answer is None]
    if missing and not terminal.is_interactive():
        terminal.note(
            "Nobody can be asked here: give {flags} too.", flags=" ".join(f"--{one}" for one in missing)
        )
        raise SystemExit(2)
    for flag in missing:
        asked[flag] = typer.prompt(flag, default="" if flag == "manufacturer" else None)
    said = {flag: answer or "" for flag, answer in asked.items()}
    if said["service"] not in SERVICES:
        terminal.note("It measures one of: {services}.", services=", ".join(SERVICES))
        raise SystemExit(2)
    answers = Answers(title, said["service"], said["name-pattern"], said["manufacturer"], said["source"])
    try:
        written = write_profile(answers, folder, package=package)
    except PasserelleError as error:
        terminal.fail(error)
    except OSError as error:
        terminal.note("It cannot be written: {why}.", why=terminal.tr(why(error)))
        raise SystemExit(1) from None
    for path in written:
        print(path)  # noqa: T201
    terminal.say("Prove it: passerelle profiles check {file}", file=written[0])


def _write_checked(checked: Checked) -> None:
    print(checked.profile)  # noqa: T201
    for found in checked.findings:
        print(f"  {found.state:<7} {found.check}: {terminal.tr(found.seen, **found.fields)}")  # noqa: T201
        if found.change:
            print(f"          {found.clause}. {terminal.tr(found.change, **found.fields)}")  # noqa: T201


def _found(checked: Checked) -> dict[str, Any]:
    findings = [
        {
            "check": found.check,
            "state": str(found.state),
            "clause": found.clause,
            "seen": terminal.tr(found.seen, **found.fields),
            "change": terminal.tr(found.change, **found.fields),
        }
        for found in checked.findings
    ]
    return {"profile": checked.profile, "passed": checked.is_right, "findings": findings}


def _searched(profile: DeviceProfile) -> str:
    kinds = " ".join(kind.slug for kind in profile.kinds)
    return f"{profile.name} {profile.title} {profile.manufacturer or ''} {profile.known_by} {kinds}"


def _answer(profile: DeviceProfile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "title": profile.title,
        "manufacturer": profile.manufacturer,
        "known_by": profile.known_by,
        "gives": [kind.slug for kind in profile.kinds],
        "records": "when asked" if profile.records is not None else "by itself",
        "services": [f"0x{service:04X}" for service in profile.services],
        "measurements": [f"0x{source.characteristic:04X}" for source in profile.sources],
        "names": list(profile.match.names),
        "source": profile.source,
    }

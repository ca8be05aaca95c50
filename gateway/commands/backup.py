"""`passerelle backup` and `passerelle restore`: the whole home in one encrypted file, and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device_profiles.errors import PasserelleError
from gateway import terminal
from gateway.commands.options import Json
from gateway.file_errors import why

if TYPE_CHECKING:
    from gateway.settings import Settings
    from storage.backup import Contents

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="A file whose first line is the passphrase, for scripts; or set PASSERELLE_BACKUP_PASSPHRASE.",
    ),
]


class BackupUnwritable(PasserelleError):
    """The file of a backup cannot be written."""

    sentence = "{file} cannot be written: {why}. Nothing was kept: choose another file."


class BackupUnreadable(PasserelleError):
    """The file of a backup, or of its passphrase, cannot be read."""

    sentence = "{file} cannot be read: {why}. Nothing was changed: choose another file."


class PassphraseMissing(PasserelleError):
    """Nobody is there who could be asked."""

    sentence = (
        "A passphrase is needed. Type it in a terminal, set PASSERELLE_BACKUP_PASSPHRASE, or name a file "
        "that holds it with --passphrase-file."
    )


class PassphrasesDiffer(PasserelleError):
    """Typed twice, in two ways."""

    sentence = "The two passphrases are not the same. Nothing was written: run the same command again."


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(name="backup")(backup)
    app.command(name="restore")(restore)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file; a disk of its own is best.")],
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Put everything that is kept here into one encrypted file; other commands go on meanwhile."""

    async def command() -> tuple[Contents, int]:
        from gateway import settings as configuration
        from gateway.home import open_database
        from gateway.sealing import HomeSecret
        from storage.backup import back_up

        settings = configuration.load()
        passphrase = _passphrase(settings, passphrase_file, twice=True)
        configuration.prepare_home(settings.home)
        HomeSecret.load(settings.home)  # made if it is absent: a backup without it could not be used
        with _in_words(file, BackupUnwritable):
            async with open_database(settings) as database:
                contents = await back_up(database, settings.home, file, passphrase)
            return contents, file.stat().st_size

    contents, size = terminal.run(command())
    if as_json:
        terminal.write_json({"file": str(file), "size": size} | _answer(contents))
    else:
        terminal.say(
            "{rows} rows of {tables} tables and {files} files are in {file}, encrypted, and were read back. "
            "Nobody can open it without the passphrase, nor can you: keep both, in two places.",
            rows=contents.rows,
            tables=len(contents.tables),
            files=len(contents.files),
            file=file,
        )


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="As `passerelle backup` wrote it.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move what is here aside, instead of refusing.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Make this home from a backup, row for row; only a new home, unless what is here is moved aside."""

    async def command() -> tuple[Contents, Path | None]:
        from gateway import settings as configuration
        from storage.errors import RestoreNeedsOwnServer
        from storage.restore import restore as restored

        settings = configuration.load()
        if settings.database is not None:
            raise RestoreNeedsOwnServer
        passphrase = _passphrase(settings, passphrase_file, twice=False)
        with _in_words(file, BackupUnreadable):
            done = await restored(file, passphrase, settings.home, replace=replace)
        return done.contents, done.set_aside

    contents, aside = terminal.run(command())
    if as_json:
        terminal.write_json(_answer(contents) | {"set_aside": str(aside) if aside else None})
        return
    terminal.say(
        "{rows} rows of {tables} tables and {files} files are restored and were compared with the backup "
        "of {made}.",
        rows=contents.rows,
        tables=len(contents.tables),
        files=len(contents.files),
        made=contents.description.made_at.astimezone().strftime("%Y-%m-%d %H:%M"),
    )
    if aside:
        terminal.say("What was here before is in {folder}.", folder=aside)
    spaces = contents.tables.get("passerelle/space")
    if spaces is not None and spaces.rows:
        terminal.note(
            "The home of this backup feeds spaces, and this one does from now on. If that home is used "
            "still, end it in one of the two: passerelle space disconnect"
        )


def _answer(contents: Contents) -> dict[str, Any]:
    return {
        "made_at": contents.description.made_at.isoformat(timespec="seconds"),
        "program": contents.description.program,
        "rows": contents.rows,
        "tables": {name: extent.rows for name, extent in contents.tables.items()},
        "files": sorted(contents.files),
    }


@contextmanager
def _in_words(file: Path, error: type[PasserelleError]) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise error(file=file, why=why(problem)) from None


def _passphrase(settings: Settings, file: Path | None, *, twice: bool) -> str:
    """From the file, the environment, or the person: asked in the terminal, where it is not shown."""
    if file is not None:
        with _in_words(file, BackupUnreadable):
            return file.read_text(errors="replace").partition("\n")[0]
    if settings.backup_passphrase is not None:
        return settings.backup_passphrase.get_secret_value()
    if not sys.stdin.isatty():
        raise PassphraseMissing
    from getpass import getpass

    typed = getpass(terminal.tr("Passphrase of the backup: "), stream=sys.stderr)
    if twice and getpass(terminal.tr("The same again: "), stream=sys.stderr) != typed:
        raise PassphrasesDiffer
    return typed

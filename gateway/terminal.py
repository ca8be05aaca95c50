"""What the command line says, and how it ends: 0 done, 1 the thing asked for failed, 2 wrong use."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, NoReturn, TypeVar

from device_profiles.errors import PasserelleError
from gateway import logs
from gateway.language import language_of, translate

logger = logging.getLogger(__name__)

T = TypeVar("T")

UNEXPECTED = (
    "Something unexpected happened ({kind}). Nothing that was stored is lost: run the same command again. "
    "With PASSERELLE_DEBUG=1 it prints the details."
)


def write_any_name() -> None:
    """Let a letter that the terminal's encoding lacks be shown as ? instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def language() -> str:
    """The language of the person at this terminal."""
    return language_of(os.environ)


def tr(sentence: str, **fields: object) -> str:
    """A sentence of the catalogue in the person's language, its {fields} filled."""
    text = translate(sentence, language())
    return text.format(**fields) if fields else text


def say(sentence: str, **fields: object) -> None:
    """A sentence on standard output."""
    print(tr(sentence, **fields), flush=True)  # noqa: T201


def note(sentence: str, **fields: object) -> None:
    """A sentence beside the result, on standard error."""
    print(tr(sentence, **fields), file=sys.stderr, flush=True)  # noqa: T201


def step(sentence: str, **fields: object) -> None:
    """A step of a longer work that is done, on standard error."""
    mark = "✓ " if "utf" in (sys.stderr.encoding or "").lower() else "- "
    print(mark + tr(sentence, **fields), file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def progress(sentence: str) -> Iterator[Callable[[int], None]]:
    """A line that counts while a person waits; nothing where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.status import Status

    with Status(tr(sentence, count=0), console=Console(stderr=True)) as status:
        yield lambda count: status.update(tr(sentence, count=count))


def number(value: float, unit: str) -> str:
    """A number with one decimal and its unit, as the person's language writes them."""
    from babel.numbers import format_decimal

    return f"{format_decimal(value, '0.0', locale=language())} {tr(unit)}"


def plain(value: float) -> str:
    """A number as the person's language writes it, with no more decimals than it has."""
    from babel.numbers import format_decimal

    return str(format_decimal(value, "0.##", locale=language()))


def write_json(answer: object) -> None:
    """The answer of a command as one line of JSON on standard output."""
    any_letter = "utf" in (sys.stdout.encoding or "").lower()
    print(json.dumps(answer, ensure_ascii=not any_letter, default=str), flush=True)  # noqa: T201


def is_interactive() -> bool:
    """Whether a person sits at this terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def fail(error: PasserelleError) -> NoReturn:
    """Say what happened in one sentence and end with status 1."""
    said = {name: tr(told) if isinstance(told, str) else told for name, told in error.details.items()}
    note(error.sentence, **said)
    nearest = getattr(error, "nearest", None)
    if nearest:
        note("Did you mean {nearest}?", nearest=nearest)
    raise SystemExit(1)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end; what goes wrong is said in one sentence."""
    shape = logs.configure(os.environ.get("PASSERELLE_LOG"))
    with _told(getattr(coroutine, "__qualname__", "").partition(".")[0].strip("_")):
        try:
            return asyncio.run(coroutine)
        except PasserelleError as error:
            fail(error)
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except Exception as error:
            if shape:
                logs.event(logger, "unexpected", level=logging.ERROR, error=error)
            if os.environ.get("PASSERELLE_DEBUG"):
                raise
            note(UNEXPECTED, kind=type(error).__name__)
            raise SystemExit(1) from None


@contextmanager
def _told(command: str) -> Iterator[None]:
    """One event for a command: its name in the source, how it ended, how long it took."""
    begun = monotonic()
    status: object = 0
    try:
        yield
    except BaseException as ending:
        status = ending.code if isinstance(ending, SystemExit) else 1
        raise
    finally:
        logs.event(logger, "command", command=command, status=status, ms=round((monotonic() - begun) * 1000))

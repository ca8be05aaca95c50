"""The languages people read: one catalogue for the command line, the errors and the viewer.

A sentence is its own name: messages are the English text, and `locale/<language>.po` holds the others. The
viewer's have the context `viewer`, those of the person's page `page`. A third language is one more file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from gettext import c2py
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

LOCALE: Final = Path(__file__).with_name("locale")
ENGLISH: Final = "en"
_VIEWER: Final = "viewer"
_PAGE: Final = "page"


def languages() -> tuple[str, ...]:
    """The languages there are, English first."""
    return (ENGLISH, *sorted(path.stem for path in LOCALE.glob("*.po")))


def language_of(environ: Mapping[str, str]) -> str:
    """The language that a process's environment asks for, the first set of LC_ALL, LC_MESSAGES and LANG."""
    asked = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return known(asked)


def accepted_language(header: str) -> str:
    """The language that an `Accept-Language` asks for most (RFC 9110 section 12.5.4), of those there are."""
    preferences = []
    for rank, part in enumerate(header.split(",")):
        tag, _, weight = part.partition(";q=")
        try:
            preferences.append((-float(weight or 1), rank, tag.strip()))
        except ValueError:
            continue
    there = languages()
    spoken = (tag.lower().split("-")[0] for _, _, tag in sorted(preferences))
    return next((language for language in spoken if language in there), ENGLISH)


def known(tag: str) -> str:
    """`fr` for `fr_FR.UTF-8` or `fr-CA`; English for a language that is not there."""
    language = tag.replace("-", "_").split("_")[0].split(".")[0].lower()
    return language if language in languages() else ENGLISH


def translate(message: str, language: str) -> str:
    """The message in a language, or itself where the catalogue lacks it; {fields} stay as they are."""
    if language == ENGLISH:
        return message
    found = _catalogue(language).get(message)
    return str(found.string) if found and found.string else message


def viewer_strings(language: str) -> dict[str, str | list[str]]:
    """What the viewer says, by its English; a message that counts has its forms in a list, singular first."""
    if language == ENGLISH:
        return {}
    strings: dict[str, str | list[str]] = {}
    for message in _catalogue(language):
        if message.context != _VIEWER:
            continue
        if isinstance(message.id, str):
            strings[message.id] = str(message.string)
        else:
            strings[message.id[0]] = [str(form) for form in message.string or ()]
    return strings


def page_text(message: str, language: str) -> str:
    """What the person's page says, in a language; a sentence that is said elsewhere too may be there once."""
    if language == ENGLISH:
        return message
    found = _catalogue(language).get(message, context=_PAGE)
    return str(found.string) if found and found.string else translate(message, language)


def page_forms(one: str, many: str, count: int, language: str) -> str:
    """The form of a sentence that counts: in French nought is singular too."""
    if language != ENGLISH:
        found = _catalogue(language).get((one, many), context=_PAGE)
        if found and isinstance(found.string, tuple | list) and all(found.string):
            return str(found.string[c2py(_catalogue(language).plural_expr)(count)])
    return one if count == 1 else many


@cache
def _catalogue(language: str) -> Catalog:
    from babel.messages.pofile import read_po  # noqa: PLC0415 — a command in English does without Babel

    with (LOCALE / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language, charset="utf-8")

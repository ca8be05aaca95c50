"""Reads `queries/*.sql`: named statements, each with a sentence above it. Python holds no SQL of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

_PIECE = re.compile(
    r"--[^\n]*|'(?:[^']|'')*'|\"[^\"]*\"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|(?P<end>;)", re.DOTALL
)
"""A comment, a string or a name, within which a semicolon ends nothing; or one that ends a statement."""

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(aggregate: str) -> Mapping[str, str]:
    """The statements of `queries/<aggregate>.sql` by name.

    A file is a list of `-- name: x`, a sentence in comments, and one statement. Parameters are psycopg's
    `%(name)s`. Raises ValueError for a name given twice.
    """
    text = files("storage").joinpath("queries", f"{aggregate}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    found: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in found:
            raise ValueError(f"{aggregate}.sql names {name} twice")
        found[name] = _without_comments(body)
    return found


def _without_comments(body: str) -> str:
    """Comments are for the reader of the file; a `%` in one would be taken for a parameter."""
    return "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--")).strip()


def one_by_one(text: str) -> Iterator[str]:
    """The statements of a migration. Sent together, Citus would pass the whole text on to each machine."""
    begin = 0
    for piece in _PIECE.finditer(text):
        if piece["end"]:
            yield text[begin : piece.start()].strip()
            begin = piece.end()
    rest = _without_comments(text[begin:])
    if rest:
        yield rest

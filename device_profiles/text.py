"""Text that somebody else wrote: a device's name, a visitor's. It is shown on terminals and pages."""

from __future__ import annotations

import re


def one_line(text: str, longest: int | None = None) -> str:
    """The text on one line, without what does not print; at most `longest` characters.

    A terminal obeys control characters, and others turn the text around them: none is let through.
    """
    spaced = re.sub(r"\s+", " ", text)
    return "".join(character for character in spaced if character.isprintable()).strip()[:longest]

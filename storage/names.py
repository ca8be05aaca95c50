"""Names of people and of tenants: labels that are compared without regard to how they were typed."""

from __future__ import annotations

import unicodedata
from typing import Final

from storage.errors import UnusableName

LONGEST_NAME: Final = 200

JOINERS: Final = "\u200c\u200d"
"""Zero-width joiner and non-joiner: Persian, Indian and emoji names are written with them."""


def label_of(name: str) -> str:
    """A name as it is compared: spaces, case and the way letters are encoded do not count.

    Raises UnusableName.
    """
    label = unicodedata.normalize("NFKC", " ".join(name.split())).casefold()
    if not 1 <= len(label) <= LONGEST_NAME or any(
        unicodedata.category(sign)[0] == "C" and sign not in JOINERS for sign in label
    ):
        raise UnusableName
    return label

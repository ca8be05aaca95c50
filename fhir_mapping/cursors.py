"""Where the next page of a search begins, as a text that says nothing and that nobody else can make.

AES-SIV (RFC 5297): the same place of the same search has the same text, so that a page has one address; a
text that was altered, or that belongs to another search, does not open.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from fhir_mapping.errors import CursorNotOurs

_FORM: Final = struct.Struct(">qqihh")
_LENGTH: Final = 54
"""Characters: 24 bytes of a place and 16 that prove it."""


class Cursor(NamedTuple):
    """A reading that the next page begins after. Times in microseconds since 1970."""

    effective_time: int
    recorded_at: int
    sequence: int
    device_id: int
    ordinal: int


class Cursors:
    """The cursors of one server. `key`: 64 bytes, as of `opaque.ReadingIds.cursor_key`."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(key)

    def text(self, cursor: Cursor, search: bytes) -> str:
        """A cursor of a search."""
        sealed = self._cipher.encrypt(_FORM.pack(*cursor), [search])
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")

    def read(self, text: str, search: bytes) -> Cursor:
        """Raises CursorNotOurs for what is no cursor of this search."""
        if len(text) != _LENGTH:
            raise CursorNotOurs
        try:
            sealed = base64.b64decode(text + "==", altchars=b"-_", validate=True)
            return Cursor(*_FORM.unpack(self._cipher.decrypt(sealed, [search])))
        except (binascii.Error, ValueError, InvalidTag):
            raise CursorNotOurs from None

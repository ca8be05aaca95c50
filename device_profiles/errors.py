"""The tree of errors.

An error is written for the person who meets it: `sentence` says what happened and what to do next, in
English; the catalogue in `gateway/locale` says it in other languages, by that very sentence. No sentence
holds a value, a name or an identifier of a patient, so that an error may go into a log. What a sentence
needs to name (a file, a port, a line) is a keyword of the constructor and stands in braces.
"""

from __future__ import annotations

from typing import ClassVar


class PasserelleError(Exception):
    """The root: `sentence` is the translatable text with {fields}, `details` the fields' values."""

    sentence: ClassVar[str] = "Something went wrong. Run the same command again."

    def __init__(self, **details: object) -> None:
        self.details = details
        super().__init__(self.sentence.format(**details))


class DeviceError(PasserelleError):
    """What can go wrong with a device on the radio."""


class MalformedMeasurement(DeviceError):
    """Bytes that are no value of their characteristic. `reason` is one of REASONS."""

    sentence = "The device sent something that cannot be read ({reason}). It was kept aside, nothing is lost."
    REASONS: ClassVar[frozenset[str]] = frozenset(
        {"too_short", "trailing_bytes", "invalid_length", "invalid_crc", "invalid_value", "vendor_format"}
    )

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason=reason)


class StorageError(PasserelleError):
    """What can go wrong with the database."""


class SpaceError(PasserelleError):
    """What can go wrong with a shelf or a space on the network."""

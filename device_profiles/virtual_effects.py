"""What a virtual device declares and what it does, for whoever carries it over the air."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CharacteristicDeclaration:
    """A characteristic; a protected one is only for a client that paired with the passkey."""

    uuid: int
    properties: frozenset[str]
    """Of `read`, `write`, `notify`, `indicate`."""
    protected: bool


@dataclass(frozen=True, slots=True)
class ServiceDeclaration:
    """A primary service."""

    uuid: int
    characteristics: tuple[CharacteristicDeclaration, ...]


@dataclass(frozen=True, slots=True)
class Notify:
    """Send a notification."""

    characteristic: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Indicate:
    """Send an indication."""

    characteristic: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Drop the link. Nothing comes after it."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The device owes an answer and gives none. Nothing comes after it."""


class LinkDropped(Exception):
    """The device ended the link instead of answering."""


Frame = Notify | Indicate
Effect = Frame | Disconnect | Silence

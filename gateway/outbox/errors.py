"""What can go wrong with a space that is fed, in words for the person who meets it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from device_profiles.errors import SpaceError

WORDS_MAX: Final = 400
"""Characters of a space's own words that are kept."""


class SpaceUnreachable(SpaceError):
    """The space does not answer, or is out of order. `answered`: it said so itself (status 500 and above)."""

    sentence = (
        "The space at {space} does not answer. Nothing is lost: what waits is told by the next try, by "
        "passerelle serve or passerelle space feed."
    )

    def __init__(self, *, answered: bool = False, **details: object) -> None:
        self.answered = answered
        super().__init__(**details)


class NotConnected(SpaceError):
    """A space that was to be connected does not answer."""

    sentence = (
        "The space at {space} does not answer, so it is not connected. Check the address, http or https "
        "included, then connect again: a code is still good."
    )


class SpaceBusy(SpaceError):
    """The space asks to come back later. `wait`: when, if it said so."""

    sentence = "The space at {space} is busy. Nothing is lost: what waits is told by a later try."

    def __init__(self, wait: timedelta | None = None, **details: object) -> None:
        self.wait = wait
        super().__init__(**details)


class SpaceNeedsHttps(SpaceError):
    """A space beyond this machine over plain http: readings and tokens could be read on the way."""

    sentence = "The space at {space} is not on this machine, so it has to be reached over https."


class SpaceAddressUnusable(SpaceError):
    """No web address, or one that holds a password, a query or a fragment."""

    sentence = "This is no address of a space. It looks like https://space.example, without a password in it."


class SpaceMoved(SpaceError):
    """The space answers from elsewhere: a token is not carried along."""

    sentence = (
        "The space at {space} sends on to another address, which is not followed. Ask its operator for the "
        "right address, and connect that."
    )


class SpaceRefusesGateway(SpaceError):
    """The token or the secret is not valid there, or not for this person."""

    sentence = (
        "The space at {space} does not let this gateway in. Ask its operator for a new code or token, and "
        "connect again."
    )

    def __init__(self, words: str | None = None, **details: object) -> None:
        self.words = words
        super().__init__(**details)


class SpaceForbids(SpaceRefusesGateway):
    """This gateway is known there, and may not do this: a person of another gateway, no room left."""

    sentence = (
        "The space at {space} does not allow this gateway what it asks. Nothing is lost: what waits is told "
        "when its operator allows it."
    )


class SpaceRefuses(SpaceError):
    """The space refuses what it is asked, whichever readings are in it. `words`: its own."""

    sentence = "The space at {space} refuses what it is asked (status {status}). Is it a FHIR R4 server?"

    def __init__(self, words: str | None = None, **details: object) -> None:
        self.words = words
        super().__init__(**details)


class SpaceAnswersOddly(SpaceError):
    """What comes back is not what FHIR says that it is."""

    sentence = (
        "The space at {space} answers in a way that FHIR does not know. Nothing is lost: what waits is told "
        "by a later try."
    )


class CodeRefused(SpaceError):
    """A code that the space does not take: unknown, used, or over."""

    sentence = (
        "The space at {space} does not take this code: it is not known, was used, or is over. Ask for a "
        "new one."
    )


class NotASpace(SpaceError):
    """What answers there does not register gateways."""

    sentence = (
        "No Passerelle space answers at {space}. Another FHIR server is connected with --token, or with "
        "--token-url, --client-id and --client-secret-file."
    )


class AlreadyConnected(SpaceError):
    """This person feeds that space."""

    sentence = "This person feeds the space at {space} already. To begin anew, disconnect it first."


class NotThere(SpaceError):
    """An address without a FHIR R4 endpoint."""

    sentence = "No FHIR R4 server answers at {space}. Give the address of its FHIR endpoint."


class FedElsewhere(SpaceError):
    """Another process feeds this space now."""

    sentence = "Another process is telling the space at {space} now. Try again in a minute."


class SpaceContends(SpaceError):
    """Somebody else changes the same readings there at the same time."""

    sentence = (
        "The readings at {space} are being changed by somebody else at this moment. What waits is told by a "
        "later try."
    )

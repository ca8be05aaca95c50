"""What a person sees where the system itself asks: the passkey, and the right to use Bluetooth.

On Linux Passerelle asks by itself. On macOS and Windows the system does, in windows of its own, and these are
the words that go with them. They follow the makers' documentation and bleak's backends; nobody has followed
them on such a machine yet (README, "On Windows and on a Mac").
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SystemWords:
    """Sentences of the catalogue for one system."""

    pairing: str
    """Where the six digits are typed."""
    permission: str
    """What it asks the first time."""
    allow: str
    """Where a refusal is taken back."""
    forget: str
    """Where a pairing that went wrong is removed."""


WORDS: Final[Mapping[str, SystemWords]] = {
    "darwin": SystemWords(
        pairing=(
            "Your Mac opens a small window of its own and asks for a code. "
            "Type there the six digits that the meter shows, then choose Connect."
        ),
        permission="The first time, your Mac asks whether Passerelle may use Bluetooth: choose Allow.",
        allow=(
            "Open System Settings, then Privacy & Security, then Bluetooth, "
            "and switch on Passerelle (or Terminal, if you started it there)."
        ),
        forget=(
            "Open System Settings, then Bluetooth; choose the i beside the meter, then Forget This Device."
        ),
    ),
    "win32": SystemWords(
        pairing=(
            "Windows pairs in its own settings: open Settings, then Bluetooth & devices, then Add device, "
            "then Bluetooth. Choose the meter, type the six digits that it shows, and come back here."
        ),
        permission="Windows may ask whether apps may use Bluetooth: choose Yes.",
        allow=(
            "Open Settings, then Bluetooth & devices, and switch Bluetooth on; "
            "then Privacy & security, and let apps use your devices."
        ),
        forget=(
            "Open Settings, then Bluetooth & devices, then Devices; "
            "choose the dots beside the meter, then Remove device."
        ),
    ),
}
"""By `sys.platform`. A system that is not here leaves the asking to us."""


def of_system(platform: str = sys.platform) -> SystemWords | None:
    """The words for this system; None where Passerelle itself asks."""
    return WORDS.get(platform)

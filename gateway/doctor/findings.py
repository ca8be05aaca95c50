"""What the doctor may find: how bad it is, what it means, what to do next.

A finding has two sides. `shown` fills the sentences for the person at this machine. `facts` go into the
report that a helper receives: only numbers, truth values, versions and words of this program, never a text
that came from a file, a device, a person or the system (see `gateway.doctor.report`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from device_profiles.errors import PasserelleError

Fact = int | float | bool | str | None


class State(StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    WARN = "warn"
    """It works; something is missing or will be."""
    BAD = "bad"
    """Something does not work until somebody does what is said."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row of the table: a finding before it is found. `code` is its name in reports."""

    code: str
    state: State
    means: str
    then: str = ""
    """What to do next; empty where there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. `shown` stays on this machine, `facts` may leave it."""

    meaning: Meaning
    shown: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """How bad it is."""
        return self.meaning.state


def found(meaning: Meaning, facts: Mapping[str, Fact] | None = None, **shown: object) -> Finding:
    """A finding, with what fills its sentences."""
    return Finding(meaning, shown, facts or {})


def of_error(check: str, error: PasserelleError, state: State = State.BAD) -> Finding:
    """An error of ours as a finding: its sentence says what it means and what to do."""
    name = re.sub(r"(?<=.)([A-Z])", r"-\1", type(error).__name__).lower()
    return Finding(Meaning(f"{check}-{name}", state, error.sentence), dict(error.details))


def _ok(code: str, means: str) -> Meaning:
    return Meaning(code, State.OK, means)


def _warn(code: str, means: str, then: str) -> Meaning:
    return Meaning(code, State.WARN, means, then)


def _bad(code: str, means: str, then: str) -> Meaning:
    return Meaning(code, State.BAD, means, then)


# The doctor itself
NOT_LOOKED: Final = _warn(
    "not-looked",
    "This could not be looked at ({kind}).",
    "The rest was. Send the report to who helps you: passerelle doctor --report FILE",
)
TOO_SLOW: Final = _warn(
    "too-slow",
    "This took longer than {seconds} seconds, so it was left.",
    "Run passerelle doctor again; if it stays so, start the computer anew.",
)

# Program
PROGRAM: Final = _ok("program", "Passerelle {version} on Python {python}.")
PROGRAM_OLD_PYTHON: Final = _bad(
    "program-old-python",
    "Passerelle needs Python 3.11 or newer, and this is {python}.",
    "Install it again with a newer one: pipx install --python python3.11 passerelle",
)
PARTS_MISSING: Final = _bad(
    "program-parts-missing",
    "Parts of Passerelle are missing: {names}.",
    "Install it again: pipx reinstall passerelle",
)
NOT_INSTALLED: Final = _warn(
    "service-none",
    "Passerelle does not start by itself, so meters are read only when you ask for it.",
    "Let it start with your session: passerelle install",
)
INSTALLED: Final = _ok("service", "Passerelle starts by itself with your session.")
INSTALLED_STOPPED: Final = _warn(
    "service-stopped",
    "Passerelle is set to start with your session, and is not running now.",
    "Start it: passerelle install",
)
INSTALLED_CHANGED: Final = _warn(
    "service-changed",
    "Something of what was installed was changed or taken away: {names}.",
    "If that was not you: remove it if it is still there, then run passerelle install.",
)

# Home
HOME: Final = _ok("home", "Your readings lie in {folder}, closed to other users of this computer.")
HOME_NONE: Final = _ok("home-none", "Nothing is stored yet; your readings will lie in {folder}.")
HOME_OPEN: Final = _bad(
    "home-open",
    "Other users of this computer can look into {folder}.",
    "Close it: chmod 700 '{folder}'",
)
HOME_OF_ANOTHER: Final = _bad(
    "home-of-another",
    "{folder} belongs to another user of this computer.",
    "Run Passerelle as that user, or choose another folder with PASSERELLE_HOME.",
)
HOME_READ_ONLY: Final = _bad(
    "home-read-only",
    "Nothing can be written into {folder}.",
    "Give yourself the right to write there, or choose another folder with PASSERELLE_HOME.",
)
SECRET_MISSING: Final = _bad(
    "home-secret-missing",
    "The file that opens your shared links is gone from {folder}.",
    "Take it back from a backup: passerelle restore. Your readings are not touched by this.",
)
FILE_OPEN: Final = _bad(
    "home-file-open",
    "Other users of this computer can read {name} in {folder}.",
    "Close it: chmod 600 '{folder}/{name}'",
)

# Disk
DISK: Final = _ok("disk", "There is room on the disk: {free}.")
DISK_LOW: Final = _warn(
    "disk-low",
    "Little room is left on the disk: {free}.",
    "Make room soon: empty the bin, move films or photos.",
)
DISK_FULL: Final = _bad(
    "disk-full",
    "The disk is almost full: {free} left. New readings may not be stored.",
    "Make room now: empty the bin, move films or photos. Your meter keeps its readings until then.",
)

# Clock of this computer
CLOCK: Final = _ok("clock", "The clock of this computer is set by the network.")
CLOCK_UNKNOWN: Final = _ok("clock-unknown", "This computer shows {time}: compare it with a watch.")
CLOCK_BY_HAND: Final = _warn(
    "clock-by-hand",
    "The clock of this computer is not set by the network; it shows {time}.",
    "If that is wrong, turn on automatic date and time in the settings of the computer.",
)
CLOCK_BEHIND: Final = _bad(
    "clock-behind",
    "The clock of this computer shows {time}, which lies in the past.",
    "Set the date and the time of the computer before you read a meter: readings are placed in time by it.",
)
CLOCK_SET_BACK: Final = _bad(
    "clock-set-back",
    "The clock of this computer was set back: something was stored at a time that has not come yet.",
    "Set the date and the time of the computer, then run passerelle doctor again.",
)

# Radio
RADIO: Final = _ok("radio", "Bluetooth is there and on.")
RADIO_ELSEWHERE: Final = _ok("radio-elsewhere", "Bluetooth goes through PASSERELLE_BLE, and answers.")
RADIO_IN_USE: Final = _ok("radio-in-use", "Bluetooth is in use by Passerelle itself.")
RADIO_NO_BUS: Final = _bad(
    "radio-no-bus",
    "The part of the system that Bluetooth is asked through (D-Bus) does not answer.",
    "Start the computer anew. In a container, lend it /run/dbus/system_bus_socket.",
)
RADIO_NO_SERVICE: Final = _bad(
    "radio-no-service",
    "The Bluetooth service of this computer is not running.",
    "Start it: sudo systemctl enable --now bluetooth (if it is not there: sudo apt install bluez)",
)
RADIO_NOT_ALLOWED: Final = _bad(
    "radio-not-allowed",
    "This user may not use Bluetooth.",
    "Ask who looks after the computer to add you to the group bluetooth, then log out and in again.",
)
RADIO_NONE: Final = _bad(
    "radio-none",
    "This computer has no Bluetooth that can be seen.",
    "Plug a Bluetooth adapter into a USB port, or turn Bluetooth on where the computer starts (BIOS).",
)
RADIO_OFF: Final = _bad(
    "radio-off", "Bluetooth is turned off.", "Turn it on in the settings of the computer, then try again."
)
RADIO_BLOCKED: Final = _bad(
    "radio-blocked",
    "Bluetooth is blocked, as in aeroplane mode.",
    "Leave aeroplane mode, or run: rfkill unblock bluetooth",
)
RADIO_BLOCKED_HARD: Final = _bad(
    "radio-blocked-hard",
    "Bluetooth is blocked by a switch of the computer.",
    "Look for a switch on its side, or a key with an aeroplane or an antenna on it.",
)
KERNEL: Final = _warn(
    "radio-kernel",
    "This version of the system stops Bluetooth when a meter has forgotten this computer.",
    "Install the updates of the system. Until then, if Bluetooth stops answering, start the computer anew.",
)

# Bonds
BONDS: Final = _ok("bonds", "Every meter you paired still knows this computer.")
BONDS_NONE: Final = _ok("bonds-none", "No meter is paired yet.")
BONDS_UNKNOWN: Final = _ok(
    "bonds-unknown", "Only the system knows which meters are paired; reading one shows it."
)
BOND_GONE: Final = _bad(
    "bonds-gone",
    "This computer has forgotten the pairing with: {names}.",
    "Pair again: passerelle pair. No reading is lost by it.",
)
BONDS_UNREADABLE: Final = _bad(
    "bonds-unreadable",
    "The file with the pairings cannot be read.",
    "Pair each meter again: passerelle pair. No reading is lost by it.",
)

# Database
DATABASE: Final = _ok("database", "The database is in order: {server}, {readings} readings, {size}.")
DATABASE_NONE: Final = _ok("database-none", "The database will be made when it is first needed.")
DATABASE_DAMAGED: Final = _bad(
    "database-damaged",
    "The disk gave back something else than was written, {count} times.",
    "Make a backup now (passerelle backup), and let somebody look at the disk.",
)

# Shelf, spaces, syncs
SHELF: Final = _ok("shelf", "The shelf that carries your links answers.")
SHELF_NONE: Final = _ok("shelf-none", "The shelf does not run at the moment; no link of yours needs it.")
SHELF_SILENT: Final = _warn(
    "shelf-silent",
    "The shelf that carries your links does not answer, so nobody can open them now.",
    "Start it: passerelle serve. If it is somebody else's, check the network and PASSERELLE_SHELF_URL.",
)
WAITING_NONE: Final = _ok("waiting-none", "Nothing waits to be sent.")
WAITING: Final = _ok("waiting", "{count} readings or links wait to be sent; that happens by itself.")
WAITING_PAUSED: Final = _warn(
    "waiting-paused",
    "A space that you feed did not answer last time; {count} readings wait.",
    "Nothing is lost, it is tried again. See: passerelle space status",
)
WAITING_SHUT: Final = _bad(
    "waiting-shut",
    "A space that you feed does not let this computer in any more; {count} readings wait.",
    "See what to do: passerelle space status",
)
SYNC: Final = _ok("sync", "Every meter was read within the last two weeks.")
SYNC_LONG_AGO: Final = _warn(
    "sync-long-ago",
    "Not read for more than two weeks: {names}.",
    "Wake the meter near this computer, then run: passerelle sync",
)
BATTERY_LOW: Final = _warn(
    "sync-battery",
    "The battery is almost empty in: {names}.",
    "Change it soon; the meter keeps its readings.",
)
METER_CLOCK: Final = _warn(
    "sync-clock",
    "The clock is wrong by more than ten minutes in: {names}.",
    "Set it on the meter, or see: passerelle devices --help. Readings are placed in time all the same.",
)

"""What can go wrong with a virtual device, asked for by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from device_profiles.virtual_effects import Frame


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, by name. Records are counted from 1 in each answer."""

    disconnect_after: int | None = None
    """Drop the link after so many records."""
    disconnect_at: int | None = None
    """Drop the link instead of this message, counted from 1 in each connection, whatever it is: what is read,
    written or subscribed to, a notification, an indication."""
    silent_control_point: bool = False
    """Never answer a request for records."""
    silent_after: int | None = None
    """Say nothing more after so many records; the link stays."""
    abort_after: int | None = None
    """End the procedure after so many records: "not completed"."""
    busy: bool = False
    """Refuse requests for records, as if an earlier one were still running."""
    garbled_answer: bool = False
    """The answer that ends the procedure lacks its last byte."""
    no_incremental: bool = False
    """Refuse to give the records from a number on."""
    empty_incremental: bool = False
    """Say that there are none from a number on, whatever there is."""
    ignored_filter: bool = False
    """Give everything, whatever is asked for."""
    newest_first: bool = False
    """Send the newest record first."""
    by_number: bool = False
    """Send the records by their numbers, whatever their age."""
    slow_seconds: float = 0
    """Wait so long before each message; the radio side does it."""
    refuse_passkey: bool = False
    """Refuse every passkey; the radio side does it."""
    malformed: int | None = None
    """This record has an impossible month."""
    truncated: int | None = None
    """This record lacks its last byte."""
    overlong: int | None = None
    """This record has a byte too many."""
    duplicate: bool = False
    """Each frame is sent twice."""
    late_context: bool = False
    """Contexts come after the answer."""
    no_context: bool = False
    """Contexts never come, though they are announced."""
    clock_error_seconds: int = 0
    """How far the clock is ahead, until it is set."""
    clock_write_ignored: bool = False
    """A time that is written is confirmed, and the clock stays as it was."""
    clock_read_only: bool = False
    """The clock takes no time from outside."""


NO_FAULTS: Final = Faults()


def damaged(frame: Frame, faults: Faults, number: int) -> Frame:
    """The frame of a measurement that is sent as number so and so."""
    value = frame.value
    if number == faults.malformed:
        value = value[:5] + b"\x0d" + value[6:]
    elif number == faults.truncated:
        value = value[:-1]
    elif number == faults.overlong:
        value += b"\x00"
    return replace(frame, value=value)

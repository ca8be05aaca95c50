"""Captured syncs: what was on the air between a client and a device, as JSON.

    {"device": "…", "source": "…", "sessions": [[
        {"t_ms": 263.9, "dir": "client", "op": "write", "char": "2A52", "hex": "0101"},
        {"t_ms": 308.4, "dir": "device", "op": "notify", "char": "2A18", "hex": "0B04…"}, …]]}

`op` is `write`, `read`, `notify` or `indicate`; `char` a 16-bit UUID, with `/CCCD` for its client
configuration. A frame may hold any bytes: what a device sent is what it sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from device_profiles.errors import DeviceError


class CaptureUnreadable(DeviceError):
    """A transcript is not of this form. `where` names the place as a JSON path."""

    sentence = "This capture cannot be read (at {where}). Check that the file is whole, then try again."

    def __init__(self, where: str) -> None:
        self.where = where
        super().__init__(where=where)


class DeviceEvent(NamedTuple):
    """What the device sent."""

    operation: str
    characteristic: int
    value: bytes


def read_sessions(transcript: object) -> tuple[tuple[DeviceEvent, ...], ...]:
    """What the device sent in each session, in order. Raises CaptureUnreadable."""
    sessions = transcript.get("sessions") if isinstance(transcript, Mapping) else None
    if not isinstance(sessions, list) or not sessions:
        raise CaptureUnreadable("$.sessions")
    return tuple(_session(session, f"$.sessions[{at}]") for at, session in enumerate(sessions))


def _session(session: object, where: str) -> tuple[DeviceEvent, ...]:
    if not isinstance(session, list):
        raise CaptureUnreadable(where)
    events = (_event(event, f"{where}[{at}]") for at, event in enumerate(session))
    return tuple(event for event in events if event is not None)


_OPERATIONS: Final = ("write", "read", "notify", "indicate")
_CHARACTERISTIC: Final = re.compile(r"(?:0[xX])?([0-9A-Fa-f]{4})(/CCCD)?")
_LONGEST_VALUE: Final = 512
"""Bytes of an attribute (Bluetooth Core, Vol 3 Part F §3.2.9): no link carries more, the rest is cut."""


def _event(event: object, where: str) -> DeviceEvent | None:
    """What the device sent; None where the client acted."""
    if not isinstance(event, Mapping):
        raise CaptureUnreadable(where)
    if event.get("dir") not in ("client", "device"):
        raise CaptureUnreadable(f"{where}.dir")
    if event.get("op") not in _OPERATIONS:
        raise CaptureUnreadable(f"{where}.op")
    characteristic = _CHARACTERISTIC.fullmatch(str(event.get("char")))
    if characteristic is None:
        raise CaptureUnreadable(f"{where}.char")
    value = _value(event.get("hex"), f"{where}.hex")
    if event["dir"] == "client" or characteristic[2]:
        return None
    return DeviceEvent(event["op"], int(characteristic[1], 16), value)


def _value(text: object, where: str) -> bytes:
    try:
        value = bytes.fromhex(text if isinstance(text, str) else "not hexadecimal")
    except ValueError:
        raise CaptureUnreadable(where) from None
    return value[:_LONGEST_VALUE]

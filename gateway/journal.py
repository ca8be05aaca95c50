"""What a device gives once is on the disk before it is confirmed: a journal beside the database.

A cuff without a control point sends a reading, and takes the confirmation of the indication as the promise
that it is kept; many forget it then. The confirmation is sent when our callback has returned (over Bumble; a
platform's own stack sends it before it tells us, see docs/decisions/0054), and a callback cannot wait for a
database. So it appends the value to a file and has it written through (`fsync`): after that no kill and no
power cut loses it. What is stored in the database is taken out of the journal; what is still in it when a
device is read again, or the program starts, is stored then. Both may happen to the same value, since the
moment at which it came is in the journal too: it is the same record.

A file is one person's device: its first line says whose and which, each further line is one value. A last
line that was not written to its end was not confirmed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from device_profiles import catalogue
from device_profiles.errors import PasserelleError
from device_profiles.profile import DeviceProfile, Heard
from device_profiles.reading import Device, DeviceIdentity
from gateway.ble.arrivals import Arrivals

FOLDER: Final = "taken"
"""In the home; nothing is in it but while a device is being read, or after a kill."""


_OPEN: Final[set[Path]] = set()
"""Those that this process is writing: nobody takes them away under it. Other processes have no radio then."""


class Journal:
    """What one device of a person gives in one connection."""

    def __init__(self, path: Path, patient: UUID, device: Device, zone: ZoneInfo) -> None:
        self._path = path
        self._head = {"patient": str(patient), "device": asdict(device), "zone": zone.key}
        self._descriptor: int | None = None

    @classmethod
    def of(cls, home: Path, patient: UUID, device: Device, zone: ZoneInfo) -> Journal:
        """The journal of this device of this person, in the home; nothing is written yet."""
        named = f"{patient}/{device.identity.scheme}/{device.identity.value}"
        return cls(home / FOLDER / f"{sha256(named.encode()).hexdigest()[:32]}.jsonl", patient, device, zone)

    def keep(self, heard: Heard, characteristic: int, value: bytes) -> None:
        """Have a value on the disk when this returns. Raises OSError: then it must not be confirmed."""
        if self._descriptor is None:
            self._begin(heard.values)
        line = {
            "at": heard.at.isoformat() if heard.at else None,
            "characteristic": characteristic,
            "value": value.hex(),
        }
        self._append(line)

    def _begin(self, read_before: Mapping[int, bytes]) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        _OPEN.add(self._path)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        before = {str(uuid): value.hex() for uuid, value in read_before.items()}
        self._append(self._head | {"read_before": before})
        _sync_folder(self._path.parent)

    def _append(self, line: Mapping[str, Any]) -> None:
        assert self._descriptor is not None  # noqa: S101 - `_begin` opened it
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Leave it as it is: what is in it is not stored yet."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        _OPEN.discard(self._path)

    def done(self) -> None:
        """Everything in it is stored."""
        self._path.unlink(missing_ok=True)
        self.close()


@contextmanager
def keeping(journal: Journal | None) -> Iterator[None]:
    """What was written until the end of the block is stored by then; if not, it is left for the next time."""
    if journal is None:
        yield
        return
    try:
        yield
    except BaseException:
        journal.close()
        raise
    journal.done()


@dataclass(frozen=True, slots=True)
class Left:
    """What a connection left that was cut short: whose it is, and what had come."""

    path: Path
    patient: UUID
    device: Device
    zone: ZoneInfo
    arrived: Arrivals

    def done(self) -> None:
        """It is stored, or nobody's any more."""
        self.path.unlink(missing_ok=True)


def left_behind(home: Path) -> Iterator[Left]:
    """The journals that nobody has stored. One that cannot be read is left where it is."""
    with suppress(FileNotFoundError):
        for path in sorted((home / FOLDER).glob("*.jsonl")):
            if path not in _OPEN:
                with suppress(ValueError, KeyError, TypeError, PasserelleError):
                    yield _read(path)


def erase(home: Path, patient: UUID) -> None:
    """Nothing of this person is in a journal any more, in one that cannot be read either."""
    for path in (home / FOLDER).glob("*.jsonl"):
        with suppress(FileNotFoundError):
            if str(patient).encode() in path.read_bytes():
                path.unlink()


def _read(path: Path) -> Left:
    head, *lines = _lines(path)
    said = dict(head["device"])
    device = Device(**{**said, "identity": DeviceIdentity(**said["identity"])})
    zone = ZoneInfo(head["zone"])
    before = {int(uuid): bytes.fromhex(value) for uuid, value in head["read_before"].items()}
    profile = catalogue.by_name(device.profile or "")
    return Left(path, UUID(head["patient"]), device, zone, _arrived(profile, zone, before, lines))


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines that were written to their end. Raises ValueError for a file without one."""
    whole = path.read_bytes().split(b"\n")[:-1]
    if not whole:
        raise ValueError("a journal without its first line")
    # A kill between two connections leaves a second head; what follows it is of the same device.
    read = [json.loads(line) for line in whole]
    return [read[0], *(line for line in read[1:] if "value" in line)]


def _arrived(
    profile: DeviceProfile, zone: ZoneInfo, before: Mapping[int, bytes], lines: list[dict[str, Any]]
) -> Arrivals:
    """The values as they came, each at its moment."""
    moment: list[datetime | None] = [None]
    arrived = Arrivals(profile, lambda: Heard(moment[0], zone, before))
    for line in lines:
        moment[0] = None if line["at"] is None else datetime.fromisoformat(line["at"])
        arrived.measurement(bytes.fromhex(line["value"]), line["characteristic"])
    arrived.end()
    return arrived


def _sync_folder(folder: Path) -> None:
    """The name of a new file is on the disk too, where the system can say so."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

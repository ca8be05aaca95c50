"""The last time that everything of a device was read: what tells when its next records can have been made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from storage.connection import Connection
from storage.devices import StoredDevice
from storage.statements import statements

_SQL = statements("clock_looks")


@dataclass(frozen=True, slots=True)
class ClockLook:
    """One look at a device whose records were read to the end."""

    at: datetime | None
    """When; None where this machine's own clock was in doubt."""
    error_seconds: int | None
    """How far its clock was ahead, as a person sees it; None where it could not be read."""
    sequence: int | None = None
    """The highest number that it had then, in the order in which it numbers; None: no record."""


@dataclass(frozen=True, slots=True)
class LookedBefore:
    """What earlier looks left: the last that read everything and the clock; without one, everything."""

    look: ClockLook | None = None

    @property
    def measured(self) -> bool:
        """Whether the clock was ever read."""
        return self.look is not None and self.look.error_seconds is not None


async def before(conn: Connection, device: StoredDevice) -> LookedBefore:
    """What was kept of earlier looks. The device's row should be locked."""
    row = await (await conn.execute(_SQL["before"], _key(device))).fetchone()
    if row is None or row[0] is None:
        return LookedBefore()
    at, error, sequence = row
    return LookedBefore(ClockLook(at.astimezone(UTC), error, sequence))


async def keep(conn: Connection, device: StoredDevice, look: ClockLook) -> None:
    """Keeps the last look; the device's row must be locked. One by a clock in doubt is none."""
    if look.at is None:
        return
    values = {"at": look.at, "sequence": look.sequence, "error_seconds": look.error_seconds}
    await conn.execute(_SQL["keep"], {**_key(device), **values})


async def forget(conn: Connection, patient_id: int) -> None:
    """Nothing is known of the clocks of a person's devices any more, nor what was allowed."""
    await conn.execute(_SQL["forget"], {"patient_id": patient_id})


def _key(device: StoredDevice) -> Mapping[str, int]:
    return {"patient_id": device.patient_id, "device_id": device.device_id}

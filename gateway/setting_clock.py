"""Setting the clock of a meter: only after its records were read, only where asked for or plainly wrong.

A clock that is set before the records are read takes away what would tell when they were: so whoever reads a
meter calls `set_if_wanted` when everything is stored. A meter may report that its clock was set and leave it
as it was (seen: eigger/hass-omron#190), so it is read again, and what it shows then is told and kept. Whether
or not it held, the next reading measures the clock anew: nothing is placed by what we wrote.

A clock is set to what a right one shows where the person lives. Some meters let their clock be read as the
base time of their records, others as what they show (see `gateway.clock.error_shown`): what is written is
what was read less the error, so that the meaning stays whichever it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from device_profiles.procedures.record_access import AttributeRefused
from device_profiles.services import current_time
from device_profiles.services.current_time import CurrentTime
from device_profiles.wire import DateTime
from gateway.ble.connection import Connection
from storage.database import Database
from storage.devices import ClockPolicy, StoredDevice, clock_was_set

PLAINLY_WRONG_SECONDS: Final = 600
"""Beyond this a clock is wrong, not drifting: a quartz that loses a minute a month needs most of a year for
it, and a meal mark or a day's curve is off by what a person notices."""

HELD_SECONDS: Final = 60
"""A clock that was set is as near as this: meters that show minutes drop the seconds."""

BY_REFERENCE: Final = 0x02
"""Why it is adjusted (CTS §3.1.2.4): by an external reference of time."""


class ClockOutcome(StrEnum):
    """What became of a clock."""

    LEFT = "left"
    """Nobody asked, and it is not plainly wrong; or it must not be set."""
    NO_CLOCK = "no-clock"
    """There is none that can be read."""
    SET = "set"
    """Set, and read back."""
    NOT_WRITABLE = "not-writable"
    """The meter takes no time from outside: it is set with its own buttons."""
    REFUSED = "refused"
    """The meter refused this one."""
    NOT_CHANGED = "not-changed"
    """The meter reported success, and shows another time all the same."""


@dataclass(frozen=True, slots=True)
class ClockSetting:
    """What was done to a clock. Errors in seconds, positive: ahead; `after` is None where it was left."""

    outcome: ClockOutcome
    error_before: int | None = None
    error_after: int | None = None

    @property
    def tried(self) -> bool:
        """Whether a time was written to it."""
        return self.outcome in {ClockOutcome.SET, ClockOutcome.REFUSED, ClockOutcome.NOT_CHANGED}


LEFT: Final = ClockSetting(ClockOutcome.LEFT)


def is_wanted(policy: ClockPolicy, error: int | None, *, asked: bool) -> bool:
    """Whether a clock that is wrong by so many seconds shall be set. None: what it shows says nothing."""
    if error is None or policy is ClockPolicy.NEVER:
        return False
    return asked or (policy is ClockPolicy.AUTO and abs(error) > PLAINLY_WRONG_SECONDS)


async def set_if_wanted(
    connection: Connection, device: StoredDevice, error: int | None, zone: tzinfo
) -> ClockSetting:
    """Set the clock of a device that was just read and stored, where its person wants that.

    `error`: how far its clock was ahead, as the person sees it; None where it could not be read, or where
    this computer's own clock is in doubt: then nothing is written. Raises PairingNeeded, ConnectionLost,
    DeviceSilent; everything was stored before.
    """
    if not is_wanted(device.clock_policy, error, asked=device.clock_set_asked_at is not None):
        return LEFT
    assert error is not None  # noqa: S101 - `is_wanted` says so
    return await set_clock(connection, error, zone)


async def set_and_keep(
    connection: Connection, database: Database, device: StoredDevice, error: int | None, zone: tzinfo
) -> ClockSetting:
    """`set_if_wanted`, and keep what the clock shows then. Raises as it, and StorageError."""
    setting = await set_if_wanted(connection, device, error, zone)
    if setting.error_after is not None and setting.tried:
        async with database.writer() as conn:
            await clock_was_set(conn, device, setting.error_after)
    return setting


async def set_clock(connection: Connection, error: int, zone: tzinfo) -> ClockSetting:
    """Write the right time to a clock that is ahead by `error` seconds, and read it back."""
    characteristic = connection.profile.clock
    read = await connection.clock_error(zone)
    if characteristic is None or read is None:
        return ClockSetting(ClockOutcome.NO_CLOCK, error)
    if not connection.takes(characteristic):
        return ClockSetting(ClockOutcome.NOT_WRITABLE, error)
    # What is read less what the person sees: minutes from local time to what the clock counts in.
    apart = timedelta(minutes=round((read - error) / 60))
    refused = False
    try:
        await connection.write(characteristic, _value(characteristic, datetime.now(zone) + apart))
    except AttributeRefused as refusal:
        if refusal.code == WRITE_NOT_PERMITTED:
            return ClockSetting(ClockOutcome.NOT_WRITABLE, error)
        refused = refusal.code != DATA_FIELD_IGNORED
    shown = await connection.clock_error(zone)
    after = None if shown is None else shown - round(apart.total_seconds())
    if after is not None and abs(after) <= HELD_SECONDS:
        return ClockSetting(ClockOutcome.SET, error, after)
    outcome = ClockOutcome.REFUSED if refused else ClockOutcome.NOT_CHANGED
    return ClockSetting(outcome, error, after)


WRITE_NOT_PERMITTED: Final = 0x03
"""Of the attribute protocol (Core Vol 3 Part F §3.4.1.1): the value cannot be written at all."""
DATA_FIELD_IGNORED: Final = 0x80
"""Of the Current Time Service (CTS §1.5): the time was taken, and a part of the value was not."""


def _value(characteristic: int, moment: datetime) -> bytes:
    """A moment as the characteristic carries it."""
    time = DateTime.of(moment)
    if characteristic == current_time.CURRENT_TIME:
        fractions = moment.microsecond * 256 // 1_000_000
        return CurrentTime(time, moment.isoweekday(), fractions, BY_REFERENCE).encode()
    return time.encode()

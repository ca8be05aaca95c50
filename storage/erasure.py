"""Erasing: readings and all that lies around them, once and for all, with a receipt.

No role that works may delete a reading. It may call functions of the owner that write a receipt in the same
transaction (migrations/base/0050), so an erasure that is interrupted did not happen. A receipt says what was
to go, when, and how many of each went; of the content it has a hash of salted keys. What a space holds is
marked for the outbox, and the space's own receipt is completed when it confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNKNOWN_TIME, ClockSegment, Kind
from storage import clock_looks, clock_segments, devices, household, outbox, patients, questions, receipts
from storage.annotations import ReadingKey
from storage.columns import microseconds, moment
from storage.connection import Connection
from storage.erased_records import erased_rows, salt_of
from storage.errors import UnknownPatient
from storage.patients import Patient
from storage.receipts import Reason, Receipt, Scope
from storage.statements import statements
from storage.touched_days import TouchedDays

TO_ERASE: Final = 9
"""`state` of a delivery that the space shall erase; the number stands in migrations/base/0050 too."""

BATCH: Final = 10_000
"""Readings that are erased by one statement: what it opens of a compressed month stays bounded."""

ALWAYS: Final = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)

_SQL = statements("erasure")


@dataclass(frozen=True, slots=True, eq=False)
class _Keys:
    """Keys of one device, and when the readings were. Times in microseconds since 1970 in UTC."""

    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]
    ordinal: npt.NDArray[np.int16]
    effective_time: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sequence)

    def batches(self) -> Iterator[dict[str, Any]]:
        """The keys as the statement takes them, in order of time, BATCH at a time."""
        order = np.argsort(self.recorded_at, kind="stable")
        for begin in range(0, len(order), BATCH):
            rows = order[begin : begin + BATCH]
            yield {
                "recorded_at": [moment(each) for each in self.recorded_at[rows].tolist()],
                "sequence": self.sequence[rows].tolist(),
                "ordinal": self.ordinal[rows].tolist(),
            }


async def erase(
    conn: Connection, patient: Patient, scope: Scope, now: datetime, reason: Reason = Reason.ASKED
) -> Receipt:
    """Erases what a scope says, in the transaction of `conn`. Raises UnknownPatient.

    At a space it counts against the tenant's bounds no more; `erase_records` leaves that to who counts.
    """
    work = await _Work.begin(conn, patient, scope, now, reason)
    if scope.by_key:
        for device_id in await _devices(conn, patient, scope):
            await work.erase_keys(device_id, await _keys_of_scope(conn, patient, device_id, scope, reason))
    else:
        await work.erase_device(scope.device_id)
    if scope.whole:
        if scope.everything:
            await conn.execute(_SQL["leave_tenant"], work.key)
        await conn.execute(_SQL["erase_person"], work.key)
        if scope.everything:
            await clock_looks.forget(conn, patient.patient_id)
            await household.erase(conn, patient.patient_id)
            await questions.erase_users(conn, patient.patient_id)
    receipt = await work.finish()
    if receipt.readings:
        values = {"patient_id": patient.patient_id, "readings": receipt.readings}
        await conn.execute(_SQL["fewer_readings"], values)
    return receipt


async def erase_records(
    conn: Connection,
    patient_id: int,
    keys: Iterable[ReadingKey],
    *,
    now: datetime | None = None,
    reason: Reason = Reason.GATEWAY,
) -> Receipt:
    """Erases these readings of a patient, with what lies beside them; a key that is not there is passed over.

    One receipt for all of them. Raises UnknownPatient.
    """
    patient = await patients.get(conn, patient_id)
    of_device: dict[int, list[ReadingKey]] = {}
    for key in keys:
        of_device.setdefault(key.device_id, []).append(key)
    scope = Scope(device_id=next(iter(of_device)) if len(of_device) == 1 else None)
    work = await _Work.begin(conn, patient, scope, now or datetime.now(UTC), reason)
    work.partial = True
    in_force = await clock_segments.of_patient(conn, patient_id)
    for number, named in sorted(of_device.items()):
        await work.erase_keys(number, _named(named, in_force.get(number, ())))
    return await work.finish()


async def count(
    conn: Connection, patient: Patient, scope: Scope, reason: Reason = Reason.ASKED
) -> Mapping[int, int]:
    """How many readings a scope has now, by device_id."""
    found = {}
    for device_id in await _devices(conn, patient, scope):
        if scope.by_key:
            found[device_id] = len(await _keys_of_scope(conn, patient, device_id, scope, reason))
        else:
            key = {"patient_id": patient.patient_id, "device_id": device_id}
            row = await (await conn.execute(_SQL["count_of_device"], key)).fetchone()
            found[device_id] = int(row[0]) if row else 0
    return found


async def spaces_holding(conn: Connection, patient_id: int) -> Mapping[str, bool]:
    """The addresses of the spaces that hold readings of a patient, and whether they can be told of it."""
    rows = await (await conn.execute(_SQL["spaces"], {"patient_id": patient_id})).fetchall()
    return {row[0]: row[1] for row in rows}


async def sweep(conn: Connection) -> None:
    """Writes the tables anew, so that no page of them, nor what the planner remembers, keeps what was erased.

    For the owner of a home's own server, on a connection that is in no transaction; it waits for who works
    and lets nobody work meanwhile. What it cannot reach: the write-ahead log, until it is written over.
    """
    await conn.set_autocommit(True)
    try:
        await conn.execute(_SQL["patience"])
        for statement in ("forget_months", "sweep_months", "sweep", "forget_columns", "sweep_catalogue"):
            await conn.execute(_SQL[statement])
    finally:
        await conn.execute(_SQL["no_patience"])
        await conn.set_autocommit(False)


async def told(conn: Connection, patient_id: int, space_id: UUID, now: datetime) -> int:
    """A space has erased all that it was asked to; how many receipts that completes. Idempotent.

    Nothing happens while deliveries to it are still marked TO_ERASE. A person who was erased with everything
    is gone for good with the last space that confirms.
    """
    values = {"patient_id": patient_id, "space_id": space_id, "now": now}
    row = await (await conn.execute(_SQL["told"], values)).fetchone()
    return int(row[0]) if row else 0


async def given_up(conn: Connection, patient_id: int, space_id: UUID, now: datetime) -> int:
    """A space takes no erasures: its receipts say that it was not told; how many those are. Idempotent.

    A person who was erased with everything does not wait for it.
    """
    values = {"patient_id": patient_id, "space_id": space_id, "now": now}
    row = await (await conn.execute(_SQL["given_up"], values)).fetchone()
    return int(row[0]) if row else 0


async def erased(conn: Connection, patient_id: int, keys: Sequence[ReadingKey]) -> frozenset[ReadingKey]:
    """Which of these readings, that are not there, were erased."""
    of_device: dict[int, list[ReadingKey]] = {}
    for key in keys:
        of_device.setdefault(key.device_id, []).append(key)
    found: list[ReadingKey] = []
    for device_id, named in of_device.items():
        device = {"patient_id": patient_id, "device_id": device_id}
        salt = await salt_of(conn, device)
        if salt is not None:
            wanted = _named(named, ())
            rows = await erased_rows(conn, device, salt, wanted.recorded_at, wanted.sequence)
            found += [named[row] for row in np.flatnonzero(rows).tolist()]
    return frozenset(found)


async def allow_again(conn: Connection, patient_id: int, device_id: int) -> None:
    """What was erased of a device comes again the next time that it is read from the start."""
    await conn.execute(_SQL["allow_again"], {"patient_id": patient_id, "device_id": device_id})


async def forget_told_shares(conn: Connection, patient_id: int) -> None:
    """Throws away what is left of the shares that were erased, where the shelf knows that they ended."""
    await conn.execute(_SQL["forget_told_shares"], {"patient_id": patient_id})


class _Work:
    """An erasure under way: its receipt is open, the rows of the person and the devices are held."""

    def __init__(self, conn: Connection, patient: Patient, scope: Scope, key: Mapping[str, object]) -> None:
        self._conn = conn
        self._patient = patient
        self._scope = scope
        self.key = key
        self._touched: list[int] = []
        self.partial = not scope.whole

    @classmethod
    async def begin(
        cls, conn: Connection, patient: Patient, scope: Scope, now: datetime, reason: Reason
    ) -> _Work:
        key = {"patient_id": patient.patient_id, "erasure_id": uuid4(), "now": now}
        values = {
            "reason": int(reason),
            "device_id": scope.device_id,
            "kinds": None if scope.kinds is None else [int(kind) for kind in scope.kinds],
            "first_day": scope.first,
            "last_day": scope.last,
            "everything": scope.everything,
        }
        row = await (await conn.execute(_SQL["begin"], {**key, **values})).fetchone()
        if row is None or not row[0]:
            raise UnknownPatient
        return cls(conn, patient, scope, key)

    async def erase_keys(self, device_id: int, keys: _Keys) -> None:
        """Readings of one device, one by one; the days that had them are summarised again."""
        days_only = self._scope.by_key and self._scope.kinds is None  # a refused frame has no kind
        frames = _bounds(self._scope, self._patient.zone) if days_only else None
        if not len(keys) and frames is None:
            return
        device = {"patient_id": self._patient.patient_id, "device_id": device_id}
        in_force = (await clock_segments.of_patient(self._conn, device["patient_id"])).get(device_id, ())
        for batch in keys.batches():
            await self._conn.execute(_SQL["erase_readings"], {**self.key, "device_id": device_id, **batch})
        if len(keys):
            days = TouchedDays.of(device, self._patient.zone, in_force, keys.effective_time)
            await days.renew(self._conn)
            self._touched.append(device_id)
        around = {
            "first": moment(int(keys.recorded_at.min())) if len(keys) else ALWAYS[1],
            "last": moment(int(keys.recorded_at.max())) if len(keys) else ALWAYS[0],
            "frames_from": frames[0] if frames else ALWAYS[1],
            "frames_until": frames[1] if frames else ALWAYS[0],
        }
        await self._conn.execute(_SQL["erase_around"], {**self.key, "device_id": device_id, **around})

    async def erase_device(self, device_id: int | None) -> None:
        """All of a device, or of every device."""
        values = {"device_id": device_id, "recorded_at": None, "sequence": None, "ordinal": None}
        await self._conn.execute(_SQL["erase_readings"], {**self.key, **values})
        self._touched += await _devices(self._conn, self._patient, self._scope)

    async def finish(self) -> Receipt:
        """Tells the spaces and the shelf; the receipt."""
        patient_id = self._patient.patient_id
        await questions.erase(self._conn, patient_id)
        receipt = await receipts.get(self._conn, self.key)
        if any(space.waits for space in receipt.spaces):
            for device_id in self._touched:
                await outbox.erased(self._conn, patient_id, device_id)
        if self.partial and self._touched:
            await self._conn.execute(_SQL["reseal_shares"], {"patient_id": patient_id})
        return receipt


def _bounds(scope: Scope, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The moments between which a scope's days lie, the second one not included."""
    first = ALWAYS[0] if scope.first is None else datetime.combine(scope.first, time.min, zone)
    last = ALWAYS[1]
    if scope.last is not None:
        last = datetime.combine(scope.last + timedelta(days=1), time.min, zone)
    return first, last


async def _devices(conn: Connection, patient: Patient, scope: Scope) -> list[int]:
    if scope.device_id is not None:
        return [(await devices.get(conn, patient.patient_id, scope.device_id)).device_id]
    known = await devices.of_patient(conn, patient.patient_id, forgotten=True)
    return [device.device_id for device in known]


async def _keys_of_scope(
    conn: Connection, patient: Patient, device_id: int, scope: Scope, reason: Reason
) -> _Keys:
    """The readings of a device that are of the scope's kinds and days, by the segments in force.

    What no segment places is in no day. For retention it is as old as the time since which it is known that
    nothing places it.
    """
    start, end = (_microseconds(bound) for bound in _bounds(scope, patient.zone))
    dated = scope.first is not None or scope.last is not None
    in_force = (await clock_segments.of_patient(conn, patient.patient_id)).get(device_id, ())
    stretches = clock_segments.recorded_ranges(in_force, *((start, end) if dated else (None, None)))
    undated: tuple[ClockSegment, ...] = ()
    if reason is Reason.RETENTION:
        values = {"patient_id": patient.patient_id, "before": _bounds(scope, patient.zone)[1]}
        rows = await (await conn.execute(_SQL["undated"], values)).fetchall()
        undated = clock_segments.by_device(rows).get(device_id, ())
        stretches = clock_segments.merged(
            (*stretches, *(clock_segments.recorded_range(segment) for segment in undated)), 0
        )
    found = await _keys_within(conn, (patient.patient_id, device_id), scope.kinds, stretches, in_force)
    chosen = np.ones(len(found), np.bool_)
    if dated:
        chosen = (found.effective_time >= start) & (found.effective_time < end)
        chosen &= found.effective_time != UNKNOWN_TIME
        chosen |= clock_segments.covered(found.recorded_at, found.sequence, undated)
    names = ("recorded_at", "sequence", "ordinal", "effective_time")
    return _Keys(*(getattr(found, name)[chosen] for name in names))


async def _keys_within(
    conn: Connection,
    device: tuple[int, int],
    kinds: Sequence[Kind] | None,
    stretches: Sequence[clock_segments.Range],
    in_force: Sequence[ClockSegment],
) -> _Keys:
    parts: list[tuple[npt.NDArray[Any], ...]] = []
    for first, last in stretches:
        values = {
            "patient_id": device[0],
            "device_id": device[1],
            "first": moment(first),
            "last": moment(last),
            "kinds": None if kinds is None else [int(kind) for kind in kinds],
        }
        async with conn.cursor(binary=True) as cursor:
            await cursor.execute(_SQL["keys"], values)
            row = await cursor.fetchone()
        if row is not None and row[0] is not None:
            parts.append(row[:3])
    empty = (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int16))
    recorded_at, sequence, ordinal = (np.concatenate(column) for column in zip(empty, *parts, strict=True))
    placed = clock_segments.place(recorded_at, sequence, in_force)
    return _Keys(recorded_at, sequence, ordinal, placed.effective_time)


def _named(keys: Sequence[ReadingKey], in_force: Sequence[ClockSegment]) -> _Keys:
    """Keys of one device that were named, as columns."""
    recorded_at = microseconds([key.recorded_at for key in keys])
    sequence = np.array([key.sequence for key in keys], np.int32)
    ordinal = np.array([key.ordinal for key in keys], np.int16)
    placed = clock_segments.place(recorded_at, sequence, in_force)
    return _Keys(recorded_at, sequence, ordinal, placed.effective_time)


def _microseconds(at: datetime) -> int:
    return int(microseconds((at,))[0])

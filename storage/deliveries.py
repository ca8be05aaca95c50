"""What each space holds of which reading: the state, the space's own name for it, a digest of the content.

A row is written before a reading is sent for the first time (SENDING), so that nothing that may have reached
a space is unknown here, wherever the process ends; see docs/decisions/0032.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from storage import erasure
from storage.columns import microseconds, moment
from storage.connection import Connection
from storage.spaces import Pending, Space
from storage.statements import statements

UNSURE: Final = 0
"""The digest of what a space may hold in a version that is not known."""

_SQL = statements("deliveries")


class State(IntEnum):
    """What a space has of a reading. Stored: add, never renumber; 2 and 9 stand in an index (0020) too."""

    SENDING = 0
    """It may have it, or not."""
    TOLD = 1
    REFUSED = 2
    """It does not take it; `outcome` says why."""
    SHOWN = 3
    """It shows an older version, and takes no changes."""
    GONE = 4
    """It erased it by itself; it is not told again."""
    TO_ERASE = erasure.TO_ERASE


@dataclass(frozen=True, slots=True, eq=False)
class Delivered:
    """Deliveries of one device, a row each. Texts are empty and digests UNSURE where there is none."""

    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]
    ordinal: npt.NDArray[np.int16]
    state: npt.NDArray[np.int16]
    version: npt.NDArray[np.int32]
    digest: npt.NDArray[np.int64]
    remote_id: Sequence[str]
    etag: Sequence[str]

    def rows(self) -> dict[tuple[int, int, int], int]:
        """The row of each key."""
        keys = zip(self.recorded_at.tolist(), self.sequence.tolist(), self.ordinal.tolist(), strict=True)
        return {key: row for row, key in enumerate(keys)}


@dataclass(frozen=True, slots=True)
class ToErase:
    """One that a space is to erase. `remote_id` None: the space may have it, under a name not learned."""

    recorded_at: datetime
    sequence: int
    device_id: int
    ordinal: int
    remote_id: str | None
    kind: int | None


async def of_stretch(
    conn: Connection, space: Space, device_id: int, first: tuple[int, int, int], last: tuple[int, int, int]
) -> Delivered:
    """What a space was told of a device between two keys (microseconds, sequence, ordinal), both included."""
    values: dict[str, object] = {**space.key, "device_id": device_id}
    for name, key in (("first", first), ("last", last)):
        values |= {name: moment(key[0]), f"{name}_sequence": key[1], f"{name}_ordinal": key[2]}
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(_SQL["of_stretch"], values)
        row = await cursor.fetchone()
    if row is None or row[0] is None:
        none: list[Any] = [np.empty(0, kind) for kind in ("i8", "i4", "i2", "i2", "i4", "i8")]
        none += [[], []]
        return Delivered(*none)
    return Delivered(*row)


async def hold(conn: Connection, space: Space, device_id: int) -> int:
    """Holds a device so that nothing of it is erased until the transaction ends; see `erasures`."""
    await conn.execute(_SQL["hold_device"], {"patient_id": space.patient_id, "device_id": device_id})
    return await erasures(conn, space)


async def erasures(conn: Connection, space: Space) -> int:
    """How often something of the person was erased: readings that were read before may be there no more."""
    row = await (await conn.execute(_SQL["erasures"], {"patient_id": space.patient_id})).fetchone()
    return int(row[0]) if row else 0


async def put(
    conn: Connection,
    space: Space,
    device_id: int,
    delivered: Delivered,
    kind: npt.NDArray[np.int16],
    now: datetime,
    outcomes: Sequence[str] | None = None,
) -> None:
    """Keeps what became of these readings. `kind`, `outcomes` (why a space refuses): a row each."""
    columns = {name: getattr(delivered, name) for name in Delivered.__slots__}
    values = {"device_id": device_id, "kind": kind, "now": now}
    values["outcome"] = list(outcomes) if outcomes else [""] * len(kind)
    await conn.execute(_SQL["put"], {**space.key, **columns, **values})


async def ask_again(conn: Connection, space: Space) -> None:
    """A new connection: whether the space still has what it was told is asked again, by creating it once."""
    await conn.execute(_SQL["ask_again"], space.key)


async def to_erase(conn: Connection, space: Space, limit: int) -> tuple[ToErase, ...]:
    """Some of what a space is to erase."""
    rows = await (await conn.execute(_SQL["to_erase"], {**space.key, "limit": limit})).fetchall()
    return tuple(ToErase(*row) for row in rows)


async def forget(conn: Connection, space: Space, erased: Sequence[ToErase]) -> None:
    """The space erased these."""
    columns: dict[str, object] = {
        "recorded_at": [one.recorded_at for one in erased],
        "sequence": np.array([one.sequence for one in erased], np.int32),
        "device_id": np.array([one.device_id for one in erased], np.int16),
        "ordinal": np.array([one.ordinal for one in erased], np.int16),
    }
    await conn.execute(_SQL["forget"], {**space.key, **columns})


async def counts(conn: Connection, space: Space) -> dict[State, int]:
    """How many readings are in which state."""
    rows = await (await conn.execute(_SQL["counts"], space.key)).fetchall()
    return dict.fromkeys(State, 0) | {State(number): int(count) for number, count in rows}


async def refusals(conn: Connection, space: Space, limit: int = 10) -> tuple[tuple[str, int], ...]:
    """Why readings were refused and how many, the commonest first."""
    rows = await (await conn.execute(_SQL["refusals"], {**space.key, "limit": limit})).fetchall()
    return tuple((words, int(count)) for words, count in rows)


async def refused_stretches(conn: Connection, space: Space) -> dict[int, tuple[tuple[int, int], ...]]:
    """Where the refused readings of each device are, from the first to the last."""
    rows = await (await conn.execute(_SQL["refused_stretches"], space.key)).fetchall()
    found: dict[int, tuple[tuple[int, int], ...]] = {}
    for device_id, first, last in rows:
        begin, end = microseconds((first, last)).tolist()
        found[device_id] = ((begin, end),)
    return found


async def waiting(conn: Connection, space: Space, pending: Pending) -> tuple[int, int]:
    """How many readings a space was told nothing of, in what is pending; and how many it was told of."""
    there = told = 0
    for device_id, stretches in pending.stretches.items():
        for first, last in stretches:
            values = {**space.key, "device_id": device_id, "first": moment(first), "last": moment(last)}
            there += await _count(conn, "readings_of_stretch", values)
            told += await _count(conn, "told_of_stretch", values)
    return there - told, told


async def _count(conn: Connection, statement: str, values: Mapping[str, object]) -> int:
    row = await (await conn.execute(_SQL[statement], values)).fetchone()
    return int(row[0]) if row else 0

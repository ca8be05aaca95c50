"""Contexts and further quantities: what lies beside a reading, under its key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import AsyncCursor

from device_profiles.reading import UNITS, Absent, Context, Measurand, Quantity, Reading
from storage import outbox
from storage.columns import Numbers, RecordKeys, microseconds, moment
from storage.connection import Connection
from storage.devices import StoredDevice
from storage.statements import statements

Key = tuple[int, int, int, int]
"""Of a reading within its patient: recorded_at in microseconds since 1970, sequence, device_id, ordinal."""

Records = tuple[RecordKeys, npt.NDArray[np.int16]]
"""A batch of one device: its keys and ordinals."""

_SQL = statements("contexts")
_FIELDS = tuple(each.name for each in fields(Context))


@dataclass(frozen=True, slots=True)
class Beside:
    """What the records of a batch have beside their first quantities, by row of the batch."""

    contexts: Mapping[int, Context] = field(default_factory=dict)
    quantities: Mapping[int, tuple[Quantity, ...]] = field(default_factory=dict)
    """The quantities after the first, in order."""

    @classmethod
    def of(cls, readings: Sequence[Reading]) -> Beside:
        """Looks through a batch."""
        contexts = [reading.context for reading in readings]
        quantities = [reading.quantities for reading in readings]
        several = max(map(len, quantities), default=1) > 1
        return cls(
            {row: context for row, context in enumerate(contexts) if context} if any(contexts) else {},
            {row: each[1:] for row, each in enumerate(quantities) if len(each) > 1} if several else {},
        )

    def without(self, rows: Collection[int]) -> Beside:
        """What is beside all records but these."""
        if not rows:
            return self
        return Beside(
            {row: context for row, context in self.contexts.items() if row not in rows},
            {row: further for row, further in self.quantities.items() if row not in rows},
        )


async def store(
    conn: Connection, device: StoredDevice, records: Records, new: npt.NDArray[np.intp], beside: Beside
) -> AsyncCursor[tuple[Any, ...]] | None:
    """Stores contexts and further quantities, in a pipeline; `joined` takes the answer to come.

    `records`: the batch, under the ordinals that it has in the store; `new`: its rows that were not there
    before. A context is joined to its record by key, whenever it comes; the first one that came stays.
    """
    if not beside.contexts and not beside.quantities:
        return None
    batch = _Batch(device, *records)
    chosen = set(new.tolist())
    contexts_of_new = [row for row in beside.contexts if row in chosen]
    contexts_of_known = [row for row in beside.contexts if row not in chosen]
    if contexts_of_new:
        await conn.execute(_SQL["insert"], batch.contexts(contexts_of_new, beside))
    quantities_of_new = [row for row in beside.quantities if row in chosen]
    if quantities_of_new:
        await batch.store_quantities(conn, quantities_of_new, beside)
    if contexts_of_known:
        return await conn.execute(_SQL["insert"], batch.contexts(contexts_of_known, beside))
    return None


async def joined(
    conn: Connection,
    device: StoredDevice,
    late: AsyncCursor[tuple[Any, ...]] | None,
    *,
    tells_spaces: bool = True,
) -> int:
    """How many contexts came late for known records; spaces are told of them."""
    if late is None:
        return 0
    times = [row[0] for row in await late.fetchall()]
    if tells_spaces:
        await outbox.add(conn, device, outbox.Change.JOINED, microseconds(times))
    return len(times)


def contexts_of(rows: Sequence[tuple[Any, ...]]) -> Mapping[Key, Context]:
    """Contexts by key, from the rows of the statements that read them."""
    return {
        (_time(row[0]), row[1], row[2], row[3]): Context(**dict(zip(_FIELDS, row[4:], strict=True)))
        for row in rows
    }


def quantities_of(rows: Sequence[tuple[Any, ...]]) -> Mapping[Key, tuple[Quantity, ...]]:
    """The quantities after the first, by key and in order."""
    found: dict[Key, list[Quantity]] = {}
    for at, sequence, device_id, ordinal, measurand, mantissa, exponent, unit, absent in rows:
        value = None if absent else Decimal(mantissa).scaleb(exponent)
        quantity = Quantity(Measurand(measurand), value, UNITS[unit], Absent(absent) if absent else None)
        found.setdefault((_time(at), sequence, device_id, ordinal), []).append(quantity)
    return {key: tuple(quantities) for key, quantities in found.items()}


def _time(at: datetime) -> int:
    return int(microseconds((at,))[0])


@dataclass(frozen=True, slots=True)
class _Batch:
    """The records of one device, by the keys that they have in the store."""

    device: StoredDevice
    record_keys: RecordKeys
    ordinals: npt.NDArray[np.int16]

    def keys(self, rows: Sequence[int]) -> dict[str, Any]:
        chosen = np.array(rows, np.intp)
        return {
            "patient_id": self.device.patient_id,
            "device_id": self.device.device_id,
            "recorded_at": self.record_keys.recorded_at[chosen],
            "sequence": self.record_keys.sequence[chosen],
            "ordinal": self.ordinals[chosen],
        }

    def contexts(self, rows: Sequence[int], beside: Beside) -> dict[str, Any]:
        columns = {name: [getattr(beside.contexts[row], name) for row in rows] for name in _FIELDS}
        return {**self.keys(rows), **columns}

    async def store_quantities(self, conn: Connection, of_rows: Sequence[int], beside: Beside) -> None:
        further = [
            (row, place, quantity)
            for row in of_rows
            for place, quantity in enumerate(beside.quantities[row], 1)
        ]
        rows, places, quantities = zip(*further, strict=True)
        numbers = Numbers.of(quantities)
        keys = self.keys(rows)
        months = sorted({moment(time).date().replace(day=1) for time in keys["recorded_at"].tolist()})
        await conn.execute(_SQL["ensure_months"], {"parent": "reading_quantity", "months": months})
        values = {
            "place": list(places),
            "measurand": [int(quantity.of) for quantity in quantities],
            "mantissa": numbers.mantissa,
            "exponent": numbers.exponent,
            "unit": numbers.unit,
            "absent": numbers.absent,
        }
        await conn.execute(_SQL["insert_quantities"], {**keys, **values})

"""Contexts and further quantities: what lies beside a reading, under its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
from psycopg import AsyncCursor

from device_profiles.reading import UNITS, Absent, Context, Measurand, Quantity, Reading
from storage import outbox
from storage.columns import Numbers, RecordKeys, microseconds, moment
from storage.connection import Connection
from storage.devices import StoredDevice
from storage.known import SortedOut
from storage.statements import statements

Key = tuple[int, int, int, int]
"""Of a reading within its patient: recorded_at in microseconds since 1970, sequence, device_id, ordinal."""

_SQL = statements("contexts")
_FIELDS = tuple(field.name for field in fields(Context))


@dataclass(frozen=True, slots=True)
class Beside:
    """Which records of a batch have something beside their first quantity: rows of the batch."""

    contexts_of_new: Sequence[int]
    contexts_of_known: Sequence[int]
    quantities_of_new: Sequence[int]

    @classmethod
    def of(cls, readings: Sequence[Reading], sorted_out: SortedOut) -> Beside:
        """Looks through a batch."""
        contexts = [reading.context for reading in readings]
        with_context = [row for row, context in enumerate(contexts) if context] if any(contexts) else []
        several = max(map(len, [reading.quantities for reading in readings]), default=1) > 1
        new = set(sorted_out.new.tolist()) if with_context or several else set()
        return cls(
            contexts_of_new=[row for row in with_context if row in new],
            contexts_of_known=[row for row in with_context if row not in new],
            quantities_of_new=[row for row in sorted(new) if len(readings[row].quantities) > 1],
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch of readings of one device, and what is known of it."""

    device: StoredDevice
    readings: Sequence[Reading]
    keys: RecordKeys
    sorted_out: SortedOut


async def store(conn: Connection, batch: Batch, beside: Beside) -> AsyncCursor[tuple[Any, ...]] | None:
    """Stores contexts and further quantities, in a pipeline; `joined` takes the answer to come.

    A context is joined to its record by key, whenever it comes; the first one that came stays.
    """
    if beside.contexts_of_new:
        await conn.execute(_SQL["insert"], _context_values(batch, beside.contexts_of_new))
    if beside.quantities_of_new:
        await _store_quantities(conn, batch, beside.quantities_of_new)
    if beside.contexts_of_known:
        return await conn.execute(_SQL["insert"], _context_values(batch, beside.contexts_of_known))
    return None


async def joined(conn: Connection, device: StoredDevice, late: AsyncCursor[tuple[Any, ...]] | None) -> int:
    """How many contexts came late for known records; spaces are told of them."""
    if late is None:
        return 0
    times = [row[0] for row in await late.fetchall()]
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


def _keys(batch: Batch, rows: Sequence[int]) -> dict[str, Any]:
    chosen = np.array(rows, np.intp)
    return {
        "patient_id": batch.device.patient_id,
        "device_id": batch.device.device_id,
        "recorded_at": batch.keys.recorded_at[chosen].tolist(),
        "sequence": batch.keys.sequence[chosen].tolist(),
        "ordinal": batch.sorted_out.ordinals[chosen].tolist(),
    }


def _context_values(batch: Batch, rows: Sequence[int]) -> dict[str, Any]:
    columns = {name: [getattr(batch.readings[row].context, name) for row in rows] for name in _FIELDS}
    return {**_keys(batch, rows), **columns}


async def _store_quantities(conn: Connection, batch: Batch, of_rows: Sequence[int]) -> None:
    further = [
        (row, place, quantity)
        for row in of_rows
        for place, quantity in enumerate(batch.readings[row].quantities[1:], 1)
    ]
    rows, places, quantities = zip(*further, strict=True)
    numbers = Numbers.of(quantities)
    keys = _keys(batch, rows)
    months = sorted({moment(time).date().replace(day=1) for time in keys["recorded_at"]})
    await conn.execute(_SQL["ensure_months"], {"parent": "reading_quantity", "months": months})
    values = {
        "place": list(places),
        "measurand": [int(quantity.of) for quantity in quantities],
        "mantissa": numbers.mantissa.tolist(),
        "exponent": numbers.exponent.tolist(),
        "unit": numbers.unit.tolist(),
        "absent": numbers.absent.tolist(),
    }
    await conn.execute(_SQL["insert_quantities"], {**keys, **values})

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
class Late:
    """The answer to come: which contexts were new for records that were known."""

    cursor: AsyncCursor[tuple[Any, ...]] | None


async def store(
    conn: Connection,
    device: StoredDevice,
    readings: Sequence[Reading],
    keys: RecordKeys,
    sorted_out: SortedOut,
) -> Late:
    """Stores the contexts of a batch, and the further quantities of its new records.

    A context is joined to its record by key, whenever it comes; the first one that came stays. To be called
    in a pipeline; `joined` fetches the answer.
    """
    contexts = [reading.context for reading in readings]
    with_context = [row for row, context in enumerate(contexts) if context] if any(contexts) else []
    new = set(sorted_out.new.tolist()) if with_context else set()
    fresh = [row for row in with_context if row in new]
    known = [row for row in with_context if row not in new]
    if fresh:
        await conn.execute(_SQL["insert"], _context_values(device, readings, keys, sorted_out, fresh))
    await _store_quantities(conn, device, readings, keys, sorted_out)
    if not known:
        return Late(None)
    values = _context_values(device, readings, keys, sorted_out, known)
    return Late(await conn.execute(_SQL["insert"], values))


async def joined(conn: Connection, device: StoredDevice, late: Late) -> int:
    """How many contexts came late; spaces are told of them."""
    if late.cursor is None:
        return 0
    times = [row[0] for row in await late.cursor.fetchall()]
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


def _keys(keys: RecordKeys, sorted_out: SortedOut, rows: Sequence[int]) -> dict[str, Any]:
    chosen = np.array(rows, np.intp)
    return {
        "recorded_at": keys.recorded_at[chosen].tolist(),
        "sequence": keys.sequence[chosen].tolist(),
        "ordinal": sorted_out.ordinals[chosen].tolist(),
    }


def _context_values(
    device: StoredDevice,
    readings: Sequence[Reading],
    keys: RecordKeys,
    sorted_out: SortedOut,
    rows: Sequence[int],
) -> dict[str, Any]:
    columns = {name: [getattr(readings[row].context, name) for row in rows] for name in _FIELDS}
    key = {"patient_id": device.patient_id, "device_id": device.device_id}
    return {**key, **_keys(keys, sorted_out, rows), **columns}


async def _store_quantities(
    conn: Connection,
    device: StoredDevice,
    readings: Sequence[Reading],
    keys: RecordKeys,
    sorted_out: SortedOut,
) -> None:
    if max(map(len, [reading.quantities for reading in readings]), default=1) == 1:
        return
    further = [
        (row, place, quantity)
        for row in sorted_out.new.tolist()
        for place, quantity in enumerate(readings[row].quantities[1:], 1)
    ]
    if not further:
        return
    rows, places, quantities = zip(*further, strict=True)
    numbers = Numbers.of(quantities)
    of_rows = _keys(keys, sorted_out, rows)
    months = sorted({moment(time).date().replace(day=1) for time in of_rows["recorded_at"]})
    await conn.execute(_SQL["ensure_months"], {"parent": "reading_quantity", "months": months})
    values = {
        "patient_id": device.patient_id,
        "device_id": device.device_id,
        "place": list(places),
        "measurand": [int(quantity.of) for quantity in quantities],
        "mantissa": numbers.mantissa.tolist(),
        "exponent": numbers.exponent.tolist(),
        "unit": numbers.unit.tolist(),
        "absent": numbers.absent.tolist(),
    }
    await conn.execute(_SQL["insert_quantities"], {**of_rows, **values})

"""Records that a person erased and that a device still holds: they do not come back when it is read again.

What is kept of one is eight bytes of a salted hash of its key (device time and sequence number), never of its
value: a hash of a glucose value is found by trying the few hundred there are. So another measurement under
the very key of an erased one is left out too, and told; see docs/decisions/0038.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from storage.arrays import EPOCH_MICROSECONDS
from storage.connection import Connection
from storage.statements import statements

DIGEST_BYTES = 8
"""A million erased records and a million new ones: two are taken for one with a chance of 1 : 10⁷."""

_SQL = statements("erased_records")


async def salt_of(conn: Connection, key: Mapping[str, int]) -> bytes | None:
    """The salt of a device's erased records; None where nothing of it was ever erased."""
    row = await (await conn.execute(_SQL["salt"], key)).fetchone()
    return None if row is None else row[0]


async def erased_rows(
    conn: Connection,
    key: Mapping[str, int],
    salt: bytes,
    recorded_at: npt.NDArray[np.int64],
    sequence: npt.NDArray[np.int32],
) -> npt.NDArray[np.bool_]:
    """Which of these records of a device (`key`: patient_id and device_id) were erased. Shape: (n,).

    `salt`: the device's `erased_salt`; times in microseconds since 1970 in UTC.
    """
    row = await (await conn.execute(_SQL["digests"], key)).fetchone()
    if row is None or row[0] is None:
        return np.zeros(len(recorded_at), np.bool_)
    known = np.sort(np.frombuffer(row[0], ">u8").astype(np.uint64))
    digests = _digests(salt, recorded_at, sequence)
    place = np.searchsorted(known, digests)
    found: npt.NDArray[np.bool_] = known[np.minimum(place, len(known) - 1)] == digests
    return found


def _digests(
    salt: bytes, recorded_at: npt.NDArray[np.int64], sequence: npt.NDArray[np.int32]
) -> npt.NDArray[np.uint64]:
    """As `passerelle.remember_erased` makes them: PostgreSQL's own binary form of the time and the number."""
    keys = np.empty(len(recorded_at), [("at", ">i8"), ("number", ">i4")])
    keys["at"] = recorded_at - EPOCH_MICROSECONDS
    keys["number"] = sequence
    packed, size = keys.tobytes(), keys.itemsize
    return np.array(
        [
            int.from_bytes(hashlib.sha256(salt + packed[begin : begin + size]).digest()[:DIGEST_BYTES])
            for begin in range(0, len(packed), size)
        ],
        np.uint64,
    )

"""PostgreSQL's arrays of numbers as numpy arrays, without a Python object per number.

Binary format (PostgreSQL, `array_send`): five int4 (dimensions, has nulls, element type, length, lower
bound), then for each element an int4 length and the value, all in network order. Only for cursors with
`binary=True`; arrays with nulls are refused, since our columns have none.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format

from storage.connection import Connection

HEADER = 20
"""Bytes before the first element of a one-dimensional array."""

EPOCH_MICROSECONDS = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000-01-01, we from 1970-01-01, both in UTC."""


class _ArrayLoader(Loader):
    format = Format.BINARY
    element: ClassVar[str]
    native: ClassVar[type[np.signedinteger[Any]]]

    def load(self, data: Buffer) -> npt.NDArray[Any]:
        received = bytes(data)
        if len(received) <= HEADER:
            return np.empty(0, self.native)
        if received[4:8] != b"\0\0\0\0":
            raise ValueError("an array of numbers with nulls")
        elements = np.frombuffer(received, [("length", ">i4"), ("value", self.element)], offset=HEADER)
        return elements["value"].astype(self.native)


class _Int2(_ArrayLoader):
    element, native = ">i2", np.int16


class _Int4(_ArrayLoader):
    element, native = ">i4", np.int32


class _Int8(_ArrayLoader):
    element, native = ">i8", np.int64


class _Time(_Int8):
    """Microseconds since 1970 in UTC."""

    def load(self, data: Buffer) -> npt.NDArray[Any]:
        return super().load(data) + EPOCH_MICROSECONDS


def register_array_loaders(conn: Connection) -> None:
    """For the binary cursors of this connection."""
    for name, loader in (("int2", _Int2), ("int4", _Int4), ("int8", _Int8), ("timestamptz", _Time)):
        conn.adapters.register_loader(conn.adapters.types[name].array_oid, loader)

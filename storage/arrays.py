"""PostgreSQL's arrays of numbers as numpy arrays and back, without a Python object per number.

Binary format (PostgreSQL, `array_send`): five int4 (dimensions, has nulls, element type, length, lower
bound), then for each element an int4 length and the value, all in network order. Arrays come back as numpy's
only from cursors with `binary=True`; arrays with nulls are refused, since our columns have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from psycopg.abc import DumperKey
from psycopg.adapt import Buffer, Dumper, Loader, PyFormat
from psycopg.postgres import types
from psycopg.pq import Format

from storage.connection import Connection

HEADER = 20
"""Bytes before the first element of a one-dimensional array."""

EPOCH_MICROSECONDS = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000-01-01, we from 1970-01-01, both in UTC."""


class _ArrayLoader(Loader):
    format = Format.BINARY
    element: ClassVar[str]
    native: ClassVar[type[np.number[Any]]]

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


class _Float8(_ArrayLoader):
    element, native = ">f8", np.float64


class _Time(_Int8):
    """Microseconds since 1970 in UTC."""

    def load(self, data: Buffer) -> npt.NDArray[Any]:
        return super().load(data) + EPOCH_MICROSECONDS


class _Array(Dumper):
    """A column of numbers as a parameter."""

    format = Format.BINARY
    element = ""
    element_oid = 0

    def get_key(self, obj: npt.NDArray[Any], format: PyFormat) -> DumperKey:  # noqa: A002
        return (self.cls, obj.dtype.type)

    def upgrade(self, obj: npt.NDArray[Any], format: PyFormat) -> Dumper:  # noqa: A002
        dumper = _Array(self.cls)
        dumper.element, name = _ELEMENTS[obj.dtype.type]
        dumper.oid, dumper.element_oid = types[name].array_oid, types[name].oid
        return dumper

    def dump(self, obj: npt.NDArray[Any]) -> bytes:
        elements = np.empty(len(obj), [("length", ">i4"), ("value", self.element)])
        elements["length"] = elements.dtype["value"].itemsize
        elements["value"] = obj
        bounds = (1, 0, self.element_oid, len(obj), 1) if len(obj) else (0, 0, self.element_oid)
        return np.array(bounds, ">i4").tobytes() + elements.tobytes()


_ELEMENTS: Mapping[type, tuple[str, str]] = {
    np.int16: (">i2", "int2"),
    np.int32: (">i4", "int4"),
    np.int64: (">i8", "int8"),
    np.float64: (">f8", "float8"),
}


def register_arrays(conn: Connection) -> None:
    """Columns as parameters of this connection's statements, and as results of its binary cursors."""
    loaders = {"int2": _Int2, "int4": _Int4, "int8": _Int8, "float8": _Float8, "timestamptz": _Time}
    for name, loader in loaders.items():
        conn.adapters.register_loader(types[name].array_oid, loader)
    conn.adapters.register_dumper(np.ndarray, _Array)

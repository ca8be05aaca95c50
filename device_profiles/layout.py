"""Characteristics whose flags say which fields are there: one table, read and written from both sides.

A characteristic names its fields in the order of the wire (`Field`); for each combination of flags that
occurs, the table becomes one `struct` that is kept. A field that the flags leave out is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import or_
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, whatever its name
from typing import Any, Final, NamedTuple

from device_profiles.errors import MalformedMeasurement
from device_profiles.wire import FLOAT, SFLOAT, DateTime, crc16, date_time_of


class Wire(NamedTuple):
    """How one field lies on the wire: its code in `struct`, and what its word means, both ways."""

    code: str
    read: Callable[[Any], Any] | None = None
    write: Callable[[Any], Any] | None = None


UINT8: Final = Wire("B")
INT8: Final = Wire("b")
UINT16: Final = Wire("H")
INT16: Final = Wire("h")
UINT24: Final = Wire(
    "3s", lambda raw: int.from_bytes(raw, "little"), lambda value: value.to_bytes(3, "little")
)
UINT32: Final = Wire("I")
SFLOAT16: Final = Wire("H", SFLOAT.numbers.__getitem__, SFLOAT.word)
FLOAT32: Final = Wire("I", FLOAT.numbers.__getitem__, FLOAT.word)
MOMENT: Final = Wire("7s", date_time_of, DateTime.encode)


class Field(NamedTuple):
    """A field: its name in the dataclass, how it is written, and the flag that announces it (0: always)."""

    name: str
    wire: Wire
    flag: int = 0


def _nothing(_: bytes) -> None:
    return None


_LEFT_OUT: Final = Wire("0s", _nothing, lambda _: b"")
"""A field that the flags leave out: an empty string, so that every other keeps its place."""


class _Shape(NamedTuple):
    """The fields of one combination of flags: the struct, flags first, and what to do with each word."""

    struct: Struct
    reads: tuple[Callable[[Any], Any] | None, ...]
    writes: tuple[Callable[[Any], Any] | None, ...]


class Layout:
    """The table of a characteristic. `flags`: UINT8 or UINT16, before the fields."""

    def __init__(self, flags: Wire, *fields: Field) -> None:
        self.fields: Final = fields
        self._flags: Final = flags
        self._wide: Final = flags is UINT16
        self._announcing: Final = reduce(or_, (field.flag for field in fields))
        self._shapes: Final[dict[int, _Shape]] = {}

    def read(self, raw: bytes) -> list[Any]:
        """The flags and each field, in order: what the dataclass takes. Raises MalformedMeasurement."""
        shape = self._shape(self._flags_of(raw))
        size = shape.struct.size
        if len(raw) != size:
            raise MalformedMeasurement("too_short" if len(raw) < size else "trailing_bytes")
        words = zip(shape.reads, shape.struct.unpack(raw), strict=False)
        return [word if read is None else read(word) for read, word in words]

    def read_front(self, raw: bytes) -> tuple[list[Any], int]:
        """The same where more may follow; and how many bytes were read. Raises MalformedMeasurement."""
        shape = self._shape(self._flags_of(raw))
        size = shape.struct.size
        if len(raw) < size:
            raise MalformedMeasurement("too_short")
        words = zip(shape.reads, shape.struct.unpack_from(raw), strict=False)
        return [word if read is None else read(word) for read, word in words], size

    def write(self, flags: int, characteristic: object) -> bytes:
        """The bytes of a dataclass with these fields.

        Raises ValueError where flags and fields disagree or a value does not fit.
        """
        shape = self._shape(flags)
        words = [flags]
        for field, write in zip(self.fields, shape.writes[1:], strict=True):
            value = getattr(characteristic, field.name)
            if (not field.flag or bool(flags & field.flag)) != (value is not None):
                raise ValueError("the flags announce other fields than are there")
            words.append(value if write is None else write(value))
        try:
            return shape.struct.pack(*words)
        except (StructError, OverflowError) as beyond:
            raise ValueError(str(beyond)) from beyond

    def flags_for(self, fields: Mapping[str, object]) -> int:
        """The flags that announce those of these fields which are not None."""
        announced = (field.flag for field in self.fields if fields.get(field.name) is not None)
        return reduce(or_, announced, 0)

    def size(self, flags: int) -> int:
        """How many bytes the flags and the fields that they announce take."""
        return self._shape(flags).struct.size

    def _flags_of(self, raw: bytes) -> int:
        if len(raw) <= self._wide:
            raise MalformedMeasurement("too_short")
        return raw[0] | raw[1] << 8 if self._wide else raw[0]

    def _shape(self, flags: int) -> _Shape:
        announced = flags & self._announcing
        shape = self._shapes.get(announced)
        if shape is None:
            there = (not field.flag or field.flag & announced for field in self.fields)
            wires = [self._flags]
            wires += [
                field.wire if is_there else _LEFT_OUT
                for field, is_there in zip(self.fields, there, strict=True)
            ]
            shape = _Shape(
                Struct("<" + "".join(wire.code for wire in wires)),
                tuple(wire.read for wire in wires),
                tuple(wire.write for wire in wires),
            )
            self._shapes[announced] = shape
        return shape


def present(fields: dict[str, object]) -> dict[str, object]:
    """The fields that are there."""
    return {name: value for name, value in fields.items() if value is not None}


def crc_of(raw: bytes, body: int) -> int | None:
    """The E2E-CRC after `body` bytes as written, None where nothing follows. Raises MalformedMeasurement.

    It is not judged: `crc_holds` does.
    """
    following = len(raw) - body
    if not following:
        return None
    if following != 2:
        raise MalformedMeasurement("too_short" if following < 0 else "trailing_bytes")
    return int.from_bytes(raw[body:], "little")


def crc_holds(body: bytes, crc: int | None) -> bool | None:
    """Whether a checksum is that of its bytes; None where there is none (CGMS §3.11)."""
    return None if crc is None else crc16(body) == crc


def with_own_crc(body: bytes, crc: int | None) -> bytes:
    """`body` and the checksum that was written, right or wrong."""
    return body if crc is None else body + crc.to_bytes(2, "little")

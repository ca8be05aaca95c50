"""Entries of a Bundle that differ in a few places only, read by their shape.

A gateway renders its Observations from a template: of a thousand entries of a sensor all text is the same but
the ids, two times, a number and a value. So the first one is read as any JSON is, held to the letter
(`received`), and its text, with those places open, becomes a shape. What is the same letter for letter says
the same but for these places, and costs a fraction. What does not match is read as the first one was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, Device, ReadingSeries
from fhir_mapping.codes import PHD_IDENTIFIER, READING
from fhir_mapping.errors import NotTaken
from fhir_mapping.opaque import EPOCH, SEQUENCE_BITS
from fhir_mapping.received import Received, written_number
from fhir_mapping.text import received_decimal
from fhir_mapping.times import MICROSECONDS

START: Final = '{"resourceType":"Bundle","type":"transaction","entry":['
END: Final = "]}"
MOST_SHAPES: Final = 8
"""Of one Bundle: a finger-stick meter has many, each of few entries; they are read one by one."""
MOST_KNOWN: Final = 512
"""Shapes that are kept, the newest; each takes some kilobytes."""
WORTH: Final = 8
"""A shape is made where so many entries of its length may follow."""

_TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_TIME_LENGTH: Final = 19
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,9})?")
_URN: Final = "urn:uuid:"
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_HEX: Final = b"0123456789abcdef-"
_OPEN: Final = (
    *("url", "id", "recorded", "sequence", "phd", "time", "value"),
    *("recorded again", "sequence again"),
)
"""The open places of a shape, in their order; that of HL7 PHD's identifier may lack."""
_TRIED: Final[Mapping[str, str]] = {
    "url": "00000000-0000-0000-0000-000000000000",
    "id": "0" * 32,
    "recorded": "2001-02-03T04:05:06",
    "sequence": "77",
    "recorded again": "2001-02-03T04:05:06",
    "sequence again": "77",
    "phd": "1",
    "time": "2001-02-04T05:06:07",
    "value": "123.5",
}
"""What stands in the open places of a shape when it is tried."""
_TRIED_AT: Final = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
_TRIED_TIME: Final = datetime(2001, 2, 4, 5, 6, 7, tzinfo=UTC)

_HEAD: Final = re.compile(
    r'\{"fullUrl":"urn:uuid:([0-9a-f-]{36})","resource":\{"resourceType":"Observation","id":"([0-9a-f]{32})"'
)
_KEY: Final = re.compile(
    rf'"system":"{READING}","value":"([0-9a-f]{{32}}/({_TIME})/(0|[1-9][0-9]{{0,6}})/[0-9]+/[a-z-]+)"'
)
_PHD: Final = re.compile(
    rf'"system":"{re.escape(PHD_IDENTIFIER)}","value":"[^"\\]*-{_URN}({_UUID})-[^"\\]*-([0-9]+)"'
)
_SUBJECT: Final = re.compile(rf'"subject":\{{"reference":"{_URN}({_UUID})"\}}')
_DEVICE: Final = re.compile(rf'"device":\{{"reference":"{_URN}({_UUID})"')
_EFFECTIVE: Final = re.compile(rf'"effectiveDateTime":"({_TIME})(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})"')
_VALUE: Final = re.compile(rf'"valueQuantity":\{{"value":({_NUMBER.pattern}),')
_EPOCH_MICROS: Final = (EPOCH - datetime(1970, 1, 1, tzinfo=UTC)).days * 86_400 * MICROSECONDS
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)


class OtherShape(Exception):
    """A Bundle, or a part of it, that is to be read entry by entry."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Observations of one shape, a row each: `model` says all that they have in common.

    `entries`: their numbers in the Bundle. Times in microseconds since 1970.
    """

    model: Received
    entries: npt.NDArray[np.int64]
    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]
    effective_time: npt.NDArray[np.int64]
    mantissa: npt.NDArray[np.int32]
    exponent: npt.NDArray[np.int16]

    def series(self, patient_id: int, patient_uuid: UUID, device_id: int, device: Device) -> ReadingSeries:
        """The rows as columns."""
        reading, count = self.model.reading, len(self.entries)
        sample = -1 if reading.sample is None else reading.sample.type | reading.sample.location << 4

        def same(value: int, kind: type[np.generic]) -> npt.NDArray[Any]:
            return np.full(count, value, kind)

        return ReadingSeries(
            patient_id=patient_id,
            patient_uuid=patient_uuid,
            kind=same(int(reading.kind), np.int16),
            effective_time=self.effective_time,
            utc_offset_minutes=same(self.model.utc_offset_minutes, np.int16),
            time_source=same(int(self.model.source), np.int16),
            recorded_at=self.recorded_at,
            sequence=self.sequence,
            device_id=same(device_id, np.int32),
            ordinal=same(self.model.ordinal, np.int16),
            mantissa=self.mantissa,
            exponent=self.exponent,
            unit=same(UNITS.index(reading.quantities[0].unit), np.int16),
            absent=same(0, np.int16),
            flags=same(int(reading.flags), np.int32),
            sample=same(sample, np.int16),
            excluded=same(False, np.bool_),
            devices={device_id: device},
        )


class _Steps(NamedTuple):
    """How far it is from one open place to the next; what may be longer or shorter is looked for."""

    to_url: int
    to_id: int
    to_key: int
    to_time: int
    from_phd: int
    to_value: int
    to_again: int
    to_end: int

    @classmethod
    def between(cls, pieces: Sequence[str]) -> _Steps:
        """Of a shape's pieces."""
        first, second, third, _, after_number, *phd, before_value, after_value, _, last = map(len, pieces)
        (from_phd,) = phd or (0,)
        to_value = _TIME_LENGTH + before_value
        return cls(first, 36 + second, 32 + third, after_number, from_phd, to_value, after_value, last)


@dataclass(slots=True)
class Shape:
    """A learnt shape, and what was read by it so far. `model`: what all rows have in common.

    `pieces`: the text between its open places. To compare them costs next to nothing, so that an entry costs
    about a microsecond; what stands in the places is looked at for all rows together.
    """

    model: Received
    pieces: tuple[str, ...]
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    """Of each: its time and number as the device wrote them, its time as told, its value."""
    marks: list[str] = field(default_factory=list)
    """What stands in places whose content says nothing here: the sender's ids, HL7 PHD's seconds."""
    entries: list[int] = field(default_factory=list)

    def read(self, text: str, place: int, end: int) -> int:
        """Reads the entries from `place` to `end` that have this shape; where the next one begins."""
        first, second, third, _, after_number, *phd, before_value, after_value, _, last = self.pieces
        after_phd, step = phd[0] if phd else "", _Steps.between(self.pieces)
        starts, find, row, mark = text.startswith, text.find, self.rows.append, self.marks.append
        to_url, to_id, to_key, to_time, from_phd, to_value, to_again, to_end = step
        while place < end and starts(first, place):
            url = place + to_url
            fhir_id = url + to_id
            number = (key := fhir_id + to_key) + _TIME_LENGTH + 1
            stop = find("/", number, number + 8)
            time = stop + to_time
            if after_phd:
                quote = find('"', time, time + 14)
                if quote < 0 or not starts(after_phd, quote):
                    break
                mark(text[time:quote])
                time = quote + from_phd
            value = time + to_value
            comma = find(",", value, value + 24)
            same = text[key:stop]
            tail = comma + to_again + stop - key
            following = tail + to_end
            if (
                stop < 0
                or comma < 0
                or text[number - 1] != "/"
                or not starts(second, url + 36)
                or not starts(third, fhir_id + 32)
                or not starts(after_number, stop)
                or not starts(before_value, time + _TIME_LENGTH)
                or not starts(after_value, comma)
                or not starts(same, comma + to_again)
                or not starts(last, tail)
                or (following != end and (text[following : following + 1] != "," or following + 1 == end))
            ):
                break
            row((same, text[time : time + _TIME_LENGTH], text[value:comma]))
            mark(text[url : fhir_id + 32])
            place = following + (following != end)
        return place

    def run(self) -> Run:
        """What was read, as columns. Raises OtherShape for a row that is to be refused by its name."""
        keys, time, value = zip(*self.rows, strict=True)
        recorded = [key[:_TIME_LENGTH] for key in keys]
        sequence = [key[_TIME_LENGTH + 1 :] for key in keys]
        if "".join(self.marks).replace(self.pieces[1], "").encode().translate(None, _HEX):
            raise OtherShape
        try:
            numbers = list(map(int, sequence))
            parts = {text: _number(text) for text in set(value)}
        except (ValueError, NotTaken):
            raise OtherShape from None
        recorded_at, wall = _moments(recorded), _moments(time)
        # As it was written: 007 would be another identifier.
        if max(numbers) >= 1 << SEQUENCE_BITS or list(map(str, numbers)) != sequence:
            raise OtherShape
        mantissa, exponent = np.array([parts[text] for text in value], np.int64).T
        return Run(
            self.model,
            np.array(self.entries, np.int64),
            recorded_at,
            np.array(numbers, np.int32),
            wall - self.model.utc_offset_minutes * 60 * MICROSECONDS,
            mantissa.astype(np.int32),
            exponent.astype(np.int16),
        )


def _moments(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Times of the form of _TIME, in microseconds since 1970. Raises OtherShape."""
    try:
        letters = np.frombuffer("".join(texts).encode("ascii"), np.uint8).reshape(-1, _TIME_LENGTH)
        moments = np.array(texts, "M8[us]").view(np.int64)
    except ValueError:
        raise OtherShape from None
    digits = letters[:, _DIGITS]
    if (
        np.any(letters[:, _SIGNS] != np.frombuffer(b"--T::", np.uint8))
        or np.any((digits < ord("0")) | (digits > ord("9")))
        or moments.min() < _EPOCH_MICROS
    ):
        raise OtherShape
    return moments


_SIGNS: Final = np.array([4, 7, 10, 13, 16])
_DIGITS: Final = np.array([place for place in range(_TIME_LENGTH) if place not in (4, 7, 10, 13, 16)])


@lru_cache(maxsize=8192)
def _number(text: str) -> tuple[int, int]:
    """A JSON number as mantissa and exponent. Raises ValueError, NotTaken."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return written_number(Decimal(text))


_known: dict[tuple[str, ...], Received] = {}
"""Shapes are kept, by their pieces without the names of person and device: whoever's next transaction has
them again. With each what was understood of it when it was tried."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """The text of an entry, cut at its open places.

    `names`: what it calls the device (digest and reference) and the person (UUID and reference), all of them
    hexadecimal, so that one in the place of another changes nothing else.
    """

    pieces: tuple[str, ...]
    digest: str
    subject: str
    device: str
    person: str

    def anybodys(self) -> tuple[str, ...]:
        """The pieces, with marks that JSON cannot hold in the place of the names."""
        marked = "\0".join(self.pieces)
        for number, name in enumerate((self.digest, self.subject, self.device, self.person)):
            marked = marked.replace(name, f"\1{number}")
        return tuple(marked.split("\0"))

    def shape(self, tried: Received) -> Shape:
        """The shape, of this person and device."""
        named = {"digest": self.digest, "subject": f"{_URN}{self.subject}", "device": f"{_URN}{self.device}"}
        return Shape(replace(tried, **named), self.pieces)  # type: ignore[arg-type]


def remembered(text: str) -> Shape | None:
    """The shape of the text of an entry, if it was learnt before, of whomever."""
    cut = _cut(text)
    tried = _known.get(cut.anybodys()) if cut else None
    return cut.shape(tried) if cut and tried else None


def learnt(text: str, understood: Callable[[Any], Received | None]) -> Shape | None:
    """The shape of the text of an entry; None where it has none.

    `understood` reads an entry: the shape is tried with other content in its open places, and holds only if
    exactly this content is understood, and nothing else that this Observation may hold.
    """
    cut = _cut(text)
    if cut is None:
        return None
    names = _OPEN if len(cut.pieces) > len(_OPEN) else [name for name in _OPEN if name != "phd"]
    contents = (*(_TRIED[name] for name in names), "")
    entry = "".join(part for pair in zip(cut.pieces, contents, strict=True) for part in pair)
    tried = understood(json.loads(entry, parse_float=received_decimal))
    if tried is None or not _is_as_tried(tried) or cut.shape(tried).model != tried:
        return None
    while len(_known) >= MOST_KNOWN:
        del _known[next(iter(_known))]
    _known[cut.anybodys()] = tried
    return Shape(tried, cut.pieces)


def _is_as_tried(tried: Received) -> bool:
    """Whether it is understood as what was put into the open places, and nothing that a row may not have."""
    reading = tried.reading
    (quantity, *further) = reading.quantities
    wall = int((_TRIED_TIME - _UNIX).total_seconds()) * MICROSECONDS
    beside = reading.context or tried.note or tried.excluded or further
    return (
        not beside
        and quantity.value == Decimal(_TRIED["value"])
        and (reading.identity.recorded_at, reading.identity.sequence) == (_TRIED_AT, int(_TRIED["sequence"]))
        and tried.effective == wall - tried.utc_offset_minutes * 60 * MICROSECONDS
    )


def _cut(text: str) -> _Cut | None:
    """An entry cut at its open places; None where one is not found once, or not in its order."""
    head, key, phd = _HEAD.match(text), _KEY.search(text), list(_PHD.finditer(text))
    effective, value = list(_EFFECTIVE.finditer(text)), list(_VALUE.finditer(text))
    if head is None or key is None or len(phd) > 1 or (len(effective), len(value)) != (1, 1):
        return None
    if not text.isprintable() and ("\0" in text or "\1" in text):  # no JSON, and our own marks
        return None
    again = text.rfind(key[1]) - key.start(1)
    if text.count(key[1]) != 2 or again <= 0:
        return None
    recorded, sequence = key.span(2), key.span(3)
    spans = [head.span(1), head.span(2), recorded, sequence, *(found.span(2) for found in phd)]
    spans += [effective[0].span(1), value[0].span(1)]
    spans += [(begin + again, end + again) for begin, end in (recorded, sequence)]
    if spans != sorted(spans):
        return None
    ends = [0, *(end for _, end in spans)]
    begins = [*(begin for begin, _ in spans), len(text)]
    pieces = tuple(text[end:begin] for end, begin in zip(ends, begins, strict=True))
    references = [_SUBJECT.findall(text), _DEVICE.findall(text)]
    if [len(found) for found in references] != [1, 1]:
        return None
    person = phd[0][1] if phd else references[0][0]
    return _Cut(pieces, key[1][:32], references[0][0], references[1][0], person)

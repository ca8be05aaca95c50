"""Entries of a Bundle that differ in a few places only, read by their shape.

A gateway renders its Observations from a template: of a thousand entries of a sensor all text is the same but
the ids, two times, a number and a value. So the first one is read as any JSON is, held to the letter
(`received`), and its text, with those places open, becomes an expression. What matches it letter for letter
says the same but for these places, and costs a fraction. What does not match is read as the first one was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, Device, ReadingSeries
from fhir_mapping.codes import PHD_IDENTIFIER, READING
from fhir_mapping.errors import NotTaken
from fhir_mapping.opaque import EPOCH, SEQUENCE_BITS
from fhir_mapping.received import Received, written_number
from fhir_mapping.times import MICROSECONDS

START: Final = '{"resourceType":"Bundle","type":"transaction","entry":['
END: Final = "]}"
MOST_SHAPES: Final = 8
"""Of one Bundle: a finger-stick meter has many, each of few entries; they are read one by one."""
MOST_KNOWN: Final = 512
"""Shapes that are kept, the newest; each takes some tens of kilobytes."""
WORTH: Final = 8
"""A shape is made where so many entries of its length may follow."""

_TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_NUMBER: Final = r"-?(?:0|[1-9][0-9]{0,9})(?:\.[0-9]{1,9})?"
_OPEN: Final[Mapping[str, str]] = {
    "url": "[0-9a-f-]{36}",
    "id": "[0-9a-f]{32}",
    "recorded": f"(?P<recorded>{_TIME})",
    "sequence": "(?P<sequence>0|[1-9][0-9]{0,6})",
    "recorded again": "(?P=recorded)",
    "sequence again": "(?P=sequence)",
    "phd": "[0-9]+",
    "time": f"(?P<time>{_TIME})",
    "value": f"(?P<value>{_NUMBER})",
}
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
_PHD: Final = re.compile(rf'"system":"{re.escape(PHD_IDENTIFIER)}","value":"[^"\\]*-([0-9]+)"')
_EFFECTIVE: Final = re.compile(rf'"effectiveDateTime":"({_TIME})(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})"')
_VALUE: Final = re.compile(rf'"valueQuantity":\{{"value":({_NUMBER}),')
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


@dataclass(slots=True)
class Shape:
    """A learnt shape, and what matched it so far. `model`: what all rows have in common."""

    model: Received
    matches: Callable[..., re.Match[str] | None]
    rows: list[tuple[str, ...]]
    entries: list[int]

    def run(self) -> Run:
        """What matched, as columns. Raises OtherShape for a row that is to be refused by its name."""
        recorded, sequence, time, value = zip(*self.rows, strict=True)
        try:
            recorded_at = np.array(recorded, "M8[us]").view(np.int64)
            wall = np.array(time, "M8[us]").view(np.int64)
            parts = {text: written_number(Decimal(text)) for text in set(value)}
        except (ValueError, NotTaken):
            raise OtherShape from None
        numbers = np.fromiter(map(int, sequence), np.int64, len(sequence))
        offset = self.model.utc_offset_minutes * 60 * MICROSECONDS
        if numbers.max() >= 1 << SEQUENCE_BITS or min(recorded_at.min(), wall.min()) < _EPOCH_MICROS:
            raise OtherShape
        mantissa, exponent = np.array([parts[text] for text in value], np.int64).T
        return Run(
            self.model,
            np.array(self.entries, np.int64),
            recorded_at,
            numbers.astype(np.int32),
            wall - offset,
            mantissa.astype(np.int32),
            exponent.astype(np.int16),
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """A shape that was tried. `tried`: what is understood of it with the content of _TRIED."""

    tried: Received
    matches: Callable[..., re.Match[str] | None]

    def shape(self) -> Shape:
        """The shape, with no rows yet."""
        return Shape(self.tried, self.matches, [], [])


_known: dict[tuple[tuple[str, ...], tuple[str, ...]], _Known] = {}
"""Shapes are kept: a gateway's next transaction has them again, and one costs as much as 500 entries."""


def remembered(text: str) -> Shape | None:
    """The shape of the text of an entry, if it was learnt before."""
    places = _places(text)
    known = _known.get(places) if places else None
    return known.shape() if known else None


def learnt(text: str, understood: Callable[[Any], Received | None]) -> Shape | None:
    """The shape of the text of an entry; None where it has none.

    `understood` reads an entry: the shape is tried with other content in its open places, and holds only if
    exactly this content is understood, and nothing else that this Observation may hold.
    """
    places = _places(text)
    if places is None:
        return None
    pieces, names = places
    contents = (*(_TRIED[name] for name in names), "")
    entry = "".join(part for pair in zip(pieces, contents, strict=True) for part in pair)
    tried = understood(json.loads(entry, parse_float=Decimal))
    if tried is None or not _is_as_tried(tried):
        return None
    while len(_known) >= MOST_KNOWN:
        del _known[next(iter(_known))]
    known = _known[places] = _Known(tried, _compiled(pieces, names))
    return known.shape()


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


def _places(text: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The text in pieces, and the names of the open places between them; None where one is not found once."""
    head, key, phd = _HEAD.match(text), _KEY.search(text), list(_PHD.finditer(text))
    effective, value = list(_EFFECTIVE.finditer(text)), list(_VALUE.finditer(text))
    if head is None or key is None or len(phd) > 1 or (len(effective), len(value)) != (1, 1):
        return None
    keys = [found.start() for found in re.finditer(re.escape(key[1]), text)]
    if len(keys) != 2:
        return None
    spans = [(*head.span(1), "url"), (*head.span(2), "id"), (*effective[0].span(1), "time")]
    spans += [(*found.span(1), "phd") for found in phd] + [(*value[0].span(1), "value")]
    for begin, again in zip(keys, ("", " again"), strict=True):
        for group, name in ((2, "recorded"), (3, "sequence")):
            start, end = (begin + place - key.start(1) for place in key.span(group))
            spans.append((start, end, f"{name}{again}"))
    spans.sort()
    pieces, last = [], 0
    for begin, end, _ in spans:
        if begin < last:
            return None
        pieces.append(text[last:begin])
        last = end
    return (*pieces, text[last:]), tuple(name for _, _, name in spans)


def _compiled(pieces: Sequence[str], names: Sequence[str]) -> Callable[..., re.Match[str] | None]:
    """Matches an entry of these pieces, and what may follow it in a Bundle: another one, or the end."""
    parts = [re.escape(pieces[0])]
    for name, piece in zip(names, pieces[1:], strict=True):
        parts += (_OPEN[name], re.escape(piece))
    return re.compile("".join(parts) + r"(?:,(?=\{)|(?=\]\}\Z))").match

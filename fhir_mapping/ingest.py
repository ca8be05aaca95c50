"""What a gateway sends to a space: a transaction Bundle, taken apart into the things it asks for.

Pure: what is there already, and who may, is decided by who has the store. Everything that cannot be taken is
found first, all of it, so that a sender learns in one answer what to set aside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from fhir_mapping import received, shapes
from fhir_mapping.asked import (
    Asked,
    Creation,
    Deletion,
    Json,
    Meter,
    Person,
    Replacement,
    asked_of,
    replacement_of,
    shown,
)
from fhir_mapping.errors import MappingError, NotTaken
from fhir_mapping.received import Received
from fhir_mapping.shapes import OtherShape, Run, Shape
from fhir_mapping.text import received_decimal

MOST_ENTRIES: Final = 1000


class NotABundle(MappingError):
    """What came is no transaction Bundle at all."""

    sentence = "A FHIR Bundle of the type transaction is needed here, as JSON in UTF-8."


class TooManyEntries(MappingError):
    """More entries than are taken in one transaction."""

    sentence = "At most {most} entries are taken in one transaction. Send them in several."


@dataclass(frozen=True, slots=True)
class Wrong:
    """An entry that cannot be taken: its number in the Bundle, the part of it, and why."""

    entry: int | None
    part: str
    why: str

    @property
    def expression(self) -> str:
        """Where it is, as FHIRPath; a resource that came alone is its own place."""
        place = "" if self.entry is None else f"Bundle.entry[{self.entry}]."
        return f"{place}{self.part}"


class EntriesRefused(MappingError):
    """Some entries cannot be taken, so none is. `wrong`: all of them."""

    sentence = "Some entries cannot be taken, so none was."

    def __init__(self, wrong: Sequence[Wrong]) -> None:
        self.wrong = tuple(wrong)
        super().__init__()


@dataclass(frozen=True, slots=True)
class Transaction:
    """All that a Bundle asks for. `entries`: how many it has; `runs`: creations of one shape."""

    entries: int
    people: tuple[Person, ...] = ()
    meters: tuple[Meter, ...] = ()
    creations: tuple[Creation, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    runs: tuple[Run, ...] = ()


def transaction(body: bytes) -> Transaction:
    """A Bundle taken apart. Raises NotABundle, TooManyEntries, EntriesRefused."""
    try:
        text = body.decode("utf-8")
    except ValueError:
        raise NotABundle from None
    if text.startswith(shapes.START) and text.endswith(shapes.END):
        try:
            return _by_shapes(text)
        except OtherShape:
            pass
    return _entry_by_entry(text)


def _entry_by_entry(text: str) -> Transaction:
    """Any Bundle."""
    bundle = _parsed(text)
    if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
        raise NotABundle
    entries = bundle.get("entry", [])
    if bundle.get("type") != "transaction" or not isinstance(entries, list):
        raise NotABundle
    if len(entries) > MOST_ENTRIES:
        raise TooManyEntries(most=MOST_ENTRIES)
    return _taken_apart(dict(enumerate(entries)), len(entries))


def _by_shapes(text: str) -> Transaction:
    """A Bundle written as this program writes it. Raises OtherShape, and what `transaction` does."""
    scan = _Scan(text)
    while not scan.ended:
        scan.go_on()
    runs = tuple(shape.run() for shape in scan.shapes if shape.rows)
    return replace(_taken_apart(scan.others, scan.number), runs=runs)


class _Scan:
    """A Bundle read from its first entry to its last, by shapes where there are some."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = len(shapes.START)
        self._end = len(text) - len(shapes.END)
        self.number = 0
        self.others: dict[int, Any] = {}
        self.shapes: list[Shape] = []

    @property
    def ended(self) -> bool:
        """Whether the last entry was read."""
        return self._place == self._end

    def go_on(self) -> None:
        """Reads the entries that have a known shape, then one as any JSON, which may give a new shape."""
        found = True
        while found:
            found = any([self._read(shape) for shape in self.shapes])  # noqa: C419 (each is to be tried)
        if not self.ended and not self._remembers():
            self._read_any()

    def _remembers(self) -> bool:
        """Whether the next entry has a shape that another Bundle had."""
        if len(self.shapes) >= shapes.MOST_SHAPES:
            return False
        end = self._text.find(_NEXT, self._place)
        shape = shapes.remembered(self._text[self._place : end if end > 0 else self._end])
        if shape is not None:
            self.shapes.insert(0, shape)
        return shape is not None and self._read(shape)

    def _read(self, shape: Shape) -> bool:
        """Reads all entries of a shape from here; whether there was one."""
        before = len(shape.rows)
        place = shape.read(self._text, self._place, self._end)
        count = len(shape.rows) - before
        shape.entries.extend(range(self.number, self.number + count))
        self._step(place, count)
        return count > 0

    def _read_any(self) -> None:
        begin = self._place
        try:
            entry, end = _DECODER.raw_decode(self._text, begin)
        except (ValueError, RecursionError):
            raise NotABundle from None
        following = self._text[end : end + 1]
        if end > self._end or (end < self._end and (following != "," or end + 1 >= self._end)):
            raise OtherShape  # white space, or no Bundle at all
        self.others[self.number] = entry
        self._step(min(end + 1, self._end), 1)
        if self._end - end > shapes.WORTH * (end - begin) and len(self.shapes) < shapes.MOST_SHAPES:
            shape = shapes.learnt(self._text[begin:end], _understood)
            if shape is not None:
                self.shapes.insert(0, shape)

    def _step(self, place: int, entries: int) -> None:
        self._place = place
        self.number += entries
        if self.number > MOST_ENTRIES:
            raise TooManyEntries(most=MOST_ENTRIES)


def _understood(entry: Any) -> Received | None:
    """What an entry that creates an Observation says; None for any other, and for one that is refused."""
    try:
        asked = asked_of(0, entry)
    except NotTaken:
        return None
    if not isinstance(asked, Creation) or received.beyond([asked.said], [entry["resource"]]):
        return None
    return asked.said


def replacement(body: bytes, fhir_id: str, if_match: str | None) -> Replacement:
    """A PUT of one Observation. Raises NotABundle, EntriesRefused."""
    try:
        resource = _parsed(body.decode("utf-8"))
    except ValueError:
        raise NotABundle from None
    try:
        asked = replacement_of(None, resource, fhir_id, {} if if_match is None else {"ifMatch": if_match})
    except NotTaken as refused:
        raise EntriesRefused([_wrong(None, "Observation", refused)]) from None
    _refuse(_members_beyond([asked], [resource]))
    return asked


def _parsed(text: str) -> Any:
    """JSON of any shape, numbers exact. Raises NotABundle."""
    try:
        return json.loads(text, parse_float=received_decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise NotABundle from None


def _no_constant(_: str) -> NoReturn:
    raise ValueError("no JSON")


_NEXT: Final = ',{"fullUrl":'
"""What stands between two entries that this program writes."""
_DECODER: Final = json.JSONDecoder(parse_float=received_decimal, parse_constant=_no_constant)


def _taken_apart(entries: Mapping[int, Any], count: int) -> Transaction:
    """Entries by their numbers, of a Bundle that has `count`."""
    asked: list[Asked] = []
    wrong: list[Wrong] = []
    for number, entry in entries.items():
        try:
            asked.append(asked_of(number, entry))
        except NotTaken as refused:
            wrong.append(_wrong(number, "resource", refused))
    told = [one for one in asked if isinstance(one, Creation | Replacement)]
    resources = [entries[one.entry]["resource"] for one in told if one.entry is not None]
    wrong += _members_beyond(told, resources)
    _refuse(wrong)
    return Transaction(
        count,
        people=tuple(one for one in asked if isinstance(one, Person)),
        meters=tuple(one for one in asked if isinstance(one, Meter)),
        creations=tuple(one for one in asked if isinstance(one, Creation)),
        replacements=tuple(one for one in asked if isinstance(one, Replacement)),
        deletions=tuple(one for one in asked if isinstance(one, Deletion)),
    )


def _refuse(wrong: Sequence[Wrong]) -> None:
    if wrong:
        raise EntriesRefused(sorted(wrong, key=lambda one: one.entry or 0))


def _wrong(number: int | None, part: str, refused: NotTaken) -> Wrong:
    return Wrong(number, str(refused.details.get("part", part)), str(refused.details["why"]))


def _members_beyond(told: Sequence[Creation | Replacement], resources: Sequence[Json]) -> list[Wrong]:
    found = received.beyond([one.said for one in told], resources)
    return [
        Wrong(entry, f"{'Observation' if entry is None else 'resource'}.{shown(member)}", received.MEMBER)
        for entry, member in ((told[row].entry, member) for row, member in found.items())
    ]

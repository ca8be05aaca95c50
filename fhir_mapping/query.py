"""What a search asks, in terms of Readings: kinds, cases, devices, keys, stretches of time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, UNKNOWN_TIME, Kind, ReadingSeries
from fhir_mapping.codes import Row
from fhir_mapping.cursors import Cursor
from fhir_mapping.dates import Stretch
from fhir_mapping.dialects.international import INTERNATIONAL
from fhir_mapping.errors import NotInDialect
from fhir_mapping.identifiers import is_file
from fhir_mapping.opaque import has_id

COUNT_DEFAULT: Final = 100
COUNT_MAX: Final = 1000
_KINDS: Final = max(Kind) + 2
"""One more than there are: what is beyond them has no word."""


class Key(NamedTuple):
    """The key of one reading that was asked for by an id or an identifier. Microseconds since 1970."""

    recorded_at: int
    sequence: int
    device_id: int
    ordinal: int


@dataclass(slots=True)
class ObservationQuery:
    """What a search asks. None: not limited by it.

    `cases`: packed as `case_of` does. `by_source`: the cases of files, where they differ from those of
    devices. `keys`: only these readings. `stretches`: of effective time; None lets readings without a time
    through too. `total`: whether all that match are to be counted; `only_total`: and nothing else told.
    """

    cases: frozenset[int] | None = None
    file_cases: frozenset[int] | None = None
    devices: frozenset[int] | None = None
    keys: frozenset[Key] | None = None
    stretches: tuple[Stretch, ...] | None = None
    nothing: bool = False
    other_person: bool = False
    """Who was asked for is not whom the grant opens."""
    backwards: bool = True
    count: int = COUNT_DEFAULT
    total: bool = False
    only_total: bool = False
    includes: frozenset[str] = frozenset()
    after: Cursor | None = None
    understood: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def link(self, base: str, cursor: str | None = None) -> str:
        """The address of this search as it was understood; with `cursor`, of the page that begins there."""
        said = [one for one in self.understood if one[0] != "_cursor"]
        if cursor is not None:
            said.append(("_cursor", cursor))
        asked = "&".join(f"{quote(name, safe=':')}={quote(value, safe=',:/-.')}" for name, value in said)
        return f"{base}/Observation" + (f"?{asked}" if asked else "")

    def bound_to(self, grant: str) -> bytes:
        """What a cursor is bound to: the search without its page, and the grant."""
        pages = {"_cursor", "_count", "_total", "_include", "_summary", "_format"}
        said = sorted(one for one in self.understood if one[0] not in pages)
        return repr((grant, said)).encode()

    @property
    def kinds(self) -> tuple[int, ...] | None:
        """The kinds of the cases."""
        every = self._every_case()
        return None if every is None else tuple(sorted({case >> 12 for case in every}))

    def packed_cases(self) -> tuple[int, ...] | None:
        """The cases, where kinds do not say the same."""
        every, kinds = self._every_case(), self.kinds
        if every is None or kinds is None:
            return None
        whole = {case for case in cases() if case >> 12 in kinds}
        return None if every == whole else tuple(sorted(every))

    def _every_case(self) -> frozenset[int] | None:
        if self.cases is None:
            return None
        return self.cases | (self.file_cases or frozenset())

    def matching(self, series: ReadingSeries) -> npt.NDArray[np.bool_]:
        """The rows that FHIR has a word and an id for, and that the search asks for. Shape: (n,)."""
        packed = case_of(series)
        found = (_every_case() if self.cases is None else _table(self.cases))[packed]
        if self.file_cases is not None:
            of_file = _table(self.file_cases)[packed]
            files = [number for number, device in series.devices.items() if is_file(device.identity)]
            found = np.where(np.isin(series.device_id, files), of_file, found)
        if self.devices is not None:
            found &= np.isin(series.device_id, list(self.devices))
        return found & self._in_time(series) & has_id(series)

    def _in_time(self, series: ReadingSeries) -> npt.NDArray[np.bool_]:
        inside = np.full(len(series), self.stretches is None)
        for start, end in self.stretches or ():
            rows = series.effective_time != UNKNOWN_TIME
            if start is not None:
                rows &= series.effective_time >= start
            if end is not None:
                rows &= series.effective_time < end
            inside |= rows
        return inside


def case_of(series: ReadingSeries) -> npt.NDArray[np.int64]:
    """Kind × 4096 + unit × 32 + sample type + 1, 0 for no sample. Shape: (n,)."""
    sample = np.where(series.sample < 0, 0, (series.sample & 15) + 1)
    kind = np.clip(series.kind, 0, _KINDS - 1).astype(np.int64)
    return kind * 4096 + np.clip(series.unit, 0, 127).astype(np.int64) * 32 + sample


def _table(wanted: Iterable[int]) -> npt.NDArray[np.bool_]:
    """Which cases are wanted, by their numbers."""
    table = np.zeros(_KINDS * 4096, np.bool_)
    table[list(wanted)] = True
    return table


@cache
def _every_case() -> npt.NDArray[np.bool_]:
    return _table(cases())


def rows_of(
    series: ReadingSeries, rows: npt.NDArray[np.bool_], versions: Mapping[int, int]
) -> tuple[ReadingSeries, Mapping[int, int]]:
    """Some rows of a series, and their versions."""
    if rows.all():
        return series, versions
    chosen = np.flatnonzero(rows).tolist()
    place = {row: number for number, row in enumerate(chosen)}
    columns = {
        one.name: getattr(series, one.name)[chosen]
        for one in fields(series)
        if isinstance(getattr(series, one.name), np.ndarray)
    }
    beside = {
        name: {place[row]: told for row, told in getattr(series, name).items() if row in place}
        for name in ("contexts", "quantities", "notes")
    }
    kept = {place[row]: version for row, version in versions.items() if row in place}
    changed: dict[str, Any] = columns | beside
    return replace(series, **changed), kept


@cache
def cases() -> Mapping[int, Row]:
    """Every case that has a word in FHIR, and what it is called."""
    found = {}
    for kind in Kind:
        for unit, name in enumerate(UNITS):
            for sample in (None, *range(16)):
                try:
                    row = INTERNATIONAL.row(kind, sample, name)
                except NotInDialect:
                    continue
                found[kind * 4096 + unit * 32 + (0 if sample is None else sample + 1)] = row
    return found

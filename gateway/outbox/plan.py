"""What a space is to be told of a page of readings: pure, from what they are now and what it was told.

Whether a reading changed is told by a digest of all that can change: its time and how it is known, what the
person said of it, its context. The measurement itself never does. A digest of the rendered bytes would tell
the same, but a new way of rendering would then tell every space its whole history again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from device_profiles.reading import UNITS, UNKNOWN_TIME, Context, Kind, ReadingSeries
from fhir_mapping.dialects import Dialect
from fhir_mapping.errors import NotInDialect
from fhir_mapping.opaque import ORDINAL_BITS, SEQUENCE_BITS
from storage.deliveries import UNSURE, Delivered, State

RULES: Final = 1
"""Of the digest: with another number everything that is opened again counts as changed."""

NO_WORD: Final = "This dialect of FHIR has no word for a reading of this kind in this unit."
NO_TIME: Final = "This space takes no reading without a time."
NO_NUMBER: Final = "A number of this reading is too large for a FHIR id."
TOO_LARGE: Final = "This reading alone is larger than the space takes."
FAILED_EACH_TIME: Final = "The space failed each time that it was given this reading, and takes others."
REASONS: Final = (NO_WORD, NO_TIME, NO_NUMBER, TOO_LARGE, FAILED_EACH_TIME)
"""Why a reading is set aside without a word of the space's own."""

NONE: Final = -1
"""Stands for the state of what a space was told nothing of."""

_U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A page of one device's readings with what a space was told of each, a row each.

    `state`: NONE or a State; `told`: the digest of what it holds; `now`: of what the reading is, `created`:
    of how it is created, as if it was the person's own. `unfit`: why a row cannot be told, by row.
    """

    series: ReadingSeries
    left_out: npt.NDArray[np.bool_]
    now: npt.NDArray[np.int64]
    created: npt.NDArray[np.int64]
    state: npt.NDArray[np.int16]
    told: npt.NDArray[np.int64]
    version: npt.NDArray[np.int32]
    remote_id: list[str]
    etag: list[str]
    unfit: Mapping[int, str]

    def __len__(self) -> int:
        return len(self.series)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Rows of a page: those to create, to change, to set aside unsent, and to mark as they are shown.

    `shown`: by row, whether the space shows something else than the reading is (it takes no changes).
    """

    create: npt.NDArray[np.intp]
    change: npt.NDArray[np.intp]
    unfit: npt.NDArray[np.intp]
    shown: Mapping[int, bool]

    @property
    def rows(self) -> npt.NDArray[np.intp]:
        """What is to be sent, in the order of the keys."""
        return np.sort(np.concatenate((self.create, self.change)))


def page_of(
    series: ReadingSeries, left_out: npt.NDArray[np.bool_], delivered: Delivered, dialect: Dialect
) -> Page:
    """Readings beside what a space was told of them."""
    count = len(series)
    state = np.full(count, NONE, np.int16)
    told = np.full(count, UNSURE, np.int64)
    version = np.zeros(count, np.int32)
    remote_id, etag = [""] * count, [""] * count
    known = delivered.rows()
    if known:
        keys = zip(
            series.recorded_at.tolist(), series.sequence.tolist(), series.ordinal.tolist(), strict=True
        )
        for row, key in enumerate(keys):
            place = known.get(key)
            if place is not None:
                state[row], told[row] = delivered.state[place], delivered.digest[place]
                version[row] = delivered.version[place]
                remote_id[row], etag[row] = delivered.remote_id[place], delivered.etag[place]
    now, created = digests(series, left_out), digests(series, np.zeros(count, np.bool_))
    unfit = _unfit(series, dialect)
    return Page(series, left_out, now, created, state, told, version, remote_id, etag, unfit)


def plan_of(page: Page, dialect: Dialect, *, retry_refused: bool = False) -> Plan:
    """What is to be done with a page.

    What may have reached a space and was not confirmed is created again, also where it is another's by now:
    a conditional create tells its name there, by which it is then corrected.
    """
    state, changed = page.state, page.told != page.now
    named = np.array([bool(name) for name in page.remote_id], np.bool_)
    again = (state == State.REFUSED) & (retry_refused | (changed & (page.told != UNSURE)))
    create = ((state == NONE) | (again & ~named)) & ~page.left_out
    create |= state == State.SENDING
    if retry_refused:
        create |= (state == State.GONE) & ~page.left_out
    change = ((state == State.TOLD) & changed) | (again & named)
    shown: dict[int, bool] = {}
    if not dialect.takes_changes:
        held = np.flatnonzero(np.isin(state, (State.TOLD, State.SHOWN)))
        differs = {row: bool(changed[row]) for row in held.tolist()}
        shown = {row: is_ for row, is_ in differs.items() if is_ != (state[row] == State.SHOWN)}
        change &= False
    unfit = np.zeros(len(page), np.bool_)
    unfit[list(page.unfit)] = True
    aside = unfit & create & (state != State.REFUSED)
    return Plan(
        np.flatnonzero(create & ~unfit), np.flatnonzero(change & ~unfit), np.flatnonzero(aside), shown
    )


def digests(series: ReadingSeries, left_out: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """64 bits of all that can change of each reading, never UNSURE. Shape: (n,)."""
    marks = series.excluded.astype(np.uint64) | left_out.astype(np.uint64) << np.uint64(1)
    mixed = np.full(len(series), RULES, np.uint64)
    for column in (series.effective_time, series.utc_offset_minutes, series.time_source):
        mixed = _mix(mixed ^ column.astype(np.int64).view(np.uint64))
    mixed = _mix(mixed ^ marks)
    for row in series.contexts.keys() | series.notes.keys():
        said = (_context(series.contexts.get(row)), series.notes.get(row))
        mixed[row] ^= np.uint64(int.from_bytes(blake2b(repr(said).encode(), digest_size=8).digest()))
    found = mixed.view(np.int64)
    found[found == UNSURE] = 1
    return found


def own_words(page: Page, row: int) -> bool:
    """Whether the person said something of a reading."""
    return bool(page.series.excluded[row]) or row in page.series.notes


def _mix(values: _U64) -> _U64:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit counts for all."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _context(context: Context | None) -> tuple[Any, ...] | None:
    """A context as it is told: without the bytes it came in, and numbers by their digits."""
    if context is None:
        return None
    names = (name for name in Context.__slots__ if name != "raw")
    return tuple(str(getattr(context, name)) for name in names)


def _unfit(series: ReadingSeries, dialect: Dialect) -> Mapping[int, str]:
    """Why rows cannot be told in a dialect, by row."""
    found: dict[int, str] = {}
    numbers = (series.sequence >= 1 << SEQUENCE_BITS) | (series.sequence < 0)
    numbers |= series.ordinal >= 1 << ORDINAL_BITS
    found |= dict.fromkeys(np.flatnonzero(numbers).tolist(), NO_NUMBER)
    if not dialect.takes_unknown_time:
        unknown = np.flatnonzero(series.effective_time == UNKNOWN_TIME)
        found |= dict.fromkeys(unknown.tolist(), NO_TIME)
    case = (
        (series.kind.astype(np.int64) << 32) | ((series.sample.astype(np.int64) & 0xFFFF) << 16) | series.unit
    )
    for one in np.unique(case).tolist():
        rows = np.flatnonzero(case == one)
        kind, unit = Kind(int(series.kind[rows[0]])), UNITS[int(series.unit[rows[0]])]
        sample = int(series.sample[rows[0]])
        try:
            dialect.row(kind, None if sample < 0 else sample & 0x0F, unit)
        except NotInDialect:
            found |= dict.fromkeys(rows.tolist(), NO_WORD)
    return found

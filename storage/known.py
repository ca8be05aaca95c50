"""Which records of a batch are new: only the measurement's bytes decide whether a record is the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from storage.columns import Columns


@dataclass(frozen=True, slots=True, eq=False)
class KnownRecords:
    """Records that are stored, as columns in the order of the key."""

    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]
    ordinal: npt.NDArray[np.int16]
    raw: Sequence[bytes]

    @classmethod
    def of(cls, parts: Sequence[tuple[Any, ...]]) -> KnownRecords:
        """From the rows of the statement `known`, one per stretch of time."""
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int16), ())
        recorded_at, sequence, ordinal, raw = zip(*parts, strict=True)
        joined = (np.concatenate(recorded_at), np.concatenate(sequence), np.concatenate(ordinal))
        return cls(*joined, [one for part in raw for one in part])


@dataclass(frozen=True, slots=True, eq=False)
class SortedOut:
    """A batch against what is known. `new`: rows to store, each once, with their `ordinal` beside.

    `ordinals`: for every row of the batch, the ordinal under which its record is stored, now or before.
    """

    new: npt.NDArray[np.intp]
    ordinal: npt.NDArray[np.int16]
    ordinals: npt.NDArray[np.int16]


def sort_out(batch: Columns, known: KnownRecords) -> SortedOut:
    """Same key and same measurement: known. Same key, another measurement: the next ordinal."""
    ordinals = np.zeros(len(batch), np.int16)
    if not len(known.recorded_at) and _strictly_ordered(batch):
        return SortedOut(np.arange(len(batch)), ordinals, ordinals)
    measured: defaultdict[tuple[int, int], dict[bytes, int]] = defaultdict(dict)
    stored = zip(
        known.recorded_at.tolist(), known.sequence.tolist(), known.ordinal.tolist(), known.raw, strict=True
    )
    for time, number, ordinal, raw in stored:
        measured[time, number][raw] = ordinal
    new: list[int] = []
    rows = zip(batch.recorded_at.tolist(), batch.sequence.tolist(), batch.raw, strict=True)
    for row, (time, number, raw) in enumerate(rows):
        of_key = measured[time, number]
        if raw not in of_key:
            of_key[raw] = max(of_key.values(), default=-1) + 1
            new.append(row)
        ordinals[row] = of_key[raw]
    chosen = np.array(new, np.intp)
    return SortedOut(chosen, ordinals[chosen], ordinals)


def _strictly_ordered(batch: Columns) -> bool:
    """Whether no two rows can have one key, told without looking at each."""
    step = np.diff(batch.recorded_at)
    return bool(np.all((step > 0) | ((step == 0) & (np.diff(batch.sequence) > 0))))

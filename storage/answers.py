"""What the statements that read readings answer, as the columns of a ReadingSeries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from device_profiles.reading import ClockSegment, Context, Quantity
from storage import clock_segments, contexts, meals
from storage.annotations import AnnotationKind
from storage.columns import microseconds
from storage.contexts import Key

LEFT_OUT = {AnnotationKind.NOT_MINE, AnnotationKind.MOVED_TO}


def unpacked(
    recorded_at: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
    marks: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int64],
) -> dict[str, npt.NDArray[Any]]:
    """The columns of a ReadingSeries from those that the statements answer."""
    mantissa = numbers.astype(np.int32)
    return {
        "recorded_at": recorded_at,
        "sequence": ((numbers - mantissa) >> 32).astype(np.int32),
        "mantissa": mantissa,
        "flags": (marks >> 32).astype(np.int32),
        "device_id": (marks >> 16).astype(np.int16).astype(np.int32),
        "ordinal": marks.astype(np.int16),
        "kind": (codes >> 40).astype(np.int16),
        "exponent": (codes >> 32).astype(np.uint8).astype(np.int16) - np.int16(128),
        "unit": (codes >> 24).astype(np.uint8).astype(np.int16),
        "absent": (codes >> 16).astype(np.uint8).astype(np.int16),
        "sample": codes.astype(np.int16) - np.int16(1),
    }


class AroundReadings:
    """What lies beside readings, by their keys."""

    def __init__(self) -> None:
        self._contexts: dict[Key, Context] = {}
        self._quantities: dict[Key, tuple[Quantity, ...]] = {}
        self._notes: dict[Key, str] = {}
        self._meals: dict[Key, str] = {}
        self._excluded: set[Key] = set()
        self.left_out: set[Key] = set()

    def add(
        self,
        context_rows: Sequence[tuple[Any, ...]],
        quantity_rows: Sequence[tuple[Any, ...]],
        annotation_rows: Sequence[tuple[Any, ...]],
    ) -> None:
        """Takes what the three statements answered."""
        self._contexts.update(contexts.contexts_of(context_rows))
        self._quantities.update(contexts.quantities_of(quantity_rows))
        for at, sequence, device_id, ordinal, kind, value in annotation_rows:
            key = (int(microseconds((at,))[0]), sequence, device_id, ordinal)
            if kind == AnnotationKind.NOTE and value is not None:
                self._notes[key] = value
            elif kind == AnnotationKind.MEAL and value is not None:
                self._meals[key] = value
            elif kind == AnnotationKind.EXCLUDED:
                self._excluded.add(key)
            elif kind in LEFT_OUT:
                self.left_out.add(key)

    def by_row(self, columns: Mapping[str, npt.NDArray[Any]]) -> dict[str, Any]:
        """The fields of a ReadingSeries that are by row."""
        excluded = np.zeros(len(columns["kind"]), np.bool_)
        found: dict[str, Any] = {"excluded": excluded, "contexts": {}, "quantities": {}, "notes": {}}
        if self._contexts or self._quantities or self._notes or self._excluded or self._meals:
            rows = row_of_key(columns)
            excluded[[rows[key] for key in self._excluded if key in rows]] = True
            for name, beside in (
                ("contexts", self._told()),
                ("quantities", self._quantities),
                ("notes", self._notes),
            ):
                found[name] = {rows[key]: value for key, value in beside.items() if key in rows}
        return found

    def _told(self) -> Mapping[Key, Context]:
        """The contexts, with what the person says of meals in them."""
        if not self._meals:
            return self._contexts
        said = {key: meals.marked(self._contexts.get(key), mark) for key, mark in self._meals.items()}
        return self._contexts | {key: context for key, context in said.items() if context is not None}


def row_of_key(columns: Mapping[str, npt.NDArray[Any]]) -> dict[Key, int]:
    """The row of each key."""
    names = ("recorded_at", "sequence", "device_id", "ordinal")
    keys = zip(*(columns[name].tolist() for name in names), strict=True)
    return {key: row for row, key in enumerate(keys)}


def placed_columns(
    columns: Mapping[str, npt.NDArray[Any]], segments: Mapping[int, tuple[ClockSegment, ...]]
) -> dict[str, npt.NDArray[Any]]:
    """Effective times and how they are known, device by device."""
    recorded_at, sequence, device = (columns[name] for name in ("recorded_at", "sequence", "device_id"))
    if len(device) and np.all(device == device[0]):
        return _as_columns(clock_segments.place(recorded_at, sequence, segments.get(int(device[0]), ())))
    placed = clock_segments.place(recorded_at, sequence, ())
    for device_id, of_device in segments.items():
        rows = np.flatnonzero(device == device_id)
        found = clock_segments.place(recorded_at[rows], sequence[rows], of_device)
        placed.effective_time[rows] = found.effective_time
        placed.utc_offset_minutes[rows] = found.utc_offset_minutes
        placed.time_source[rows] = found.time_source
    return _as_columns(placed)


def _as_columns(placed: clock_segments.Placed) -> dict[str, npt.NDArray[Any]]:
    return {
        "effective_time": placed.effective_time,
        "utc_offset_minutes": placed.utc_offset_minutes,
        "time_source": placed.time_source,
    }

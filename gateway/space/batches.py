"""Readings of one device, from however many parts of a Bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from device_profiles.reading import ReadingSeries
from fhir_mapping.received import joined


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Readings of one device to be there, and the numbers of their entries."""

    entries: npt.NDArray[np.int64]
    series: ReadingSeries

    @classmethod
    def joined(cls, parts: Sequence[Batch]) -> Batch:
        """All of them in the order of the Bundle."""
        if len(parts) == 1:
            return parts[0]
        entries = np.concatenate([part.entries for part in parts])
        order = np.argsort(entries)
        return cls(entries[order], joined([part.series for part in parts]).take(order))

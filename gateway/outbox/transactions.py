"""Transactions as bytes: what of a page goes into one, in the order in which its answers come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from device_profiles.reading import (
    UNITS,
    UNKNOWN_TIME,
    Absent,
    Device,
    Kind,
    ReadingSeries,
    TimeSource,
)
from fhir_mapping import bundle
from fhir_mapping.dialects import Dialect
from fhir_mapping.identifiers import patient_identifier
from fhir_mapping.observation import Form, pieces, render_each
from fhir_mapping.opaque import ReadingIds
from gateway.outbox.plan import Page
from storage.columns import microseconds
from storage.deliveries import ToErase
from storage.spaces import Space

Rows = npt.NDArray[np.intp]

_UNITS_TRIED: Final = range(len(UNITS))


@dataclass(frozen=True, slots=True, eq=False)
class Transaction:
    """A Bundle to send. `around`: how many entries stand before the readings'; `rows`: whose those are."""

    body: bytes
    around: int
    rows: Rows
    creates: Sequence[bool]

    @property
    def entries(self) -> int:
        """How many answers are to come."""
        return self.around + len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Writer:
    """Writes the transactions of one space."""

    space: Space
    ids: ReadingIds
    dialect: Dialect

    def of_rows(self, page: Page, rows: Rows, creates: npt.NDArray[np.bool_]) -> Transaction:
        """A transaction of some rows of a page. `creates`: which of them are created; the others change."""
        created, changed = rows[creates], rows[~creates]
        series = page.series.take(np.concatenate((created, changed)))
        around = self._around(series)
        new = page.series.take(created)
        observations = self._creations(new)
        entries = around + self.changes(page, changed)
        return Transaction(
            bundle.bundle("transaction", entries, observations),
            len(around),
            np.concatenate((changed, created)),
            [False] * len(changed) + [True] * len(created),
        )

    def changes(self, page: Page, rows: Rows) -> list[bytes]:
        """Entries that replace what the space has of these rows."""
        rendered = render_each(page.series.take(rows), self.ids, dialect=self.dialect, subject=self._subject)
        return [
            bundle.change(
                bundle.in_error(one) if page.left_out[row] else one, page.remote_id[row], page.etag[row]
            )
            for one, row in zip(rendered, rows.tolist(), strict=True)
        ]

    def rendered(self, page: Page, row: int) -> bytes:
        """An Observation as it is told now."""
        series = page.series.take(np.array([row]))
        (one,) = render_each(series, self.ids, dialect=self.dialect, subject=self._subject)
        return bundle.in_error(one) if page.left_out[row] else one

    def placeholders(self, erased: Sequence[ToErase], devices: dict[int, Device]) -> Transaction:
        """Creates, where they are not there, Observations without a value, identified as the erased ones.

        So a space tells its own names of those that may have reached it, and whatever it has is erased then.
        """
        series = self._without_values(erased, devices)
        around = self._around(series)
        body = bundle.bundle("transaction", around, self._creations(series))
        return Transaction(body, len(around), np.arange(len(erased)), [True] * len(erased))

    def deletions(self, names: Sequence[str]) -> Transaction:
        """Deletes Observations by the space's own names."""
        body = bundle.bundle("transaction", [bundle.deletion(name) for name in names])
        return Transaction(body, 0, np.arange(len(names)), [False] * len(names))

    def _creations(self, series: ReadingSeries) -> list[bytes]:
        return pieces(series, self.ids, dialect=self.dialect, form=Form.TRANSACTION, subject=self._subject)

    def _around(self, series: ReadingSeries) -> list[bytes]:
        return bundle.surroundings(series, self.ids, subject=self._subject, zone=self.space.timezone)

    @property
    def _subject(self) -> dict[str, object] | None:
        """The person by their identifier, where the receiver knows them by it."""
        if not self.dialect.knows_person:
            return None
        return {"type": "Patient", "identifier": patient_identifier(self.space.patient_uuid)}

    def _without_values(self, erased: Sequence[ToErase], devices: dict[int, Device]) -> ReadingSeries:
        count = len(erased)
        kinds = [Kind(one.kind or Kind.BLOOD_GLUCOSE) for one in erased]
        units = {kind: self._unit(kind) for kind in set(kinds)}
        zeros = np.zeros(count, np.int16)
        return ReadingSeries(
            patient_id=self.space.patient_id,
            patient_uuid=self.space.patient_uuid,
            kind=np.array(kinds, np.int16),
            effective_time=np.full(count, UNKNOWN_TIME, np.int64),
            utc_offset_minutes=zeros,
            time_source=np.full(count, TimeSource.UNKNOWN, np.int16),
            recorded_at=microseconds([one.recorded_at for one in erased]),
            sequence=np.array([one.sequence for one in erased], np.int32),
            device_id=np.array([one.device_id for one in erased], np.int32),
            ordinal=np.array([one.ordinal for one in erased], np.int16),
            mantissa=np.zeros(count, np.int32),
            exponent=zeros,
            unit=np.array([units[kind] for kind in kinds], np.int16),
            absent=np.full(count, Absent.NOT_A_NUMBER, np.int16),
            flags=np.zeros(count, np.int32),
            sample=np.full(count, -1, np.int16),
            excluded=np.zeros(count, np.bool_),
            devices=devices,
        )

    def _unit(self, kind: Kind) -> int:
        """A unit that the dialect has a word for."""
        return next(unit for unit in _UNITS_TRIED if (kind, None, UNITS[unit]) in self.dialect.rows)

"""A ReadingSeries as FHIR Observations, in bytes.

A fortnight of sensor readings is 4,032 Observations of some 700 bytes, nearly all of it the same text. So the
text is spelled once for each combination of kind, sample, unit, device and way of knowing the time that
occurs in the series (a `Template`), the few things that differ from row to row are columns (ids, times,
values), and a row is the join of the two by turns. No object stands for an Observation.

What an Observation says:
- `identifier`: ours and HL7 PHD's (`fhir_mapping.identifiers`);
- `code`: LOINC and MDC by kind, sample type and unit (`fhir_mapping.codes`);
- `effectiveDateTime`: with the person's own offset from UTC; when no time can be given, the extension
  data-absent-reason in its place; an extension when the time was corrected, or only the order is sure;
- `valueQuantity`: the digits of the device; or `dataAbsentReason`, with an interpretation for LO and HI;
- `bodySite`, and extensions with the sample's two numbers; `component`: what `fhir_mapping.components` holds;
- `note`: what the person wrote; an extension when they excluded the reading from statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntFlag

import numpy as np
import numpy.typing as npt

from device_profiles.flags import flags_of
from device_profiles.reading import UNKNOWN_TIME, Kind, ReadingSeries
from fhir_mapping import columns, components, times
from fhir_mapping.codes import EXCLUDED
from fhir_mapping.dialects import Dialect
from fhir_mapping.dialects.international import INTERNATIONAL
from fhir_mapping.errors import TimeNeeded
from fhir_mapping.opaque import ReadingIds
from fhir_mapping.references import ALONE, Address
from fhir_mapping.reverse import to_reading
from fhir_mapping.templates import FIRST_VERSION, Form, Slot, Template, slots_of, templates_of
from fhir_mapping.text import clean, members

_FIRST = b'"versionId":"%s"' % FIRST_VERSION.encode()

__all__ = ["Form", "pieces", "render", "render_each", "to_reading"]


def render(
    series: ReadingSeries,
    ids: ReadingIds,
    *,
    dialect: Dialect = INTERNATIONAL,
    form: Form = Form.RESOURCE,
    address: Address = ALONE,
    subject: Mapping[str, object] | None = None,
    versions: Mapping[int, int] | None = None,
) -> bytes:
    """The Observations of a series in its order, joined by commas: what stands between [ and ].

    `subject`: the Reference to the person, where the receiver knows them by another name than this home's id.
    `versions`: by row, those above the first; None says nothing of versions.
    Raises NotInDialect, TimeNeeded, IdOutOfRange; KeyError where the series does not hold a row's device.
    """
    flat = pieces(
        series, ids, dialect=dialect, form=form, address=address, subject=subject, versions=versions
    )
    return b"".join(flat)


def pieces(
    series: ReadingSeries,
    ids: ReadingIds,
    *,
    dialect: Dialect = INTERNATIONAL,
    form: Form = Form.RESOURCE,
    address: Address = ALONE,
    subject: Mapping[str, object] | None = None,
    versions: Mapping[int, int] | None = None,
) -> list[bytes]:
    """As `render`, before the join: for a Bundle, which joins once: each copy of megabytes costs."""
    strips = _strips(series, ids, dialect, form, address, subject, versions)
    if not strips:
        return []
    width = len(strips) + 1
    flat = [b","] * (width * len(series))
    for place, strip in enumerate(strips):
        flat[place::width] = strip
    flat[-1] = b""
    return flat


def render_each(
    series: ReadingSeries,
    ids: ReadingIds,
    *,
    dialect: Dialect = INTERNATIONAL,
    form: Form = Form.RESOURCE,
    address: Address = ALONE,
    subject: Mapping[str, object] | None = None,
) -> list[bytes]:
    """As `render`, one by one: for Bundles that hold exactly one."""
    return list(map(b"".join, zip(*_strips(series, ids, dialect, form, address, subject), strict=True)))


def _strips(
    series: ReadingSeries,
    ids: ReadingIds,
    dialect: Dialect,
    form: Form,
    address: Address,
    subject: Mapping[str, object] | None,
    versions: Mapping[int, int] | None = None,
) -> list[Sequence[bytes]]:
    """Static pieces and columns by turns: a row of the result is one piece of each."""
    if not len(series):
        return []
    timed = series.effective_time != UNKNOWN_TIME
    if not dialect.takes_unknown_time and not timed.all():
        raise TimeNeeded(dialect=dialect.name)
    who = subject or {"reference": address.reference("Patient", ids.patient(series.patient_id))}
    names = ids.columns(series)
    templates, which = templates_of(series, ids, dialect, form, address, who, versioned=versions is not None)
    recorded = times.wall_clock(series.recorded_at)
    sequences = columns.spelled(series.sequence)
    filled: dict[Slot, Sequence[bytes]] = {
        Slot.URL: address.last_parts(names),
        Slot.ID: names.tolist(),
        Slot.RECORDED: recorded,
        Slot.SEQUENCE: sequences,
        Slot.PHD: columns.phd_seconds(series, which, templates),
        Slot.TIME: columns.wall_clocks(series, timed),
        Slot.VALUE: columns.values(series, which, templates),
        Slot.EXTRA: _extras(series, which, templates, dialect),
        Slot.RECORDED_AGAIN: recorded,
        Slot.SEQUENCE_AGAIN: sequences,
    }
    statics = [columns.taken(table, which) for table in zip(*(one.pieces for one in templates), strict=True)]
    after_id = statics[slots_of(form).index(Slot.ID) + 1]
    for changed, version in (versions or {}).items():
        after_id[changed] = after_id[changed].replace(_FIRST, b'"versionId":"%d"' % version, 1)
    strips: list[Sequence[bytes]] = [statics[0]]
    for slot, after in zip(slots_of(form), statics[1:], strict=True):
        strips += (filled[slot], after)
    return strips


def _extras(
    series: ReadingSeries,
    which: npt.NDArray[np.intp],
    templates: Sequence[Template],
    dialect: Dialect,
) -> list[bytes]:
    """Extensions, notes and components: those of the template, but for the few rows that have their own."""
    table = [members({"extension": one.extensions} if one.extensions else {}) for one in templates]
    column = columns.taken(table, which)
    for row in _own_rows(series, which, templates):
        column[row] = members(_extra(series, row, templates[which[row]], dialect))
    return column


def _own_rows(series: ReadingSeries, which: npt.NDArray[np.intp], templates: Sequence[Template]) -> set[int]:
    panels = [place for place, one in enumerate(templates) if one.row.panel]
    rows: set[int] = set(np.flatnonzero((series.flags != 0) | series.excluded).tolist())
    rows |= series.contexts.keys() | series.quantities.keys() | series.notes.keys()
    if panels:
        rows |= set(np.flatnonzero(np.isin(which, panels)).tolist())
    return rows


def _flags_of(series: ReadingSeries, row: int) -> type[IntFlag]:
    return flags_of(Kind(int(series.kind[row])), int(series.sample[row]))


def _extra(series: ReadingSeries, row: int, template: Template, dialect: Dialect) -> dict[str, object]:
    extensions = list(template.extensions)
    first = (columns.first_quantity(series, row),) if template.row.panel else ()
    parts = components.of_quantities((*first, *series.quantities.get(row, ())))
    if (context := series.contexts.get(row)) is not None:
        if dialect.moments is None:
            parts += components.of_context(context)
        elif (moment := dialect.moments.of(context)) is not None:
            said = {"coding": [moment.json()]}
            extensions.append({"url": dialect.moments.url, "valueCodeableConcept": said})
    parts += components.of_flags(int(series.flags[row]), _flags_of(series, row))
    if series.excluded[row]:
        extensions.append({"url": EXCLUDED, "valueBoolean": True})
    note = clean(series.notes.get(row))
    return {
        **({"extension": extensions} if extensions else {}),
        **({"note": [{"text": note}]} if note else {}),
        **({"component": parts} if parts else {}),
    }

"""What an Observation that came from a gateway says, held to the letter.

Nothing is dropped in silence: what was understood is rendered again, and whatever the Observation holds
beyond that is named and refused. Left out of the comparison is what changes no meaning (displays, texts, the
sender's own ids) and what is compared as what it stands for (identifiers, times, references).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from json import loads
from typing import Any, Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from device_profiles.reading import (
    UNITS,
    UNKNOWN_TIME,
    Context,
    Device,
    DeviceIdentity,
    Quantity,
    Reading,
    ReadingSeries,
    TimeSource,
)
from fhir_mapping.codes import ABSENT_REASON_EXTENSION, EXCLUDED, PHD_IDENTIFIER, READING, TIME_SOURCE
from fhir_mapping.dialects.international import INTERNATIONAL
from fhir_mapping.errors import MappingError, NotInDialect, NotTaken
from fhir_mapping.identifiers import DIGEST
from fhir_mapping.observation import render
from fhir_mapping.opaque import EPOCH, ORDINAL_BITS, SEQUENCE_BITS, ReadingIds
from fhir_mapping.reverse import to_reading

Json = Mapping[str, Any]

ENTERED_IN_ERROR: Final = "entered-in-error"
STATUSES: Final = ("final", "amended", "corrected", ENTERED_IN_ERROR)

_NOBODY: Final = UUID(int=0)
_ANY_IDS: Final = ReadingIds(bytes(16))
_CHECKED_APART: Final = frozenset(
    ("resourceType", "id", "meta", "identifier", "subject", "device", "effectiveDateTime", "status", "text")
)
_SAYS_NOTHING: Final = frozenset(("display", "unit", "text", "id"))
_META: Final = frozenset(("profile", "versionId", "lastUpdated", "source"))
_REFERENCE: Final = frozenset(("reference", "type", "display", "identifier"))
_MICROSECOND: Final = timedelta(microseconds=1)
_UNIX: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INT4: Final = 2**31 - 1
_INT1: Final = 127
_COLUMNS: Final = tuple(
    one.name
    for one in fields(ReadingSeries)
    if one.name not in ("patient_id", "patient_uuid", "contexts", "quantities", "notes", "devices")
)
_MISREAD: Final = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    ArithmeticError,
    RecursionError,
)
"""What parsing JSON of any shape as an Observation can end in."""

NOT_OURS: Final = (
    "its identifier of the system urn:passerelle:reading is needed, which says the device, the time as the "
    "device wrote it, the sequence number, the ordinal and the kind"
)
NO_TIME: Final = (
    "effectiveDateTime with a time zone is needed, or the extension data-absent-reason in its place"
)
NOT_UNDERSTOOD: Final = "its value or its components are not written as this program writes them"
NO_CODE: Final = "a reading of this kind has no code in this unit"
BEYOND: Final = "a number or a time in it is beyond what can be stored"
MEMBER: Final = "this member would be lost, since nothing here keeps it: leave it out"
STATUS: Final = "its status must be final or entered-in-error"
NO_REFERENCE: Final = "a reference to the person and one to the device are needed"
UNEVEN_SHIFT: Final = "its time must lie whole seconds from the time that the device wrote"


@dataclass(frozen=True, slots=True)
class Received:
    """One Observation as understood. `effective`: microseconds since 1970, UNKNOWN_TIME where it has none."""

    digest: str
    ordinal: int
    reading: Reading
    effective: int
    utc_offset_minutes: int
    source: TimeSource
    excluded: bool
    note: str | None
    in_error: bool
    subject: str
    device: str

    @property
    def identifier(self) -> str:
        """The value of our identifier, as it is written."""
        identity = self.reading.identity
        moment = identity.recorded_at.replace(tzinfo=None).isoformat()
        return f"{self.digest}/{moment}/{identity.sequence}/{self.ordinal}/{self.reading.kind.slug}"


def understood(resource: Json) -> Received:
    """What an Observation says, not yet compared with what is rendered of it. Raises NotTaken."""
    try:
        digest, ordinal = _key(resource)
        received = _received(resource, digest, ordinal, to_reading(resource))
    except NotTaken:
        raise
    except (MappingError, *_MISREAD):
        raise NotTaken(why=NOT_UNDERSTOOD) from None
    if all(one.get("value") != received.identifier for one in resource["identifier"]):
        raise NotTaken(why=NOT_OURS)  # another spelling of the same key would be another identifier
    return received


def beyond(received: Sequence[Received], resources: Sequence[Json]) -> Mapping[int, str]:
    """The member that says more than was understood, by row; no row for an Observation that is in order."""
    if not received:
        return {}
    again = loads(b"[%s]" % render(series_of(received), _ANY_IDS), parse_float=Decimal)
    found = {}
    for row, (resource, rendered) in enumerate(zip(resources, again, strict=True)):
        member = _beyond_observation(resource, rendered)
        if member is not None:
            found[row] = member
    return found


def series_of(received: Sequence[Received], devices: Mapping[str, int] | None = None) -> ReadingSeries:
    """Columns of what was understood, in this order. `devices`: a number for each digest."""
    numbers = devices or {digest: row for row, digest in enumerate({one.digest for one in received})}
    readings = [one.reading for one in received]
    firsts = [_written(reading.quantities[0]) for reading in readings]

    def column(values: Iterable[Any], kind: str) -> npt.NDArray[Any]:
        return np.fromiter(values, kind, len(received))

    return ReadingSeries(
        patient_id=0,
        patient_uuid=_NOBODY,
        kind=column((reading.kind for reading in readings), "i2"),
        effective_time=column((one.effective for one in received), "i8"),
        utc_offset_minutes=column((one.utc_offset_minutes for one in received), "i2"),
        time_source=column((one.source for one in received), "i2"),
        recorded_at=column((_micros(reading.identity.recorded_at) for reading in readings), "i8"),
        sequence=column((reading.identity.sequence for reading in readings), "i4"),
        device_id=column((numbers[one.digest] for one in received), "i4"),
        ordinal=column((one.ordinal for one in received), "i2"),
        mantissa=column((first[0] for first in firsts), "i4"),
        exponent=column((first[1] for first in firsts), "i2"),
        unit=column((UNITS.index(reading.quantities[0].unit) for reading in readings), "i2"),
        absent=column((int(reading.quantities[0].absent or 0) for reading in readings), "i2"),
        flags=column((int(reading.flags) for reading in readings), "i4"),
        sample=column((_sample(reading) for reading in readings), "i2"),
        excluded=column((one.excluded for one in received), "?"),
        contexts=_by_row([reading.context for reading in readings]),
        quantities=_by_row([reading.quantities[1:] for reading in readings]),
        notes=_by_row([one.note for one in received]),
        devices={number: Device(DeviceIdentity(DIGEST, digest)) for digest, number in numbers.items()},
    )


def joined(parts: Sequence[ReadingSeries]) -> ReadingSeries:
    """Series of one person and device, one after the other."""
    starts = np.cumsum([0, *(len(part) for part in parts)]).tolist()
    told: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS
    }
    for name in ("contexts", "quantities", "notes"):
        told[name] = {
            start + row: said
            for start, part in zip(starts, parts, strict=False)
            for row, said in getattr(part, name).items()
        }
    return replace(parts[0], **told)


def _by_row(values: Sequence[Any]) -> dict[int, Any]:
    return {row: value for row, value in enumerate(values) if value}


def _key(resource: Json) -> tuple[str, int]:
    """The device's digest and the ordinal that our identifier tells."""
    identifiers = resource.get("identifier", ())
    ours = [one["value"] for one in identifiers if one.get("system") == READING]
    if len(ours) != 1:
        raise NotTaken(why=NOT_OURS)
    digest, _, _, ordinal, _ = ours[0].split("/")
    if (
        len(digest) != 32
        or set(digest) - set("0123456789abcdef")
        or not 0 <= int(ordinal) < 1 << ORDINAL_BITS
    ):
        raise NotTaken(why=NOT_OURS)
    return digest, int(ordinal)


def _received(resource: Json, digest: str, ordinal: int, reading: Reading) -> Received:
    status = resource.get("status")
    if status not in STATUSES:
        raise NotTaken(why=STATUS)
    effective, offset = _effective(resource)
    _check(reading, effective)
    extensions = {one["url"]: one for one in resource.get("extension", ())}
    return Received(
        digest=digest,
        ordinal=ordinal,
        reading=reading,
        effective=effective,
        utc_offset_minutes=offset,
        source=_source(resource),
        excluded=extensions.get(EXCLUDED, {}).get("valueBoolean") is True,
        note=_note(resource),
        in_error=status == ENTERED_IN_ERROR,
        subject=_reference(resource.get("subject")),
        device=_reference(resource.get("device")),
    )


def _check(reading: Reading, effective: int) -> None:
    """That every number fits its place, and that there is a code for it."""
    identity = reading.identity
    recorded = _micros(identity.recorded_at)
    if not 0 <= identity.sequence < 1 << SEQUENCE_BITS or identity.recorded_at < EPOCH:
        raise NotTaken(why=BEYOND)
    for quantity in reading.quantities:
        if quantity.unit not in UNITS:
            raise NotTaken(why=NO_CODE)
        _written(quantity)
    if reading.context is not None:
        _check_context(reading.context)
    if not 0 <= int(reading.flags) <= _INT4:
        raise NotTaken(why=BEYOND)
    if effective != UNKNOWN_TIME and (effective - recorded) % 1_000_000:
        raise NotTaken(why=UNEVEN_SHIFT)
    sample = reading.sample
    if sample is not None and not (0 <= sample.type < 16 and 0 <= sample.location < 16):
        raise NotTaken(why=BEYOND)
    try:
        INTERNATIONAL.row(reading.kind, None if sample is None else sample.type, reading.quantities[0].unit)
    except NotInDialect:
        raise NotTaken(why=NO_CODE) from None


def _check_context(context: Context) -> None:
    small = (context.carbohydrate, context.meal, context.tester, context.health, context.medication)
    counts = (*small, context.exercise_intensity_percent)
    if any(number is not None and not 0 <= number <= 255 for number in counts):
        raise NotTaken(why=BEYOND)
    if context.exercise_seconds is not None and not 0 <= context.exercise_seconds <= 65535:
        raise NotTaken(why=BEYOND)
    for amount in (context.carbohydrate_kg, context.medication_value, context.hba1c_percent):
        if amount is not None:
            written_number(amount)


def _written(quantity: Quantity) -> tuple[int, int]:
    """A quantity's number as mantissa and exponent. Raises NotTaken."""
    return (0, 0) if quantity.value is None else written_number(quantity.value)


def written_number(value: Decimal) -> tuple[int, int]:
    """A number digit by digit: mantissa and exponent of ten. Raises NotTaken for one that has no place."""
    for candidate in (value, value.normalize()):
        sign, digits, exponent = candidate.as_tuple()
        if isinstance(exponent, int) and len(digits) <= 10 and -_INT1 - 1 <= exponent <= _INT1:
            mantissa = int("".join(map(str, digits)))
            if mantissa <= _INT4:
                return -mantissa if sign else mantissa, exponent
    raise NotTaken(why=BEYOND)


def _effective(resource: Json) -> tuple[int, int]:
    """When it was, in microseconds since 1970, and the offset of the person's clock in minutes."""
    written = resource.get("effectiveDateTime")
    if written is None:
        marks = resource.get("_effectiveDateTime", {}).get("extension", ())
        if not any(one.get("url") == ABSENT_REASON_EXTENSION for one in marks):
            raise NotTaken(why=NO_TIME)
        return UNKNOWN_TIME, 0
    try:
        moment = datetime.fromisoformat(written)
        offset = moment.utcoffset()
        if offset is None or "T" not in written or offset.seconds % 60:
            raise NotTaken(why=NO_TIME)
        return _micros(moment), int(offset.total_seconds()) // 60
    except (ValueError, TypeError, OverflowError):
        raise NotTaken(why=NO_TIME) from None


def _source(resource: Json) -> TimeSource:
    marks = resource.get("_effectiveDateTime", {}).get("extension", ())
    slugs = [one["valueCode"] for one in marks if one.get("url") == TIME_SOURCE]
    return TimeSource[slugs[0].upper().replace("-", "_")] if slugs else TimeSource.DEVICE


def _note(resource: Json) -> str | None:
    notes = resource.get("note", ())
    if len(notes) > 1:
        raise NotTaken(why=MEMBER)
    text = notes[0]["text"] if notes else None
    if text is not None and not isinstance(text, str):
        raise NotTaken(why=NOT_UNDERSTOOD)
    return text


def _reference(said: object) -> str:
    if (
        not isinstance(said, Mapping)
        or not isinstance(said.get("reference"), str)
        or said.keys() - _REFERENCE
    ):
        raise NotTaken(why=NO_REFERENCE)
    return str(said["reference"])


def _sample(reading: Reading) -> int:
    return -1 if reading.sample is None else reading.sample.type | reading.sample.location << 4


def _micros(moment: datetime) -> int:
    return (moment - _UNIX) // _MICROSECOND


def _beyond_observation(resource: Json, rendered: Json) -> str | None:
    """The member that says more than what is rendered; None where there is none."""
    for identifier in resource.get("identifier", ()):
        if identifier.get("system") not in (READING, PHD_IDENTIFIER):
            return "identifier"
    meta = resource.get("meta", {})
    if not isinstance(meta, Mapping) or meta.keys() - _META:
        return "meta"
    for name, said in resource.items():
        if name not in _CHECKED_APART:
            if name not in rendered:
                return str(name)
            if _says_more(said, rendered[name], within_note=name == "note"):
                return str(name)
    return None


def _says_more(said: object, rendered: object, *, within_note: bool = False) -> bool:
    """Whether JSON says something that the rendered JSON does not."""
    if isinstance(said, Mapping):
        if not isinstance(rendered, Mapping):
            return True
        ignored = frozenset() if within_note else _SAYS_NOTHING
        return any(
            name not in rendered or _says_more(part, rendered[name], within_note=within_note)
            for name, part in said.items()
            if name not in ignored
        )
    if isinstance(said, list):
        if not isinstance(rendered, list):
            return True
        return any(
            all(_says_more(part, other, within_note=within_note) for other in rendered) for part in said
        )
    if isinstance(said, int | Decimal) and not isinstance(said, bool):
        return (
            isinstance(rendered, bool) or not isinstance(rendered, int | Decimal) or _differ(said, rendered)
        )
    return type(said) is not type(rendered) or said != rendered


def _differ(one: int | Decimal, other: int | Decimal) -> bool:
    try:
        return Decimal(one) != Decimal(other)
    except InvalidOperation:
        return True

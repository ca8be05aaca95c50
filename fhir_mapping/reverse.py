"""From an Observation back to the Reading: the inverse of `observation` in the international dialect.

Exact for what an Observation carries. Three things stay at home and come back empty: the bytes of the
measurement and of the context (`raw`), and the device's base time with its offset (`device_time`), of which
`identity.recorded_at` holds what makes the record the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntFlag
from functools import cache
from typing import Any, Final

from device_profiles.flags import flags_of
from device_profiles.reading import (
    FIRST_MEASURAND,
    Absent,
    Context,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
    Sample,
)
from fhir_mapping.codes import (
    ABSENT_OURS,
    FIELD,
    OURS,
    READING,
    SAMPLE_LOCATION,
    SAMPLE_TYPE,
    STATUS,
    UNIT,
    status_names,
)
from fhir_mapping.errors import NotOurObservation
from fhir_mapping.text import shifted

Json = Mapping[str, Any]

_LARGEST_POWER: Final = 10
"""Of ten, in a whole number: none that is kept has more than five digits."""
_MOST_BITS: Final = 31
_MEASURANDS: Final = {measurand.name.lower().replace("_", "-"): measurand for measurand in Measurand}
_MEDICATION_UNITS: Final = {"mg": ("kg", -6), "mL": ("L", -3)}


def to_reading(resource: Json) -> Reading:
    """The Reading that an Observation of ours tells. Raises NotOurObservation.

    `resource`: parsed JSON; numbers as Decimal where exactness matters (`json.loads(…,
    parse_float=Decimal)`), though a float of few digits comes back exact as well.
    """
    recorded_at, sequence, kind = _identity(resource)
    parts = list(_components(resource))
    said = {name: part for system, name, part in parts if system == FIELD}
    quantities = [_quantity(_MEASURANDS[name], part) for name, part in said.items() if name in _MEASURANDS]
    if kind is not Kind.BLOOD_PRESSURE:
        quantities.insert(0, _quantity(FIRST_MEASURAND[kind], resource))
    sample = _sample(resource)
    bits = _bits_of(flags_of(kind, -1 if sample is None else 0))
    flags = sum(1 << _bit(name, bits) for system, name, _ in parts if system == STATUS)
    return Reading(
        kind=kind,
        quantities=tuple(quantities),
        device_time=None,
        identity=RecordIdentity(recorded_at, sequence),
        raw=b"",
        sample=sample,
        context=_context(said),
        flags=flags_of(kind, -1 if sample is None else 0)(flags),
    )


def _identity(resource: Json) -> tuple[datetime, int, Kind]:
    for identifier in resource.get("identifier", ()):
        if identifier.get("system") == READING:
            break
    else:
        raise NotOurObservation(missing="identifier")
    try:
        _, recorded, sequence, _, slug = identifier["value"].split("/")
        moment = datetime.fromisoformat(recorded).replace(tzinfo=UTC)
        return moment, int(sequence), Kind[slug.upper().replace("-", "_")]
    except (ValueError, KeyError):
        raise NotOurObservation(missing="identifier") from None


def _coded(concept: Json, system: str) -> str | None:
    """The code of a concept in one system."""
    codings: Sequence[Mapping[str, str]] = concept.get("coding", ())
    return next((coding["code"] for coding in codings if coding.get("system") == system), None)


def _components(resource: Json) -> Iterator[tuple[str, str, Json]]:
    for part in resource.get("component", ()):
        for system in (FIELD, STATUS):
            if (name := _coded(part["code"], system)) is not None:
                yield system, name, part


@cache
def _bits_of(meaning: type[IntFlag]) -> Mapping[str, int]:
    return {name: bit for bit, name in status_names(meaning).items()}


def _bit(name: str, bits: Mapping[str, int]) -> int:
    bit = bits[name] if name in bits else int(name.removeprefix("reserved-"))
    if not 0 <= bit < _MOST_BITS:  # before it is shifted by: the number would have as many digits
        raise NotOurObservation(missing="status")
    return bit


def _exact(number: object) -> Decimal:
    return number if isinstance(number, Decimal) else Decimal(str(number))


def _integer(said: Any) -> int:
    """A number as an integer. Raises NotOurObservation for one of so many digits that it would take long."""
    number = _exact(said)
    if not number.is_finite() or number.adjusted() > _LARGEST_POWER:
        raise NotOurObservation(missing="value")
    return int(number)


def _quantity(of: Measurand, said: Json) -> Quantity:
    if (value := said.get("valueQuantity")) is not None:
        return Quantity(of, _exact(value["value"]), value["code"])
    try:
        reason = said["dataAbsentReason"]
        slug = _coded(reason, ABSENT_OURS) or ""
        unit = next(one["valueCode"] for one in reason["extension"] if one["url"] == UNIT)
        return Quantity(of, None, unit, Absent[slug.upper().replace("-", "_")])
    except (KeyError, StopIteration):
        raise NotOurObservation(missing="value") from None


def _sample(resource: Json) -> Sample | None:
    said = {one["url"]: one.get("valueInteger") for one in resource.get("extension", ())}
    if SAMPLE_TYPE not in said:
        return None
    return Sample(_integer(said[SAMPLE_TYPE]), _integer(said[SAMPLE_LOCATION]))


def _context(said: Mapping[str, Json]) -> Context | None:
    names = {"meal", "carbohydrate", "medication", "health", "tester", "hba1c"}
    names |= {"exercise-duration", "exercise-intensity"}
    if not names & said.keys():
        return None
    dose, dose_unit = _dose(said)
    carbohydrate = _number(said, "carbohydrate")
    return Context(
        raw=b"",
        carbohydrate=_taken(said, "carbohydrate"),
        carbohydrate_kg=None if carbohydrate is None else shifted(carbohydrate, -3),
        meal=_chosen(said, "meal"),
        tester=_chosen(said, "tester"),
        health=_chosen(said, "health"),
        exercise_seconds=_whole(said, "exercise-duration"),
        exercise_intensity_percent=_whole(said, "exercise-intensity"),
        medication=_taken(said, "medication"),
        medication_value=dose,
        medication_unit=dose_unit,
        hba1c_percent=_number(said, "hba1c"),
    )


def _chosen(said: Mapping[str, Json], name: str) -> int | None:
    """The number of a coded value."""
    if name not in said:
        return None
    code = _coded(said[name]["valueCodeableConcept"], f"{OURS}:{name}")
    return None if code is None else _integer(code)


def _taken(said: Mapping[str, Json], name: str) -> int | None:
    """The number of what was taken: it stands in the component's own code."""
    code = _coded(said[name]["code"], f"{OURS}:{name}") if name in said else None
    return None if code is None else _integer(code)


def _number(said: Mapping[str, Json], name: str) -> Decimal | None:
    value = said[name].get("valueQuantity") if name in said else None
    return None if value is None else _exact(value["value"])


def _whole(said: Mapping[str, Json], name: str) -> int | None:
    number = _number(said, name)
    return None if number is None else _integer(number)


def _dose(said: Mapping[str, Json]) -> tuple[Decimal | None, str | None]:
    number = _number(said, "medication")
    if number is None:
        return None, None
    unit, power = _MEDICATION_UNITS[said["medication"]["valueQuantity"]["code"]]
    return shifted(number, power), unit

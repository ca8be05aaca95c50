"""What stands beside the value of an Observation: further quantities, the context, the device's status.

Each is a component: a code, and a value or the reason why there is none. Beside LOINC and MDC each carries
the name and number of ours (`codes`), by which `fhir_mapping.reverse` reads it back.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntFlag
from functools import lru_cache
from typing import Final

from device_profiles.reading import DERIVED, Absent, Context, Measurand, Quantity
from fhir_mapping.codes import (
    ABSENT,
    ABSENT_OURS,
    ABSENT_REASON,
    DERIVED_EXTENSION,
    FIELD,
    MEASURANDS,
    OURS,
    STATUS,
    STATUS_BITS,
    STATUS_BITS_OF,
    UCUM,
    UNIT,
    Coding,
    status_names,
)
from fhir_mapping.context_codes import (
    CARBOHYDRATE,
    EXERCISE,
    EXERCISE_DURATION,
    EXERCISE_OVERRUN,
    HBA1C,
    HEALTH,
    MEAL,
    MEDICATION,
    TESTER,
    Field,
)
from fhir_mapping.text import number, shifted

Json = dict[str, object]

UNIT_TEXT: Final = {"mm[Hg]": "mmHg", "[lb_av]": "lb", "Cel": "°C", "[degF]": "°F", "kg/m2": "kg/m²"} | {
    "[in_i]": "in",
    "Ohm": "Ω",
}
MASS: Final = {"kg": ("mg", 6), "L": ("mL", 3)}
"""How a medication is written, by the unit its flag gives: the power of ten is exact."""


def quantity(value: Decimal, unit: str, text: str | None = None, comparator: str | None = None) -> Json:
    """A FHIR Quantity in UCUM."""
    over: Json = {"comparator": comparator} if comparator else {}
    return {
        "value": number(value),
        **over,
        "unit": text or UNIT_TEXT.get(unit, unit),
        "system": UCUM,
        "code": unit,
    }


def absent(reason: Absent, unit: str) -> Json:
    """The members that stand in place of a value."""
    code = ABSENT[reason]
    slug = reason.name.lower().replace("_", "-")
    ours = Coding(ABSENT_OURS, slug, slug.replace("-", " ").capitalize())
    members: Json = {
        "dataAbsentReason": {
            "extension": [{"url": UNIT, "valueCode": unit}],
            "coding": [code.reason.json(), ours.json()],
        }
    }
    if code.interpretation is not None:
        members["interpretation"] = [{"coding": [code.interpretation.json()]}]
    return members


def value(of: Quantity, text: str | None = None) -> Json:
    """The members that say the value of a quantity, or why there is none."""
    if of.value is None:
        return absent(of.absent or Absent.NOT_A_NUMBER, of.unit)
    return {"valueQuantity": quantity(of.value, of.unit, text)}


def of_quantities(quantities: tuple[Quantity, ...]) -> list[Json]:
    """A component for each quantity."""
    return [
        {
            **_derived(one.of),
            "code": _code(one.of.name.lower().replace("_", "-"), *MEASURANDS.get(one.of, ())),
            **value(one),
        }
        for one in quantities
    ]


def _derived(of: Measurand) -> Json:
    return {"extension": [{"url": DERIVED_EXTENSION, "valueBoolean": True}]} if of in DERIVED else {}


def of_flags(flags: int, meaning: type[IntFlag]) -> list[Json]:
    """A component for each status bit that is set; `meaning` says what the bits stand for."""
    return [_status(bit, meaning) for bit in range(flags.bit_length()) if flags >> bit & 1]


@lru_cache(maxsize=256)
def _status(bit: int, meaning: type[IntFlag]) -> Json:
    name = status_names(meaning).get(bit, f"reserved-{bit}")
    display = name.replace("-", " ").capitalize()
    phd = STATUS_BITS_OF.get(meaning)
    borrowed = [Coding(STATUS_BITS, f"{phd.code}.{bit}", display)] if phd and bit < phd.bits else []
    codings = [coding.json() for coding in (*borrowed, Coding(STATUS, name, display))]
    return {"code": {"coding": codings}, "valueBoolean": True}


def of_context(context: Context) -> list[Json]:
    """The components of a context, each field that the device sent."""
    return [
        *_coded("meal", MEAL, context.meal),
        *_amount("carbohydrate", CARBOHYDRATE, context.carbohydrate, _grams(context)),
        *_exercise(context),
        *_amount("medication", MEDICATION, context.medication, _dose(context)),
        *_coded("health", HEALTH, context.health),
        *_coded("tester", TESTER, context.tester),
        *_percent("hba1c", HBA1C, context.hba1c_percent),
    ]


def _code(name: str, *codings: Coding) -> Json:
    ours = Coding(FIELD, name, name.replace("-", " ").capitalize())
    return {"coding": [coding.json() for coding in (*codings, ours)]}


def numbered(name: str, field: Field, code: int) -> list[Json]:
    """The codings of a value by the number the device wrote; a reserved number has only ours."""
    borrowed: list[Json] = [{**field.values[code].json()}] if code in field.values else []
    return [*borrowed, {"system": f"{OURS}:{name}", "code": str(code)}]


def _coded(name: str, field: Field, code: int | None) -> list[Json]:
    if code is None:
        return []
    return [
        {"code": _code(name, field.coding), "valueCodeableConcept": {"coding": numbered(name, field, code)}}
    ]


def _amount(name: str, field: Field, code: int | None, amount: Json | None) -> list[Json]:
    """What was taken, and how much: the code says what, as in ISO/IEEE 11073-10417."""
    if code is None and amount is None:
        return []
    concept = _code(name, field.coding)
    if code is not None:
        concept = {"coding": [*numbered(name, field, code), *_codings(concept)]}
    unknown = {"coding": [Coding(ABSENT_REASON, "unknown", "Unknown").json()]}
    return [
        {"code": concept, **({"dataAbsentReason": unknown} if amount is None else {"valueQuantity": amount})}
    ]


def _codings(concept: Json) -> list[Json]:
    codings = concept["coding"]
    return list(codings) if isinstance(codings, list) else []


def _grams(context: Context) -> Json | None:
    return None if context.carbohydrate_kg is None else quantity(shifted(context.carbohydrate_kg, 3), "g")


def _dose(context: Context) -> Json | None:
    if context.medication_value is None:
        return None
    unit, power = MASS[context.medication_unit or "kg"]
    return quantity(shifted(context.medication_value, power), unit)


def _percent(name: str, codings: tuple[Coding, ...], percent: Decimal | None) -> list[Json]:
    if percent is None:
        return []
    return [{"code": _code(name, *codings), "valueQuantity": quantity(percent, "%")}]


def _exercise(context: Context) -> list[Json]:
    parts: list[Json] = []
    if (seconds := context.exercise_seconds) is not None:
        over = ">=" if seconds == EXERCISE_OVERRUN else None
        parts.append(
            {
                "code": _code("exercise-duration", EXERCISE_DURATION),
                "valueQuantity": quantity(Decimal(seconds), "s", comparator=over),
            }
        )
    if (intensity := context.exercise_intensity_percent) is not None:
        parts += _percent("exercise-intensity", (EXERCISE,), Decimal(intensity))
    return parts

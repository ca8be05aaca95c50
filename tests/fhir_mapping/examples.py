"""Every kind of reading there is, as series of one row, for the judges and for the round trip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import orjson

from device_profiles.flags import flags_of
from device_profiles.reading import (
    FIRST_MEASURAND,
    NO_FLAGS,
    UNITS,
    UNKNOWN_DATE,
    UNKNOWN_TIME,
    Absent,
    Context,
    Device,
    DeviceIdentity,
    Flag,
    Kind,
    Measurand,
    Quantity,
    Reading,
    ReadingSeries,
    RecordIdentity,
    Sample,
    TimeSource,
)
from fhir_mapping.codes import INTERNATIONAL_ROWS
from fhir_mapping.dialects import Dialect
from fhir_mapping.dialects.ans import ANS
from fhir_mapping.dialects.international import INTERNATIONAL
from fhir_mapping.observation import Form, render
from fhir_mapping.opaque import ReadingIds

IDS = ReadingIds(b"a secret of a home, only for tests")
PATIENT = UUID("5f7d1a52-5a1c-4c53-9d4c-2f6f0c0f6a01")
METER = Device(
    DeviceIdentity("serial", "Acme/One/0042"), manufacturer="Acme", model="One", serial="0042", firmware="1.2"
)
SENSOR_FILE = Device(DeviceIdentity("file", "generic/interstitial-glucose"))
FINGER = Sample(1, 1)
RECORDED = datetime(2021, 10, 19, 8, 3, 35, tzinfo=UTC)
NOON = datetime(2021, 10, 19, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Placed:
    """A reading with what storage adds to it."""

    reading: Reading
    effective: datetime | None = NOON
    utc_offset_minutes: int = 120
    source: TimeSource = TimeSource.DEVICE
    device: int = 1
    ordinal: int = 0
    excluded: bool = False
    note: str | None = None


def micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (
        datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    )


def reading(
    kind: Kind = Kind.BLOOD_GLUCOSE,
    value: str | Absent = "119",
    unit: str = "mg/dL",
    *,
    others: tuple[Quantity, ...] = (),
    recorded_at: datetime = RECORDED,
    sequence: int = 11,
    sample: Sample | None = FINGER,
    context: Context | None = None,
    flags: Flag = NO_FLAGS,
) -> Reading:
    of = FIRST_MEASURAND[kind]
    first = (
        Quantity(of, None, unit, value) if isinstance(value, Absent) else Quantity(of, Decimal(value), unit)
    )
    return Reading(
        kind,
        (first, *others),
        device_time=None,
        identity=RecordIdentity(recorded_at, sequence),
        raw=b"",
        sample=sample,
        context=context,
        flags=flags,
    )


def series_of(*placed: Placed, patient_id: int = 7) -> ReadingSeries:
    firsts = [one.reading.quantities[0] for one in placed]
    numbers = [(first.value or Decimal(0)).as_tuple() for first in firsts]
    signs = [(-1) ** number.sign for number in numbers]
    whole = [int("".join(map(str, number.digits))) for number in numbers]
    samples = [one.reading.sample for one in placed]

    def column(values: Any, dtype: str) -> Any:
        return np.array(list(values), dtype=dtype)

    return ReadingSeries(
        patient_id=patient_id,
        patient_uuid=PATIENT,
        kind=column((one.reading.kind for one in placed), "i2"),
        effective_time=column(
            (UNKNOWN_TIME if one.effective is None else micros(one.effective) for one in placed), "i8"
        ),
        utc_offset_minutes=column((one.utc_offset_minutes for one in placed), "i2"),
        time_source=column((one.source for one in placed), "i2"),
        recorded_at=column((micros(one.reading.identity.recorded_at) for one in placed), "i8"),
        sequence=column((one.reading.identity.sequence for one in placed), "i4"),
        device_id=column((one.device for one in placed), "i4"),
        ordinal=column((one.ordinal for one in placed), "i2"),
        mantissa=column((sign * digits for sign, digits in zip(signs, whole, strict=True)), "i4"),
        exponent=column((number.exponent for number in numbers), "i2"),
        unit=column((UNITS.index(first.unit) for first in firsts), "i2"),
        absent=column((first.absent or 0 for first in firsts), "i2"),
        flags=column((int(one.reading.flags) for one in placed), "i4"),
        sample=column((-1 if one is None else one.type | one.location << 4 for one in samples), "i2"),
        excluded=column((one.excluded for one in placed), "?"),
        contexts={row: one.reading.context for row, one in enumerate(placed) if one.reading.context},
        quantities={
            row: one.reading.quantities[1:] for row, one in enumerate(placed) if one.reading.quantities[1:]
        },
        notes={row: one.note for row, one in enumerate(placed) if one.note is not None},
        devices={1: METER, 2: SENSOR_FILE},
    )


def observation(*placed: Placed, dialect: Dialect = INTERNATIONAL, form: Form = Form.RESOURCE) -> Any:
    """The one Observation that a reading becomes, parsed; numbers exact only if they are whole."""
    return orjson.loads(render(series_of(*placed), IDS, dialect=dialect, form=form))


EVERY_SAMPLE = (None, *(Sample(kind, place) for kind in range(16) for place in (0, 1, 2, 3, 4, 15)))
EVERY_CODE = (*range(16), 255)
VALUES = {"mg/dL": "119", "mmol/L": "6.6", "mm[Hg]": "122", "kPa": "16.3", "kg": "72.35", "[lb_av]": "160.1"}
VALUES |= {"Cel": "37.6", "[degF]": "99.7", "%": "97", "/min": "64"}


def contexts() -> Iterator[tuple[str, Context]]:
    """Every field with every number it can hold, and a context with all of them."""
    for name in ("carbohydrate", "meal", "tester", "health", "medication"):
        for code in EVERY_CODE:
            yield f"{name}-{code}", Context(b"", **{name: code})
    for code in EVERY_CODE:
        yield f"carbohydrate-{code}-grams", Context(b"", carbohydrate=code, carbohydrate_kg=Decimal("0.045"))
        for unit in ("kg", "L"):
            dose = Context(b"", medication=code, medication_value=Decimal("1.2E-5"), medication_unit=unit)
            yield f"medication-{code}-{unit}", dose
    for seconds in (0, 1800, 65534, 65535):
        yield f"exercise-{seconds}", Context(b"", exercise_seconds=seconds)
    for percent in (0, 60, 100, 255):
        yield f"intensity-{percent}", Context(b"", exercise_intensity_percent=percent)
    yield "hba1c", Context(b"", hba1c_percent=Decimal("7.2"))
    yield "everything", WHOLE_CONTEXT


WHOLE_CONTEXT = Context(
    b"",
    carbohydrate=2,
    carbohydrate_kg=Decimal("0.060"),
    meal=1,
    tester=1,
    health=5,
    exercise_seconds=1800,
    exercise_intensity_percent=60,
    medication=1,
    medication_value=Decimal("0.000004"),
    medication_unit="L",
    hba1c_percent=Decimal("7.2"),
)

BLOOD_PRESSURE = (
    Quantity(Measurand.DIASTOLIC, Decimal(79), "mm[Hg]"),
    Quantity(Measurand.MEAN_ARTERIAL, None, "mm[Hg]", Absent.NOT_A_NUMBER),
    Quantity(Measurand.PULSE_RATE, Decimal(64), "/min"),
)


def _by_sample() -> Iterator[tuple[str, Placed]]:
    for unit in ("mg/dL", "mmol/L"):
        for sample in EVERY_SAMPLE:
            name = "none" if sample is None else f"{sample.type}-{sample.location}"
            yield f"sample-{name}-{unit}", Placed(reading(value=VALUES[unit], unit=unit, sample=sample))


def _by_kind() -> Iterator[tuple[str, Placed]]:
    for kind, sample, unit in INTERNATIONAL_ROWS:
        if sample is None:
            others = BLOOD_PRESSURE if kind is Kind.BLOOD_PRESSURE else ()
            for value in (VALUES[unit], *Absent):
                said = reading(kind, value, unit, sample=None, others=others)
                name = value.name if isinstance(value, Absent) else "value"
                yield f"{kind.slug}-{unit}-{name}", Placed(said)


FURTHER = {
    Kind.BODY_WEIGHT: (("BODY_MASS_INDEX", "24.3", "kg/m2"), ("BODY_HEIGHT", "67.5", "[in_i]")),
    Kind.BODY_COMPOSITION: (
        ("BODY_MUSCLE", "40.7", "%"),
        ("MUSCLE_MASS", "31.2", "kg"),
        ("FAT_FREE_MASS", "119.9", "[lb_av]"),
        ("SOFT_LEAN_MASS", "61.18", "kg"),
        ("BODY_WATER_MASS", "43.25", "kg"),
        ("IMPEDANCE", "452.0", "Ohm"),
        ("BASAL_METABOLISM", "6879", "kJ"),
        ("BODY_WEIGHT", "79.96", "kg"),
    ),
    Kind.OXYGEN_SATURATION: (("PULSE_RATE", "64", "/min"), ("PULSE_AMPLITUDE", "8.7", "%")),
    Kind.HEART_RATE: (("ENERGY_EXPENDED", "120", "kJ"),),
    Kind.INTERSTITIAL_GLUCOSE: (("GLUCOSE_TREND", "-1.5", "mg/dL/min"), ("SENSOR_QUALITY", "97", "%")),
    Kind.BLOOD_PRESSURE: (),
    Kind.BODY_TEMPERATURE: (),
}


def _by_device() -> Iterator[tuple[str, Placed]]:
    """What each family of devices says beside its first number: further ones, status bits, places."""
    units = {kind: unit for kind, sample, unit in INTERNATIONAL_ROWS if sample is None}
    for kind, told in FURTHER.items():
        unit = units[kind]
        others = [Quantity(Measurand[name], Decimal(value), code) for name, value, code in told]
        if kind is Kind.BLOOD_PRESSURE:
            others = list(BLOOD_PRESSURE)
        others.append(Quantity(Measurand.USER_INDEX, Decimal(2), "1"))
        plain = reading(kind, VALUES[unit], unit, sample=None, others=tuple(others))
        yield f"{kind.slug}-whole", Placed(plain)
        absent = tuple(replace(one, value=None, absent=Absent.NOT_A_NUMBER) for one in others)
        yield f"{kind.slug}-absent", Placed(replace(plain, quantities=(plain.quantities[0], *absent)))
        for bit in range(31):
            yield f"{kind.slug}-flag-{bit}", Placed(replace(plain, flags=flags_of(kind, -1)(1 << bit)))
        for place in range(16) if kind in (Kind.BODY_TEMPERATURE, Kind.HEART_RATE) else ():
            yield f"{kind.slug}-place-{place}", Placed(replace(plain, sample=Sample(0, place)))


def _by_circumstance() -> Iterator[tuple[str, Placed]]:
    plain = Placed(reading())
    for bit in range(16):
        yield f"flag-{bit}", Placed(reading(flags=Flag(1 << bit)))
    yield "all-flags", Placed(reading(flags=Flag(0xFFFF)))
    for source in TimeSource:
        yield f"time-{source.slug}", replace(plain, source=source)
        yield f"no-time-{source.slug}", replace(plain, source=source, effective=None)
    for minutes in (-720, -570, -1, 0, 345, 840):
        yield f"offset-{minutes}", replace(plain, utc_offset_minutes=minutes)
    yield "fraction", replace(plain, effective=NOON.replace(microsecond=123456))
    yield "unknown-date", replace(plain, reading=reading(recorded_at=UNKNOWN_DATE), effective=None)
    yield "excluded", replace(plain, excluded=True)
    yield "note", replace(plain, note='after a walk \u2014 \x00 "felt fine"\nsecond line')
    yield "file", Placed(reading(Kind.INTERSTITIAL_GLUCOSE, sample=None), device=2)
    yield "file-no-time", Placed(reading(Kind.INTERSTITIAL_GLUCOSE, sample=None), device=2, effective=None)
    everything = reading(context=WHOLE_CONTEXT, flags=Flag(0xFFF), value=Absent.BELOW_RANGE)
    yield "everything", Placed(everything, excluded=True, note="all at once")


def international() -> dict[str, Placed]:
    """Every example, by name."""
    by_context = ((f"context-{name}", Placed(reading(context=one))) for name, one in contexts())
    return dict((*_by_sample(), *_by_kind(), *_by_device(), *by_context, *_by_circumstance()))


ANS_TAKES = {(kind, unit) for (kind, _, unit), row in ANS.rows.items() if row}


def ans() -> dict[str, Placed]:
    """Those of the examples that Mon espace santé takes."""
    return {
        name: placed
        for name, placed in international().items()
        if placed.effective is not None
        and (placed.reading.kind, placed.reading.quantities[0].unit) in ANS_TAKES
        and not (placed.reading.sample and placed.reading.sample.type == 10)
    }


EXAMPLES: dict[tuple[Dialect, str], Placed] = {
    **{(INTERNATIONAL, name): placed for name, placed in international().items()},
    **{(ANS, name): placed for name, placed in ans().items()},
}
IDENTIFIERS = [f"{dialect.name}-{name}" for dialect, name in EXAMPLES]

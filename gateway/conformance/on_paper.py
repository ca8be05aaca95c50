"""What can be said of a profile without a device: what it declares, its vectors, and any bytes at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Final

from device_profiles.catalogue import Catalogue
from device_profiles.errors import MalformedMeasurement
from device_profiles.meanings.meaning import NOT_HEARD
from device_profiles.profile import Advertisement, DeviceProfile, Source
from device_profiles.services import (
    blood_pressure,
    body_composition,
    continuous_glucose,
    glucose,
    health_thermometer,
    heart_rate,
    pulse_oximeter,
    weight_scale,
)
from gateway.conformance.findings import (
    ADVERTISED,
    ANY_VALUE,
    SERVED,
    Finding,
    advice,
    failed,
    measured,
    passed,
)
from gateway.conformance.vectors import MADE_UP, Vector, arrived, differences

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RANDOM_VALUES: Final = 1500
"""For each characteristic; with the values that are swept in order some three thousand."""
_LONGEST: Final = 40

_WRITTEN: Final[dict[int, Any]] = {
    glucose.MEASUREMENT: glucose.GlucoseMeasurement,
    glucose.MEASUREMENT_CONTEXT: glucose.GlucoseMeasurementContext,
    blood_pressure.MEASUREMENT: blood_pressure.BloodPressureMeasurement,
    health_thermometer.MEASUREMENT: health_thermometer.TemperatureMeasurement,
    heart_rate.MEASUREMENT: heart_rate.HeartRateMeasurement,
    pulse_oximeter.SPOT_CHECK: pulse_oximeter.SpotCheckMeasurement,
    pulse_oximeter.CONTINUOUS: pulse_oximeter.ContinuousMeasurement,
    weight_scale.MEASUREMENT: weight_scale.WeightMeasurement,
    body_composition.MEASUREMENT: body_composition.BodyCompositionMeasurement,
    continuous_glucose.MEASUREMENT: continuous_glucose.ContinuousGlucoseMeasurements,
}
"""By characteristic: what reads its value and writes it again."""

ALL_OFFERED = "Each characteristic that is used is in a service that is offered."
NOT_OFFERED = "{missing} is used, and is in no service of offer."
OFFER_IT = "Add it to offer, under its service, or do not use it."
NAME_WRONG = "The name {name} is not of small letters, digits and single hyphens."
RENAME = "Write the name as acme-one."
RECOGNISED = "A device named {device} is taken for this profile."
MORE_SPECIFIC = (
    "A device named {device} is taken for this profile: it says more of it than {others}, which fits as well."
)
TAKEN_FOR = "A device named {device} is taken for {other}."
SAY_MORE = "Give match a name or a manufacturer_id that only this device has."
NOT_MATCHED = "A device named {device} does not fit the profile's own match."
MATCH_IT = "Let virtual_name and match say the same."
NO_VECTORS = "There are no vectors."
WRITE_VECTORS = "Write bytes of the device, and what they are, into {file} beside the profile."
VECTORS_MADE_UP = "{count} vectors give the readings that they should; they are made up."
REPLACE_VECTORS = "Replace them by bytes of a real device, and say in source where they are public."
VECTORS_RIGHT = "{count} vectors give the readings that they should."
VECTOR_WRONG = "Entry {place}, {bytes}: {wrong}."
COMPARE = "Compare the bytes with the clause; then correct the entry, or the profile's meaning."
WRITTEN_AGAIN = "{count} values are written again byte for byte."
WRITTEN_OTHERWISE = "{bytes} is written again as {again}."
RESERVED_BITS = "Keep reserved bits and special values as they came."
PRIVATE = "The characteristic is private: nothing here writes it."
ANY_BYTES = "{count} values of any bytes: each a reading, or refused for a reason that has a name."
BYTES_RAISE = "{bytes} on {characteristic} ends in {error}."
REFUSE_THEM = "Raise MalformedMeasurement with its reason for bytes that are no value."
BYTES_DIFFER = "{bytes} on {characteristic} is read otherwise the second time."
NO_STATE = "A meaning keeps nothing between two values."


def declared(profile: DeviceProfile) -> Iterator[Finding]:
    """Whether the profile agrees with itself."""
    if not NAME.fullmatch(profile.name):
        yield failed("declared", SERVED, NAME_WRONG, RENAME, name=profile.name)
    access = profile.records
    used = {source.characteristic for source in profile.sources} | set(profile.reads_before)
    used |= {profile.clock} if profile.clock is not None else set()
    used |= {access.control_point} if access is not None and not access.optional else set()
    missing = used - {each for offered in profile.offer.values() for each in offered}
    for each in sorted(missing):
        yield failed("declared", SERVED, NOT_OFFERED, OFFER_IT, missing=f"0x{each:04X}")
    if not missing:
        yield passed("declared", SERVED, ALL_OFFERED)


def recognised(profile: DeviceProfile, catalogue: Catalogue) -> Finding:
    """Whether such a device is taken for it, among all profiles."""
    advertised = Advertisement(profile.virtual_name, profile.match.services)
    known = catalogue.profiles
    if profile not in known:
        known = (*known, profile)
    fitting = Catalogue(known, ()).matches(advertised)
    if profile not in [each for _, each in fitting]:
        return failed("recognised", ADVERTISED, NOT_MATCHED, MATCH_IT, device=profile.virtual_name)
    (_, first), *others = fitting
    if first is not profile:
        return failed(
            "recognised", ADVERTISED, TAKEN_FOR, SAY_MORE, device=profile.virtual_name, other=first.name
        )
    if not others:
        return passed("recognised", ADVERTISED, RECOGNISED, device=profile.virtual_name)
    names = ", ".join(each.name for _, each in others)
    return passed("recognised", ADVERTISED, MORE_SPECIFIC, device=profile.virtual_name, others=names)


def vectors(profile: DeviceProfile, written: Sequence[Vector], file: str) -> Iterator[Finding]:
    """Whether each vector gives its readings."""
    if not written:
        yield advice("vectors", measured(profile.measurement), NO_VECTORS, WRITE_VECTORS, file=file)
        return
    wrong = False
    for place, vector in enumerate(written, start=1):
        for said in _wrong_in(profile, vector):
            wrong = True
            clause = measured(vector.characteristic)
            yield failed(
                "vectors", clause, VECTOR_WRONG, COMPARE, place=place, bytes=vector.shown, wrong=said
            )
    if wrong:
        return
    clause, count = measured(profile.measurement), len(written)
    if any(vector.source.startswith(MADE_UP) for vector in written):
        yield advice("vectors", clause, VECTORS_MADE_UP, REPLACE_VECTORS, count=count)
    else:
        yield passed("vectors", clause, VECTORS_RIGHT, count=count)


def _wrong_in(profile: DeviceProfile, vector: Vector) -> Iterator[str]:
    if profile.source_of(vector.characteristic) is None:
        yield f"0x{vector.characteristic:04X} is no source of the profile"
        return
    came = arrived(profile, vector)
    reasons = [each.reason for each in came.refused]
    if vector.refused is not None:
        if reasons != [vector.refused]:
            yield f"refused {reasons or 'nothing'} ≠ {vector.refused}"
        return
    if reasons:
        yield f"refused: {', '.join(reasons)}"
    elif len(came.readings) != len(vector.readings):
        yield f"{len(came.readings)} readings ≠ {len(vector.readings)}"
    else:
        for expected, reading in zip(vector.readings, came.readings, strict=True):
            yield from differences(expected, reading)


def written_again(profile: DeviceProfile, values: Sequence[tuple[int, bytes]]) -> Finding:
    """Whether what was read of a value is written again as it came."""
    count = 0
    for characteristic, value in values:
        form = _WRITTEN.get(characteristic)
        if form is None:
            continue
        try:
            again = form.decode(value).encode()
        except MalformedMeasurement:
            continue
        count += 1
        if again != value:
            clause, shown = measured(characteristic), value.hex().upper()
            return failed(
                "round trip", clause, WRITTEN_OTHERWISE, RESERVED_BITS, bytes=shown, again=again.hex().upper()
            )
    clause = measured(profile.measurement)
    if count:
        return passed("round trip", clause, WRITTEN_AGAIN, count=count)
    return advice("round trip", clause, PRIVATE, "")


def any_bytes(profile: DeviceProfile, samples: Sequence[tuple[int, bytes]]) -> Finding:
    """Whether any bytes on any source are a reading, or refused for a reason that has a name."""
    count = 0
    for source in profile.sources:
        own = [value for characteristic, value in samples if characteristic == source.characteristic]
        for value in swept(own):
            count += 1
            wrong = _misread(source, value)
            if wrong is not None:
                return wrong
    return passed("any bytes", ANY_VALUE, ANY_BYTES, count=count)


def _misread(source: Source, value: bytes) -> Finding | None:
    shown = {"bytes": value.hex().upper() or "-", "characteristic": f"0x{source.characteristic:04X}"}
    try:
        if _read(source, value) != _read(source, value):
            return failed("any bytes", ANY_VALUE, BYTES_DIFFER, NO_STATE, **shown)
    except Exception as error:  # noqa: BLE001 - that nothing else comes is what is checked
        told = f"{type(error).__name__}: {error}"
        return failed("any bytes", ANY_VALUE, BYTES_RAISE, REFUSE_THEM, error=told, **shown)
    return None


def _read(source: Source, value: bytes) -> list[object]:
    meaning = source.meaning
    meaning.continues(value)
    read: list[object] = []
    for part in meaning.parts(value):
        try:
            read.append(meaning.readings(part, NOT_HEARD))
        except MalformedMeasurement as error:
            if error.reason not in MalformedMeasurement.REASONS:
                raise ValueError(f"a reason without a name: {error.reason}") from error
            read.append(error.reason)
    return read


def swept(samples: Sequence[bytes]) -> Iterator[bytes]:
    """Any bytes, the same each time: each length, each first octet, each sample cut, longer and bent."""
    for length in range(_LONGEST):
        yield from (bytes([filling]) * length for filling in (0x00, 0xFF, 0x55, 0xAA))
    for sample in samples:
        yield from (sample[:length] for length in range(len(sample)))
        yield sample + b"\x00"
    for sample in samples[:3]:
        yield from (bytes([flags]) + sample[1:] for flags in range(0x100))
        yield from (
            _bent(sample, place, filling) for place in range(len(sample)) for filling in (0x00, 0x7F, 0xFF)
        )
    random = Random(0)  # noqa: S311 - any, not secret
    yield from (random.randbytes(random.randrange(_LONGEST)) for _ in range(RANDOM_VALUES))


def _bent(sample: bytes, place: int, filling: int) -> bytes:
    return sample[:place] + bytes([filling]) + sample[place + 1 :]

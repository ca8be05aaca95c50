"""A Reading: what one record of a device says, exactly, and what makes it the same record next time.

The numbers of the enumerations are stored in databases: add, never renumber.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt

from device_profiles.wire import DateTime

UNKNOWN_DATE = datetime(1900, 1, 1, tzinfo=UTC)
"""`recorded_at` of a record whose date the device did not know; its sequence tells it from the others."""

UNKNOWN_TIME = np.iinfo(np.int64).min
"""`effective_time` of a reading that no clock segment places."""


class Kind(IntEnum):
    """What was measured, and by which kind of method: kinds are never mixed in one statistic."""

    BLOOD_GLUCOSE = 1
    INTERSTITIAL_GLUCOSE = 2
    KETONE = 3
    CONTROL_SOLUTION = 4
    BLOOD_PRESSURE = 5
    BODY_WEIGHT = 6
    BODY_COMPOSITION = 7
    BODY_TEMPERATURE = 8
    OXYGEN_SATURATION = 9
    HEART_RATE = 10

    @property
    def slug(self) -> str:
        """The name that people and files use: `blood-glucose`."""
        return self.name.lower().replace("_", "-")


class Measurand(IntEnum):
    """What one number of a reading is of."""

    GLUCOSE = 1
    KETONE = 2
    SYSTOLIC = 3
    DIASTOLIC = 4
    MEAN_ARTERIAL = 5
    PULSE_RATE = 6
    BODY_WEIGHT = 7
    BODY_HEIGHT = 8
    BODY_MASS_INDEX = 9
    BODY_TEMPERATURE = 10
    OXYGEN_SATURATION = 11
    BODY_FAT = 12
    """Of the weight, in percent."""
    BODY_MUSCLE = 13
    """Of the weight, in percent."""
    MUSCLE_MASS = 14
    FAT_FREE_MASS = 15
    SOFT_LEAN_MASS = 16
    BODY_WATER_MASS = 17
    IMPEDANCE = 18
    BASAL_METABOLISM = 19
    """Energy in a day of rest."""
    PULSE_AMPLITUDE = 20
    """Of the arterial pulse against all that is in the finger, in percent."""
    GLUCOSE_TREND = 21
    SENSOR_QUALITY = 22
    ENERGY_EXPENDED = 23
    """Since the device began to count."""
    USER_INDEX = 24
    """Which of a household's people the device took it for, by the device's own number: nothing measured, but
    it goes wherever the measurement goes, so that a person can be asked."""


FIRST_MEASURAND: Mapping[Kind, Measurand] = {
    Kind.BLOOD_GLUCOSE: Measurand.GLUCOSE,
    Kind.INTERSTITIAL_GLUCOSE: Measurand.GLUCOSE,
    Kind.CONTROL_SOLUTION: Measurand.GLUCOSE,
    Kind.KETONE: Measurand.KETONE,
    Kind.BLOOD_PRESSURE: Measurand.SYSTOLIC,
    Kind.BODY_WEIGHT: Measurand.BODY_WEIGHT,
    Kind.BODY_COMPOSITION: Measurand.BODY_FAT,
    Kind.BODY_TEMPERATURE: Measurand.BODY_TEMPERATURE,
    Kind.OXYGEN_SATURATION: Measurand.OXYGEN_SATURATION,
    Kind.HEART_RATE: Measurand.PULSE_RATE,
}
"""What the first quantity of a reading is of: a series holds its kind only."""

DERIVED = frozenset(
    {
        Measurand.BODY_MASS_INDEX,
        Measurand.BODY_FAT,
        Measurand.BODY_MUSCLE,
        Measurand.MUSCLE_MASS,
        Measurand.FAT_FREE_MASS,
        Measurand.SOFT_LEAN_MASS,
        Measurand.BODY_WATER_MASS,
        Measurand.BASAL_METABOLISM,
        Measurand.GLUCOSE_TREND,
    }
)
"""What a device computes of what it measured, by a formula of its own."""


class Absent(IntEnum):
    """Why a quantity has no value (IEEE 11073-20601 special values of FLOAT and SFLOAT)."""

    NOT_A_NUMBER = 1
    NOT_AT_RESOLUTION = 2
    ABOVE_RANGE = 3
    BELOW_RANGE = 4
    RESERVED = 5


UNITS: tuple[str, ...] = (
    "mg/dL",
    "mmol/L",
    "mm[Hg]",
    "kPa",
    "kg",
    "[lb_av]",
    "Cel",
    "[degF]",
    "%",
    "/min",
    "kg/m2",
    "m",
    "[in_i]",
    "Ohm",
    "kJ",
    "mg/dL/min",
    "1",
)
"""UCUM codes. The index is stored: append only."""


class Flag(IntFlag):
    """Device and sensor status, bit for bit the Sensor Status Annunciation of 0x2A18 (GLS 3.1.1.6)."""

    DEVICE_BATTERY_LOW = 1 << 0
    SENSOR_MALFUNCTION = 1 << 1
    SAMPLE_SIZE_INSUFFICIENT = 1 << 2
    STRIP_INSERTION_ERROR = 1 << 3
    STRIP_TYPE_INCORRECT = 1 << 4
    RESULT_TOO_HIGH = 1 << 5
    RESULT_TOO_LOW = 1 << 6
    TEMPERATURE_TOO_HIGH = 1 << 7
    TEMPERATURE_TOO_LOW = 1 << 8
    READ_INTERRUPTED = 1 << 9
    GENERAL_FAULT = 1 << 10
    TIME_FAULT = 1 << 11


NO_FLAGS = Flag(0)


class Sample(NamedTuple):
    """The nibbles of 0x2A18's type-sample-location octet, as written (GLS 3.1.1.5).

    Of a temperature and a heart rate: type 0, and as the location where it was measured, by the number of
    0x2A1D (HTS 3.2.1) or 0x2A38 (HRS 3.2).
    """

    type: int
    location: int


class TimeSource(IntEnum):
    """How the effective time of a reading is known."""

    DEVICE = 1
    """The device's clock, as written."""
    DEVICE_CORRECTED = 2
    """The device's clock, corrected by the error seen when it was read."""
    ORDERED = 3
    """Only the order of the records is sure."""
    UNKNOWN = 4
    """The device did not know the time."""
    PERSON = 5
    """The person said when it was."""

    @property
    def slug(self) -> str:
        """The name that people and files use: `device-corrected`."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number with its meaning; `value` is exact, or None for the reason in `absent`."""

    of: Measurand
    value: Decimal | None
    unit: str
    absent: Absent | None = None


@dataclass(frozen=True, slots=True)
class DeviceTime:
    """Time as the device wrote it: its base time and, where given, the minutes from it to what it showed."""

    base: DateTime
    offset_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class RecordIdentity:
    """What makes a record the same when it is read again; nothing inferred is in it.

    `recorded_at`: the time as the device wrote it, taken as if UTC. `sequence`: the device's own number,
    else 0.
    """

    recorded_at: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Context:
    """What the person told the meter around a measurement: the fields of 0x2A34 (GLS 3.2), as written."""

    raw: bytes
    carbohydrate: int | None = None
    carbohydrate_kg: Decimal | None = None
    meal: int | None = None
    tester: int | None = None
    health: int | None = None
    exercise_seconds: int | None = None
    exercise_intensity_percent: int | None = None
    medication: int | None = None
    medication_value: Decimal | None = None
    medication_unit: str | None = None
    """`kg` or `L`, as flag bit 5 of the characteristic says."""
    hba1c_percent: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One record of a device. `raw` is the measurement as received: it alone decides sameness."""

    kind: Kind
    quantities: tuple[Quantity, ...]
    device_time: DeviceTime | None
    identity: RecordIdentity
    raw: bytes
    sample: Sample | None = None
    context: Context | None = None
    flags: IntFlag = NO_FLAGS

    @property
    def user_index(self) -> int | None:
        """Which of a household's people the device took it for, by its own number; None: it does not say."""
        for quantity in self.quantities:
            if quantity.of is Measurand.USER_INDEX and quantity.value is not None:
                return int(quantity.value)
        return None


@dataclass(frozen=True, slots=True)
class DeviceIdentity:
    """Who a device is, never by the address the platform shows.

    `scheme` is `serial` (value: manufacturer, model and serial, joined by `/`), `system-id`, `address`,
    `capture` (hash of a capture) or `file` (format and kind).
    """

    scheme: str
    value: str


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its person has it."""

    identity: DeviceIdentity
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    profile: str | None = None
    """The name of its profile in the catalogue."""


@dataclass(frozen=True, slots=True)
class ClockSegment:
    """A stretch of one device's records that one shift places in time.

    It covers the sequences `first_sequence..last_sequence` and the times
    `first_recorded_at..last_recorded_at` (all included). Effective time = `recorded_at` + `shift_seconds`;
    None where no time can be given.
    `utc_offset_minutes`: the person's own clock against UTC in that stretch.
    """

    first_sequence: int
    last_sequence: int
    first_recorded_at: datetime
    last_recorded_at: datetime
    shift_seconds: int | None
    utc_offset_minutes: int
    source: TimeSource


@dataclass(frozen=True, slots=True, eq=False)
class ReadingSeries:
    """The readings of one patient as columns of one length, in order of effective time.

    Values are exact: mantissa × 10^exponent in `UNITS[unit]`; where `absent` (an `Absent`, 0 for none) is
    set there is no value. Times are microseconds since 1970 in UTC. `sample` is type | location << 4, -1
    where there is none.
    """

    patient_id: int
    patient_uuid: UUID
    kind: npt.NDArray[np.int16]
    effective_time: npt.NDArray[np.int64]
    utc_offset_minutes: npt.NDArray[np.int16]
    time_source: npt.NDArray[np.int16]
    recorded_at: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int32]
    device_id: npt.NDArray[np.int32]
    ordinal: npt.NDArray[np.int16]
    mantissa: npt.NDArray[np.int32]
    exponent: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int16]
    absent: npt.NDArray[np.int16]
    flags: npt.NDArray[np.int32]
    sample: npt.NDArray[np.int16]
    excluded: npt.NDArray[np.bool_]
    contexts: Mapping[int, Context] = field(default_factory=dict)
    """By row."""
    quantities: Mapping[int, tuple[Quantity, ...]] = field(default_factory=dict)
    """By row: the quantities after the first."""
    notes: Mapping[int, str] = field(default_factory=dict)
    """By row: what the person wrote of the reading."""
    devices: Mapping[int, Device] = field(default_factory=dict)
    """By device_id."""

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, rows: npt.NDArray[np.intp]) -> ReadingSeries:
        """Some of the rows, in this order."""
        places = {row: place for place, row in enumerate(rows.tolist())}
        taken: dict[str, Any] = {name: getattr(self, name)[rows] for name in _COLUMNS}
        for name in ("contexts", "quantities", "notes"):
            beside = getattr(self, name)
            taken[name] = {places[row]: said for row, said in beside.items() if row in places}
        return replace(self, **taken)

    def values(self) -> npt.NDArray[np.float64]:
        """The first quantity of each row in its own unit, NaN where it is absent. Shape: (n,)."""
        values = self.mantissa * np.power(10.0, self.exponent)
        return np.where(self.absent == 0, np.round(values, 6), np.nan)


_COLUMNS = (
    *("kind", "effective_time", "utc_offset_minutes", "time_source", "recorded_at", "sequence", "device_id"),
    *("ordinal", "mantissa", "exponent", "unit", "absent", "flags", "sample", "excluded"),
)
"""The fields of a ReadingSeries that are arrays."""

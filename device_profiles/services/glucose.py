"""The Glucose Service 0x1808 (GLS 1.0.1): its characteristics as on the wire, nothing interpreted."""

from __future__ import annotations

from dataclasses import dataclass, fields
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, whatever its name
from typing import Final, Literal, Self

from device_profiles.errors import MalformedMeasurement
from device_profiles.layout import SFLOAT16, UINT8, UINT16, Field, Layout, present
from device_profiles.wire import SFLOAT, DateTime, Number, Reader, Special, Writer, date_time, plain

SERVICE: Final = 0x1808
MEASUREMENT: Final = 0x2A18
MEASUREMENT_CONTEXT: Final = 0x2A34
FEATURE: Final = 0x2A51
RECORD_ACCESS_CONTROL_POINT: Final = 0x2A52

_OFFSET, _CONCENTRATION, _MOLAR, _STATUS, _CONTEXT_FOLLOWS = (1 << bit for bit in range(5))
_OPTIONAL = _OFFSET | _CONCENTRATION | _STATUS


def _layout(flags: int) -> Struct:
    """The fields in order; one that the flags leave out is an empty string, so that each keeps its place."""
    return Struct(
        "<BHHBBBBB"
        + ("h" if flags & _OFFSET else "0s")
        + ("HB" if flags & _CONCENTRATION else "0s0s")
        + ("H" if flags & _STATUS else "0s")
    )


_SFLOATS: Final = SFLOAT.numbers
_LAYOUTS: Final = tuple(_layout(flags) for flags in range(_OPTIONAL + 1))


def _agree(flags: int, flag: int, value: object) -> None:
    if bool(flags & flag) != (value is not None):
        raise ValueError("the flags announce other fields than are there")


# GLS §3.1 Glucose Measurement
@dataclass(frozen=True, slots=True)
class GlucoseMeasurement:
    """One measurement of a meter. The flags say which of the fields are there; the others are None."""

    flags: int
    """§3.1.1.1, as written: reserved bits are kept."""
    sequence_number: int
    """0…65 535, grows by one with each record."""
    base_time: DateTime
    """The meter's clock, without the changes that the person made."""
    time_offset_min: int | None
    """Minutes from the base time to what the meter showed the person."""
    concentration: Number | None
    """In `unit`, exact."""
    type_sample_location: int | None
    """The octet of `type` and `sample_location`."""
    status: int | None
    """Sensor Status Annunciation, bit for bit (§3.1.1.6)."""

    @classmethod
    def of(  # noqa: PLR0913 - the fields of the characteristic, by name
        cls,
        sequence_number: int,
        base_time: DateTime,
        *,
        time_offset_min: int | None = None,
        concentration: Number | None = None,
        unit: Literal["kg/L", "mol/L"] = "kg/L",
        type: int = 0,  # noqa: A002 - the specification's name
        sample_location: int = 0,
        status: int | None = None,
        context_follows: bool = False,
    ) -> Self:
        """Make a measurement of its meaning; the flags follow."""
        flags = (
            _OFFSET * (time_offset_min is not None)
            | _CONCENTRATION * (concentration is not None)
            | _MOLAR * (unit == "mol/L")
            | _STATUS * (status is not None)
            | _CONTEXT_FOLLOWS * context_follows
        )
        octet = None if concentration is None else type | sample_location << 4
        return cls(flags, sequence_number, base_time, time_offset_min, concentration, octet, status)

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        layout = _LAYOUTS[raw[0] & _OPTIONAL if raw else 0]
        if len(raw) != layout.size:
            raise MalformedMeasurement("too_short" if len(raw) < layout.size else "trailing_bytes")
        (flags, sequence, year, month, day, hours, minutes, seconds, offset, word, octet, status) = (
            layout.unpack(raw)
        )
        measurement = object.__new__(cls)
        _set_flags(measurement, flags)
        _set_sequence(measurement, sequence)
        _set_base_time(measurement, date_time(year, month, day, hours, minutes, seconds))
        _set_offset(measurement, offset if flags & _OFFSET else None)
        _set_concentration(measurement, _SFLOATS[word] if flags & _CONCENTRATION else None)
        _set_octet(measurement, octet if flags & _CONCENTRATION else None)
        _set_status(measurement, status if flags & _STATUS else None)
        return measurement

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        _agree(self.flags, _OFFSET, self.time_offset_min)
        _agree(self.flags, _CONCENTRATION, self.concentration)
        _agree(self.flags, _CONCENTRATION, self.type_sample_location)
        _agree(self.flags, _STATUS, self.status)
        try:
            return _LAYOUTS[self.flags & _OPTIONAL].pack(
                self.flags,
                self.sequence_number,
                *self.base_time,
                b"" if self.time_offset_min is None else self.time_offset_min,
                b"" if self.concentration is None else SFLOAT.word(self.concentration),
                b"" if self.type_sample_location is None else self.type_sample_location,
                b"" if self.status is None else self.status,
            )
        except StructError as beyond:
            raise ValueError(str(beyond)) from beyond

    @property
    def unit(self) -> str:
        """`kg/L` or `mol/L`."""
        return "mol/L" if self.flags & _MOLAR else "kg/L"

    @property
    def type(self) -> int | None:
        """What was measured (§3.1.1.5): 1 capillary whole blood … 10 control solution; the low nibble."""
        return None if self.type_sample_location is None else self.type_sample_location & 0x0F

    @property
    def sample_location(self) -> int | None:
        """Where the sample is from (§3.1.1.5): 1 finger … 4 control solution, 15 unknown; the high nibble."""
        return None if self.type_sample_location is None else self.type_sample_location >> 4

    @property
    def context_follows(self) -> bool:
        """Whether a Glucose Measurement Context with the same sequence number exists."""
        return bool(self.flags & _CONTEXT_FOLLOWS)

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name; `mgdl` where the concentration is a number of kg/L."""
        there: dict[str, object] = {
            "sequence_number": self.sequence_number,
            "base_time": self.base_time.isoformat(),
            "time_offset_min": self.time_offset_min,
        }
        if self.concentration is not None:
            there |= {
                "concentration": plain(self.concentration),
                "unit": self.unit,
                "type": self.type,
                "sample_location": self.sample_location,
            }
            if self.unit == "kg/L" and not isinstance(self.concentration, Special):
                there["mgdl"] = plain(self.concentration.scaleb(5))
        there |= {"status": self.status, "context_follows": self.context_follows}
        return present(there)


# A frozen dataclass looks up each field by name to initialise it, which is half the time of a decode; the
# slots themselves are set twice as fast, and a full read decodes thousands.
_set_flags, _set_sequence, _set_base_time, _set_offset, _set_concentration, _set_octet, _set_status = (
    vars(GlucoseMeasurement)[field.name].__set__ for field in fields(GlucoseMeasurement)
)

_CARBOHYDRATE, _MEAL, _TESTER_HEALTH, _EXERCISE, _MEDICATION, _LITRES, _HBA1C, _EXTENDED = (
    1 << bit for bit in range(8)
)


_CONTEXT: Final = Layout(
    UINT8,
    Field("sequence_number", UINT16),
    Field("extended_flags", UINT8, _EXTENDED),
    Field("carb_id", UINT8, _CARBOHYDRATE),
    Field("carb_kg", SFLOAT16, _CARBOHYDRATE),
    Field("meal", UINT8, _MEAL),
    Field("tester_health", UINT8, _TESTER_HEALTH),
    Field("exercise_duration_s", UINT16, _EXERCISE),
    Field("exercise_intensity_pct", UINT8, _EXERCISE),
    Field("medication_id", UINT8, _MEDICATION),
    Field("medication", SFLOAT16, _MEDICATION),
    Field("hba1c_pct", SFLOAT16, _HBA1C),
)


# GLS §3.2 Glucose Measurement Context
@dataclass(frozen=True, slots=True)
class GlucoseMeasurementContext:
    """What the person told the meter around a measurement; what the flags leave out is None."""

    flags: int
    """§3.2.1.1, as written."""
    sequence_number: int
    """That of the measurement it belongs to."""
    extended_flags: int | None = None
    carb_id: int | None = None
    """1 breakfast, 2 lunch, 3 dinner, 4 snack, 5 drink, 6 supper, 7 brunch."""
    carb_kg: Number | None = None
    meal: int | None = None
    """1 before a meal, 2 after, 3 fasting, 4 casual (snack, drink …), 5 bedtime."""
    tester_health: int | None = None
    """The octet of `tester` and `health`."""
    exercise_duration_s: int | None = None
    """Seconds; 65 535: longer."""
    exercise_intensity_pct: int | None = None
    medication_id: int | None = None
    """1 rapid, 2 short, 3 intermediate, 4 long acting insulin, 5 pre-mixed insulin."""
    medication: Number | None = None
    """In `medication_unit`."""
    hba1c_pct: Number | None = None

    @classmethod
    def of(  # noqa: PLR0913 - the fields of the characteristic, by name
        cls,
        sequence_number: int,
        *,
        carbohydrate: tuple[int, Number] | None = None,
        meal: int | None = None,
        tester_health: tuple[int, int] | None = None,
        exercise: tuple[int, int] | None = None,
        medication: tuple[int, Number] | None = None,
        medication_unit: Literal["kg", "L"] = "kg",
        hba1c_pct: Number | None = None,
        extended_flags: int | None = None,
    ) -> Self:
        """Make a context of its meaning; the flags follow.

        `carbohydrate`: (kind, kg). `exercise`: (seconds, percent). `medication`: (kind, kg or L).
        """
        groups = (carbohydrate, meal, tester_health, exercise, medication, None, hba1c_pct, extended_flags)
        flags = sum(1 << bit for bit, group in enumerate(groups) if group is not None)
        carb_id, carb_kg = carbohydrate or (None, None)
        duration, intensity = exercise or (None, None)
        medication_id, dose = medication or (None, None)
        return cls(
            flags=flags | _LITRES * (medication_unit == "L"),
            sequence_number=sequence_number,
            extended_flags=extended_flags,
            carb_id=carb_id,
            carb_kg=carb_kg,
            meal=meal,
            tester_health=None if tester_health is None else tester_health[0] | tester_health[1] << 4,
            exercise_duration_s=duration,
            exercise_intensity_pct=intensity,
            medication_id=medication_id,
            medication=dose,
            hba1c_pct=hba1c_pct,
        )

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        return cls(*_CONTEXT.read(raw))

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        return _CONTEXT.write(self.flags, self)

    @property
    def tester(self) -> int | None:
        """Who measured: 1 self, 2 health care professional, 3 laboratory; the low nibble."""
        return None if self.tester_health is None else self.tester_health & 0x0F

    @property
    def health(self) -> int | None:
        """1 minor and 2 major issues, 3 during menses, 4 under stress, 5 none; the high nibble."""
        return None if self.tester_health is None else self.tester_health >> 4

    @property
    def medication_unit(self) -> str:
        """`kg` or `L`."""
        return "L" if self.flags & _LITRES else "kg"

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return present(
            {
                "sequence_number": self.sequence_number,
                "extended_flags": self.extended_flags,
                "carb_id": self.carb_id,
                "carb_kg": None if self.carb_kg is None else plain(self.carb_kg),
                "meal": self.meal,
                "tester": self.tester,
                "health": self.health,
                "exercise_duration_s": self.exercise_duration_s,
                "exercise_intensity_pct": self.exercise_intensity_pct,
                "medication_id": self.medication_id,
                "medication": None if self.medication is None else plain(self.medication),
                "medication_unit": None if self.medication is None else self.medication_unit,
                "hba1c_pct": None if self.hba1c_pct is None else plain(self.hba1c_pct),
            }
        )


# GLS §3.3 Glucose Feature
@dataclass(frozen=True, slots=True)
class GlucoseFeature:
    """What a meter can detect: bits 0–9 of status, bit 10 more than one bond; reserved bits are kept."""

    features: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        feature = cls(reader.uint16())
        reader.end()
        return feature

    def encode(self) -> bytes:
        """Write the two bytes."""
        return Writer().uint16(self.features).done()

    def to_json(self) -> dict[str, object]:
        """`features` as a number."""
        return {"features": self.features}

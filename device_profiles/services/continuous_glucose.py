"""The Continuous Glucose Monitoring Service 0x181F (CGMS 1.0.2): its characteristics as on the wire.

Each may end with an E2E-CRC. It is kept as written and not judged here: `crc_ok` says whether it holds, and
what uses a value refuses one whose checksum does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, Self

from device_profiles.errors import MalformedMeasurement
from device_profiles.layout import (
    SFLOAT16,
    UINT8,
    UINT16,
    Field,
    Layout,
    crc_holds,
    crc_of,
    present,
    with_own_crc,
)
from device_profiles.wire import DateTime, Number, Reader, Writer, plain

SERVICE: Final = 0x181F
MEASUREMENT: Final = 0x2AA7
FEATURE: Final = 0x2AA8
STATUS: Final = 0x2AA9
SESSION_START_TIME: Final = 0x2AAA
SESSION_RUN_TIME: Final = 0x2AAB
SPECIFIC_OPS_CONTROL_POINT: Final = 0x2AAC

CRC_SUPPORTED: Final = 1 << 12
"""The feature bit of the E2E-CRC (§3.2.1.1)."""
NO_CRC: Final = 0xFFFF
"""What stands in the place of the feature's checksum where there is none (§3.2.1.4)."""

_TREND, _QUALITY, _WARNING, _CALIBRATION, _STATUS = 1 << 0, 1 << 1, 1 << 5, 1 << 6, 1 << 7
_MEASUREMENT: Final = Layout(
    UINT8,
    Field("concentration", SFLOAT16),
    Field("time_offset_min", UINT16),
    Field("status", UINT8, _STATUS),
    Field("calibration_temperature", UINT8, _CALIBRATION),
    Field("warning", UINT8, _WARNING),
    Field("trend", SFLOAT16, _TREND),
    Field("quality", SFLOAT16, _QUALITY),
)
_SMALLEST: Final = 6
"""Bytes of a record without optional fields, its size included (§3.1.1.1)."""


# CGMS §3.1 CGM Measurement
@dataclass(frozen=True, slots=True)
class ContinuousGlucoseMeasurement:
    """One record of a sensor. What the flags leave out is None."""

    flags: int
    """§3.1.1.2, as written: reserved bits are kept."""
    concentration: Number
    """mg/dL."""
    time_offset_min: int
    """Minutes since the session began."""
    status: int | None = None
    """Octet 1 of the Sensor Status Annunciation: bit 0 session stopped, 1 battery low … (§3.1.1.5)."""
    calibration_temperature: int | None = None
    """Octet 2: bit 0 time to synchronise, 1 calibration not allowed … 4 temperature too high, 5 too low."""
    warning: int | None = None
    """Octet 3: bit 0 below the patient's low, 1 above the high … 6 below what is shown, 7 above."""
    trend: Number | None = None
    """mg/dL per minute."""
    quality: Number | None = None
    """Percent."""
    crc: int | None = None
    """As written."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read exactly one record. Raises MalformedMeasurement."""
        if len(raw) < _SMALLEST or raw[0] < _SMALLEST or raw[0] > len(raw):
            raise MalformedMeasurement("too_short")
        if raw[0] < len(raw):
            raise MalformedMeasurement("trailing_bytes")
        values, size = _MEASUREMENT.read_front(raw[1:])
        values.append(crc_of(raw, size + 1))
        return cls(*values)

    def encode(self) -> bytes:
        """Write the record. Raises ValueError where flags and fields disagree or a value does not fit."""
        return with_own_crc(self._body(), self.crc)

    def _body(self) -> bytes:
        body = _MEASUREMENT.write(self.flags, self)
        return bytes((1 + len(body) + 2 * (self.crc is not None),)) + body

    @property
    def crc_ok(self) -> bool | None:
        """Whether the checksum holds; None where there is none."""
        return None if self.crc is None else crc_holds(self._body(), self.crc)

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return present(
            {
                "glucose_mgdl": plain(self.concentration),
                "time_offset_min": self.time_offset_min,
                "status": self.status,
                "cal_temp": self.calibration_temperature,
                "warning": self.warning,
                "trend_mgdl_min": None if self.trend is None else plain(self.trend),
                "quality_pct": None if self.quality is None else plain(self.quality),
                "crc_ok": self.crc_ok,
            }
        )


# CGMS §3.1: a notification holds one record or more
@dataclass(frozen=True, slots=True)
class ContinuousGlucoseMeasurements:
    """All records of one notification."""

    records: tuple[ContinuousGlucoseMeasurement, ...]

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        if not raw:
            raise MalformedMeasurement("too_short")
        records, begin = [], 0
        while begin < len(raw):
            end = begin + max(raw[begin], 1)
            records.append(ContinuousGlucoseMeasurement.decode(raw[begin:end]))
            begin = end
        return cls(tuple(records))

    def encode(self) -> bytes:
        """Write all records."""
        return b"".join(record.encode() for record in self.records)

    def to_json(self) -> dict[str, object]:
        """`records` as a list."""
        return {"records": [record.to_json() for record in self.records]}


# CGMS §3.2 CGM Feature
@dataclass(frozen=True, slots=True)
class ContinuousGlucoseFeature:
    """What a sensor can do, and what it measures."""

    features: int
    """24 bits, as written: 0 calibration, 1–4 alerts … 11 several bonds, 12 E2E-CRC, 16 trend, 17 quality."""
    type_sample_location: int
    """The octet of `type` and `sample_location`, as in 0x2A18."""
    crc: int
    """0xFFFF where the sensor knows no E2E-CRC."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        feature = cls(reader.uint24(), reader.uint8(), reader.uint16())
        reader.end()
        if not feature.features & CRC_SUPPORTED and feature.crc != NO_CRC:
            raise MalformedMeasurement("invalid_crc")
        return feature

    def encode(self) -> bytes:
        """Write the six bytes."""
        return Writer().put(self._body()).uint16(self.crc).done()

    def _body(self) -> bytes:
        return Writer().uint24(self.features).uint8(self.type_sample_location).done()

    @property
    def crc_ok(self) -> bool | None:
        """Whether the checksum holds; None where the sensor knows none."""
        return crc_holds(self._body(), self.crc) if self.features & CRC_SUPPORTED else None

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return present(
            {
                "features": self.features,
                "type": self.type_sample_location & 0x0F,
                "sample_location": self.type_sample_location >> 4,
                "crc_ok": self.crc_ok,
            }
        )


class _WithCrc(ABC):
    """What the three values below share: a body of fixed size, and perhaps its checksum."""

    __slots__ = ()
    crc: int | None

    @abstractmethod
    def _body(self) -> bytes: ...

    def encode(self) -> bytes:
        """Write the bytes."""
        return with_own_crc(self._body(), self.crc)

    @property
    def crc_ok(self) -> bool | None:
        """Whether the checksum holds; None where there is none."""
        return crc_holds(self._body(), self.crc)


# CGMS §3.3 CGM Status
@dataclass(frozen=True, slots=True)
class ContinuousGlucoseStatus(_WithCrc):
    """How a sensor is now. The octets as in the measurement's Sensor Status Annunciation."""

    time_offset_min: int
    status: int
    calibration_temperature: int
    warning: int
    crc: int | None = None

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        values = (reader.uint16(), reader.uint8(), reader.uint8(), reader.uint8())
        return cls(*values, crc_of(raw, 5))

    def _body(self) -> bytes:
        writer = Writer().uint16(self.time_offset_min).uint8(self.status)
        return writer.uint8(self.calibration_temperature).uint8(self.warning).done()

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return present(
            {
                "time_offset_min": self.time_offset_min,
                "status": self.status,
                "cal_temp": self.calibration_temperature,
                "warning": self.warning,
                "crc_ok": self.crc_ok,
            }
        )


# CGMS §3.4 CGM Session Start Time
@dataclass(frozen=True, slots=True)
class SessionStartTime(_WithCrc):
    """When the session began, by the sensor's clock; written by us when we set it."""

    start: DateTime
    time_zone: int
    """Quarters of an hour from UTC without daylight saving, −48…56; −128 not known."""
    dst_offset: int
    """0 standard, 2 half an hour, 4 an hour, 8 two hours of daylight saving; 255 not known."""
    crc: int | None = None

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        values = (reader.date_time(), reader.int8(), reader.uint8())
        return cls(*values, crc_of(raw, 9))

    def _body(self) -> bytes:
        return Writer().date_time(self.start).int8(self.time_zone).uint8(self.dst_offset).done()

    @property
    def utc_offset_minutes(self) -> int | None:
        """Minutes from UTC, daylight saving included; None where either part is not known."""
        if self.time_zone == -128 or self.dst_offset not in {0, 2, 4, 8}:
            return None
        return 15 * (self.time_zone + self.dst_offset)

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return present(
            {
                "start": self.start.isoformat(),
                "tz_15min": self.time_zone,
                "dst_15min": self.dst_offset,
                "utc_offset_min": self.utc_offset_minutes,
                "crc_ok": self.crc_ok,
            }
        )


# CGMS §3.5 CGM Session Run Time
@dataclass(frozen=True, slots=True)
class SessionRunTime(_WithCrc):
    """How many hours the sensor is expected to run."""

    run_time_h: int
    crc: int | None = None

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        return cls(Reader(raw).uint16(), crc_of(raw, 2))

    def _body(self) -> bytes:
        return Writer().uint16(self.run_time_h).done()

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return present({"run_time_h": self.run_time_h, "crc_ok": self.crc_ok})

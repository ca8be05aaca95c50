"""Glucose sensors: 0x2AA7 (CGMS 1.0.2), whose records count the minutes since their session began.

A session begins at a time that the sensor tells (0x2AAA), with the zone that its clock showed then. From
there it counts, whatever the clocks of people do: in summer a session that began in winter is an hour behind
what its person's clock shows. What it counts is the record's own time, the hour is its offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from device_profiles.errors import MalformedMeasurement
from device_profiles.flags import SensorFlag
from device_profiles.meanings.meaning import Heard, InOneValue, quantity, recorded_at
from device_profiles.reading import (
    UNKNOWN_DATE,
    Absent,
    DeviceTime,
    Kind,
    Measurand,
    Quantity,
    Reading,
    RecordIdentity,
)
from device_profiles.services.continuous_glucose import (
    SESSION_START_TIME,
    ContinuousGlucoseMeasurement,
    SessionStartTime,
)
from device_profiles.wire import DateTime, Number

_SMALLEST: Final = 6
_UNIT: Final = "mg/dL"


@dataclass(frozen=True)
class ContinuousGlucoseMeaning(InOneValue):
    """Each record of a notification is one reading, numbered by its minute. A wrong checksum is refused."""

    kinds: ClassVar[tuple[Kind, ...]] = (Kind.INTERSTITIAL_GLUCOSE,)

    def parts(self, raw: bytes) -> tuple[bytes, ...]:
        """The records of a notification, by the size that each begins with; what has none stays whole."""
        records, begin = [], 0
        while begin < len(raw):
            size = raw[begin]
            end = begin + size if _SMALLEST <= size <= len(raw) - begin else len(raw)
            records.append(raw[begin:end])
            begin = end
        return tuple(records) or (raw,)

    def readings(self, raw: bytes, heard: Heard) -> tuple[Reading, ...]:
        """The one reading of a record. Raises MalformedMeasurement."""
        measured = ContinuousGlucoseMeasurement.decode(raw)
        if measured.crc_ok is False:
            raise MalformedMeasurement("invalid_crc")
        written, at = _when(measured.time_offset_min, heard)
        flags = SensorFlag(
            (measured.status or 0)
            | (measured.calibration_temperature or 0) << 8
            | (measured.warning or 0) << 16
        )
        return (
            Reading(
                kind=Kind.INTERSTITIAL_GLUCOSE,
                quantities=(
                    _glucose(measured.concentration, flags),
                    *_beside(Measurand.GLUCOSE_TREND, measured.trend, "mg/dL/min"),
                    *_beside(Measurand.SENSOR_QUALITY, measured.quality, "%"),
                ),
                device_time=written,
                identity=RecordIdentity(at, measured.time_offset_min),
                raw=bytes(raw),
                flags=flags,
            ),
        )


def session_start(heard: Heard) -> SessionStartTime | None:
    """When the session began, as the sensor says it. Raises MalformedMeasurement."""
    raw = heard.values.get(SESSION_START_TIME)
    if raw is None:
        return None
    said = SessionStartTime.decode(raw)
    if said.crc_ok is False:
        raise MalformedMeasurement("invalid_crc")
    return said


def _when(minutes: int, heard: Heard) -> tuple[DeviceTime | None, datetime]:
    """What the sensor's clock counted, with the minutes from it to the person's clock."""
    said = session_start(heard)
    if said is None:
        return None, UNKNOWN_DATE
    begun = recorded_at(said.start)
    if begun == UNKNOWN_DATE:
        return DeviceTime(said.start), UNKNOWN_DATE
    at = begun + timedelta(minutes=minutes)
    offset = said.utc_offset_minutes
    if offset is None:
        offset = _minutes(begun.replace(tzinfo=heard.zone))
    now = _minutes((at - timedelta(minutes=offset)).astimezone(heard.zone))
    return DeviceTime(DateTime.of(at), now - offset), at


def _minutes(moment: datetime) -> int:
    """Minutes from UTC of a moment in its zone."""
    return int((moment.utcoffset() or timedelta()).total_seconds()) // 60


def _glucose(concentration: Number, flags: SensorFlag) -> Quantity:
    """Glucose; without a number the status may say that it was out of range."""
    found = quantity(Measurand.GLUCOSE, concentration, _UNIT)
    if found.absent not in {Absent.NOT_A_NUMBER, Absent.NOT_AT_RESOLUTION}:
        return found
    if SensorFlag.RESULT_TOO_LOW in flags:
        return Quantity(Measurand.GLUCOSE, None, _UNIT, Absent.BELOW_RANGE)
    if SensorFlag.RESULT_TOO_HIGH in flags:
        return Quantity(Measurand.GLUCOSE, None, _UNIT, Absent.ABOVE_RANGE)
    return found


def _beside(of: Measurand, number: Number | None, unit: str) -> tuple[Quantity, ...]:
    return () if number is None else (quantity(of, number, unit),)

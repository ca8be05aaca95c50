"""What the bits of a Reading's flags mean, family by family; those of a meter are `reading.Flag`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntFlag

from device_profiles.reading import Flag, Kind


class CuffFlag(IntFlag):
    """Measurement Status of 0x2A35, bit for bit (BLS 3.1.1.7). Bits 3–4 are one number of two bits."""

    BODY_MOVED = 1 << 0
    CUFF_TOO_LOOSE = 1 << 1
    IRREGULAR_PULSE = 1 << 2
    PULSE_ABOVE_RANGE = 1 << 3
    PULSE_BELOW_RANGE = 1 << 4
    POSITION_IMPROPER = 1 << 5


class OximeterFlag(IntFlag):
    """Bits 5–15 of Measurement Status of 0x2A5E and 0x2A5F, then Device and Sensor Status from its bit 0 on.

    PLXS 3.1.1.5 and 3.1.1.6. Both need 40 bits, of which 27 have a meaning; these fit, and all are in `raw`.
    """

    MEASUREMENT_ONGOING = 1 << 0
    EARLY_ESTIMATE = 1 << 1
    VALIDATED = 1 << 2
    FULLY_QUALIFIED = 1 << 3
    FROM_STORAGE = 1 << 4
    FOR_DEMONSTRATION = 1 << 5
    FOR_TESTING = 1 << 6
    CALIBRATION_ONGOING = 1 << 7
    MEASUREMENT_UNAVAILABLE = 1 << 8
    QUESTIONABLE = 1 << 9
    INVALID = 1 << 10
    EXTENDED_DISPLAY_UPDATE = 1 << 11
    EQUIPMENT_MALFUNCTION = 1 << 12
    SIGNAL_PROCESSING_IRREGULAR = 1 << 13
    INADEQUATE_SIGNAL = 1 << 14
    POOR_SIGNAL = 1 << 15
    LOW_PERFUSION = 1 << 16
    ERRATIC_SIGNAL = 1 << 17
    NONPULSATILE_SIGNAL = 1 << 18
    QUESTIONABLE_PULSE = 1 << 19
    SIGNAL_ANALYSIS_ONGOING = 1 << 20
    SENSOR_INTERFERENCE = 1 << 21
    SENSOR_UNCONNECTED = 1 << 22
    UNKNOWN_SENSOR = 1 << 23
    SENSOR_DISPLACED = 1 << 24
    SENSOR_MALFUNCTIONING = 1 << 25
    SENSOR_DISCONNECTED = 1 << 26


class SensorFlag(IntFlag):
    """Sensor Status Annunciation of 0x2AA7, its three octets one after the other (CGMS 3.1.1.5)."""

    SESSION_STOPPED = 1 << 0
    DEVICE_BATTERY_LOW = 1 << 1
    SENSOR_TYPE_INCORRECT = 1 << 2
    SENSOR_MALFUNCTION = 1 << 3
    DEVICE_ALERT = 1 << 4
    GENERAL_FAULT = 1 << 5
    TIME_SYNCHRONISATION_NEEDED = 1 << 8
    CALIBRATION_NOT_ALLOWED = 1 << 9
    CALIBRATION_RECOMMENDED = 1 << 10
    CALIBRATION_REQUIRED = 1 << 11
    TEMPERATURE_TOO_HIGH = 1 << 12
    TEMPERATURE_TOO_LOW = 1 << 13
    BELOW_PATIENT_LOW = 1 << 16
    ABOVE_PATIENT_HIGH = 1 << 17
    BELOW_HYPO_LEVEL = 1 << 18
    ABOVE_HYPER_LEVEL = 1 << 19
    FALLING_TOO_FAST = 1 << 20
    RISING_TOO_FAST = 1 << 21
    RESULT_TOO_LOW = 1 << 22
    RESULT_TOO_HIGH = 1 << 23


class HeartRateFlag(IntFlag):
    """What the flags of 0x2A37 say of the sensor (HRS 3.1.1.1)."""

    NO_SKIN_CONTACT = 1 << 0


_FLAGS: Mapping[Kind, type[IntFlag]] = {
    Kind.BLOOD_PRESSURE: CuffFlag,
    Kind.OXYGEN_SATURATION: OximeterFlag,
    Kind.HEART_RATE: HeartRateFlag,
}


def flags_of(kind: Kind, sample: int) -> type[IntFlag]:
    """What the bits of `Reading.flags` mean for a reading of this kind.

    `sample`: as in a ReadingSeries. A meter of the glucose service that says that it measured interstitial
    fluid still writes that service's bits.
    """
    if kind is Kind.INTERSTITIAL_GLUCOSE and sample < 0:
        return SensorFlag
    return _FLAGS.get(kind, Flag)

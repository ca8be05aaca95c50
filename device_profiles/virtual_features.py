"""What virtual devices say of what they can do: the values of each service that never change."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from device_profiles.services import (
    blood_pressure,
    body_composition,
    glucose,
    health_thermometer,
    heart_rate,
    pulse_oximeter,
    weight_scale,
)
from device_profiles.services import continuous_glucose as cgm
from device_profiles.services.blood_pressure import BloodPressureFeature
from device_profiles.services.body_composition import BodyCompositionFeature
from device_profiles.services.continuous_glucose import ContinuousGlucoseFeature, SessionRunTime
from device_profiles.services.glucose import GlucoseFeature
from device_profiles.services.health_thermometer import TemperatureType
from device_profiles.services.heart_rate import BodySensorLocation
from device_profiles.services.pulse_oximeter import PulseOximeterFeatures
from device_profiles.services.weight_scale import WeightScaleFeature
from device_profiles.wire import crc16

_SENSOR_FEATURES: Final = cgm.CRC_SUPPORTED | 1 << 16 | 1 << 17
"""E2E-CRC, trend and quality."""
_SENSOR_SAMPLE: Final = 0x59
"""Interstitial fluid, at subcutaneous tissue."""


def _sensor_feature() -> bytes:
    written = ContinuousGlucoseFeature(_SENSOR_FEATURES, _SENSOR_SAMPLE, cgm.NO_CRC).encode()
    return written[:-2] + crc16(written[:-2]).to_bytes(2, "little")


FEATURES: Final[Mapping[int, bytes]] = MappingProxyType(
    {
        glucose.FEATURE: GlucoseFeature(0x03F0).encode(),
        blood_pressure.FEATURE: BloodPressureFeature(0x0027).encode(),
        weight_scale.FEATURE: WeightScaleFeature(0x0000_000F).encode(),
        body_composition.FEATURE: BodyCompositionFeature(0x0000_07FF).encode(),
        health_thermometer.TEMPERATURE_TYPE: TemperatureType(6).encode(),
        pulse_oximeter.FEATURES: PulseOximeterFeatures(0x000D, measurement_status_support=0x0300).encode(),
        heart_rate.BODY_SENSOR_LOCATION: BodySensorLocation(1).encode(),
        cgm.FEATURE: _sensor_feature(),
        cgm.SESSION_RUN_TIME: SessionRunTime(14 * 24).encode(),
    }
)
"""By characteristic; a device shows those that its profile offers."""

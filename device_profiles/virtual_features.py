"""What virtual devices say of what they can do: the feature characteristics of each service."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from device_profiles.services import blood_pressure, glucose
from device_profiles.services.blood_pressure import BloodPressureFeature
from device_profiles.services.glucose import GlucoseFeature

FEATURES: Final[Mapping[int, bytes]] = MappingProxyType(
    {
        glucose.FEATURE: GlucoseFeature(0x03F0).encode(),
        blood_pressure.FEATURE: BloodPressureFeature(0x0027).encode(),
    }
)
"""By characteristic; a device shows those that its profile offers."""

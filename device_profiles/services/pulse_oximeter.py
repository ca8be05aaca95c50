"""The Pulse Oximeter Service 0x1822 (PLXS 1.0.1): its characteristics as on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from device_profiles.layout import MOMENT, SFLOAT16, UINT8, UINT16, UINT24, Field, Layout, present
from device_profiles.wire import DateTime, Number, plain

SERVICE: Final = 0x1822
SPOT_CHECK: Final = 0x2A5E
CONTINUOUS: Final = 0x2A5F
FEATURES: Final = 0x2A60

_SPOT_TIMESTAMP, _SPOT_STATUS, _SPOT_SENSOR, _SPOT_PAI, _CLOCK_NOT_SET = (1 << bit for bit in range(5))
_SPOT_CHECK: Final = Layout(
    UINT8,
    Field("oxygen_saturation", SFLOAT16),
    Field("pulse_rate", SFLOAT16),
    Field("timestamp", MOMENT, _SPOT_TIMESTAMP),
    Field("measurement_status", UINT16, _SPOT_STATUS),
    Field("device_sensor_status", UINT24, _SPOT_SENSOR),
    Field("pulse_amplitude_index", SFLOAT16, _SPOT_PAI),
)

_FAST, _SLOW, _STATUS, _SENSOR, _PAI = (1 << bit for bit in range(5))
_CONTINUOUS: Final = Layout(
    UINT8,
    Field("oxygen_saturation", SFLOAT16),
    Field("pulse_rate", SFLOAT16),
    Field("oxygen_saturation_fast", SFLOAT16, _FAST),
    Field("pulse_rate_fast", SFLOAT16, _FAST),
    Field("oxygen_saturation_slow", SFLOAT16, _SLOW),
    Field("pulse_rate_slow", SFLOAT16, _SLOW),
    Field("measurement_status", UINT16, _STATUS),
    Field("device_sensor_status", UINT24, _SENSOR),
    Field("pulse_amplitude_index", SFLOAT16, _PAI),
)

_STATUS_SUPPORT, _SENSOR_SUPPORT = 1, 2
_FEATURES: Final = Layout(
    UINT16,
    Field("measurement_status_support", UINT16, _STATUS_SUPPORT),
    Field("device_sensor_status_support", UINT24, _SENSOR_SUPPORT),
)


def _plain(number: Number | None) -> object:
    return None if number is None else plain(number)


# PLXS §3.1 PLX Spot-Check Measurement
@dataclass(frozen=True, slots=True)
class SpotCheckMeasurement:
    """One measurement, taken and kept. What the flags leave out is None."""

    flags: int
    """§3.1.1.1, as written: reserved bits are kept."""
    oxygen_saturation: Number
    """Percent."""
    pulse_rate: Number
    """Beats per minute."""
    timestamp: DateTime | None = None
    measurement_status: int | None = None
    """Bit 5 ongoing, 6 early estimate, 7 validated, 8 fully qualified, 9 from storage, 10–15 doubts."""
    device_sensor_status: int | None = None
    pulse_amplitude_index: Number | None = None
    """Percent."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        return cls(*_SPOT_CHECK.read(raw))

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        return _SPOT_CHECK.write(self.flags, self)

    @property
    def clock_is_set(self) -> bool:
        """Whether the oximeter's clock had been set when it wrote the timestamp."""
        return not self.flags & _CLOCK_NOT_SET

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return {
            "spo2": plain(self.oxygen_saturation),
            "pr": plain(self.pulse_rate),
            **present(
                {
                    "timestamp": self.timestamp and self.timestamp.isoformat(),
                    "measurement_status": self.measurement_status,
                    "device_sensor_status": self.device_sensor_status,
                    "pai": _plain(self.pulse_amplitude_index),
                }
            ),
        }


# PLXS §3.2 PLX Continuous Measurement
@dataclass(frozen=True, slots=True)
class ContinuousMeasurement:
    """What an oximeter sends while it is worn. What the flags leave out is None."""

    flags: int
    """§3.2.1.1, as written: reserved bits are kept."""
    oxygen_saturation: Number
    pulse_rate: Number
    oxygen_saturation_fast: Number | None = None
    """Answering fast to a change."""
    pulse_rate_fast: Number | None = None
    oxygen_saturation_slow: Number | None = None
    pulse_rate_slow: Number | None = None
    measurement_status: int | None = None
    device_sensor_status: int | None = None
    pulse_amplitude_index: Number | None = None

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        return cls(*_CONTINUOUS.read(raw))

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree or a value does not fit."""
        return _CONTINUOUS.write(self.flags, self)

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return {
            "spo2": plain(self.oxygen_saturation),
            "pr": plain(self.pulse_rate),
            **present(
                {
                    "spo2_fast": _plain(self.oxygen_saturation_fast),
                    "pr_fast": _plain(self.pulse_rate_fast),
                    "spo2_slow": _plain(self.oxygen_saturation_slow),
                    "pr_slow": _plain(self.pulse_rate_slow),
                    "measurement_status": self.measurement_status,
                    "device_sensor_status": self.device_sensor_status,
                    "pai": _plain(self.pulse_amplitude_index),
                }
            ),
        }


# PLXS §3.3 PLX Features
@dataclass(frozen=True, slots=True)
class PulseOximeterFeatures:
    """What an oximeter can tell; the two masks say which status bits it uses."""

    features: int
    measurement_status_support: int | None = None
    device_sensor_status_support: int | None = None

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        return cls(*_FEATURES.read(raw))

    def encode(self) -> bytes:
        """Write the bytes. Raises ValueError where flags and fields disagree."""
        return _FEATURES.write(self.features, self)

    def to_json(self) -> dict[str, object]:
        """The fields that are there, by name."""
        return present(
            {
                "features": self.features,
                "measurement_status_support": self.measurement_status_support,
                "device_sensor_status_support": self.device_sensor_status_support,
            }
        )

"""The decoders by name, as `passerelle decode CHARACTERISTIC` offers them: bytes in, fields for JSON out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

from device_profiles.errors import DeviceError
from device_profiles.procedures.continuous_glucose_control_messages import ControlMessage
from device_profiles.procedures.record_access_messages import RecordAccessMessage
from device_profiles.services import (
    battery,
    blood_pressure,
    body_composition,
    continuous_glucose,
    current_time,
    device_information,
    glucose,
    health_thermometer,
    heart_rate,
    pulse_oximeter,
    user_data,
    weight_scale,
)
from device_profiles.wire import FLOAT, SFLOAT, DateTime, MedicalFloat, crc16, plain

Decoder = Callable[[bytes], dict[str, object]]
"""Raises MalformedMeasurement."""


class UnknownCharacteristic(DeviceError):
    """No decoder has this name. `known` are the names that exist."""

    sentence = "Passerelle cannot decode {name}. It knows: {known}."

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.known = known
        super().__init__(name=name, known=", ".join(known))


class _Value(Protocol):
    def to_json(self) -> dict[str, object]: ...


class _Characteristic(Protocol):
    @classmethod
    def decode(cls, raw: bytes) -> Any: ...


def _fields(characteristic: type[_Characteristic]) -> Decoder:
    def decode(raw: bytes) -> dict[str, object]:
        value: _Value = characteristic.decode(raw)
        return value.to_json()

    return decode


def _number(medical_float: MedicalFloat) -> Decoder:
    return lambda raw: {"value": plain(medical_float.decode(raw))}


def _date_time(raw: bytes) -> dict[str, object]:
    return {"time": DateTime.decode(raw).isoformat()}


def _crc(raw: bytes) -> dict[str, object]:
    return {"crc": crc16(raw)}


_BY_UUID: Final[Mapping[int, Decoder]] = {
    current_time.DATE_TIME: _date_time,
    current_time.LOCAL_TIME_INFORMATION: _fields(current_time.LocalTimeInformation),
    current_time.REFERENCE_TIME_INFORMATION: _fields(current_time.ReferenceTimeInformation),
    current_time.CURRENT_TIME: _fields(current_time.CurrentTime),
    glucose.MEASUREMENT: _fields(glucose.GlucoseMeasurement),
    glucose.MEASUREMENT_CONTEXT: _fields(glucose.GlucoseMeasurementContext),
    glucose.FEATURE: _fields(glucose.GlucoseFeature),
    glucose.RECORD_ACCESS_CONTROL_POINT: _fields(RecordAccessMessage),
    continuous_glucose.MEASUREMENT: _fields(continuous_glucose.ContinuousGlucoseMeasurements),
    continuous_glucose.FEATURE: _fields(continuous_glucose.ContinuousGlucoseFeature),
    continuous_glucose.STATUS: _fields(continuous_glucose.ContinuousGlucoseStatus),
    continuous_glucose.SESSION_START_TIME: _fields(continuous_glucose.SessionStartTime),
    continuous_glucose.SESSION_RUN_TIME: _fields(continuous_glucose.SessionRunTime),
    continuous_glucose.SPECIFIC_OPS_CONTROL_POINT: _fields(ControlMessage),
    blood_pressure.MEASUREMENT: _fields(blood_pressure.BloodPressureMeasurement),
    blood_pressure.INTERMEDIATE_CUFF_PRESSURE: _fields(blood_pressure.IntermediateCuffPressure),
    blood_pressure.FEATURE: _fields(blood_pressure.BloodPressureFeature),
    health_thermometer.MEASUREMENT: _fields(health_thermometer.TemperatureMeasurement),
    health_thermometer.INTERMEDIATE_TEMPERATURE: _fields(health_thermometer.TemperatureMeasurement),
    health_thermometer.TEMPERATURE_TYPE: _fields(health_thermometer.TemperatureType),
    health_thermometer.MEASUREMENT_INTERVAL: _fields(health_thermometer.MeasurementInterval),
    pulse_oximeter.SPOT_CHECK: _fields(pulse_oximeter.SpotCheckMeasurement),
    pulse_oximeter.CONTINUOUS: _fields(pulse_oximeter.ContinuousMeasurement),
    pulse_oximeter.FEATURES: _fields(pulse_oximeter.PulseOximeterFeatures),
    heart_rate.MEASUREMENT: _fields(heart_rate.HeartRateMeasurement),
    heart_rate.BODY_SENSOR_LOCATION: _fields(heart_rate.BodySensorLocation),
    weight_scale.MEASUREMENT: _fields(weight_scale.WeightMeasurement),
    weight_scale.FEATURE: _fields(weight_scale.WeightScaleFeature),
    body_composition.MEASUREMENT: _fields(body_composition.BodyCompositionMeasurement),
    body_composition.FEATURE: _fields(body_composition.BodyCompositionFeature),
    user_data.DATE_OF_BIRTH: _fields(user_data.Date),
    user_data.USER_CONTROL_POINT: _fields(user_data.UserControlMessage),
    **{uuid: partial(user_data.number, uuid) for uuid in user_data.NUMBERS},
    **dict.fromkeys(user_data.TEXTS, _fields(device_information.Text)),
    battery.BATTERY_LEVEL: _fields(battery.BatteryLevel),
    device_information.SYSTEM_ID: _fields(device_information.SystemId),
    device_information.PNP_ID: _fields(device_information.PnpId),
    **dict.fromkeys(device_information.TEXTS.values(), _fields(device_information.Text)),
}

_DECODERS: Final[Mapping[str, Decoder]] = MappingProxyType(
    {f"0x{uuid:04X}": decoder for uuid, decoder in sorted(_BY_UUID.items())}
    | {"SFLOAT": _number(SFLOAT), "FLOAT": _number(FLOAT), "DATETIME": _date_time, "CRC16": _crc}
)


def characteristics() -> Mapping[str, Decoder]:
    """The decoders by their names: `0x2A18` … and `SFLOAT`, `FLOAT`, `DATETIME`, `CRC16`."""
    return _DECODERS


def decoder(name: str) -> Decoder:
    """The decoder of a characteristic: `0x2A18`, `2a18`, `sfloat`. Raises UnknownCharacteristic."""
    canonical = name.strip().upper().removeprefix("0X")
    found = _DECODERS.get(f"0x{canonical}") or _DECODERS.get(canonical)
    if found is None:
        raise UnknownCharacteristic(name, tuple(_DECODERS))
    return found

"""The Device Information Service 0x180A (DIS 1.1): who a device is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from device_profiles.errors import MalformedMeasurement
from device_profiles.text import one_line
from device_profiles.wire import Reader, Writer

SERVICE: Final = 0x180A
SYSTEM_ID: Final = 0x2A23
MODEL_NUMBER: Final = 0x2A24
SERIAL_NUMBER: Final = 0x2A25
FIRMWARE_REVISION: Final = 0x2A26
HARDWARE_REVISION: Final = 0x2A27
SOFTWARE_REVISION: Final = 0x2A28
MANUFACTURER_NAME: Final = 0x2A29
PNP_ID: Final = 0x2A50


# DIS §3.1–§3.6 Manufacturer Name String … Software Revision String
@dataclass(frozen=True, slots=True)
class Text:
    """One of the service's strings, UTF-8, as written."""

    text: str

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement("invalid_value")."""
        try:
            return cls(bytes(raw).decode("utf-8"))
        except UnicodeDecodeError:
            raise MalformedMeasurement("invalid_value") from None

    def encode(self) -> bytes:
        """Write the bytes."""
        return self.text.encode("utf-8")

    def to_json(self) -> dict[str, object]:
        """`text` as written."""
        return {"text": self.text}


# DIS §3.7 System ID
@dataclass(frozen=True, slots=True)
class SystemId:
    """An EUI-64 of the device."""

    manufacturer: int
    """40 bits, given by the manufacturer."""
    organisation: int
    """24 bits, the manufacturer's OUI."""

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        identity = cls(reader.uint40(), reader.uint24())
        reader.end()
        return identity

    def encode(self) -> bytes:
        """Write the eight bytes."""
        return Writer().uint40(self.manufacturer).uint24(self.organisation).done()

    def __str__(self) -> str:
        """Sixteen hexadecimal digits, the organisation first, as people write an EUI-64."""
        return f"{self.organisation:06X}{self.manufacturer:010X}"

    def to_json(self) -> dict[str, object]:
        """`system_id` in hexadecimal."""
        return {"system_id": str(self)}


# DIS §3.9 PnP ID
@dataclass(frozen=True, slots=True)
class PnpId:
    """Vendor and product by the numbers of a registry."""

    source: int
    """1 Bluetooth SIG, 2 USB Implementers Forum."""
    vendor: int
    product: int
    version: int

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Read the whole of `raw`. Raises MalformedMeasurement."""
        reader = Reader(raw)
        identity = cls(reader.uint8(), reader.uint16(), reader.uint16(), reader.uint16())
        reader.end()
        return identity

    def encode(self) -> bytes:
        """Write the seven bytes."""
        writer = Writer().uint8(self.source)
        return writer.uint16(self.vendor).uint16(self.product).uint16(self.version).done()

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return {
            "source": self.source,
            "vendor": self.vendor,
            "product": self.product,
            "version": self.version,
        }


@dataclass(frozen=True, slots=True)
class DeviceInformation:
    """What a device says of itself: each None where it does not, or not readably."""

    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    hardware: str | None = None
    software: str | None = None
    system_id: SystemId | None = None

    @classmethod
    def of(cls, values: Mapping[int, bytes]) -> Self:
        """Read the service's characteristics, by their UUIDs; of texts, what does not print is dropped."""
        texts = {name: _text(values[uuid]) for name, uuid in TEXTS.items() if uuid in values}
        return cls(**texts, system_id=_system_id(values.get(SYSTEM_ID, b"")))

    def characteristics(self) -> dict[int, bytes]:
        """The service's characteristics as a device would hold them, by their UUIDs."""
        values = {uuid: getattr(self, name).encode() for name, uuid in TEXTS.items() if getattr(self, name)}
        if self.system_id is not None:
            values[SYSTEM_ID] = self.system_id.encode()
        return values


TEXTS: Final = {
    "manufacturer": MANUFACTURER_NAME,
    "model": MODEL_NUMBER,
    "serial": SERIAL_NUMBER,
    "firmware": FIRMWARE_REVISION,
    "hardware": HARDWARE_REVISION,
    "software": SOFTWARE_REVISION,
}
"""The fields of DeviceInformation that are texts, and where they stand."""


def _text(raw: bytes) -> str | None:
    try:
        return one_line(Text.decode(raw).text) or None
    except MalformedMeasurement:
        return None


def _system_id(raw: bytes) -> SystemId | None:
    try:
        return SystemId.decode(raw)
    except MalformedMeasurement:
        return None

"""A device profile: how to recognise a device, what it offers, and what it does otherwise than the standard.

A profile is a value, not a class to inherit from: a new device is a `DeviceProfile`, or another one's
`but(...)` with what differs, and the source of what is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from device_profiles.meanings.glucose import GlucoseMeaning, KetoneMark, context_of
from device_profiles.meanings.meaning import NOT_HEARD, Heard, Meaning
from device_profiles.reading import Context, Kind, Reading
from device_profiles.services import battery, current_time, device_information, glucose
from device_profiles.services.current_time import CurrentTime
from device_profiles.wire import DateTime

__all__ = [
    "STANDARD_OFFER",
    "SUPPORTING_OFFER",
    "Advertisement",
    "DeviceProfile",
    "Heard",
    "KetoneMark",
    "KnownBy",
    "Match",
    "RecordAccess",
    "Source",
]

KnownBy = Literal["standard", "captured", "public code", "data sheet"]


class Advertisement(NamedTuple):
    """What a device calls into the air. UUIDs are 16-bit; manufacturer data by company identifier."""

    name: str | None
    services: tuple[int, ...] = ()
    manufacturer_data: Mapping[int, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Match:
    """How a device is recognised. What is given must hold; a company identifier only where one is sent."""

    names: tuple[str, ...] = ()
    """Regular expressions for the whole name; one of them."""
    services: tuple[int, ...] = ()
    """Advertised services; all of them."""
    manufacturer_id: int | None = None
    """Company identifier of the manufacturer data (Assigned Numbers §7.1)."""

    def specificity(self, advertisement: Advertisement) -> int:
        """How many of the criteria the advertisement meets; 0 where it contradicts one."""
        companies = advertisement.manufacturer_data
        named = any(re.fullmatch(name, advertisement.name or "") for name in self.names)
        served = bool(self.services) and set(self.services) <= set(advertisement.services)
        made = self.manufacturer_id is not None and self.manufacturer_id in companies
        if (self.names and not named) or (self.services and not served):
            return 0
        if self.manufacturer_id is not None and companies and not made:
            return 0
        return named + served + made


@dataclass(frozen=True, slots=True)
class Source:
    """A characteristic that carries measurements, and what they mean.

    `indicated`: each value is an indication, which the device takes as stored once it is confirmed; else a
    notification. `stored`: its values come when the control point is asked for records; else by themselves,
    as soon as somebody listens, and each of them once.
    """

    characteristic: int
    meaning: Meaning
    indicated: bool = False
    stored: bool = False
    live: bool = False
    """Whether its values come again and again for as long as somebody listens."""
    has_contexts: bool = False
    """Whether contexts come beside its values (GLS only)."""


@dataclass(frozen=True, slots=True)
class RecordAccess:
    """How stored records are fetched."""

    measurement: int = glucose.MEASUREMENT
    context: int = glucose.MEASUREMENT_CONTEXT
    """What comes beside some measurements; a device that has no such characteristic sends none."""
    control_point: int = glucose.RECORD_ACCESS_CONTROL_POINT
    optional: bool = False
    """Whether such a device may have no control point, and then sends each measurement by itself."""
    counted: bool = True
    """Whether its sequence numbers count its records, so that one that lacks is one that is missing."""
    incremental: bool = True
    """Whether asking from a sequence number on is answered rightly; else all is read each time."""


SUPPORTING_OFFER: Final[Mapping[int, tuple[int, ...]]] = MappingProxyType(
    {
        current_time.SERVICE: (current_time.CURRENT_TIME,),
        device_information.SERVICE: (
            device_information.MANUFACTURER_NAME,
            device_information.MODEL_NUMBER,
            device_information.SERIAL_NUMBER,
            device_information.FIRMWARE_REVISION,
            device_information.SYSTEM_ID,
        ),
        battery.SERVICE: (battery.BATTERY_LEVEL,),
    }
)
"""What any device may have beside the service that it is made for."""

STANDARD_OFFER: Final[Mapping[int, tuple[int, ...]]] = MappingProxyType(
    {
        glucose.SERVICE: (
            glucose.MEASUREMENT,
            glucose.MEASUREMENT_CONTEXT,
            glucose.FEATURE,
            glucose.RECORD_ACCESS_CONTROL_POINT,
        ),
        **SUPPORTING_OFFER,
    }
)
"""What a meter of the Glucose Profile has, with its optional services."""

_GLUCOSE: Final = (Source(glucose.MEASUREMENT, GlucoseMeaning(), stored=True, has_contexts=True),)


@dataclass(frozen=True)
class DeviceProfile:
    """One kind of device. All fields are data; the methods read what such a device sends."""

    name: str
    title: str
    manufacturer: str | None
    known_by: KnownBy
    source: str
    match: Match
    offer: Mapping[int, tuple[int, ...]] = field(default_factory=lambda: STANDARD_OFFER, hash=False)
    """Its services and their characteristics."""
    clock: int | None = current_time.CURRENT_TIME
    """The characteristic that shows its clock: 0x2A2B or 0x2A08."""
    sources: tuple[Source, ...] = field(default=_GLUCOSE, hash=False)
    """The characteristics that carry its measurements."""
    records: RecordAccess | None = field(default_factory=RecordAccess)
    """How those that it stores are fetched; None where all come by themselves."""
    reads_before: tuple[int, ...] = ()
    """What is to be read before the measurements come, since they mean nothing without it."""
    virtual_name: str = "Virtual meter"
    """The name that a virtual device of this kind advertises; it matches."""

    def but(self, **differences: Any) -> DeviceProfile:
        """The same device with these fields otherwise."""
        return replace(self, **differences)

    def meaning(self, **differences: Any) -> DeviceProfile:
        """The same meter, whose records mean something else: the fields of GlucoseMeaning."""
        meaning = replace(self._glucose, **differences)
        (source, *others) = self.sources
        return replace(self, sources=(replace(source, meaning=meaning), *others))

    @property
    def services(self) -> tuple[int, ...]:
        """The services it offers."""
        return tuple(self.offer)

    def clock_time(self, raw: bytes) -> DateTime:
        """The time in a value of the clock's characteristic. Raises MalformedMeasurement."""
        if self.clock == current_time.CURRENT_TIME:
            return CurrentTime.decode(raw).time
        return DateTime.decode(raw)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What its readings are of."""
        return tuple(dict.fromkeys(kind for source in self.sources for kind in source.meaning.kinds))

    @property
    def measurement(self) -> int:
        """The characteristic of the measurements that it is made for."""
        return self.sources[0].characteristic

    def source_of(self, characteristic: int) -> Source | None:
        """The source that this characteristic is."""
        for source in self.sources:
            if source.characteristic == characteristic:
                return source
        return None

    def readings(
        self, raw: bytes, characteristic: int | None = None, heard: Heard = NOT_HEARD
    ) -> tuple[Reading, ...]:
        """What a value of one of its sources (None: the first) says. Raises MalformedMeasurement."""
        source = self.sources[0] if characteristic is None else self.source_of(characteristic)
        return () if source is None else source.meaning.readings(raw, heard)

    def reading(self, raw: bytes, heard: Heard = NOT_HEARD) -> Reading:
        """What a value of its first source says first. Raises MalformedMeasurement."""
        return self.sources[0].meaning.readings(raw, heard)[0]

    def context(self, raw: bytes) -> tuple[int, Context]:
        """The sequence number a context belongs to, and the context. Raises MalformedMeasurement."""
        return context_of(raw)

    def joined(self, reading: Reading, context: Context) -> Reading:
        """The reading with its context, which may say that it is of ketones."""
        return self._glucose.joined(reading, context)

    @property
    def _glucose(self) -> GlucoseMeaning:
        meaning = self.sources[0].meaning
        return meaning if isinstance(meaning, GlucoseMeaning) else GlucoseMeaning()

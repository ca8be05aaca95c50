"""What meters of these tests hold: finger-sticks of a moment ago, by the clock of the people here."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from device_profiles.medical_float import Special
from device_profiles.services.glucose import GlucoseMeasurement
from device_profiles.virtual_device import Record
from device_profiles.wire import DateTime

ZONE = ZoneInfo("Europe/Paris")
"""Where they live, and what their meters show."""


def finger_stick(sequence: int, mg_dl: str, minutes_ago: float = 0, zone: ZoneInfo = ZONE) -> Record:
    """A record of a value in mg/dL, or of LO."""
    return finger_stick_at(sequence, mg_dl, datetime.now(zone) - timedelta(minutes=minutes_ago))


def finger_stick_at(sequence: int, mg_dl: str, at: datetime) -> Record:
    """The same, of a time that the meter's clock showed."""
    concentration = Special.NEGATIVE_INFINITY if mg_dl == "LO" else Decimal(mg_dl).scaleb(-5)
    made = GlucoseMeasurement.of(
        sequence, DateTime.of(at), concentration=concentration, type=1, sample_location=1
    )
    return Record(sequence, made.encode())

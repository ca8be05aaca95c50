"""What the tests share: real people's sensor weeks, a meter's captured read, and the cases that are rare."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import gateway
from device_profiles.reading import Absent, Kind, Sample
from device_profiles.services.glucose import GlucoseMeasurement
from fhir_mapping import bundle
from tests.fhir_mapping.examples import IDS, Placed, reading, series_of

DEMONSTRATION = Path(gateway.__file__).parent / "demonstration"
WEEKS = ("2133-018", "2133-024", "2133-039")
METER, SENSOR = 1, 2


def sensor_week(name: str, utc_offset: int = -420) -> list[Placed]:
    """A real person's week: Hall et al. 2018, PLoS Biology 16(7):e2005143 (CC BY 4.0)."""
    with (DEMONSTRATION / f"hall_2018_{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [sensor(datetime.fromisoformat(row["time"]), row["mg_dl"], utc_offset) for row in rows]


def sensor(
    local: datetime,
    value: str | Absent,
    utc_offset: int = -420,
    unit: str = "mg/dL",
    *,
    excluded: bool = False,
) -> Placed:
    """A sensor reading at a time on the person's clock."""
    at = local.replace(tzinfo=UTC)
    return Placed(
        reading(Kind.INTERSTITIAL_GLUCOSE, value, unit, recorded_at=at, sequence=0, sample=None),
        effective=at - timedelta(minutes=utc_offset),
        utc_offset_minutes=utc_offset,
        device=SENSOR,
        excluded=excluded,
    )


def finger_stick(
    local: datetime,
    value: str | Absent,
    *,
    kind: Kind = Kind.BLOOD_GLUCOSE,
    unit: str = "mg/dL",
    excluded: bool = False,
    note: str | None = None,
) -> Placed:
    """A meter's reading at a time on the person's clock, an hour before UTC."""
    at = local.replace(tzinfo=UTC)
    return Placed(
        reading(kind, value, unit, recorded_at=at, sequence=int(at.timestamp()) // 60 % 60000),
        effective=at - timedelta(hours=1),
        utc_offset_minutes=60,
        device=METER,
        excluded=excluded,
        note=note,
    )


def captured_meter() -> Iterator[Placed]:
    """The eleven records of a real meter, as captured on the air."""
    capture = json.loads((DEMONSTRATION / "accuchek_guide_full_read.json").read_text())
    for event in capture["sessions"][0]:
        if event["dir"] == "device" and event["char"] == "2A18":
            told = GlucoseMeasurement.decode(bytes.fromhex(event["hex"])).to_json()
            written = datetime.fromisoformat(told["base_time"]).replace(tzinfo=UTC)
            value = str(Decimal(told["mgdl"])) if "mgdl" in told else Absent.BELOW_RANGE
            yield Placed(
                reading(
                    value=value,
                    recorded_at=written,
                    sequence=told["sequence_number"],
                    sample=Sample(told["type"], told["sample_location"]),
                ),
                effective=written,
                utc_offset_minutes=told["time_offset_min"],
                device=METER,
            )


def collection(*placed: Placed, name: str | None = "Patient 1") -> bytes:
    """The Bundle that a link carries."""
    series = series_of(*placed)
    return bundle.collection(series, IDS, timestamp=datetime(2030, 1, 2, tzinfo=UTC), patient_name=name)

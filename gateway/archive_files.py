"""The files of an archive, one after the other, each written as its rows are read."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from device_profiles.reading import UNITS, Absent, Device, Kind, Measurand, TimeSource
from fhir_mapping import bundle, observation, resources
from fhir_mapping.observation import Form
from fhir_mapping.opaque import ReadingIds
from fhir_mapping.references import ALONE
from fhir_mapping.text import dumps
from fhir_mapping.times import instant
from gateway import erasing, spreadsheet
from gateway.home import Home
from gateway.sealing import HomeSecret
from storage import devices, everything, readings, receipts
from storage.access_log import Way
from storage.annotations import AnnotationKind
from storage.clock_segments import ALL_TIMES
from storage.columns import NO_OFFSET, NO_SAMPLE
from storage.connection import Connection
from storage.patients import Patient
from storage.questions import State
from storage.readings import Page
from storage.shelf import Outcome

if TYPE_CHECKING:
    from gateway.archive import Archive

PAGE: Final = 5000
"""Readings that lie in memory at a time."""

CHARACTERISTICS: Final = {
    Kind.BLOOD_GLUCOSE: "2a18",
    Kind.KETONE: "2a18",
    Kind.CONTROL_SOLUTION: "2a18",
    Kind.INTERSTITIAL_GLUCOSE: "2aa7",
    Kind.BLOOD_PRESSURE: "2a35",
    Kind.BODY_WEIGHT: "2a9d",
    Kind.BODY_COMPOSITION: "2a9c",
    Kind.BODY_TEMPERATURE: "2a1c",
    Kind.OXYGEN_SATURATION: "2a5e",
    Kind.HEART_RATE: "2a37",
}
"""Which characteristic brings a kind; what comes from a file has none."""

Row = Mapping[str, Any]


@asynccontextmanager
async def snapshot(home: Home) -> AsyncIterator[Connection]:
    """A transaction that sees one moment throughout."""
    async with home.database.writer() as connection:
        await everything.one_moment(connection)
        yield connection


async def write_person(
    connection: Connection, secret: HomeSecret, patient: Patient, archive: Archive, folder: str
) -> int:
    """All files of one person below a folder; how many readings there are, other people's included."""
    with archive.file(f"{folder}person.json") as file:
        person = {"id": str(patient.uuid), "name": patient.name, "timezone": patient.timezone}
        file.line({**person, "language": patient.language, "unit": patient.unit})
    ids = ReadingIds(secret.fhir_ids())
    known = await devices.of_patient(connection, patient.patient_id, forgotten=True)
    numbers = [stored.device_id for stored in known]
    with archive.file(f"{folder}observations.fhir.json") as file:
        async for content, count in _fhir(connection, patient, ids, numbers):
            file.write(content, count)
    with archive.file(f"{folder}readings.csv") as file:
        async for content, count in _csv(connection, patient, ids, numbers):
            file.write(content, count)
    counted = file.rows
    owned = {stored.device_id: stored.device for stored in known}
    for table, (name, told) in _files(owned).items():
        with archive.file(f"{folder}{name}") as file:
            async for row in everything.rows(connection, table, patient.patient_id):
                file.line(told(row))
    with archive.file(f"{folder}receipts.jsonl") as file:
        for receipt in await receipts.list_all(connection, patient.patient_id):
            file.line(erasing.told(receipt))
    return counted


async def _pages(connection: Connection, patient: Patient, device_id: int) -> AsyncIterator[Page]:
    """All readings of a device, in the order of their keys."""
    first, after = ALL_TIMES[0], (-(1 << 31), -(1 << 15))
    while True:
        page = await readings.page_of_device(
            connection, patient.patient_id, device_id, (first, ALL_TIMES[1]), after=after, limit=PAGE
        )
        if not len(page.series):
            return
        yield page
        first = int(page.series.recorded_at[-1])
        after = (int(page.series.sequence[-1]), int(page.series.ordinal[-1]))


async def _fhir(
    connection: Connection, patient: Patient, ids: ReadingIds, numbers: list[int]
) -> AsyncIterator[tuple[bytes, int]]:
    """A Bundle: the person, their readings, and at the end the devices, of which the kinds are known then."""
    person = ids.patient(patient.patient_id)
    made = resources.patient(person, patient.uuid, patient.name)
    head = dumps({"resourceType": "Bundle", "type": "collection", "timestamp": instant(datetime.now(UTC))})
    entry = bundle.entry(made, ALONE.full_url("Patient", person))
    yield head[:-1] + b',"entry":[' + entry, 0
    owner = {"reference": ALONE.reference("Patient", person)}
    for device_id in numbers:
        kinds: set[int] = set()
        of: Device | None = None
        async for page in _pages(connection, patient, device_id):
            own = spreadsheet.some_rows(page.series, np.flatnonzero(~page.left_out))
            if len(own):
                kinds |= set(own.kind.tolist())
                of = own.devices[device_id]
                yield b"," + b"".join(observation.pieces(own, ids, form=Form.COLLECTION)), len(own)
        if of is not None:
            name = ids.device(patient.patient_id, device_id)
            measured = [Kind(number) for number in sorted(kinds)]
            made = resources.device(name, of, patient_uuid=patient.uuid, owner=owner, kinds=measured)
            yield b"," + bundle.entry(made, ALONE.full_url("Device", name)), 0
    yield b"]}", 0


async def _csv(
    connection: Connection, patient: Patient, ids: ReadingIds, numbers: list[int]
) -> AsyncIterator[tuple[bytes, int]]:
    yield _lines([spreadsheet.ALL_COLUMNS]), 0
    for device_id in numbers:
        async for page in _pages(connection, patient, device_id):
            rows = spreadsheet.all_rows(page.series, ids.of_series(page.series), page.left_out)
            yield _lines(rows), len(page.series)


def _lines(rows: Iterator[tuple[object, ...]] | list[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _files(owned: Mapping[int, Device]) -> dict[str, tuple[str, Callable[[Row], Row]]]:
    """What follows, by the table: the file, and how a row of it is told."""

    def measurement(row: Row) -> Row:
        device = owned.get(row["device_id"])
        filed = device is not None and device.identity.scheme == "file"
        kind = Kind(row["kind"])
        sample = row["sample"]
        return {
            **_key(row),
            "characteristic": None if filed else CHARACTERISTICS.get(kind),
            "kind": kind.slug,
            **_number(row),
            "sample_type": None if sample == NO_SAMPLE else sample & 15,
            "sample_location": None if sample == NO_SAMPLE else sample >> 4,
            "offset_minutes": None if row["offset_minutes"] == NO_OFFSET else row["offset_minutes"],
            "status": spreadsheet.status(row["flags"], row["kind"], sample),
            "raw": row["raw"],
        }

    return {
        "measurements": ("raw/measurements.jsonl", measurement),
        "quantities": ("raw/quantities.jsonl", _quantity),
        "contexts": ("raw/contexts.jsonl", _told),
        "refused_frames": ("raw/refused_frames.jsonl", _told),
        "devices": ("devices.jsonl", _told),
        "clock_segments": ("clock_segments.jsonl", lambda row: _named(row, source=TimeSource)),
        "annotations": ("annotations.jsonl", lambda row: _named(row, kind=AnnotationKind)),
        "shares": ("shares.jsonl", _told),
        "grants": ("grants.jsonl", _told),
        "spaces": ("spaces.jsonl", _told),
        "settings": ("settings.jsonl", _told),
        "guardians": ("guardians.jsonl", _told),
        "device_users": ("device_users.jsonl", _told),
        "questions": ("questions.jsonl", lambda row: _named(row, state=State)),
        "retention": ("retention.jsonl", lambda row: _named(row, kind=Kind)),
        "access_log": ("access_log.jsonl", _looked),
    }


def _key(row: Row) -> Row:
    told = _told(row)
    return {name: told[name] for name in ("device_id", "recorded_at", "sequence", "ordinal")}


def _number(row: Row) -> Row:
    absent = row["absent"]
    value = None if absent else format(Decimal(row["mantissa"]).scaleb(row["exponent"]), "f")
    return {
        "value": value,
        "unit": UNITS[row["unit"]],
        "absent": Absent(absent).name.lower().replace("_", "-") if absent else None,
    }


def _quantity(row: Row) -> Row:
    of = Measurand(row["measurand"]).name.lower().replace("_", "-")
    return {**_key(row), "place": row["place"], "of": of, **_number(row)}


def _looked(row: Row) -> Row:
    told = _named(row, way=Way)
    outcome = Outcome(row["outcome"]).name.lower().replace("_", "-") if row["outcome"] else None
    return {**told, "outcome": outcome}


def _named(row: Row, **enumerations: Any) -> Row:
    """Numbers of enumerations by their names."""
    names = {name: kind(row[name]).name.lower().replace("_", "-") for name, kind in enumerations.items()}
    return {**_told(row), **names}


def _told(row: Row) -> Row:
    """Times in UTC, kinds by their names; what json does not know becomes a text."""
    told = {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
    }
    if told.get("kinds"):
        told["kinds"] = [Kind(int(number)).slug for number in row["kinds"]]
    return told

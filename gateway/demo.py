"""The whole way of a measurement, on a virtual meter: found, paired, read, stored once, shared, opened."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path
from time import monotonic
from typing import Any

import httpx

from device_profiles.devices import accu_chek_guide
from device_profiles.reading import Kind
from device_profiles.virtual_device import Record, VirtualDevice, generated_records
from device_profiles.wire import DateTime
from gateway import settings as configuration
from gateway import sharing
from gateway.ble.radio import open_radio
from gateway.ble.virtual_radio import virtual_radio
from gateway.files import read_generic
from gateway.home import Home, opened
from gateway.importing import import_readings
from gateway.sealing import SealedLink
from gateway.serve import shelf_process
from gateway.shelf_client import open_link
from gateway.sync import Storing, SyncOutcome, sync
from gateway.virtual_meter import captured_records, information_of
from storage import patients
from storage.embedded import erase

PERSON = "Demo"
LABEL = "Passerelle demo · sensor: Hall et al. 2018 (CC BY 4.0)"
ZONE = "Europe/Paris"
WEEK = "hall_2018_2133-018.csv"
CAPTURE = "accuchek_guide_full_read.json"
GENERATED = 289
"""With the captured ones, 300 records: two months of five a day."""

Narrate = Callable[..., None]

_OF_ANOTHER_HOME = ("database", "database_writer", "database_reader", "database_shelf", "shelf_token")


@dataclass
class Outcome:
    """What happened, in the names that `demo --json` answers with."""

    records_on_meter: int = 0
    stored: int = 0
    stored_again: int = 0
    observations_shared: int = 0
    share_url: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Note how long a step takes."""
        begun = monotonic()
        yield
        self.seconds[step] = round(monotonic() - begun, 3)


@asynccontextmanager
async def demonstration(narrate: Narrate, port: int) -> AsyncIterator[Outcome]:
    """Go the whole way; the shelf answers until the block ends, then everything is removed.

    `narrate(sentence, **fields)` is called as each step is done.
    """
    outcome = Outcome()
    begun = monotonic()
    with _home() as folder:
        shelf_url = f"http://127.0.0.1:{port}"
        settings = configuration.load().model_copy(
            update={"home": folder, "shelf_url": shelf_url, **dict.fromkeys(_OF_ANOTHER_HOME)}
        )
        async with opened(settings) as home, shelf_process("127.0.0.1", port, home=folder, quiet=True):
            await _answers(shelf_url)
            outcome.seconds["setup"] = round(monotonic() - begun, 3)
            narrate(
                "A home of its own: PostgreSQL and the shelf run ({seconds} s)",
                seconds=outcome.seconds["setup"],
            )
            await _from_meter(home, outcome, narrate)
            await _sensor_week(home, narrate)
            await _share(home, outcome, narrate)
            yield outcome


async def _from_meter(home: Home, outcome: Outcome, narrate: Narrate) -> None:
    records = _records()
    outcome.records_on_meter = len(records)
    profile = accu_chek_guide.PROFILE
    meter = VirtualDevice(
        profile, records, information=information_of(profile), clock=lambda: datetime.now().astimezone()
    )
    shown: asyncio.Queue[str] = asyncio.Queue()

    def show(_: VirtualDevice, digits: str) -> None:
        narrate("The meter shows the passkey {digits}; it is typed in", digits=digits)
        shown.put_nowait(digits)

    async with home.database.writer() as connection:
        patient = await patients.find_or_add(connection, PERSON, ZONE)
    storing = Storing(home.database, patient)
    async with (
        virtual_radio([meter], on_passkey=show) as air,
        open_radio(air.transport(), home.settings.home) as radio,
    ):
        first = await sync(radio, lambda found: found.name == meter.name, storing, passkey=shown.get)
        _tell(first, outcome, narrate, meter.name)
        again = await sync(radio, lambda found: found.name == meter.name, storing, full=True)
        outcome.stored_again = again.stored
    narrate("Read again, all of it: {stored} stored, {known} known", stored=again.stored, known=again.known)


def _tell(first: SyncOutcome, outcome: Outcome, narrate: Narrate, name: str) -> None:
    outcome.stored = first.stored
    outcome.seconds |= {step: round(first.seconds[step], 3) for step in ("scan", "pair", "read", "store")}
    narrate("Found {name}, paired over an encrypted link", name=name)
    narrate(
        "{read} records read in {seconds} s, {stored} stored",
        read=first.records_read,
        seconds=outcome.seconds["read"],
        stored=first.stored,
    )


async def _sensor_week(home: Home, narrate: Narrate) -> None:
    with as_file(files("gateway.demonstration") / WEEK) as week:
        readings = read_generic(week, Kind.INTERSTITIAL_GLUCOSE)
    stored = await import_readings(home.database, PERSON, ZONE, readings)
    narrate(
        "Beside them a real sensor week: {stored} readings (Hall et al. 2018, PLoS Biology, CC BY 4.0)",
        stored=stored.stored,
    )


async def _share(home: Home, outcome: Outcome, narrate: Narrate) -> None:
    with outcome.timed("share"):
        created = await sharing.create(home, PERSON, label=LABEL)
    outcome.share_url = created.url
    narrate("Turned into FHIR, sealed, and on the shelf, which cannot read it")
    with outcome.timed("fetch"):
        (content,) = await open_link(SealedLink.parse(created.url), recipient="passerelle demo")
    outcome.observations_shared = _of_the_meter(json.loads(content))
    narrate("Opened through the link: {count} Observations of the meter", count=outcome.observations_shared)


def _of_the_meter(bundle: dict[str, Any]) -> int:
    """The Observations in a Bundle that a device of some maker made: the meter's, not the file's."""
    entries = bundle["entry"]
    meters = {entry["fullUrl"] for entry in entries if "manufacturer" in entry["resource"]}
    observations = [
        entry["resource"] for entry in entries if entry["resource"]["resourceType"] == "Observation"
    ]
    return sum(observation["device"]["reference"] in meters for observation in observations)


def _records() -> tuple[Record, ...]:
    """The captured records, then made-up ones that follow them in sequence and in time."""
    captured = captured_records(json.loads((files("gateway.demonstration") / CAPTURE).read_bytes()))
    last = max(record.sequence for record in captured)
    generated = generated_records(
        GENERATED, first_sequence=last + 1, start=DateTime(2022, 6, 1, 7, 10, 0), time_offset_min=60
    )
    return (*captured, *generated)


async def _answers(shelf_url: str) -> None:
    """Wait until the shelf answers."""
    async with httpx.AsyncClient(trust_env=False) as http:
        async with asyncio.timeout(60):
            while True:
                try:
                    if (await http.get(f"{shelf_url}/health")).is_success:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)


@contextmanager
def _home() -> Iterator[Path]:
    """A fresh folder: made-up readings never come into a person's own home."""
    parent = os.environ.get("PASSERELLE_HOME")
    if parent:
        configuration.prepare_home(Path(parent))
    folder = Path(tempfile.mkdtemp(prefix="demo-", dir=parent))
    try:
        yield folder
    finally:
        erase(folder)
        shutil.rmtree(folder, ignore_errors=True)

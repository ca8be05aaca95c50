"""A home with a patient and a meter, and what its spaces should hold of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from device_profiles.errors import SpaceError
from device_profiles.reading import ReadingSeries
from fhir_mapping.observation import render_each
from fhir_mapping.opaque import ReadingIds
from gateway.home import Home
from gateway.outbox import connections, feeder
from gateway.outbox.client import Entrance
from gateway.outbox.exchange import Told
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from storage import annotations, patients, readings, spaces
from storage.annotations import AnnotationKind, ReadingKey
from storage.clock_segments import ALL_TIMES
from storage.database import Database
from storage.devices import StoredDevice
from storage.patients import Patient
from storage.spaces import Space
from tests.gateway.outbox.hostile import HostileSpace
from tests.storage.samples import START, new_device

SECRET = HomeSecret(bytes(range(32)))
IGNORED = ("id", "meta", "subject", "device")


@dataclass
class Fed:
    """A home whose patient feeds a space."""

    home: Home
    patient: Patient
    device: StoredDevice
    space: Space

    @property
    def database(self) -> Database:
        return self.home.database

    async def feed(self, **how: bool) -> Told:
        return await feeder.feed(self.home, await self.now(), **how)

    async def try_to_feed(self) -> SpaceError | None:
        try:
            await self.feed()
        except SpaceError as error:
            return error
        return None

    async def connect_again(self, server: HostileSpace) -> None:
        await connections.disconnect(self.home, self.patient.name, server.url)
        self.space = await connections.connect(self.home, self.patient.name, entrance_to(server))

    async def now(self) -> Space:
        async with self.database.writer() as conn:
            return await spaces.get(conn, self.patient.patient_id, self.space.space_id)

    async def say(
        self, key: ReadingKey, kind: AnnotationKind, value: str | None = None
    ) -> annotations.Annotation:
        async with self.database.writer() as conn:
            return await annotations.add(conn, self.patient.patient_id, key, kind, "test", value)

    async def expected(self, devices: Iterable[StoredDevice] | None = None) -> dict[str, dict[str, Any]]:
        """What a space has to show, by our identifier: everything but what is another person's."""
        found: dict[str, dict[str, Any]] = {}
        for device in devices or (self.device,):
            page = await self.page(device)
            series: ReadingSeries = page.series.take(np.flatnonzero(~page.left_out))
            found |= by_identifier(render_each(series, ReadingIds(SECRET.fhir_ids())))
        return found

    async def page(self, device: StoredDevice | None = None) -> readings.Page:
        device = device or self.device
        async with self.database.writer() as conn:
            return await readings.page_of_device(
                conn, device.patient_id, device.device_id, ALL_TIMES, limit=100_000
            )


def by_identifier(rendered: Iterable[bytes]) -> dict[str, dict[str, Any]]:
    found = {}
    for one in rendered:
        resource = json.loads(one)
        found[resource["identifier"][0]["value"]] = said(resource)
    return found


def said(resource: dict[str, Any]) -> dict[str, Any]:
    """What an Observation says, but for the names that a server gives."""
    return {name: value for name, value in resource.items() if name not in IGNORED}


def shown(server: HostileSpace) -> dict[str, dict[str, Any]]:
    """What a server says of the readings that it does not call another's."""
    return {
        identifier: said(resource)
        for identifier, resource in server.observations().items()
        if resource["status"] == "final"
    }


def key_of(device: StoredDevice, sequence: int) -> ReadingKey:
    return ReadingKey(START + timedelta(minutes=5 * sequence), sequence, device.device_id)


def home_of(database: Database, folder: Path) -> Home:
    return Home(Settings(home=folder), database, SECRET)


def entrance_to(server: HostileSpace) -> Entrance:
    token_url = f"http://127.0.0.1:{server.port}/token"
    return Entrance(server.url, server.url, None, token_url, "gateway", "s3cret")


@asynccontextmanager
async def fed(
    database: Database, folder: Path, server: HostileSpace, *, dialect: str | None = None
) -> AsyncIterator[Fed]:
    """A new patient with a meter, connected to a server that listens."""
    listening = await server.start()
    home = home_of(database, folder)
    async with database.writer() as conn:
        patient = await patients.add(conn, f"patient-{uuid4()}", "Europe/Paris")
    device = await new_device(database, patient)
    space = await connections.connect(home, patient.name, entrance_to(server), dialect=dialect)
    try:
        yield Fed(home, patient, device, space)
    finally:
        listening.close()

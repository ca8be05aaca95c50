"""A space as gateways meet it: a real server on a loopback port, a real database, a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import httpx
import orjson
import uvicorn

from device_profiles.reading import Kind, ReadingSeries
from fhir_mapping.bundle import transaction
from gateway.api.pressure import Pressure
from gateway.api.space import SpaceSettings, create_space_app, ids_of
from storage import readings, tenants
from storage.database import Database
from tests import servers
from tests.fhir_mapping.examples import IDS, RECORDED, Placed, reading, series_of

T = TypeVar("T")


class RunningSpace:
    """The space's address, its database, and its clock, which a test may move."""

    def __init__(self, home: Path, pressure: Pressure | None = None) -> None:
        self._home = home
        self.pressure = pressure or Pressure.of(4, 1000)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.ahead = timedelta(0)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(60):
            raise RuntimeError("the space did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(setattr, self._server, "should_exit", True)
        self._thread.join(30)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with servers.opened(self._home) as self.database:
            self.ids = await ids_of(self.database)
            settings = SpaceSettings(self.url, self.pressure, now=self.now)
            app = create_space_app(self.database, settings, self.ids)
            config = uvicorn.Config(app, access_log=False, log_config=None, lifespan="off")
            self._server = uvicorn.Server(config)
            self._loop.call_later(0, self._ready.set)
            await self._server.serve(sockets=[self._socket])

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's own loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def run(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Do something with the space's database."""

        async def done() -> T:
            return await work(self.database)

        return self.wait_for(done())

    def tenant(self, name: str | None = None, **bounds: int) -> str:
        """A new tenant's name."""
        name = name or f"tenant {uuid4()}"

        async def made(database: Database) -> str:
            async with database.writer() as conn:
                return (await tenants.add(conn, name, self.now(), **bounds)).name

        return self.run(made)

    def patients(self, uuid: UUID) -> list[int]:
        """The numbers of the patients of a UUID, in whichever tenants, as the database's owner sees them."""

        async def found(database: Database) -> list[int]:
            async with database.owner() as conn:
                query = "SELECT patient_id FROM passerelle.space_patient WHERE uuid = %s ORDER BY patient_id"
                return [row[0] for row in await (await conn.execute(query, (uuid,))).fetchall()]

        return self.run(found)

    def stored(self, uuid: UUID) -> ReadingSeries:
        """All that the space has of a person whom one tenant knows."""
        (patient_id,) = self.patients(uuid)

        async def read(database: Database) -> ReadingSeries:
            async with database.writer() as conn:
                return await readings.series(conn, patient_id)

        return self.run(read)

    def count(self, table: str, uuid: UUID) -> int:
        """How many rows a table has of a person."""
        (patient_id,) = self.patients(uuid)

        async def counted(database: Database) -> int:
            async with database.owner() as conn:
                query = f"SELECT count(*) FROM passerelle.{table} WHERE patient_id = %s"
                row = await (await conn.execute(query, (patient_id,))).fetchone()
                return int(row[0]) if row else 0

        return self.run(counted)

    def code(self, tenant: str | None = None, patient: UUID | None = None, days: float = 7) -> str:
        """A code for a tenant, a new one unless it is named."""
        tenant = tenant or self.tenant()

        async def made(database: Database) -> str:
            async with database.writer() as conn:
                found = await tenants.find(conn, tenant, self.now())
                ends_at = self.now() + timedelta(days=days)
                return await tenants.new_code(conn, found, self.now(), ends_at, patient)

        return self.run(made)

    def register(self, code: str | None = None) -> FeedingGateway:
        """A gateway that registered by a code, with its token."""
        asked = {"code": code or self.code(), "name": "a laptop", "software": "passerelle test"}
        answer = httpx.post(f"{self.url}/gateways", json=asked)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        return FeedingGateway(self, told["client_id"], told["client_secret"]).authenticated()


@dataclass
class FeedingGateway:
    """A gateway that is known to a space."""

    space: RunningSpace
    client_id: str
    secret: str
    token: str = ""

    def authenticated(self) -> Self:
        """With a new token."""
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(f"{self.space.url}/token", data=form, auth=(self.client_id, self.secret))
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]
        return self

    def request(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        *,
        json: object = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Ask something with the token."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if content is not None:
            sent.setdefault("Content-Type", "application/fhir+json")
        return httpx.request(
            method, f"{self.space.url}{path}", content=content, json=json, headers=sent, timeout=60
        )

    def feed(self, bundle: bytes) -> httpx.Response:
        """Send a transaction."""
        return self.request("POST", "/fhir", bundle)


class Withheld:
    """A request whose last byte is held back until a test lets it go."""

    def __init__(self, space: RunningSpace, method: str, path: str, token: str, body: bytes) -> None:
        kind = "application/x-www-form-urlencoded" if path.endswith("_search") else "application/fhir+json"
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: space\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._last = body[-1:]
        self._socket = socket.create_connection(("127.0.0.1", int(space.url.rpartition(":")[2])), 10)
        self._socket.sendall(head.encode() + body[:-1])

    def answered(self) -> int:
        """The status of the answer, waited for."""
        with self._socket, self._socket.makefile("rb") as answer:
            return int(answer.readline().split()[1])

    def let_go(self) -> int:
        """Sends the last byte; the status of the answer."""
        self._socket.sendall(self._last)
        return self.answered()


def series(*placed: Placed, uuid: UUID | None = None) -> ReadingSeries:
    """What a gateway has of a person, a new one unless named."""
    return replace(series_of(*placed), patient_uuid=uuid or uuid4())


def sensor(count: int, uuid: UUID | None = None, *, start: int = 0, shift: int = -7200) -> ReadingSeries:
    """Readings of a sensor, one each five minutes."""
    return series(*(sensor_reading(number, shift=shift) for number in range(start, start + count)), uuid=uuid)


def sensor_reading(number: int, *, shift: int = -7200) -> Placed:
    """The sensor's reading of that number."""
    at = RECORDED + timedelta(minutes=5 * number)
    value = str(60 + number * 7 % 200)
    said = reading(Kind.INTERSTITIAL_GLUCOSE, value, sample=None, recorded_at=at, sequence=number)
    return Placed(said, effective=at + timedelta(seconds=shift), utc_offset_minutes=-shift // 60)


def sent(told: ReadingSeries, zone: str | None = "Europe/Paris") -> bytes:
    """The transaction that tells a series."""
    return transaction(told, IDS, zone=zone)


def entries(told: ReadingSeries) -> list[dict[str, Any]]:
    """The entries of that transaction, to be changed by a test."""
    found: list[dict[str, Any]] = orjson.loads(sent(told))["entry"]
    return found


def bundle_of(changed: object) -> bytes:
    """A transaction of these entries."""
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": changed})


def names(answer: httpx.Response) -> list[str]:
    """The ids of the Observations that an answer names, in order."""
    assert answer.status_code == 200, answer.text
    places = [entry["response"].get("location", "") for entry in answer.json()["entry"]]
    return [place.split("/")[1] for place in places if place.startswith("Observation/")]


def statuses(answer: httpx.Response) -> list[str]:
    """What became of each entry."""
    assert answer.status_code == 200, answer.text
    return [entry["response"]["status"] for entry in answer.json()["entry"]]


def places(answer: httpx.Response) -> list[str]:
    """The places that an OperationOutcome names."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", answer.text
    return [place for issue in outcome["issue"] for place in issue.get("expression", ())]

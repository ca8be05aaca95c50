"""Many gateways in one process: each registers at a space, feeds it, and comes again when it is told to.

`python -m benchmarks.gateways` reads what to do as JSON on standard input and answers with what happened. It
is a process of its own, so that its work is not the space's. Each gateway has one connection, as on a
network, and sends what it has in order: the next batch when the last was answered, else the same one again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import numpy as np

from device_profiles.reading import UNITS, Device, DeviceIdentity, Kind, ReadingSeries, TimeSource
from fhir_mapping import bundle
from fhir_mapping.opaque import ReadingIds

START = 1_772_323_200_000_000
"""2026-03-01 in microseconds since 1970."""
FIVE_MINUTES = 300_000_000
ANSWER_SECONDS = 60
LAST_SECONDS = 120
"""How long after the end a gateway still tries to bring what it has begun."""
AT_ONCE = 32
"""Registrations at the same time."""


@dataclass
class Task:
    """What the gateways do: feed `urls` for `seconds`, a batch of `readings` each, every `every` seconds.

    With `rounds` each gateway instead brings one batch of so many readings in each round; between two rounds
    `round` is said, and a line is waited for.
    """

    urls: list[str]
    codes: list[str]
    seconds: float = 0
    every: float = 0
    readings: int = 0
    rounds: list[int] = field(default_factory=list)


@dataclass
class Outcome:
    """What happened. Of each gateway's readings, numbered from 0, the first `acknowledged` were answered."""

    patients: list[str] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    bytes_sent: int = 0
    longest_wait: float = 0.0
    """The longest that one was told to wait, in seconds."""
    registering: float = 0.0
    seconds: float = 0.0


class Lost(Exception):
    """The connection ended before an answer."""


class Connection:
    """HTTP/1.1 on one connection that is opened when needed."""

    def __init__(self) -> None:
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._at = ""

    async def request(
        self, url: str, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Raises `Lost`."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await self._open(url)
                told = {"Host": urlsplit(url).netloc, "Content-Length": str(len(body)), **headers}
                lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items())]
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                return await self._answer(reader)
        except (OSError, EOFError, TimeoutError, ValueError):
            self.close()
            raise Lost from None

    async def _open(self, url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None or self._at != url or self._streams[0].at_eof():
            self.close()
            parts = urlsplit(url)
            self._streams = await asyncio.open_connection(parts.hostname, parts.port)
            self._at = url
        return self._streams

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        return int(head[0].split(" ")[1]), headers, body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def batch(patient: UUID, ids: ReadingIds, device: Device, first: int, count: int) -> bytes:
    """The transaction of a sensor's readings `first` … `first + count`, as a gateway renders it."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    times = START + numbers * FIVE_MINUTES

    def all_of(value: int, kind: type[np.generic] = np.int16) -> Any:
        return np.full(count, value, kind)

    series = ReadingSeries(
        patient_id=1,
        patient_uuid=patient,
        kind=all_of(Kind.INTERSTITIAL_GLUCOSE),
        effective_time=times,
        utc_offset_minutes=all_of(60),
        time_source=all_of(TimeSource.DEVICE),
        recorded_at=times,
        sequence=numbers.astype(np.int32),
        device_id=all_of(1, np.int32),
        ordinal=all_of(0),
        mantissa=(60 + numbers * 7 % 200).astype(np.int32),
        exponent=all_of(0),
        unit=all_of(UNITS.index("mg/dL")),
        absent=all_of(0),
        flags=all_of(0, np.int32),
        sample=all_of(-1),
        excluded=np.zeros(count, np.bool_),
        devices={1: device},
    )
    return bundle.transaction(series, ids)


class Gateway:
    """One gateway of one person with one sensor."""

    def __init__(self, task: Task, number: int, outcome: Outcome, answers: Counter[str]) -> None:
        self._task = task
        self._urls = task.urls[number % len(task.urls) :] + task.urls[: number % len(task.urls)]
        self._code = task.codes[number]
        self._outcome = outcome
        self._answers = answers
        self._connection = Connection()
        self._device = Device(DeviceIdentity("serial", f"Bench/One/{number}"), "Bench", "One", str(number))
        self._ids = ReadingIds(uuid4().bytes)
        self._client: tuple[str, str] = ("", "")
        self._token = ""
        self.patient = uuid4()
        self.acknowledged = 0
        self.sent = 0

    async def register(self) -> None:
        body = json.dumps({"code": self._code, "name": "bench", "software": "bench 1"}).encode()
        answer = await self._insist("POST", "/gateways", {"Content-Type": "application/json"}, body, 201)
        self._client = answer["client_id"], answer["client_secret"]
        await self._new_token()

    async def feed(self, end: float) -> None:
        """A batch every so often, until `end` (as `perf_counter` counts)."""
        due = perf_counter() + random.uniform(0, self._task.every)
        while (due := max(due, perf_counter())) < end:
            await asyncio.sleep(due - perf_counter())
            due += self._task.every
            if not await self.bring(self._task.readings, end + LAST_SECONDS):
                return

    async def bring(self, readings: int, until: float) -> bool:
        """The next so many readings; whether they were acknowledged."""
        body = batch(self.patient, self._ids, self._device, self.acknowledged, readings)
        self.sent = self.acknowledged + readings
        if not await self._bring(body, until):
            return False
        self.acknowledged = self.sent
        return True

    async def _bring(self, body: bytes, until: float) -> bool:
        while perf_counter() < until:
            headers = {"Content-Type": "application/fhir+json", "Authorization": f"Bearer {self._token}"}
            begun = perf_counter()
            status, told, _ = await self._once("POST", "/fhir", headers, body)
            if status == 200:
                self._outcome.milliseconds.append((perf_counter() - begun) * 1e3)
                self._outcome.bytes_sent += len(body)
                return True
            if status == 401:
                await self._new_token()
            elif status in {0, 429, 503}:
                wait = float(told.get("retry-after", random.uniform(0.2, 1.0)))
                self._outcome.longest_wait = max(self._outcome.longest_wait, wait)
                await asyncio.sleep(min(wait, max(0.0, until - perf_counter())))
            else:
                return False
        return False

    async def _new_token(self) -> None:
        basic = base64.b64encode(":".join(self._client).encode()).decode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"}
        answer = await self._insist("POST", "/token", headers, b"grant_type=client_credentials", 200)
        self._token = answer["access_token"]

    async def _insist(
        self, method: str, path: str, headers: dict[str, str], body: bytes, wanted: int
    ) -> dict[str, Any]:
        for _ in range(60):
            status, told, answer = await self._once(method, path, headers, body)
            if status == wanted:
                return dict(json.loads(answer))
            if status not in {0, 429, 503}:
                raise RuntimeError(f"{path} answers {status}")
            await asyncio.sleep(float(told.get("retry-after", 0.5)))
        raise RuntimeError(f"{path} never answers")

    async def _once(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """The answer; status 0 where there was none: then the next try is at another address."""
        try:
            status, told, answer = await self._connection.request(self._urls[0], method, path, headers, body)
        except Lost:
            self._urls = self._urls[1:] + self._urls[:1]
            status, told, answer = 0, {}, b""
        self._answers[f"{path} {status}"] += 1
        return status, told, answer


async def run(task: Task) -> Outcome:
    """Register all, then feed; what comes back is complete: no gateway is left in the middle of a call."""
    outcome, answers = Outcome(), Counter[str]()
    gateways = [Gateway(task, number, outcome, answers) for number in range(len(task.codes))]
    gate = asyncio.Semaphore(AT_ONCE)

    async def registered(gateway: Gateway) -> None:
        async with gate:
            await gateway.register()

    begun = perf_counter()
    await asyncio.gather(*(registered(gateway) for gateway in gateways))
    outcome.registering = perf_counter() - begun
    print("registered", flush=True)
    begun = perf_counter()
    if task.rounds:
        await in_rounds(task, gateways)
    else:
        await asyncio.gather(*(gateway.feed(begun + task.seconds) for gateway in gateways))
    outcome.seconds = perf_counter() - begun
    outcome.answers = dict(answers)
    outcome.patients = [str(gateway.patient) for gateway in gateways]
    outcome.acknowledged = [gateway.acknowledged for gateway in gateways]
    outcome.sent = [gateway.sent for gateway in gateways]
    return outcome


async def in_rounds(task: Task, gateways: Sequence[Gateway]) -> None:
    """All gateways bring a batch, a few at the same time, round by round."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def brought(gateway: Gateway, readings: int) -> None:
        async with gate:
            await gateway.bring(readings, perf_counter() + LAST_SECONDS)

    for readings in task.rounds:
        await asyncio.gather(*(brought(gateway, readings) for gateway in gateways))
        print("round", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


def main(arguments: Sequence[str] = ()) -> None:
    del arguments
    task = Task(**json.loads(sys.stdin.readline()))
    print(json.dumps(asdict(asyncio.run(run(task)))), flush=True)


if __name__ == "__main__":
    main()

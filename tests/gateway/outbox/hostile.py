"""A FHIR server that keeps what it takes in memory, and fails in every way that it is told to.

It speaks real HTTP on a real socket, byte by byte, so that it can cut an answer anywhere. What it holds is
exact: a creation is looked for by its identifier as FHIR says, versions are counted, deletions stay known.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

FAULTS = (
    "cut before",
    "cut after commit",
    "cut in answer",
    "half applied then 500",
    "500",
    "503",
    "429",
    "401",
    "malformed answer",
    "not a bundle",
    "one entry too few",
    "reversed answer",
    "two answers swapped",
    "a page in html",
    "nested without end",
    "redirect",
)
"""What may befall one request."""


@dataclass
class Held:
    """A resource with its versions; `deleted` ones stay known."""

    fhir_id: str
    versions: list[dict[str, Any]]
    deleted: bool = False

    @property
    def now(self) -> dict[str, Any]:
        return self.versions[-1]


class Refused(Exception):
    def __init__(self, status: int, words: str, entry: int | None = None) -> None:
        self.status, self.words, self.entry = status, words, entry


@dataclass
class HostileSpace:
    """The server. `faults`: of the next requests, one each; None: that one is answered as it should be."""

    faults: deque[str | None] = field(default_factory=deque)
    most_entries: int = 1000
    refuses: Callable[[dict[str, Any]], bool] = lambda _: False
    """Which Observations it does not take."""
    fails_at: Callable[[dict[str, Any]], bool] = lambda _: False
    """At which it breaks down, every time."""
    names_entries: bool = True
    readable: bool = True
    atomic: bool = True
    token: str = "secret-1"
    held: dict[str, dict[str, Held]] = field(
        default_factory=lambda: {"Patient": {}, "Device": {}, "Observation": {}}
    )
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, path and status of each."""
    bodies: list[bytes] = field(default_factory=list)
    made: int = 0
    tokens: int = 0
    registers: bytes | None = None
    """What it answers to who registers; None: it takes no code."""
    token_answer: bytes | None = None
    """What it answers to who asks for a token, instead of one."""
    expires_in: int = 3600
    retry_after: str = "0"
    delay: float = 0.0
    before_answer: Callable[[], Awaitable[None]] | None = None
    """Called once, when something is applied and not yet answered."""
    at_work: int = 0
    most_at_work: int = 0
    port: int = 0
    _undo: list[Callable[[], Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/fhir"

    def observations(self) -> dict[str, dict[str, Any]]:
        """What it shows, by our identifier; each identifier once."""
        found: dict[str, dict[str, Any]] = {}
        for held in self.held["Observation"].values():
            if not held.deleted:
                (identifier,) = [
                    one["value"]
                    for one in held.now["identifier"]
                    if one["system"] == "urn:passerelle:reading"
                ]
                assert identifier not in found, "a reading is there twice"
                found[identifier] = held.now
        return found

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, limit=1 << 24)
        self.port = server.sockets[0].getsockname()[1]
        return server

    @contextmanager
    def in_a_thread(self) -> Iterator[HostileSpace]:
        """Runs beside a test that does not run an event loop of its own."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(self.start(), loop).result(10)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split(" ", 2)
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                originals = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                headers["authorization"] = originals.get("Authorization", originals.get("authorization", ""))
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.bodies.append(body)
                self.at_work += 1
                self.most_at_work = max(self.most_at_work, self.at_work)
                try:
                    if not await self._answer(writer, method, path, headers, body):
                        return
                finally:
                    self.at_work -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(  # noqa: C901, PLR0911, PLR0912 - a way out for each way to fail
        self, writer: asyncio.StreamWriter, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> bool:
        await asyncio.sleep(self.delay)
        if path == "/fhir/metadata":
            return await self._say(
                writer, 200, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"}
            )
        if path == "/gateways" and self.registers is not None:
            return await self._say(writer, 201, self.registers)
        if path == "/token":
            self.tokens += 1
            if self.token_answer is not None:
                return await self._say(writer, 200, self.token_answer)
            self.token = f"secret-{self.tokens + 1}"
            said = {"access_token": self.token, "token_type": "Bearer", "expires_in": self.expires_in}
            return await self._say(writer, 200, said)
        if path in {"/refuse", "/gateways"}:
            return await self._say(writer, 400, {"error": "invalid_client"})
        if path in {"/metadata", "/fhir/gateways"}:
            return await self._say(writer, 404, {})
        fault = self.faults.popleft() if self.faults else None
        if fault == "401":
            self.token = "another"
        if headers["authorization"] != f"Bearer {self.token}":
            self.requests.append((method, path, 401))
            return await self._say(writer, 401, outcome("token"))
        if fault == "cut before":
            return False
        if fault in {"500", "503", "429"}:
            self.requests.append((method, path, int(fault)))
            return await self._say(writer, int(fault), outcome(fault), {"Retry-After": self.retry_after})
        if fault == "redirect":
            return await self._say(writer, 307, {}, {"Location": "http://127.0.0.1:9/elsewhere"})
        status, answer = self._do(method, path, body, half=fault == "half applied then 500")
        self.requests.append((method, path, status))
        if self.before_answer is not None:
            called, self.before_answer = self.before_answer, None
            await called()
        if fault == "half applied then 500":
            return await self._say(writer, 500, outcome("half"))
        if fault == "cut after commit":
            return False
        return await self._say(writer, status, *self._spoilt(answer, fault), cut=fault == "cut in answer")

    def _spoilt(  # noqa: PLR0911 - a way for each fault
        self, answer: Any, fault: str | None
    ) -> tuple[Any, dict[str, str]]:
        entries = answer.get("entry") if isinstance(answer, dict) else None
        if fault == "malformed answer":
            return b'{"resourceType":"Bundle","entry":[{"response', {}
        if fault == "not a bundle":
            return ["surprise"], {}
        if fault == "a page in html":
            return b"<html>Welcome to the hotel's network</html>", {}
        if fault == "nested without end":
            return b"[" * 200_000, {}
        if fault == "one entry too few" and entries:
            return {**answer, "entry": entries[:-1]}, {}
        if fault == "reversed answer" and entries:
            return {**answer, "entry": entries[::-1]}, {}
        if fault == "two answers swapped" and entries and len(entries) > 3:
            return {**answer, "entry": [*entries[:-2], entries[-1], entries[-2]]}, {}
        return answer, {}

    async def _say(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        said: Any,
        headers: dict[str, str] | None = None,
        *,
        cut: bool = False,
    ) -> bool:
        body = said if isinstance(said, bytes) else json.dumps(said, default=str).encode()
        lines = [
            f"HTTP/1.1 {status} X",
            "Content-Type: application/fhir+json",
            f"Content-Length: {len(body)}",
        ]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
        writer.write(whole[: len(whole) * 2 // 3] if cut else whole)
        await writer.drain()
        return not cut

    def _do(self, method: str, path: str, body: bytes, *, half: bool) -> tuple[int, Any]:
        if method == "GET":
            return self._read(path)
        bundle = json.loads(body)
        assert bundle["type"] == "transaction"
        entries = bundle["entry"]
        if len(entries) > self.most_entries:
            return 413, outcome("too large")
        self._undo.clear()
        names: dict[str, str] = {}
        answers: list[dict[str, Any]] = []
        try:
            for number, entry in enumerate(entries[: len(entries) // 2] if half else entries):
                try:
                    response = self._entry(number, entry, names)
                    answers.append({"response": response, **self._shown(response)})
                except Refused as refused:
                    if self.atomic:
                        raise
                    answers.append(
                        {"response": {"status": str(refused.status), "outcome": outcome(refused.words)}}
                    )
        except Refused as refused:
            for undo in reversed(self._undo):
                undo()
            entry = refused.entry if self.names_entries else None
            return refused.status, outcome(refused.words, entry)
        return 200, {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}

    def _shown(self, response: dict[str, Any]) -> dict[str, Any]:
        """The resource itself, as is asked for by `Prefer: return=representation`."""
        kind, _, rest = response.get("location", "").partition("/")
        held = self.held.get(kind, {}).get(rest.partition("/")[0])
        return {} if held is None else {"resource": {**held.now, "id": held.fhir_id}}

    def _read(self, path: str) -> tuple[int, Any]:
        held = self.held["Observation"].get(path.rpartition("/")[2])
        if not self.readable:
            return 403, outcome("no reading here")
        if held is None or held.deleted:
            return 410 if held else 404, outcome("gone")
        return 200, {**held.now, "id": held.fhir_id, "meta": {"versionId": str(len(held.versions))}}

    def _entry(self, number: int, entry: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
        request = entry["request"]
        kind, _, fhir_id = request["url"].partition("/")
        if request["method"] == "DELETE":
            return self._delete(number, fhir_id)
        resource = entry["resource"]
        if kind == "Observation":
            if self.fails_at(resource):
                raise Refused(500, "broken")
            if self.refuses(resource):
                raise Refused(422, "This value is not possible", number)
        if request["method"] == "PUT":
            return self._put(number, fhir_id, request, self._resolved(resource, names))
        system, value = re.fullmatch(r"identifier=([^|]*)\|(.*)", request["ifNoneExist"]).groups()  # type: ignore[union-attr]
        for held in self.held[kind].values():
            if not held.deleted and {"system": system, "value": value} in held.now["identifier"]:
                names[entry["fullUrl"]] = f"{kind}/{held.fhir_id}"
                return self._response(200, kind, held)
        self.made += 1
        made = Held(f"{kind[0].lower()}{self.made}", [])
        names[entry["fullUrl"]] = f"{kind}/{made.fhir_id}"
        made.versions.append(self._resolved(resource, names))
        self.held[kind][made.fhir_id] = made
        self._undo.append(lambda: self.held[kind].pop(made.fhir_id))
        return self._response(201, kind, made)

    def _put(
        self, number: int, fhir_id: str, request: dict[str, Any], resource: dict[str, Any]
    ) -> dict[str, Any]:
        held = self.held["Observation"].get(fhir_id)
        assert resource["id"] == fhir_id
        if held is None or held.deleted:
            raise Refused(410, "It was erased here", number)
        if request["ifMatch"] != f'W/"{len(held.versions)}"':
            raise Refused(412, "Another version is there", number)
        held.versions.append(resource)
        self._undo.append(held.versions.pop)
        return self._response(200, "Observation", held)

    def _delete(self, number: int, fhir_id: str) -> dict[str, Any]:
        held = self.held["Observation"].get(fhir_id)
        if held is None:
            raise Refused(404, "It is not known", number)
        held.deleted = True
        self._undo.append(lambda: setattr(held, "deleted", False))
        return {"status": "204 No Content"}

    def _response(self, status: int, kind: str, held: Held) -> dict[str, Any]:
        version = len(held.versions)
        return {
            "status": f"{status} X",
            "location": f"{kind}/{held.fhir_id}/_history/{version}",
            "etag": f'W/"{version}"',
        }

    def _resolved(self, resource: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
        text = json.dumps(resource)
        for full_url, reference in names.items():
            text = text.replace(f'"{full_url}"', f'"{reference}"')
        assert '"reference": "urn:uuid' not in text, "a reference leads nowhere"
        return json.loads(text)  # type: ignore[no-any-return]


def outcome(words: str, entry: int | None = None) -> dict[str, Any]:
    place = {} if entry is None else {"expression": [f"Bundle.entry[{entry}].resource"]}
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "processing", "diagnostics": words, **place}],
    }

"""How a server is asked, watched and stopped: real processes, real sockets, real signals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from gateway import serve
from gateway.api.health import Watch, create_health_app
from gateway.serve import listening_socket, serve_app
from storage.database import Database
from storage.pools import PoolLimits
from tests.conftest import DATABASE
from tests.journeys.conftest import CommandLine, free_port, passerelle, wait_for

__all__ = ["passerelle"]


@contextlib.contextmanager
def served(line: CommandLine, *arguments: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A process that serves, and its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--port", str(port), *arguments],
        env=line.environment,
        cwd=line.home.parent,
        stdout=subprocess.DEVNULL,
        stderr=line.printed.open("ab"),
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield port, process
    finally:
        process.kill()
        process.wait()


def half_sent(port: int, path: str = f"/shl/{'x' * 43}", said: str = "recipient") -> socket.socket:
    """A request for what nobody has, with the last byte of its body still to come."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    body = b'{"%s": "a clinic"}' % said.encode()
    head = f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[:-1])
    return connection


@pytest.mark.parametrize(
    ("role", "path", "said", "answer"),
    [
        ("shelf", f"/shl/{'x' * 43}", "recipient", b"HTTP/1.1 404"),
        ("space", "/gateways", "code", b"HTTP/1.1 403"),
    ],
)
def test_a_server_that_is_stopped_answers_what_is_under_way_takes_nothing_new_and_ends_with_0(
    passerelle: CommandLine, role: str, path: str, said: str, answer: bytes
) -> None:
    with served(passerelle, "--role", role) as (port, process):
        connection = half_sent(port, path, said)
        httpx.get(f"http://127.0.0.1:{port}/health/live")  # by now the half request is in the server's hands
        process.send_signal(signal.SIGTERM)
        refused = False
        while not refused:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except ConnectionRefusedError:
                refused = True
        assert process.poll() is None
        connection.sendall(b"}")
        assert connection.recv(4096).startswith(answer)
        assert process.wait(20) == 0


def test_a_request_that_never_ends_does_not_keep_a_server_from_stopping(passerelle: CommandLine) -> None:
    line = passerelle.with_environment(PASSERELLE_STOP_SECONDS="1")
    with served(line, "--role", "shelf") as (port, process):
        half_sent(port)
        httpx.get(f"http://127.0.0.1:{port}/view")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@contextlib.asynccontextmanager
async def serving_here(app: object, stop_seconds: int = 5):  # type: ignore[no-untyped-def]
    stop = asyncio.Event()
    with listening_socket("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        running = asyncio.create_task(serve_app(app, listening, stop, stop_seconds))  # type: ignore[arg-type]
        try:
            yield port
        finally:
            stop.set()
            await running


async def says_hello(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_a_connection_that_sends_its_head_drop_by_drop_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "HEAD_SECONDS", 0.2)
    async with serving_here(says_hello) as port:
        for sent in (b"", b"GET / HTTP/1.1\r\nHost: he"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()


async def test_a_second_request_on_a_connection_has_its_own_time_and_the_same_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "HEAD_SECONDS", 0.3)
    request = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
    async with serving_here(says_hello) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            writer.write(request)
            assert (await asyncio.wait_for(reader.readuntil(b"hello"), 5)).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.2)
        writer.write(request[:20])
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_no_more_connections_are_served_than_the_process_may_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "CONNECTIONS", 3)
    async with serving_here(says_hello) as port, httpx.AsyncClient(trust_env=False) as client:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 503
        for _, writer in held:
            writer.close()


def test_health_is_one_word_and_metrics_are_for_this_machine(passerelle: CommandLine) -> None:
    with served(passerelle, "--role", "shelf") as (port, _):
        base = f"http://127.0.0.1:{port}"
        for path in ("/health", "/health/live", "/health/ready"):
            assert httpx.get(base + path).json() == {"status": "ok"}
        text = httpx.get(f"{base}/metrics").text
        assert "passerelle_database_up 1.0" in text
        assert "passerelle_embedded_server_up 1.0" in text
        assert 'passerelle_pool_size{role="shelf"} 4.0' in text
        for header in ("X-Forwarded-For", "Forwarded", "Via"):
            assert httpx.get(f"{base}/metrics", headers={header: "127.0.0.1"}).status_code == 404


@pytest.mark.parametrize(
    ("watched", "headers", "status"),
    [
        ({"metrics_token": "of the operator"}, {}, 404),
        ({"metrics_token": "of the operator"}, {"Authorization": "Bearer of another"}, 404),
        ({"metrics_token": "of the operator"}, {"Authorization": "Bearer of the operator"}, 200),
        ({"published": True}, {}, 404),
        ({}, {}, 200),
    ],
)
async def test_metrics_are_for_who_shows_the_token_where_one_is_set(
    database: Database, watched: dict[str, object], headers: dict[str, str], status: int
) -> None:
    app = create_health_app(Watch(database, **watched))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        assert (await client.get("/metrics", headers=headers)).status_code == status


async def test_metrics_are_closed_to_another_machine_where_no_token_is_set(database: Database) -> None:
    transport = httpx.ASGITransport(create_health_app(Watch(database)), client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_a_server_whose_database_is_gone_is_alive_and_not_ready(
    database_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.api.health.HEALTH_SECONDS", 0.3)
    monkeypatch.setattr("gateway.metrics.ASKED_SECONDS", 0.3)
    gone = "host=/nowhere dbname=passerelle"
    async with Database.open(database_home, DATABASE, writer=gone) as database:
        app = create_health_app(Watch(database))
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            assert (await client.get("/health/live")).status_code == 200
            answer = await client.get("/health")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "passerelle_database_up 0.0" in (await client.get("/metrics")).text


async def test_a_server_that_is_busy_is_ready(database_home: Path) -> None:
    limits = PoolLimits(1, 0, 0.1)
    async with Database.open(database_home, DATABASE, limits=limits) as database:
        transport = httpx.ASGITransport(create_health_app(Watch(database)), client=("127.0.0.1", 1))
        async with (
            database.writer(),
            httpx.AsyncClient(transport=transport, base_url="http://here") as client,
        ):
            assert (await client.get("/health")).status_code == 200
            text = (await client.get("/metrics")).text
            assert "passerelle_database_up 1.0" in text
            assert 'passerelle_pool_in_use{role="writer"} 1.0' in text

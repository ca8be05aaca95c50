"""What stands around every answer: bodies too many, too slow or too large, answers that never come."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient

from gateway import logs, metrics
from gateway.api import guard, problems, taking
from gateway.api.guard import Guard
from gateway.api.taking import Intake
from storage.errors import DatabaseBusy, DatabaseInterrupted

INTAKE = Intake(most=100)


def application() -> FastAPI:
    app = FastAPI()
    problems.install(app)

    @app.post("/length/{name}")
    async def length(name: str, request: Request) -> int:
        del name
        return len(await request.body())

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.sleep(60)

    @app.get("/error/{kind}")
    async def error(kind: str) -> None:
        raise {"busy": DatabaseBusy(), "lost": DatabaseInterrupted()}.get(kind, ValueError("Jane Doe 5.4"))

    app.add_middleware(Guard, limit_of=lambda _: 80, open_to_all=lambda _: False, https=False, intake=INTAKE)
    return app


@pytest.fixture
def client() -> AsyncClient:
    transport = ASGITransport(application(), raise_app_exceptions=False)
    return AsyncClient(transport=transport, base_url="http://space.example")


async def trickle(*parts: bytes, pause: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(pause)
        yield part


async def test_a_body_that_comes_slower_than_any_connection_is_sent_away(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "BODY_SECONDS", 0.1)
    answer = await client.post("/length/x", content=trickle(*[b"x"] * 10, pause=0.05))
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"
    assert INTAKE.held == 0


async def test_a_body_that_keeps_its_pace_may_take_longer(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "BODY_SECONDS", 0.05)
    monkeypatch.setattr(taking, "BODY_RATE", 50)
    answer = await client.post("/length/x", content=trickle(*[b"xxxxx"] * 5, pause=0.02))
    assert answer.json() == 25


async def test_while_a_body_comes_the_answers_own_time_does_not_run(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(guard, "ANSWER_SECONDS", 0.05)
    answer = await client.post("/length/x", content=trickle(*[b"x"] * 5, pause=0.03))
    assert answer.json() == 5


async def test_an_answer_that_does_not_come_ends_and_says_when_to_ask_again(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(guard, "ANSWER_SECONDS", 0.05)
    answer = await client.get("/slow")
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 10


async def test_many_bodies_together_take_no_more_than_the_memory_they_may(client: AsyncClient) -> None:
    """Held open just below their end, the second one is one too many; then there is room again."""
    arrived, last = asyncio.Event(), asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield b"x" * 70
        arrived.set()
        await last.wait()
        yield b"x"

    first = asyncio.create_task(client.post("/length/x", content=held()))
    await arrived.wait()
    crowded = await client.post("/length/x", content=b"x" * 40)
    assert (crowded.status_code, "retry-after" in crowded.headers) == (503, True)
    last.set()
    assert (await first).json() == 71
    assert (await client.post("/length/x", content=b"x" * 40)).json() == 40
    assert INTAKE.held == 0


async def test_a_busy_database_is_asked_again_sooner_than_one_that_is_lost(client: AsyncClient) -> None:
    busy, lost = await client.get("/error/busy"), await client.get("/error/lost")
    assert (busy.status_code, lost.status_code) == (503, 503)
    assert int(busy.headers["retry-after"]) <= 5 < int(lost.headers["retry-after"])


async def test_an_unexpected_error_is_told_by_its_kind_and_place_and_nothing_of_what_it_says(
    client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(logs.formatter("json"))
    logging.getLogger("httpx").setLevel(logging.WARNING)
    answer = await client.get("/error/Jane-Doe")
    assert answer.status_code == 500
    unexpected, request = (json.loads(line) for line in caplog.text.splitlines())
    assert (unexpected["event"], unexpected["error"]) == ("unexpected", "ValueError")
    assert unexpected["places"][-1].startswith("tests/gateway/api/test_guard.py:")
    assert (request["path"], request["status"]) == ("/error/{kind}", 500)
    assert request["request"] == unexpected["request"] == answer.headers["x-request-id"]
    assert "Jane" not in caplog.text + answer.text


async def test_requests_are_counted_by_template_and_a_method_of_ones_own_invention_makes_no_label(
    client: AsyncClient,
) -> None:
    await client.post("/length/Jane-Doe", content=b"x")
    await client.request("JANE", "/length/Jane-Doe")
    await client.get("/Jane-Doe")
    text = metrics.generate_latest(metrics.REGISTRY).decode()
    assert 'passerelle_http_requests_total{method="POST",path="/length/{name}",status="200"}' in text
    assert 'method="other"' in text
    assert "JANE" not in text.upper()


def test_what_a_library_logs_is_told_by_its_place_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(logs.formatter("json"))
    logging.getLogger("a.library").error("row (%s) of %s", 5.4, "Jane Doe")
    told = json.loads(caplog.text)
    assert (told["event"], told["logger"]) == ("library", "a.library")
    assert told["place"].startswith("test_guard:")
    assert "Jane" not in caplog.text


@pytest.mark.parametrize("shape", ["text", None])
def test_an_event_in_words_is_one_line(shape: logs.Shape | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    caplog.handler.setFormatter(logs.formatter(shape))
    logs.event(logging.getLogger("gateway.test"), "stored", readings=3, way="a\nb")
    assert caplog.text.count("\n") == 1
    assert "stored" in caplog.text
    assert "readings=3" in caplog.text

"""The way to a space: who is let in, how long is waited, and where a token never goes."""

from __future__ import annotations

import logging
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from device_profiles.errors import SpaceError
from gateway.outbox import answers, limits
from gateway.outbox.client import Entrance, SpaceClient, checked_address, retry_after
from gateway.outbox.errors import (
    SpaceAddressUnusable,
    SpaceAnswersOddly,
    SpaceBusy,
    SpaceMoved,
    SpaceNeedsHttps,
    SpaceRefusesGateway,
    SpaceUnreachable,
)
from gateway.outbox.pace import Pace, pause
from storage.annotations import AnnotationKind
from storage.database import Database
from tests.gateway.outbox.homes import fed, key_of
from tests.gateway.outbox.hostile import FAULTS, HostileSpace
from tests.storage.samples import glucose, store

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://space.example/", "https://space.example"),
        ("https://space.example:8443/fhir/", "https://space.example:8443/fhir"),
        ("http://127.0.0.1:8422", "http://127.0.0.1:8422"),
        ("http://[::1]:8422", "http://[::1]:8422"),
        (" https://Space.Example/R4 ", "https://space.example/R4"),
    ],
)
def test_an_address_is_kept_in_one_form(url: str, address: str) -> None:
    assert checked_address(url) == address


@pytest.mark.parametrize(
    "url", ["http://space.example", "http://192.168.1.5:8422", "http://localhost.example"]
)
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    with pytest.raises(SpaceNeedsHttps):
        checked_address(url)
    with pytest.raises(SpaceNeedsHttps):
        SpaceClient(Entrance("https://space.example", "https://space.example", token_url=f"{url}/token"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "space.example",
        "ftp://space.example",
        "https://",
        "https://ada:pw@space.example",
        "https://[::1",
        "https://x/?a=1",
        "https://x:99999/",
        "https://space\x00.example",
        "https://x/\x7f",
    ],
)
def test_what_is_no_address_of_a_space_is_refused(url: str) -> None:
    with pytest.raises(SpaceAddressUnusable):
        checked_address(url)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, None),
        ("7", timedelta(seconds=7)),
        ("0", timedelta(0)),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("Wed, 25 Nov 2026 12:02:00 GMT", timedelta(minutes=2)),
        ("Wed, 25 Nov 2026 11:00:00 GMT", timedelta(0)),
        ("Wed, 25 Nov 2026 12:02:00 +0000", timedelta(minutes=2)),
        ("99999999999999", timedelta(days=1)),
        ("Wed, 99 Nov 2026 12:02:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, wait: timedelta | None) -> None:
    assert retry_after(header, NOW) == wait


def test_pauses_grow_with_a_jitter_and_are_never_shorter_than_was_asked() -> None:
    for attempts in range(60):
        assert timedelta(seconds=2.5) <= pause(attempts, None) <= timedelta(minutes=30)
        assert pause(attempts, timedelta(hours=1)) >= timedelta(hours=1)
    assert len({pause(3, None) for _ in range(20)}) > 10
    assert max(pause(0, None) for _ in range(50)) < min(pause(4, None) for _ in range(50))


def test_a_batch_shrinks_when_it_is_too_much_and_grows_again() -> None:
    pace = Pace(500)
    pace.busy()
    assert pace.batch == 250
    pace.taken(250)
    assert pace.batch == 376
    pace.too_large(376)
    for _ in range(20):
        pace.taken(pace.batch)
    assert pace.batch == 375  # never again what was refused
    for _ in range(20):
        pace.failed()
    assert pace.batch == 1


async def entered(server: HostileSpace) -> SpaceClient:
    return SpaceClient(
        Entrance(server.url, server.url, None, f"http://127.0.0.1:{server.port}/token", "gateway", "s3cret")
    )


async def test_a_token_is_fetched_once_and_renewed_shortly_before_its_end(tmp_path: Path) -> None:
    server = HostileSpace(expires_in=600)
    listening = await server.start()
    now = [NOW]
    entrance = Entrance(server.url, server.url, None, f"http://127.0.0.1:{server.port}/token", "g", "s")
    async with SpaceClient(entrance, clock=lambda: now[0]) as client:
        for _ in range(3):
            await client.request("GET", "/Observation/x")
        assert server.tokens == 1
        now[0] += timedelta(seconds=541)
        await client.request("GET", "/Observation/x")
        assert server.tokens == 2
    listening.close()


async def test_a_token_that_is_refused_is_renewed_once_and_a_gateway_that_is_not_let_in_is_told() -> None:
    server = HostileSpace()
    listening = await server.start()
    async with await entered(server) as client:
        await client.request("GET", "/Observation/x")
        server.token = "taken back"
        await client.request("GET", "/Observation/x")
        assert server.tokens == 2
    async with SpaceClient(Entrance(server.url, server.url, token="wrong")) as client:
        with pytest.raises(SpaceRefusesGateway):
            await client.request("GET", "/Observation/x")
    listening.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("cut before", SpaceUnreachable),
        ("cut in answer", SpaceUnreachable),
        ("500", SpaceUnreachable),
        ("503", SpaceBusy),
        ("429", SpaceBusy),
        ("redirect", SpaceMoved),
    ],
)
async def test_each_way_to_fail_has_one_meaning(fault: str, error: type[SpaceError]) -> None:
    server = HostileSpace(faults=deque([fault]), retry_after="30")
    listening = await server.start()
    async with await entered(server) as client:
        with pytest.raises(error) as raised:
            await client.request("GET", "/Observation/x")
    if isinstance(raised.value, SpaceBusy):
        assert raised.value.wait == timedelta(seconds=30)
    listening.close()


async def test_an_answer_that_drips_or_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    server = HostileSpace()
    listening = await server.start()
    async with await entered(server) as client:
        await client.enter()
        monkeypatch.setattr(limits, "ANSWER_BYTES", 10)
        with pytest.raises(SpaceAnswersOddly):
            await client.request("GET", "/Observation/x")
        monkeypatch.setattr(limits, "WHOLE_ANSWER", 0.05)
        server.delay = 5
        with pytest.raises(SpaceUnreachable):
            await client.request("GET", "/Observation/x")
    listening.close()


async def test_no_reading_name_or_token_is_in_an_address_or_a_log(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, no_pauses: None
) -> None:
    caplog.set_level(logging.DEBUG)
    server = HostileSpace()
    async with fed(database, tmp_path, server) as home:
        await store(database, home.device, [glucose(number, "123") for number in range(9)])
        await home.feed()
        await home.say(key_of(home.device, 3), AnnotationKind.NOTE, "a secret note")
        for fault in FAULTS:
            server.faults.append(fault)
            await home.try_to_feed()
            await home.say(key_of(home.device, 3), AnnotationKind.NOTE, "a secret note")
        paths = {path for _, path, _ in server.requests}
        assert all(path == "/fhir" or path.startswith("/fhir/Observation/o") for path in paths)
        logged = caplog.text
        private = (
            "secret",
            "123 ",
            home.patient.name,
            str(home.patient.uuid),
            home.device.device.identity.value,
        )
        assert not [one for one in private if one in logged]


async def test_a_token_or_a_resource_that_is_nested_without_end_is_told_as_odd() -> None:
    server = HostileSpace(token_answer=b"[" * 200_000)
    listening = await server.start()
    async with await entered(server) as client:
        with pytest.raises(SpaceAnswersOddly):
            await client.enter()
        server.token_answer = None
        with pytest.raises(SpaceAnswersOddly):
            await client.request("GET", f"{client.fhir}/Observation/\x00")
    listening.close()


@pytest.mark.parametrize("depth", [900, 200_000])
def test_a_transaction_answer_that_is_nested_without_end_is_told_as_odd(depth: int) -> None:
    status = b"[" * depth + b"]" * depth
    body = b'{"resourceType":"Bundle","entry":[{"response":{"status":' + status + b"}}]}"
    with pytest.raises(SpaceAnswersOddly):
        answers.outcomes(httpx.Response(200, content=body), 1, "https://space.example")
    assert answers.refusal(httpx.Response(400, content=b"[" * depth)).words == ""


@pytest.mark.parametrize("name", ["../Patient/a", "a/b", "a?b", "a b", "\\u0000", "é", "x" * 65, "", "a\\n"])
def test_a_name_that_no_fhir_server_gives_is_none(name: str) -> None:
    entry = '{"response":{"status":"201"},"resource":{"resourceType":"Observation","id":"%s"}}'
    for given, kept in ((name, ""), ("o-1.A", "o-1.A")):
        body = '{"resourceType":"Bundle","entry":[%s]}' % (entry % given)
        (outcome,) = answers.outcomes(httpx.Response(200, content=body.encode()), 1, "https://space.example")
        assert outcome.fhir_id == kept

"""The shelf as gateways meet it: a token opens a gateway's own links and nothing else."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta

import httpx
import pytest

from gateway.sealing import SealedLink, hash_passcode, new_key, seal, token_hash
from gateway.shelf_client import (
    LinkClosed,
    ShelfClient,
    ShelfNeedsHttps,
    ShelfRefusesGateway,
    ShelfUnreachable,
    open_link,
)
from storage import shelf as shelving
from storage.database import Database
from tests.gateway.api.serving import RunningShelf, Shared, share

CONTENT = b'{"resourceType":"Bundle","type":"collection"}'
NEWER = b'{"resourceType":"Bundle","type":"collection","timestamp":"2030-01-01T00:00:00Z"}'


def opened(shared: Shared) -> tuple[bytes, ...]:
    return asyncio.run(open_link(shared.link, "a clinic"))


def put(shelf: RunningShelf, token: str, body: object) -> httpx.Response:
    return httpx.put(
        f"{shelf.url}/api/links/{'0' * 64}", json=body, headers={"Authorization": f"Bearer {token}"}
    )


def test_sealing_again_replaces_what_a_link_carries(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    shared.put(NEWER)
    assert opened(shared) == (NEWER,)


def test_putting_the_same_twice_is_the_same_as_once(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    shared.put(CONTENT)
    assert opened(shared) == (CONTENT,)


def test_revoking_twice_is_the_same_as_once(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    for _ in range(2):
        shared.call(lambda client: client.revoke(shared.link_hash))
    with pytest.raises(LinkClosed):
        opened(shared)


def test_a_revoked_link_takes_no_more_files(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    shared.call(lambda client: client.revoke(shared.link_hash))
    with pytest.raises(LinkClosed):
        shared.put(NEWER)


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic d3Jvbmc=", "Bearer é"])
def test_without_a_token_that_the_shelf_knows_nothing_is_done(
    shelf: RunningShelf, header: str | None
) -> None:
    shared = share(shelf, CONTENT)
    headers = {} if header is None else {"Authorization": header.encode()}
    url = f"{shelf.url}/api/links/{shared.link_hash.hex()}"
    for method, path in (("PUT", ""), ("DELETE", ""), ("GET", "/openings")):
        answer = httpx.request(method, url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert opened(shared) == (CONTENT,)


def test_a_gateway_that_was_turned_away_is_told_so(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)

    async def turn_away(database: Database) -> None:
        async with database.shelf() as conn:
            await shelving.turn_away(conn, token_hash(shared.token), shelf.now())

    shelf.run(turn_away)
    with pytest.raises(ShelfRefusesGateway):
        shared.put(NEWER)
    assert opened(shared) == (CONTENT,)


def test_a_gateway_cannot_touch_another_ones_link(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    stranger = Shared(shared.link, shared.link_hash, shelf.enrol(), shelf)
    with pytest.raises(LinkClosed):
        stranger.put(NEWER)
    with pytest.raises(LinkClosed):
        stranger.call(lambda client: client.revoke(shared.link_hash))
    assert opened(shared) == (CONTENT,)
    assert stranger.call(lambda client: client.openings(shared.link_hash)) == ()
    assert len(shared.call(lambda client: client.openings(shared.link_hash))) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"files": []},
        {"files": [{"jwe": CONTENT.decode()}]},
        {"files": [{"jwe": "eyJhbGciOiJub25lIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"}]},
        {"files": [{"jwe": seal(CONTENT, new_key()), "content_type": "text/html"}]},
        {"files": [{"jwe": seal(CONTENT, new_key())}], "flags": "PU"},
        {"files": [{"jwe": seal(CONTENT, new_key())}], "passcode_hash": "482913"},
        {"files": [{"jwe": seal(CONTENT, new_key())}], "flags": "P"},
        {"files": [{"jwe": seal(CONTENT, new_key())}], "passcode_hash": hash_passcode("482913")},
        {"files": [{"jwe": seal(CONTENT, new_key())}], "expires_at": "2030-01-01T00:00:00"},
        {"files": [{"jwe": seal(CONTENT, new_key())}], "key": "AAAA"},
        "not a link",
    ],
)
def test_what_is_not_sealed_as_a_link_is_never_kept(shelf: RunningShelf, body: object) -> None:
    answer = put(shelf, shelf.enrol(), body)
    assert answer.status_code == 400
    assert "482913" not in answer.text


def test_an_end_may_be_moved_and_the_link_opens_until_then(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, expires_in=timedelta(hours=1))
    shelf.ahead = timedelta(hours=2)
    with pytest.raises(LinkClosed):
        opened(shared)
    link = SealedLink(shared.link.manifest_url, shared.link.key, expires_at=shelf.now() + timedelta(hours=1))
    renewed = Shared(link, shared.link_hash, shared.token, shelf)
    renewed.put(NEWER)
    assert opened(renewed) == (NEWER,)


async def test_a_shelf_that_is_down_is_said_and_the_share_waits() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with ShelfClient(url, "a token") as client:
            with pytest.raises(ShelfUnreachable) as error:
                await client.put(bytes(32), [seal(CONTENT, new_key())])
    assert "waits" in str(error.value)
    assert url in str(error.value)


@pytest.mark.parametrize("address", ["http://shelf.example", "http://192.0.2.1:8421", "shelf.example"])
def test_a_token_is_never_sent_in_clear_beyond_this_machine(address: str) -> None:
    with pytest.raises(ShelfNeedsHttps):
        ShelfClient(address, "token")


@pytest.mark.parametrize("address", ["https://shelf.example", "http://127.0.0.1:8421", "http://[::1]:1"])
def test_a_shelf_over_https_or_on_this_machine_is_asked(address: str) -> None:
    ShelfClient(address, "token")

"""Guessing at a shelf: who is wrong often waits, by address and by link; who is right is served."""

from __future__ import annotations

import secrets

import httpx

from gateway.sealing import hash_passcode, new_manifest_id, seal, token_hash
from tests.gateway.api.serving import RunningShelf, Shared, share

CONTENT = b'{"resourceType":"Bundle","type":"collection"}'


def address() -> dict[str, str]:
    """An address nobody asked from yet, as a server in front of the shelf tells it."""
    parts = (str(secrets.randbelow(256)) for _ in range(3))
    return {"X-Forwarded-For": ".".join(("10", *parts))}


def ask(shared: Shared, headers: dict[str, str], **said: object) -> httpx.Response:
    return httpx.post(shared.link.manifest_url, json={"recipient": "a clinic"} | said, headers=headers)


def test_who_tries_many_links_waits_and_another_address_does_not(shelf: RunningShelf) -> None:
    shared, stranger = share(shelf, CONTENT), address()
    answers = [
        httpx.post(f"{shelf.url}/shl/{new_manifest_id()}", json={"recipient": "x"}, headers=stranger)
        for _ in range(21)
    ]
    assert [answer.status_code for answer in answers] == [404] * 20 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert "retry-after" in answers[-1].headers["access-control-expose-headers"].lower()
    assert ask(shared, stranger).status_code == 429
    assert ask(shared, address()).status_code == 200


def test_who_asks_for_a_link_that_is_there_is_never_refused(shelf: RunningShelf) -> None:
    shared, reader = share(shelf, CONTENT), address()
    assert {ask(shared, reader).status_code for _ in range(30)} == {200}


def test_guesses_at_one_link_wait_wherever_they_come_from_and_lose_no_attempt(shelf: RunningShelf) -> None:
    """A link that bears 100 wrong passcodes in its life still answers ten at a time."""
    shared = share(shelf, CONTENT, passcode="482913")
    many = new_link_with_attempts(shared, 100)
    answers = [
        httpx.post(many, json={"recipient": "x", "passcode": "000000"}, headers=address()) for _ in range(11)
    ]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert answers[9].json()["remainingAttempts"] == 90
    assert 1 <= int(answers[10].headers["retry-after"]) <= 60
    assert httpx.post(many, json={"recipient": "x", "passcode": "482913"}).status_code == 429


def test_who_guesses_the_token_of_a_gateway_waits(shelf: RunningShelf) -> None:
    guesser = address() | {"Authorization": "Bearer guessed"}
    url = f"{shelf.url}/api/links/{'0' * 64}/openings"
    answers = [httpx.get(url, headers=guesser).status_code for _ in range(21)]
    assert answers == [401] * 20 + [429]
    assert httpx.get(url, headers=guesser | {"Authorization": f"Bearer {shelf.enrol()}"}).status_code == 429


def new_link_with_attempts(shared: Shared, attempts: int) -> str:
    """Another link of the same gateway, with passcode 482913; its manifest's address."""
    manifest_id = new_manifest_id()
    body = {
        "flags": "P",
        "passcode_hash": hash_passcode("482913"),
        "attempts": attempts,
        "files": [{"content_type": "application/fhir+json", "jwe": seal(CONTENT, shared.link.key)}],
    }
    put = httpx.put(
        f"{shared.running.url}/api/links/{token_hash(manifest_id).hex()}",
        json=body,
        headers={"Authorization": f"Bearer {shared.token}"},
    )
    assert put.status_code == 204, put.text
    return f"{shared.running.url}/shl/{manifest_id}"

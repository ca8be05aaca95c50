"""The shelf as receivers meet it: SMART Health Links over real HTTP, whoever asks and whatever they send."""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from gateway import logs
from gateway.sealing import new_manifest_id, unseal
from gateway.serve import sweep_shelf
from gateway.shelf_client import LinkClosed, WrongPasscode, open_link
from storage import shelf as shelving
from storage.database import Database
from storage.shelf import Outcome
from tests.gateway.api.serving import RunningShelf, Shared, share

CONTENT = b'{"resourceType":"Bundle","type":"collection"}'


def ask(shared: Shared, **said: object) -> httpx.Response:
    return httpx.post(shared.link.manifest_url, json={"recipient": "a clinic"} | said)


def opened(shared: Shared, passcode: str | None = None) -> tuple[bytes, ...]:
    return asyncio.run(open_link(shared.link, "a clinic", passcode))


def openings(shared: Shared) -> list[tuple[str, Outcome, int]]:
    found = shared.call(lambda client: client.openings(shared.link_hash))
    assert [opening.number for opening in found] == list(range(1, len(found) + 1))
    return [(opening.recipient, opening.outcome, opening.files) for opening in found]


def test_a_manifest_embeds_the_sealed_file(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    answer = ask(shared)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    (file,) = answer.json()["files"]
    assert file["contentType"] == "application/fhir+json"
    assert file["fhirVersion"] == "4.0.1"
    assert file["status"] == "can-change"
    assert file["lastUpdated"].endswith("Z")
    assert unseal(file["embedded"], shared.link.key) == CONTENT


def test_a_share_that_will_not_change_says_so(shelf: RunningShelf) -> None:
    (file,) = ask(share(shelf, CONTENT, live=False)).json()["files"]
    assert file["status"] == "finalized"


def test_a_file_longer_than_the_reader_wants_embedded_has_an_address(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    (file,) = ask(shared, embeddedLengthMax=10).json()["files"]
    assert "embedded" not in file
    fetched = httpx.get(file["location"])
    assert fetched.headers["content-type"] == "application/jose"
    assert unseal(fetched.text, shared.link.key) == CONTENT


def test_the_address_of_a_file_ends_within_the_hour(shelf: RunningShelf) -> None:
    (file,) = ask(share(shelf, CONTENT), embeddedLengthMax=0).json()["files"]
    shelf.ahead = timedelta(hours=1)
    assert httpx.get(file["location"]).status_code == 404


def test_a_link_without_a_recipient_does_not_open(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    for said in ({"recipient": " "}, {"recipient": "\u200b\u202e"}, {"recipient": None}, {"recipient": 3}):
        assert httpx.post(shared.link.manifest_url, json=said).status_code == 400
    assert httpx.post(shared.link.manifest_url, content=b"not JSON").status_code == 400
    assert openings(shared) == []


def test_what_the_specification_does_not_know_is_ignored(shelf: RunningShelf) -> None:
    assert ask(share(shelf, CONTENT), somethingNew={"of": "later"}).status_code == 200


def test_with_the_right_passcode_a_link_opens(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, b"{}", passcode="482913")
    assert opened(shared, "482913") == (CONTENT, b"{}")


def test_a_wrong_passcode_says_how_many_tries_are_left(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, passcode="482913")
    answer = ask(shared, passcode="000000")
    assert answer.status_code == 401
    assert answer.json()["remainingAttempts"] == 9
    with pytest.raises(WrongPasscode) as wrong:
        opened(shared)
    assert wrong.value.details == {"remaining": 8}


def test_a_right_passcode_takes_no_try_away(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, passcode="482913")
    for _ in range(3):
        assert ask(shared, passcode="482913").status_code == 200
    assert ask(shared, passcode="000000").json()["remainingAttempts"] == 9


def test_however_many_guesses_come_at_once_no_more_than_ten_are_compared(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, passcode="482913")
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda guess: ask(shared, passcode=f"{guess:06}"), range(30)))
    refused = [answer.json()["remainingAttempts"] for answer in answers if answer.status_code == 401]
    assert sorted(refused) == list(range(10))
    assert [answer.status_code for answer in answers].count(404) == 20


def test_after_the_last_wrong_passcode_the_right_one_opens_nothing(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, passcode="482913")
    for _ in range(10):
        ask(shared, passcode="000000")
    with pytest.raises(LinkClosed):
        opened(shared, "482913")
    assert openings(shared)[-1] == ("a clinic", Outcome.NO_ATTEMPTS_LEFT, 0)


def test_sealing_again_gives_no_tries_back(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, passcode="482913")
    ask(shared, passcode="000000")
    shared.put(CONTENT, passcode="482913")
    assert ask(shared, passcode="000000").json()["remainingAttempts"] == 8


def test_what_has_ended_what_was_revoked_and_what_never_was_answer_alike(shelf: RunningShelf) -> None:
    revoked, expired = share(shelf, CONTENT), share(shelf, CONTENT, expires_in=timedelta(hours=1))
    revoked.call(lambda client: client.revoke(revoked.link_hash))
    shelf.ahead = timedelta(hours=2)
    unknown = f"{shelf.url}/shl/{new_manifest_id()}"
    said = {"recipient": "a clinic"}
    answers = [
        httpx.post(url, json=said) for url in (revoked.link.manifest_url, expired.link.manifest_url, unknown)
    ]
    answers.append(httpx.get(f"{shelf.url}/shl/file/{new_manifest_id()}"))
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    assert len({tuple(sorted(set(answer.headers) - {"date"})) for answer in answers}) == 1


def test_revoking_ends_the_addresses_of_files_too(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    (file,) = ask(shared, embeddedLengthMax=0).json()["files"]
    shared.call(lambda client: client.revoke(shared.link_hash))
    assert httpx.get(file["location"]).status_code == 404


def test_the_patient_can_read_each_opening_and_how_it_ended(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, passcode="482913", expires_in=timedelta(hours=1))
    ask(shared, recipient="  A\nclinic\u202e ", passcode="482913")
    ask(shared, passcode="1")
    shelf.ahead = timedelta(hours=2)
    ask(shared, passcode="482913")
    assert openings(shared) == [
        ("A clinic", Outcome.OPENED, 1),
        ("a clinic", Outcome.WRONG_PASSCODE, 0),
        ("a clinic", Outcome.ENDED, 0),
    ]


def test_openings_are_pulled_after_those_that_are_known(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    for _ in range(3):
        ask(shared)
    (third,) = shared.call(lambda client: client.openings(shared.link_hash, after=2))
    assert third.number == 3
    assert abs(third.opened_at - shelf.now()) < timedelta(minutes=1)


def test_other_viewers_may_read_manifests_and_files_and_nothing_else(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, passcode="482913")
    origin = {"Origin": "https://viewer.example.org"}
    asked = httpx.options(
        shared.link.manifest_url,
        headers=origin
        | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"},
    )
    assert asked.is_success
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "content-type" in asked.headers["access-control-allow-headers"].lower()
    for answer in (ask(shared), ask(shared, passcode="482913"), httpx.get(f"{shelf.url}/shl/nothing")):
        assert answer.headers["access-control-allow-origin"] == "*"
    for path in ("/health", "/view", f"/api/links/{shared.link_hash.hex()}/openings", "/nothing"):
        answer = httpx.get(shelf.url + path, headers=origin)
        assert "access-control-allow-origin" not in answer.headers


def test_every_answer_has_the_headers_that_keep_it_to_itself(shelf: RunningShelf) -> None:
    answers = [httpx.get(shelf.url + path) for path in ("/health", "/view", "/view/viewer.js", "/nothing")]
    answers += [ask(share(shelf, CONTENT)), httpx.post(f"{shelf.url}/shl/x", content=b"x" * 10_000)]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert "set-cookie" not in answer.headers
    assert ask(share(shelf, CONTENT)).headers["cache-control"] == "no-store"


def test_a_body_too_large_is_refused_in_words_before_it_is_read(shelf: RunningShelf) -> None:
    answer = httpx.post(
        share(shelf, CONTENT).link.manifest_url,
        content=b'{"recipient":"' + b"x" * 100_000,
        headers={"Accept-Language": "fr-FR,fr;q=0.9"},
    )
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "fr"
    assert answer.json()["detail"].startswith("Ce qui a été envoyé est trop grand")


def test_an_error_repeats_nothing_of_what_was_sent(shelf: RunningShelf) -> None:
    answer = httpx.post(share(shelf, CONTENT).link.manifest_url, json={"recipient": ["a secret name"]})
    assert answer.status_code == 400
    assert "secret" not in answer.text
    assert answer.json()["detail"] == "What was sent is not understood: recipient."


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/view/../shelf.py", "/view/strings/de.json"]
)
def test_what_is_not_served_is_not_found(shelf: RunningShelf, path: str) -> None:
    answer = httpx.get(shelf.url + path)
    assert answer.status_code == 404
    assert answer.json()["status"] == 404


def test_the_log_holds_no_address_that_opens_a_link_and_no_name(
    shelf: RunningShelf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.setFormatter(logs.formatter("json"))
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    shared = share(shelf, CONTENT, passcode="482913")
    ask(shared, recipient="a-name-of-someone", passcode="482913")
    httpx.post(shared.link.manifest_url, json={"recipient": ["a-name-of-someone"]})
    written = caplog.text
    told = [json.loads(line) for line in written.splitlines()]
    assert ("request", "POST", "/shl/{manifest_id}", 200) in [
        tuple(line.get(name) for name in ("event", "method", "path", "status")) for line in told
    ]
    manifest_id = shared.link.manifest_url.rpartition("/")[2]
    for secret in (manifest_id, "a-name-of-someone", "482913", shared.token):
        assert secret not in written


def test_a_long_file_is_never_embedded_whatever_the_reader_allows(
    shelf: RunningShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.api.shelf.EMBEDDED_MAX", 10)
    (file,) = ask(share(shelf, CONTENT), embeddedLengthMax=10**9).json()["files"]
    assert "embedded" not in file


def test_no_answer_leads_to_a_host_that_the_request_names(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT)
    named = {"Host": "another.example"}
    for path in ("/view/", "/health/", shared.link.manifest_url.removeprefix(shelf.url) + "/"):
        for method in ("GET", "POST"):
            answer = httpx.request(method, shelf.url + path, headers=named)
            assert answer.status_code in {404, 405}
            assert "another.example" not in str(answer.headers)
    assert "another.example" not in httpx.get(shelf.url, headers=named).headers["location"]


def test_while_a_shelf_serves_what_nobody_can_open_any_more_is_thrown_away(shelf: RunningShelf) -> None:
    over, open_still = share(shelf, CONTENT, expires_in=timedelta(seconds=-1)), share(shelf, CONTENT)

    async def left(database: Database) -> list[int]:
        stop = asyncio.Event()
        stop.set()
        await sweep_shelf(database, stop)
        async with database.shelf() as conn:
            return [len(await shelving.files(conn, one.link_hash)) for one in (over, open_still)]

    assert shelf.run(left) == [0, 1]


def test_the_shelf_says_that_it_is_well(shelf: RunningShelf) -> None:
    assert httpx.get(f"{shelf.url}/health").json() == {"status": "ok"}

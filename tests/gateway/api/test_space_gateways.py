"""How gateways get in at a space: one code each, a secret, tokens of an hour, and out at once."""

from __future__ import annotations

import base64
import threading
from datetime import timedelta
from uuid import uuid4

import httpx
import orjson
import pytest

from gateway.api.pressure import Limiter
from gateway.space.serving import throw_away_old_tokens
from storage import gateways
from storage.connection import Connection
from storage.database import Database
from storage.gateways import Bearer
from tests.gateway.api.grant_serving import fed, terms
from tests.gateway.api.space_serving import FeedingGateway, RunningSpace, Withheld, sensor, sent

UNKNOWN = "0000-0000-0000"


def register(space: RunningSpace, body: object) -> httpx.Response:
    return httpx.post(f"{space.url}/gateways", json=body)


def ask_token(space: RunningSpace, form: object, **more: object) -> httpx.Response:
    return httpx.post(f"{space.url}/token", data=form, **more)  # type: ignore[arg-type]


def whoever(gateway: FeedingGateway) -> int:
    """The status of a call that only a gateway may make."""
    return gateway.request("POST", "/fhir", b'{"resourceType":"Bundle","type":"transaction"}').status_code


def test_a_gateway_registers_and_learns_all_it_needs(space: RunningSpace) -> None:
    answer = register(space, {"code": space.code(), "name": "a laptop", "software": "passerelle 1"})
    assert answer.status_code == 201
    told = answer.json()
    assert told["client_id"] == told["gateway_id"]
    assert told["token_endpoint"] == f"{space.url}/token"
    assert told["fhir_base"] == f"{space.url}/fhir"
    assert told["dialect"] == "international"
    assert answer.headers["cache-control"] == "no-store"


def test_a_code_is_read_as_people_type_it(space: RunningSpace) -> None:
    code = space.code()
    typed = f" {code.lower().replace('-', ' ').replace('0', 'o').replace('1', 'l')} "
    assert register(space, {"code": typed}).status_code == 201


def test_an_unknown_a_used_and_an_expired_code_get_one_same_answer(space: RunningSpace) -> None:
    used, expired = space.code(), space.code(days=1)
    register(space, {"code": used})
    space.ahead = timedelta(days=2)
    answers = [register(space, {"code": code}) for code in (UNKNOWN, used, expired)]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1


def test_two_who_use_one_code_at_once_make_one_gateway(space: RunningSpace) -> None:
    code = space.code()
    answers = [register(space, {"code": code}).status_code for _ in range(3)]
    assert sorted(answers) == [201, 403, 403]


@pytest.mark.parametrize(
    "body", [{}, [], "code", {"code": ""}, {"code": 7}, {"code": "x" * 65}, {"code": "x", "admin": True}]
)
def test_what_is_no_registration_is_refused(space: RunningSpace, body: object) -> None:
    assert register(space, body).status_code == 400


def test_a_name_may_hold_anything_and_is_one_line(space: RunningSpace) -> None:
    name = "'; DROP TABLE passerelle.gateway; --\n\x00\u202e évil"
    assert register(space, {"code": space.code(), "name": name}).status_code == 201

    async def listed(database: Database) -> list[str]:
        async with database.writer() as conn:
            return [gateway.name for gateway in await gateways.list_all(conn)]

    assert "'; DROP TABLE passerelle.gateway; --  évil" in space.run(listed)


def test_a_token_is_given_by_basic_and_by_form(space: RunningSpace) -> None:
    gateway = space.register()
    form = {"grant_type": "client_credentials"}
    by_form = {**form, "client_id": gateway.client_id, "client_secret": gateway.secret}
    for answer in (
        ask_token(space, form, auth=(gateway.client_id, gateway.secret)),
        ask_token(space, by_form),
    ):
        told = answer.json()
        assert answer.status_code == 200
        assert (told["token_type"], told["expires_in"]) == ("Bearer", 3600)
        assert answer.headers["cache-control"] == "no-store"
        assert whoever(FeedingGateway(space, "", "", told["access_token"])) == 200


def test_the_errors_of_the_token_endpoint_are_those_of_rfc_6749(space: RunningSpace) -> None:
    gateway = space.register()
    right = {"client_id": gateway.client_id, "client_secret": gateway.secret}
    form = {"grant_type": "client_credentials"}
    basic = (gateway.client_id, gateway.secret)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    twice = b"grant_type=client_credentials&grant_type=client_credentials"
    cases = [
        (ask_token(space, right), 400, "invalid_request"),
        (ask_token(space, {**right, "grant_type": "password"}), 400, "unsupported_grant_type"),
        (ask_token(space, {**form, **right, "client_secret": "wrong"}), 401, "invalid_client"),
        (ask_token(space, {**form, **right, "client_id": str(uuid4())}), 401, "invalid_client"),
        (ask_token(space, {**form, **right, "client_id": "' OR 1=1"}), 401, "invalid_client"),
        (ask_token(space, {**form, **right}, auth=basic), 400, "invalid_request"),
        (ask_token(space, form, headers={"Authorization": "Basic é".encode()}), 401, "invalid_client"),
        (httpx.post(f"{space.url}/token", content=twice, headers=headers), 400, "invalid_request"),
        (httpx.post(f"{space.url}/token", json={**form, **right}), 400, "invalid_request"),
    ]
    for answer, status, error in cases:
        assert (answer.status_code, answer.json()) == (status, {"error": error})
        assert (answer.status_code == 401) == ("www-authenticate" in answer.headers)


def test_a_token_ends_after_an_hour(space: RunningSpace) -> None:
    space.ahead = -timedelta(minutes=61)  # the database has the time of now
    gateway = space.register()
    space.ahead = timedelta(0)
    assert whoever(gateway) == 401
    assert whoever(gateway.authenticated()) == 200


def test_a_gateway_that_leaves_is_out_at_once(space: RunningSpace) -> None:
    gateway = space.register()
    assert whoever(gateway) == 200
    assert gateway.request("DELETE", "/gateways/self").status_code == 204
    assert whoever(gateway) == 401
    form = {"grant_type": "client_credentials"}
    assert ask_token(space, form, auth=(gateway.client_id, gateway.secret)).status_code == 401


def test_a_gateway_that_is_turned_away_is_out_at_once(space: RunningSpace) -> None:
    gateway = space.register()

    async def turn_away(database: Database) -> None:
        async with database.writer() as conn:
            found = await gateways.bearer(conn, gateway.token)
            assert found is not None
            await gateways.revoke(conn, found.gateway_id, space.now())

    space.run(turn_away)
    assert whoever(gateway) == 401


@pytest.fixture
def let_in(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Counts whose token was looked up."""
    found, look_up = threading.Semaphore(0), gateways.bearer

    async def watched(conn: Connection, token: str) -> Bearer | None:
        try:
            return await look_up(conn, token)
        finally:
            found.release()

    monkeypatch.setattr(gateways, "bearer", watched)
    return found


def test_a_gateway_turned_away_while_its_body_comes_writes_nothing(
    space: RunningSpace, let_in: threading.Semaphore
) -> None:
    gateway, told = space.register(), sensor(3)
    request = Withheld(space, "POST", "/fhir", gateway.token, sent(told))
    assert let_in.acquire(timeout=10)
    assert gateway.request("DELETE", "/gateways/self").status_code == 204
    assert request.let_go() == 401
    assert space.patients(told.patient_uuid) == []


def test_a_gateway_turned_away_while_its_body_comes_gives_no_grant(
    space: RunningSpace, let_in: threading.Semaphore
) -> None:
    told = sensor(3)
    gateway = fed(space, told)
    assert let_in.acquire(timeout=10)  # that of the feeding, before its body
    while let_in.acquire(blocking=False):
        pass
    asked = orjson.dumps(terms(space, told.patient_uuid, "x"))
    request = Withheld(space, "POST", "/grants", gateway.token, asked)
    assert let_in.acquire(timeout=10)
    assert gateway.request("DELETE", "/gateways/self").status_code == 204
    assert request.let_go() == 401
    assert space.count("grant_", told.patient_uuid) == 0


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic d3Jvbmc=", "Bearer é"])
def test_without_a_token_nothing_is_done(space: RunningSpace, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode()}
    calls = [("POST", "/fhir"), ("PUT", "/fhir/Observation/1"), ("DELETE", "/fhir/Observation/1")]
    for method, path in (*calls, ("DELETE", "/gateways/self")):
        answer = httpx.request(method, space.url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        if path.startswith("/fhir"):
            assert answer.json()["resourceType"] == "OperationOutcome"


def test_who_guesses_waits_and_who_is_right_does_not_pay(space: RunningSpace) -> None:
    stranger, other = ({"X-Forwarded-For": f"10.9.8.{number}"} for number in (7, 6))
    url = f"{space.url}/gateways"
    answers = [httpx.post(url, json={"code": UNKNOWN}, headers=stranger) for _ in range(21)]
    assert [answer.status_code for answer in answers] == [403] * 20 + [429]
    assert answers[-1].headers["retry-after"]
    assert httpx.post(url, json={"code": space.code()}, headers=other).status_code == 201


def test_a_gateway_that_asks_too_often_for_tokens_or_grants_is_told_when_to_come_back(
    space: RunningSpace,
) -> None:
    gateway, other, before = space.register(), space.register(), space.pressure.gateways
    form = {"grant_type": "client_credentials"}
    stranger = ask_token(space, form, auth=(gateway.client_id, "wrong"))
    space.pressure.gateways = Limiter(0.1, 2)
    try:
        tokens = [ask_token(space, form, auth=(gateway.client_id, gateway.secret)) for _ in range(3)]
        listed = [other.request("GET", f"/grants?patient={uuid4()}") for _ in range(3)]
        given = other.request("POST", "/grants", b"{}")
    finally:
        space.pressure.gateways = before
    assert stranger.status_code == 401
    assert [answer.status_code for answer in tokens] == [200, 200, 429]
    assert [answer.status_code for answer in listed] == [404, 404, 429]
    assert given.status_code == 429
    assert all(1 <= int(answer.headers["retry-after"]) <= 10 for answer in (tokens[2], listed[2], given))


def test_all_tokens_that_are_over_are_thrown_away(space: RunningSpace) -> None:
    gateway = space.register()

    async def left(database: Database) -> int:
        async with database.owner() as conn:
            over = (
                "INSERT INTO passerelle.gateway_token (token_hash, gateway_id, ends_at) "
                "SELECT sha256(convert_to(%s || n::text, 'UTF8')), %s, now() FROM generate_series(1, 2500) n"
            )
            await conn.execute(over, (gateway.client_id, gateway.client_id))
        await throw_away_old_tokens(database)
        async with database.owner() as conn:
            query = "SELECT count(*) FROM passerelle.gateway_token WHERE gateway_id = %s"
            row = await (await conn.execute(query, (gateway.client_id,))).fetchone()
            return int(row[0]) if row else 0

    assert space.run(left) == 1
    assert whoever(gateway) == 200


def test_only_hashes_of_what_opens_are_stored(space: RunningSpace) -> None:
    code = space.code()
    gateway = space.register(code)
    basic = base64.b64encode(f"{gateway.client_id}:{gateway.secret}".encode()).decode()

    async def dumped(database: Database) -> str:
        async with database.owner() as conn:
            rows = []
            for table in ("registration_code", "gateway", "gateway_token"):
                cursor = await conn.execute(f"SELECT t::text FROM passerelle.{table} t")
                rows += [row[0] for row in await cursor.fetchall()]
            return "\n".join(rows)

    dump = space.run(dumped)
    plain = code.replace("-", "")
    assert gateway.client_id in dump
    assert not any(secret in dump for secret in (code, plain, gateway.secret, gateway.token, basic))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/fhir"),
        ("PUT", "/fhir/Observation/1"),
        ("POST", "/fhir/Observation/_search"),
        ("POST", "/grants"),
    ],
)
def test_a_stranger_is_refused_before_the_body_has_come(space: RunningSpace, method: str, path: str) -> None:
    assert Withheld(space, method, path, "nonsense", b"x" * 1000).answered() == 401


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/fhir/Observation/1"), ("POST", "/grants"), ("POST", "/token")]
)
def test_only_a_transaction_may_be_large(space: RunningSpace, method: str, path: str) -> None:
    assert space.register().request(method, path, b" " * 70_000).status_code == 413

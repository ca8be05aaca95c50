"""A grant's whole life: given at home, used by software that is not ours, followed, narrowed and ended."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.journeys.conftest import CAPTURE, CommandLine, free_port
from tests.journeys.offline import two_homes

NODE = Path(__file__).parent.parent / "node"
UNTIL = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%d")
ADA = ("--patient", "Ada")

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules" / "kill-the-clipboard").is_dir(),
    reason="Node.js is missing (Debian: apt install nodejs npm), or `make test` has not installed tests/node",
)


def used(link: str, **query: str) -> dict[str, Any]:
    """What other people's code makes of a link that carries an access, and reads with it."""
    asked = json.dumps({"link": link, "recipient": "a hospital's software", "query": query})
    done = subprocess.run(
        ["node", "access.mjs"], cwd=NODE, input=asked, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def read(granted: dict[str, str], path: str = "/Observation?_count=1000") -> httpx.Response:
    return httpx.get(granted["fhir"] + path, headers={"Authorization": f"Bearer {granted['token']}"})


def counted(granted: dict[str, str]) -> int:
    answer = read(granted)
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return sum(entry["resource"]["resourceType"] == "Observation" for entry in entries)


@pytest.mark.node
@pytest.mark.embedded
@needs_node
@pytest.mark.timeout(240)
def test_a_grant_is_given_from_a_laptop_used_by_other_software_followed_and_ended(tmp_path: Path) -> None:
    with two_homes(tmp_path) as (gateway, space):
        code = space.json("tenants", "code", "default")["code"]
        with (
            space.serving("--role", "space", port=free_port()) as address,
            gateway.serving("--role", "shelf", port=free_port()) as shelf,
        ):
            at_home = gateway.with_environment(PASSERELLE_SHELF_URL=shelf)
            there = (*ADA, "--space", address)
            at_home.run("replay", str(CAPTURE), *ADA, "--timezone", "Europe/Paris")
            at_home.run("space", "connect", address, *ADA, "--code", code)
            refused = at_home.run("grant", "create", *there, "--to", "Dr Weiss", "--until", UNTIL, status=1)
            assert "space feed" in refused.stderr
            at_home.run("space", "feed")
            _used_and_ended(at_home, there)
            _given_by_the_operator(at_home, space, address)
            _ended_with_the_gateway(at_home, space, there)


def _used_and_ended(at_home: CommandLine, there: tuple[str, ...]) -> None:
    whole = at_home.json(
        "grant", "create", *there, "--to", "Dr Weiss", "--organisation", "Clinic", "--until", UNTIL, "--link"
    )
    found = used(whole["url"], _count="4")
    assert found["contentType"] == "application/smart-api-access"
    assert found["label"] == "Dr Weiss"
    assert found["access"].keys() == {
        *("access_token", "token_type", "expires_in", "scope", "patient", "aud", "query")
    }
    assert (found["access"]["token_type"], found["access"]["aud"]) == ("Bearer", whole["fhir"])
    assert 0 < found["access"]["expires_in"] <= 32 * 86_400
    assert (found["pages"], len(set(found["observations"]))) == (3, 11)
    assert found["subject"] == found["access"]["patient"]

    (listed,) = at_home.json("grant", "list", *ADA)  # the only space that they feed is the one that is meant
    assert (listed["id"], listed["grantee"], listed["organisation"]) == (whole["id"], "Dr Weiss", "Clinic")
    assert [look["what"] for look in listed["looks"]][:2] == ["Patient 1", "Observation 3 blood-glucose"]
    told = at_home.with_environment(LC_ALL="fr_FR.UTF-8").run("grant", "list", *there).stdout
    assert "Dr Weiss, Clinic" in told
    assert f"jusqu’au {UNTIL}" in told
    assert "mesures : blood-glucose" in told

    at_home.run("grant", "narrow", whole["id"], *there, "--kinds", "ketone")
    assert counted(whole) == 0
    at_home.run("grant", "revoke", whole["id"], *there)
    assert read(whole).status_code == 401
    over = at_home.run("grant", "narrow", whole["id"], *there, "--kinds", "ketone", status=1)
    assert "This grant is over" in over.stderr
    shares = at_home.json("share", "list", *ADA)
    assert [share["state"] for share in shares] == ["revoked"]


def _ended_with_the_gateway(at_home: CommandLine, space: CommandLine, there: tuple[str, ...]) -> None:
    granted = at_home.json("grant", "create", *there, "--to", "Dr Weiss", "--until", UNTIL)
    (gateway,) = space.json("gateways", "list")
    assert space.json("gateways", "revoke", gateway["id"])["live_grants"] == 1
    assert counted(granted) == 11
    assert space.json("gateways", "revoke", gateway["id"], "--with-grants")["live_grants"] == 0
    assert read(granted).status_code == 401


def _given_by_the_operator(at_home: CommandLine, space: CommandLine, address: str) -> None:
    """Where names stayed with the gateways a person is known by their UUID."""
    bundle = json.loads(at_home.run("export", *ADA, "--format", "fhir").stdout)
    people = [
        entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == "Patient"
    ]
    uuid = people[0]["identifier"][0]["value"].removeprefix("urn:uuid:")
    there = space.with_environment(PASSERELLE_PUBLIC_URL=address)
    granted = there.json("grant", "create", "--patient", uuid, "--to", "The ward", "--until", UNTIL)
    assert counted(granted) == 11
    there.run("grant", "revoke", granted["id"], "--patient", uuid)
    assert read(granted).status_code == 401


def test_a_grant_is_given_where_the_space_s_own_database_is(passerelle: CommandLine) -> None:
    passerelle.run("replay", str(CAPTURE), *ADA, "--timezone", "Europe/Paris")
    port = free_port()
    with passerelle.serving("--role", "space", port=port) as address:
        here = passerelle.with_environment(PASSERELLE_PUBLIC_URL=address)
        created = ("grant", "create", *ADA, "--to", "A study", "--until", UNTIL)
        assert counted(here.json(*created)) == 11
        assert counted(here.json(*created, "--kinds", "blood-glucose", "--to-date", "2001-01-01")) == 0
        assert "blood-glucose" in here.run(*created, "--kinds", "colour", status=1).stderr
        here.run(*created, "--from", "2026-02-01", "--days", "3", status=2)
        assert [len(grant["looks"]) for grant in here.json("grant", "list", *ADA)] == [1, 1]

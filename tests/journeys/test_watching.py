"""What a whole day leaves behind in logs and metrics: events and numbers, and no person in any of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from benchmarks.gateways import batch
from device_profiles.reading import Device, DeviceIdentity
from fhir_mapping.opaque import ReadingIds
from gateway.sealing import SealedLink
from storage.cluster import place_of
from storage.embedded import erase
from tests.journeys.conftest import CAPTURE, CommandLine
from tests.journeys.test_radio import pair, virtual_meter
from tests.journeys.test_sharing import opened
from tests.servers import DATABASE

PERSON = "Gertrude Watched"
RECIPIENT = "Dr. Inquisitive"
LABEL = "Oncology visit"
PASSCODE = "pomme 4711"
METER_KEEPER = "Hildegard Keeper"
VALUE = "317"
SENSOR = f"""time,mg_dl
2026-03-01T08:00:00,{VALUE}
2026-03-01T08:05:00,{VALUE}
"""

EVENTS = {"command", "request", "job", "job failed", "unexpected", "library"}
SHAPES: dict[str, str] = {
    "at": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "level": "info|warning|error",
    "logger": r"[a-z_.]+",
    "request": "[0-9a-f]{16}",
    "method": "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other",
    "path": r"-|(/[a-z_$.]*|/\{[a-z_]+\}|/[A-Z][A-Za-z]+)+",
    "status": r"\d{1,3}",
    "ms": r"\d+(\.\d)?",
    "command": "[a-z_]+",
    "job": "[a-z_ -]+",
    "outcome": "done|lost|failed",
    "error": "[A-Z][A-Za-z]+",
    "place": r"\w+:\d+",
}
"""All that a line may hold, and of what form: what has no form here may not be told."""
RUNS = re.compile(r'passerelle_job_runs_total\{job="(\w+)",outcome="done"\} (\S+)')
PLACE = re.compile(r"[\w/.<>-]+\.py:\d+ [\w<>]+")


def checked(line: str) -> dict[str, Any]:
    """A line of the log, if it holds nothing but what it may."""
    told: dict[str, Any] = json.loads(line)
    for place in told.pop("places", []):
        assert PLACE.fullmatch(place), place
    event = told.pop("event")
    assert event in EVENTS or re.fullmatch(r"(visit to|sweep of) the shelf: \w+|storage: \w+", event), event
    for name, value in told.items():
        assert re.fullmatch(SHAPES[name], str(value)), (name, value)
    return {"event": event, **told}


class Day:
    """A person's day on the command line, all of whose logs are kept."""

    def __init__(self, line: CommandLine) -> None:
        self.line = line.with_environment(PASSERELLE_LOG="json")
        self.lines: list[str] = []
        self.secrets = {PERSON, RECIPIENT, LABEL, PASSCODE, "Gertrude", "shlink", "Bearer"}

    def run(self, *arguments: str, status: int = 0) -> str:
        """A command; its log is what is JSON on standard error, the rest is said to the person."""
        ended = self.line.run(*arguments, status=status)
        self.lines += [line for line in ended.stderr.splitlines() if line.startswith("{")]
        return ended.stdout

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[str]:
        with self.line.serving(*arguments) as address:
            yield address
        printed = self.line.printed.read_text().splitlines()
        self.line.printed.unlink()
        said = [line for line in printed if not line.startswith("{")]
        # Where it listens, and how often for meters; all else is its log.
        assert all(" listens " in line or line.startswith("The gateway works") for line in said), said
        self.lines += [line for line in printed if line.startswith("{")]

    def told(self) -> list[dict[str, Any]]:
        """Every event, once each was looked at."""
        events = [checked(line) for line in self.lines]
        self.hold_no_secret("\n".join(self.lines))
        return events

    def hold_no_secret(self, text: str) -> None:
        found = {secret for secret in self.secrets if secret and secret in text}
        assert found == set()


@pytest.fixture
def day(passerelle: CommandLine) -> Day:
    return Day(passerelle)


def hold_in_labels(text: str) -> None:
    """Each label of the metrics has a word of the source for its value."""
    words = {
        "path": SHAPES["path"],
        "method": SHAPES["method"],
        "status": r"\d{3}",
        "role": "writer|reader|shelf|owner",
        "why": "often|full|pool|memory|time|database",
        "outcome": "new|known|done|lost|failed",
        "job": SHAPES["job"],
        "le": r"\+Inf|\d+\.\d+",
    }
    for name, value in re.findall(r'[{,](\w+)="([^"]*)"', text):
        assert re.fullmatch(words[name], value), (name, value)


def share_and_be_refused(day: Day, shelf: str, tmp_path: Path) -> None:
    """What people and strangers do at a shelf."""
    week = tmp_path / "Gertrude.csv"
    week.write_text(SENSOR)
    day.run("import", str(week), "--patient", PERSON, "--format", "generic", "--timezone", "UTC")
    day.run("replay", str(CAPTURE), "--patient", PERSON, "--timezone", "Europe/Paris")
    day.run("report", "--patient", "Gertrude Watchd", status=1)
    day.line = day.line.with_environment(PASSERELLE_SHELF_URL=shelf)
    create = ("share", "create", "--patient", PERSON, "--label", LABEL, "--passcode", PASSCODE, "--json")
    made = json.loads(day.run(*create))
    link = SealedLink.parse(made["url"])
    day.secrets |= {link.manifest_url.rpartition("/")[2], made["url"].rpartition("/")[2], made["id"]}
    day.secrets.add((day.line.home / "shelf-token").read_text())
    assert opened(made["url"], RECIPIENT, PASSCODE)
    said = {"recipient": RECIPIENT, "passcode": "wrong " + PASSCODE}
    assert httpx.post(link.manifest_url, json=said).status_code == 401
    assert httpx.post(link.manifest_url, content=f'{{"recipient": "{PERSON}"').status_code == 400
    assert httpx.get(f"{shelf}/{PERSON}?name={PERSON}").status_code == 404
    assert httpx.get(f"{shelf}/api/links/{PERSON}/openings").status_code in {400, 401}
    assert httpx.request("GERTRUDE", f"{shelf}/view").status_code in {404, 405}
    stranger = {"Authorization": f"Bearer {PERSON}"}
    assert httpx.get(f"{shelf}/api/links/{'0' * 64}/openings", headers=stranger).status_code == 401
    day.run("share", "list", "--json")
    day.run("share", "revoke", made["id"])


def test_a_day_with_a_shelf_leaves_no_person_in_a_log_or_a_metric(day: Day, tmp_path: Path) -> None:
    with day.serving("--role", "shelf") as shelf:
        share_and_be_refused(day, shelf, tmp_path)
        metrics = httpx.get(f"{shelf}/metrics").text
    events = day.told()
    hold_in_labels(metrics)
    day.hold_no_secret(metrics)
    day.hold_no_secret("".join(log.read_text() for log in place_of(day.line.home).folder.rglob("*.log")))
    asked = {(event["path"], event["status"]) for event in events if event["event"] == "request"}
    assert {
        ("/shl/{manifest_id}", 200),
        ("/shl/{manifest_id}", 401),
        ("/shl/{manifest_id}", 400),
        ("-", 404),
    } <= asked
    commands = [(event["command"], event["status"]) for event in events if event["event"] == "command"]
    assert ("serve", 0) in commands
    assert 1 in {status for _, status in commands}
    assert 'passerelle_http_requests_total{method="other"' in metrics


def test_a_gateway_and_its_jobs_leave_no_person_in_a_log(day: Day, tmp_path: Path) -> None:
    week = tmp_path / "Gertrude.csv"
    week.write_text(SENSOR)
    day.run("import", str(week), "--patient", PERSON, "--format", "generic", "--timezone", "UTC")
    day.run("share", "create", "--patient", PERSON, "--label", LABEL)
    with virtual_meter(day.line, "--generate", "20", "--profile", "accu-chek-guide") as meter:
        day.line = day.line.with_environment(PASSERELLE_BLE=meter.transport)
        pair(day.line, meter, METER_KEEPER)
        assert json.loads(day.run("sync", "--json"))["stored"] == 20
        day.secrets |= {meter.name, METER_KEEPER}
    with day.serving("--role", "gateway") as gateway:
        assert "passerelle_database_up 1.0" in httpx.get(f"{gateway}/metrics").text
    told = [(event["command"], event["status"]) for event in day.told() if event["event"] == "command"]
    assert told == [("import_file", 0), ("create", 0), ("sync", 0), ("serve", 0)]


def feed_and_be_refused(day: Day, space: str) -> None:
    """What a gateway and strangers do at a space."""
    code = json.loads(day.run("tenants", "code", "default", "--json"))["code"]
    told = httpx.post(f"{space}/gateways", json={"code": code, "name": PERSON, "software": LABEL}).json()
    known = (told["client_id"], told["client_secret"])
    granted = httpx.post(f"{space}/token", data={"grant_type": "client_credentials"}, auth=known).json()
    patient = uuid4()
    day.secrets |= {code, *known, granted["access_token"], str(patient), patient.hex, "Bench/One/1"}
    sender = {
        "Authorization": f"Bearer {granted['access_token']}",
        "Content-Type": "application/fhir+json",
    }
    device = Device(DeviceIdentity("serial", "Bench/One/1"), "Bench", "One", "1")
    body = batch(patient, ReadingIds(bytes(16)), device, 0, 3)
    for outcome in ("new", "known"):
        answer = httpx.post(f"{space}/fhir", content=body, headers=sender)
        assert answer.status_code == 200, answer.text
        counted = httpx.get(f"{space}/metrics").text
        assert f'passerelle_readings_ingested_total{{outcome="{outcome}"}} 3.0' in counted
    ids = {entry["response"]["location"].split("/")[1] for entry in answer.json()["entry"]}
    day.secrets |= {name for name in ids if len(name) > 8}
    wrong = body.replace(b"mg/dL", PERSON.encode())
    assert httpx.post(f"{space}/fhir", content=wrong, headers=sender).status_code in {400, 422}
    assert httpx.post(f"{space}/fhir", content=PERSON.encode(), headers=sender).status_code == 400
    stranger = sender | {"Authorization": f"Bearer {PERSON}"}
    assert httpx.post(f"{space}/fhir", content=body, headers=stranger).status_code == 401
    assert httpx.get(f"{space}/fhir/Patient/{PERSON}", headers=stranger).status_code in {400, 401, 404, 405}
    assert httpx.get(f"{space}/fhir/Observation?patient={PERSON}&code={LABEL}").status_code >= 400
    assert httpx.post(f"{space}/gateways", json={"code": PERSON, "name": PERSON}).status_code == 403
    assert httpx.post(f"{space}/token", data={"client_id": PERSON, "client_secret": LABEL}).status_code >= 400


def feed_from_another_home(day: Day, space: str, tmp_path: Path) -> None:
    """A gateway of its own tells a person's readings to the space."""
    code = json.loads(day.run("tenants", "code", "default", "--json"))["code"]
    there, day.line = day.line, day.line.with_environment(PASSERELLE_HOME=str(tmp_path / "other"))
    day.secrets |= {code, METER_KEEPER}
    try:
        day.run("replay", str(CAPTURE), "--patient", METER_KEEPER, "--timezone", "Europe/Paris")
        day.run("space", "connect", space, "--patient", METER_KEEPER, "--code", code)
        told = json.loads(day.run("space", "feed", "--json"))
        assert (told["told"], told["waiting"]) == (11, 0)
        day.run("space", "connect", space, "--patient", METER_KEEPER, "--code", code, status=1)
    finally:
        erase(tmp_path / "other")
        day.line = there


def test_a_space_that_is_fed_and_refuses_leaves_no_person_in_a_log_or_a_metric(
    day: Day, tmp_path: Path
) -> None:
    with day.serving("--role", "space") as space:
        feed_and_be_refused(day, space)
        feed_from_another_home(day, space, tmp_path)
        metrics = httpx.get(f"{space}/metrics").text
    events = day.told()
    hold_in_labels(metrics)
    day.hold_no_secret(metrics)
    day.hold_no_secret("".join(log.read_text() for log in place_of(day.line.home).folder.rglob("*.log")))
    asked = {(event["path"], event["status"]) for event in events if event["event"] == "request"}
    assert {("/fhir", 200), ("/fhir", 401), ("/fhir", 400), ("/gateways", 403)} <= asked
    for name in ("database_up",) if DATABASE else ("database_up", "embedded_server_up"):
        assert f"passerelle_{name} 1.0" in metrics
    assert 'passerelle_pool_size{role="writer"} 4.0' in metrics
    assert "passerelle_outbox_waiting 0.0" in metrics


def test_two_processes_of_a_space_share_a_database_and_each_job_runs_in_one_of_them(day: Day) -> None:
    def runs(space: str) -> dict[str, float]:
        text = httpx.get(f"{space}/metrics").text
        return {job: float(count) for job, count in RUNS.findall(text)}

    with day.line.serving("--role", "space") as first, day.line.serving("--role", "space") as second:
        counted: list[dict[str, float]] = []
        while len({job for one in counted for job in one}) < 3:
            counted = [runs(first), runs(second)]
        for space in (first, second):
            assert httpx.get(f"{space}/health/ready").json() == {"status": "ok"}
        counted = [runs(first), runs(second)]
    total = {job: sum(one.get(job, 0) for one in counted) for one in counted for job in one}
    assert {"tokens", "retention", "audit"} <= total.keys()
    assert set(total.values()) == {1}

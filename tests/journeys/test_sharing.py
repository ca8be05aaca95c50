"""A share's whole life between two processes: made, delivered, opened, followed, ended."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import httpx
import psutil
import pytest

from gateway.sealing import SealedLink
from gateway.shelf_client import LinkClosed, WrongPasscode, open_link
from storage.cluster import place_of
from tests.journeys.conftest import CAPTURE, WEEKS, CommandLine, free_port, wait_for


def opened(url: str, recipient: str = "Dr. Test", passcode: str | None = None) -> list[dict]:
    (content,) = asyncio.run(open_link(SealedLink.parse(url), recipient, passcode))
    return [entry["resource"] for entry in json.loads(content)["entry"]]


def eventually_opened(url: str, seconds: float = 15) -> list[dict]:
    end = monotonic() + seconds
    while True:
        try:
            return observations(opened(url))
        except LinkClosed:
            if monotonic() > end:
                raise


def observations(resources: list[dict]) -> list[dict]:
    return [resource for resource in resources if resource["resourceType"] == "Observation"]


@pytest.fixture
def with_readings(passerelle: CommandLine) -> CommandLine:
    passerelle.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Europe/Paris")
    return passerelle


def test_a_share_opens_is_logged_and_ends(with_readings: CommandLine) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        made = gateway.json("share", "create", "--patient", "Patient 1", "--label", "Diabetes clinic")
        assert made["waiting"] is False
        assert len(observations(opened(made["url"], "Dr. Test"))) == 11

        (listed,) = gateway.json("share", "list")
        assert (listed["id"], listed["label"], listed["state"]) == (made["id"], "Diabetes clinic", "open")
        assert [(o["recipient"], o["outcome"]) for o in listed["openings"]] == [("Dr. Test", "opened")]

        gateway.run("share", "revoke", made["id"])
        with pytest.raises(LinkClosed):
            opened(made["url"])
        assert gateway.json("share", "list")[0]["state"] == "revoked"


def test_wrong_passcodes_count_and_the_patient_reads_of_them(with_readings: CommandLine) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        made = gateway.json("share", "create", "--patient", "Patient 1", "--passcode")
        with pytest.raises(WrongPasscode) as refused:
            opened(made["url"], "A stranger", "0000")
        assert refused.value.details["remaining"] == 9
        assert observations(opened(made["url"], "Dr. Test", made["passcode"]))
        openings = gateway.json("share", "list")[0]["openings"]
        assert {(o["recipient"], o["outcome"]) for o in openings} == {
            ("A stranger", "wrong-passcode"),
            ("Dr. Test", "opened"),
        }


def test_a_passcode_of_ones_own_is_taken(with_readings: CommandLine) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        made = gateway.json("share", "create", "--patient", "Patient 1", "--passcode", "épinard 7")
        assert observations(opened(made["url"], "Dr. Test", "épinard 7"))


def test_a_passcode_that_protects_nothing_is_refused_and_nothing_is_shared(
    with_readings: CommandLine,
) -> None:
    for passcode in ("", "   ", "12"):
        ended = with_readings.run(
            "share", "create", "--patient", "Patient 1", "--passcode", passcode, status=1
        )
        assert "A passcode has 4 to 200 characters" in ended.stderr
    assert with_readings.json("share", "list") == []


def test_a_share_waits_for_a_shelf_that_is_down_and_serve_delivers_it(with_readings: CommandLine) -> None:
    made = with_readings.with_environment(PASSERELLE_SHELF_URL="http://127.0.0.1:9").json(
        "share", "create", "--patient", "Patient 1"
    )
    assert made["waiting"] is True
    ended = with_readings.run("share", "list", "--json")
    assert json.loads(ended.stdout)[0]["state"] == "waiting"
    assert "waits" in ended.stderr


def test_the_next_share_command_delivers_what_waited(with_readings: CommandLine) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        pass
    gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
    made = gateway.json("share", "create", "--patient", "Patient 1")
    assert made["waiting"] is True
    with with_readings.serving("--role", "shelf", port=int(shelf.rsplit(":", 1)[1])):
        assert gateway.json("share", "list")[0]["state"] == "open"
        assert len(observations(opened(made["url"]))) == 11


def test_a_shelf_that_is_gone_keeps_nothing_from_another(with_readings: CommandLine) -> None:
    gone = with_readings.with_environment(PASSERELLE_SHELF_URL="http://127.0.0.1:9")
    assert gone.json("share", "create", "--patient", "Patient 1")["waiting"] is True
    with with_readings.serving("--role", "shelf") as shelf:
        pass
    gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
    waited = gateway.json("share", "create", "--patient", "Patient 1")
    assert waited["waiting"] is True
    with with_readings.serving("--role", "shelf", port=int(shelf.rsplit(":", 1)[1])):
        gateway.json("share", "create", "--patient", "Patient 1", "--label", "the next share command")
        assert len(observations(opened(waited["url"], "Dr. Test"))) == 11
        listed = {share["id"]: share for share in gateway.json("share", "list")}
    assert [opening["recipient"] for opening in listed[waited["id"]]["openings"]] == ["Dr. Test"]
    assert sorted(share["state"] for share in listed.values()) == ["open", "open", "waiting"]


def test_serve_delivers_at_once_what_waited(with_readings: CommandLine) -> None:
    port = free_port()
    gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=f"http://127.0.0.1:{port}")
    made = gateway.json("share", "create", "--patient", "Patient 1")
    assert made["waiting"] is True
    with gateway.serving(port=port):
        assert len(eventually_opened(made["url"])) == 11


def test_only_the_days_that_were_chosen_are_shared(passerelle: CommandLine) -> None:
    passerelle.json(
        "import", str(WEEKS[0]), "--patient", "Patient 2", "--format", "generic", "--timezone", "UTC"
    )
    with passerelle.serving("--role", "shelf") as shelf:
        gateway = passerelle.with_environment(PASSERELLE_SHELF_URL=shelf)
        made = gateway.json("share", "create", "--patient", "Patient 2", "--days", "2")
        shared = observations(opened(made["url"]))
    days = {datetime.fromisoformat(o["effectiveDateTime"]).date().isoformat() for o in shared}
    assert days == {"2017-03-19", "2017-03-20"}


def test_a_share_ends_after_its_last_day(with_readings: CommandLine) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    made = with_readings.json("share", "create", "--patient", "Patient 1", "--until", tomorrow.isoformat())
    assert datetime.fromisoformat(made["expires_at"]) > datetime.now(UTC) + timedelta(hours=20)
    yesterday = tomorrow - timedelta(days=3)
    ended = with_readings.run(
        "share", "create", "--patient", "Patient 1", "--until", yesterday.isoformat(), status=1
    )
    assert "--until" in ended.stderr
    ended = with_readings.run("share", "create", "--patient", "Patient 1", "--until", "9999-12-31", status=1)
    assert "--until" in ended.stderr


def test_serve_runs_the_shelf_and_the_gateway_together(with_readings: CommandLine) -> None:
    with with_readings.serving() as address:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=address)
        made = gateway.json("share", "create", "--patient", "Patient 1")
        assert len(observations(opened(made["url"]))) == 11
        # and a sync at the same time works on
        again = gateway.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Europe/Paris")
        assert again["stored"] == 0


def test_the_folder_where_serve_is_typed_gives_it_no_code(passerelle: CommandLine) -> None:
    planted = passerelle.home.parent / "gateway"
    planted.mkdir()
    (planted / "__init__.py").write_text("raise SystemExit('planted')")
    script = Path(sys.executable).with_name("passerelle")
    port = free_port()
    serving = subprocess.Popen(
        [script, "serve", "--port", str(port)], env=passerelle.environment, cwd=planted.parent
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", serving)
    finally:
        serving.terminate()
        serving.wait(30)


def test_serve_ends_without_a_word(passerelle: CommandLine) -> None:
    with passerelle.serving():
        pass
    printed = passerelle.printed.read_text().splitlines()
    assert [line.split()[:2] for line in printed] == [["The", "shelf"], ["The", "gateway"], ["It", "listens"]]


def test_the_shelf_ends_with_the_process_that_started_it_even_if_that_is_killed(
    passerelle: CommandLine,
) -> None:
    port = free_port()
    serving = subprocess.Popen(
        [sys.executable, "-m", "gateway", "serve", "--port", str(port)],
        env=passerelle.environment,
        stdout=subprocess.DEVNULL,
    )
    wait_for(f"http://127.0.0.1:{port}/health", serving)
    (shelf,) = (child for child in psutil.Process(serving.pid).children() if "--role" in child.cmdline())
    serving.kill()
    serving.wait()
    assert psutil.wait_procs([shelf], timeout=30)[1] == []


def test_a_share_goes_to_the_shelf_of_the_same_home_wherever_it_was_served(passerelle: CommandLine) -> None:
    passerelle.environment.pop("PASSERELLE_SHELF_URL", None)
    passerelle.json("replay", str(CAPTURE), "--patient", "Patient 1", "--timezone", "Europe/Paris")
    with passerelle.serving() as address:
        made = passerelle.json("share", "create", "--patient", "Patient 1")
        assert made["url"].startswith(address)
        assert len(observations(opened(made["url"]))) == 11


def test_a_gateway_elsewhere_needs_a_token_of_the_shelf(with_readings: CommandLine, tmp_path) -> None:
    other_home = tmp_path / "shelf-home"
    shelf_side = with_readings.with_environment(PASSERELLE_HOME=str(other_home))
    token = shelf_side.json("shelf", "enrol", "my laptop")["token"]
    with shelf_side.serving("--role", "shelf") as shelf:
        stranger = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        refused = stranger.run("share", "create", "--patient", "Patient 1", status=1)
        assert "PASSERELLE_SHELF_TOKEN" in refused.stderr
        assert [share["state"] for share in stranger.json("share", "list")] == ["revoked"]
        known = stranger.with_environment(PASSERELLE_SHELF_TOKEN=token)
        made = known.json("share", "create", "--patient", "Patient 1")
        assert len(observations(opened(made["url"]))) == 11


def test_a_port_in_use_is_said_in_one_sentence(passerelle: CommandLine) -> None:
    with passerelle.serving("--role", "shelf") as shelf:
        port = shelf.rsplit(":", 1)[1]
        ended = passerelle.run("serve", "--role", "shelf", "--port", port, status=1)
        assert port in ended.stderr
        assert "Traceback" not in ended.stderr


def test_nothing_that_is_printed_or_logged_holds_a_link_a_name_or_a_passcode(
    with_readings: CommandLine,
) -> None:
    with with_readings.serving("--role", "shelf") as shelf:
        gateway = with_readings.with_environment(PASSERELLE_SHELF_URL=shelf)
        made = gateway.json("share", "create", "--patient", "Patient 1", "--passcode", "--label", "Visit")
        opened(made["url"], "Dr. Test", made["passcode"])
        manifest = SealedLink.parse(made["url"]).manifest_url
        assert httpx.get(manifest).status_code in {404, 405}
        assert httpx.post(manifest, content=b"no json").status_code == 400
    logs = [with_readings.printed, *place_of(with_readings.home).folder.rglob("*.log")]
    written = b"".join(log.read_bytes() for log in logs)
    for secret in ("Patient 1", "Dr. Test", made["passcode"], manifest.rsplit("/", 1)[1], "shlink"):
        assert secret.encode() not in written

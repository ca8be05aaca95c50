"""`passerelle doctor`, as a person runs it: what is wrong, what to do, and a report without the person."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from device_profiles.reading import Device, DeviceIdentity, Kind
from gateway import sharing
from gateway.doctor import findings
from gateway.doctor.checks import Examined
from gateway.doctor.findings import Meaning
from gateway.doctor.report import PACKAGES, harmless, report
from gateway.files import read_generic
from gateway.home import Home
from gateway.importing import import_readings
from gateway.sealing import HomeSecret
from gateway.settings import Settings
from gateway.shelf_client import ShelfUnreachable
from storage import devices, patients, spaces
from tests import servers
from tests.journeys.conftest import CommandLine
from tests.journeys.test_radio import pair, virtual_meter

NAME, DEVICE, SERIAL = "Zephyrine Marquemal", "markmeter", "MARKSERIAL77"
ADDRESS, HOST, LABEL = "C0:DE:AD:BE:EF:77", "127.77.3.9", "for Doctor Marklabel"
VALUES = ("573", "31.8", "31,8")
TOKEN, PASSWORD, ACCOUNT = "marktoken-7f3a", "markpassword", "markaccount"
"""What a home and its surroundings hold of a person; each is unlike anything the program says by itself."""


def quiet(passerelle: CommandLine) -> CommandLine:
    """On a machine without a system bus: the Bluetooth of whoever runs the tests has no say."""
    nowhere = f"unix:path={passerelle.home.parent / 'no-bus'}"
    return passerelle.with_environment(DBUS_SYSTEM_BUS_ADDRESS=nowhere, HOME=str(passerelle.home.parent))


def found(passerelle: CommandLine, status: int) -> dict[str, dict[str, Any]]:
    """What the doctor found, by code."""
    return {each["code"]: each for each in passerelle.json("doctor", status=status)["checks"]}


def test_a_look_at_a_machine_without_a_home_makes_none_and_says_what_to_do(passerelle: CommandLine) -> None:
    path = passerelle.home.parent / "report.json"
    french = quiet(passerelle).with_environment(LANG="fr_FR.UTF-8", LC_ALL="fr_FR.UTF-8")
    said = french.run("doctor", "--report", str(path), status=1)
    assert "Passerelle ne démarre pas tout seul" in said.stdout
    assert "D-Bus" in said.stdout
    assert "Ne fonctionne pas : 1." in said.stdout
    assert str(path) in said.stderr
    assert not passerelle.home.exists()
    report_has_only_words_of_this_program(json.loads(path.read_bytes()))


def report_has_only_words_of_this_program(said: dict[str, Any]) -> None:
    codes = {each.code for each in vars(findings).values() if isinstance(each, Meaning)}
    told = [each for check in said["checks"] for each in check["found"]]
    assert {"program", "home-none", "disk", "radio-no-bus", "service-none"} <= {each["code"] for each in told}
    assert all(each.keys() == {"code", "state", "facts"} and each["code"] in codes for each in told)
    assert set(said["program"]["packages"]) <= set(PACKAGES)
    versions = {
        *said["program"]["packages"].values(),
        *(said["machine"][name] for name in ("kernel", "python")),
    }
    assert all(re.fullmatch(r"\d+(\.\d+){0,2}", version) for version in versions)


def test_a_paired_meter_is_in_order_until_its_bond_is_gone(passerelle: CommandLine) -> None:
    with virtual_meter(passerelle, "--generate", "2") as meter:
        gateway = quiet(passerelle).with_environment(PASSERELLE_BLE=meter.transport)
        pair(gateway, meter, "Patient 1")
        gateway.run("sync")
        said = found(gateway, status=0)
        assert {"radio-elsewhere", "bonds", "database", "sync", "shelf-silent", "waiting-none"} <= said.keys()
        assert said["database"]["facts"]["steps"] > 10
        (passerelle.home / "bonds.json").unlink()
        said = found(gateway, status=1)
        assert meter.name in said["bonds-gone"]["means"]
        assert "passerelle pair" in said["bonds-gone"]["then"]
    assert "radio-radio-unavailable" in found(gateway, status=1)


def test_a_damaged_home_never_ends_the_doctor(passerelle: CommandLine) -> None:
    passerelle = quiet(passerelle)
    passerelle.run("patients", "add", "Patient 1", "--timezone", "UTC")
    passerelle.home.chmod(0o755)
    (passerelle.home / "bonds.json").write_text("nothing of the kind")
    (passerelle.home / "installed.json").write_text("{")
    (passerelle.home / "secret").write_bytes(b"short")
    said = found(passerelle, status=1)
    assert {"home-open", "service-list-unreadable", "home-home-secret-unusable", "database"} <= said.keys()


@dataclass(frozen=True)
class Marks:
    """Everything that must not be in a report."""

    words: tuple[str, ...]

    def within(self, octets: bytes) -> list[str]:
        """The marks that are in these octets, as they are or wrapped in one of the usual ways."""
        unwrapped = "\n".join(layer.decode("utf-8", "replace") for layer in layers(octets)).casefold()
        return [word for word in self.words if word.casefold() in unwrapped]


def layers(octets: bytes, depth: int = 3) -> list[bytes]:
    """The octets, and what is within them in base64, in hexadecimal, or compressed."""
    inner: list[bytes] = []
    if depth:
        for coded in re.findall(rb"[A-Za-z0-9+/_-]{8,}={0,2}", octets):
            text = coded.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
            inner += [from_base64(text[skip:]) for skip in range(4)]
        inner += [bytes.fromhex(coded.decode()) for coded in re.findall(rb"(?:[0-9a-fA-F]{2}){4,}", octets)]
        for opened in (gzip.decompress, zlib.decompress):
            try:
                inner.append(opened(octets))
            except (OSError, zlib.error, EOFError):
                continue
    return [octets, *(layer for each in inner for layer in layers(each, depth - 1))]


def from_base64(text: bytes) -> bytes:
    return base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + b"=" * (-len(text) % 4))


def test_the_search_for_marks_sees_through_wrappings() -> None:
    marks = Marks((SERIAL,))
    for hidden in (
        base64.b64encode(b"x" + SERIAL.encode()),
        SERIAL.encode().hex().encode(),
        gzip.compress(json.dumps({"a": SERIAL}).encode()),
        base64.urlsafe_b64encode(zlib.compress(SERIAL.encode())),
        b'{"a": "' + SERIAL.lower().encode() + b'"}',
    ):
        assert marks.within(hidden) == [SERIAL]
    assert marks.within(b"nothing of it") == []


async def fill(home_folder: Path) -> list[str]:
    """A home with marks wherever a person leaves something; gives what else of it is a secret."""
    settings = Settings(home=home_folder, shelf_url=f"http://{HOST}:1")
    table = home_folder.parent / "table.csv"
    table.write_text("time,mg_dl\n2026-03-01T08:00:00,573\n2026-03-01T12:00:00,573\n")
    async with servers.database_of(home_folder) as database:
        home = Home(settings, database, HomeSecret.load(home_folder))
        await import_readings(database, NAME, "Europe/Paris", read_generic(table, Kind.BLOOD_GLUCOSE))
        async with database.writer() as conn:
            patient = await patients.find(conn, NAME)
            identity = DeviceIdentity("serial", f"Maker/Model/{SERIAL}")
            device = await devices.register(
                conn, patient.patient_id, Device(identity, "Maker", "Model", SERIAL)
            )
            await devices.heard(conn, device, ADDRESS, DEVICE)
            await devices.battery(conn, device, 7)
            await spaces.connect(
                conn,
                patient.patient_id,
                uuid4(),
                url=f"https://{HOST}/{ACCOUNT}",
                dialect="international",
                sealed_secret=home.secret.wrap(TOKEN.encode(), "space"),
                now=datetime.now(UTC),
            )
        with suppress(ShelfUnreachable):
            await sharing.create(home, NAME, label=LABEL)
    (home_folder / "shelf-token").write_text(TOKEN)
    (home_folder / "bonds.json").write_text(json.dumps({ADDRESS: {ADDRESS: {"ltk": {"value": TOKEN}}}}))
    return [str(patient.uuid), patient.uuid.hex, (home_folder / "secret").read_bytes().hex()]


async def test_a_report_has_nothing_of_the_person_in_it(passerelle: CommandLine) -> None:
    passerelle = quiet(passerelle)
    folder = passerelle.home.parent / NAME / "home"
    passerelle = CommandLine(folder, passerelle.environment).with_environment(
        PASSERELLE_HOME=str(folder),
        PASSERELLE_SHELF_TOKEN=TOKEN,
        PASSERELLE_BACKUP_PASSPHRASE=PASSWORD,
        PASSERELLE_SHELF_URL=f"http://{HOST}:1",
        PASSERELLE_BLE=f"bumble:tcp-client:127.0.0.1:1,{ADDRESS}",
        USER=ACCOUNT,
        LOGNAME=ACCOUNT,
        HOSTNAME=ACCOUNT,
    )
    folder.parent.mkdir()
    passerelle.run("patients", "add", NAME, "--timezone", "Europe/Paris")
    secrets = await fill(folder)
    path = passerelle.home.parent / "report.json"
    on_screen = passerelle.run("doctor", "--report", str(path), status=1).stdout
    assert DEVICE in on_screen
    assert str(folder) in on_screen
    written = path.read_bytes()
    marks = Marks(
        (
            *NAME.split(),
            DEVICE,
            SERIAL,
            ADDRESS,
            ADDRESS.replace(":", ""),
            HOST,
            LABEL,
            *VALUES,
            TOKEN,
            PASSWORD,
            ACCOUNT,
            str(folder.parent),
            *secrets,
            "Europe/Paris",
        )
    )
    assert marks.within(written) == []
    codes = {each["code"] for check in json.loads(written)["checks"] for each in check["found"]}
    assert {"bonds", "sync-battery", "sync-long-ago", "shelf-silent", "waiting", "database"} <= codes


def test_a_fact_that_is_no_number_and_no_word_of_ours_does_not_leave_the_machine() -> None:
    facts = {
        "a": NAME,
        "b": HOST,
        "c": "6.1.0",
        "d": 3,
        "e": ADDRESS,
        "f": "TimeoutError",
        "g": None,
    }
    kept = {"a": "?", "b": "?", "c": "6.1.0", "d": 3, "e": "?", "f": "TimeoutError", "g": None}
    assert harmless(facts) == kept
    shown = findings.Finding(findings.BOND_GONE, {"names": DEVICE}, {"gone": 1})
    assert DEVICE not in json.dumps(report([Examined("bonds", (shown,))]))

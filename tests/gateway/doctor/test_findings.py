"""What each look means to the person: every row of the table is French too, and every row can be found."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from device_profiles.reading import Device, DeviceIdentity
from gateway.ble.standing import Blocked, Service, Standing, blocked, standing_of
from gateway.doctor import findings, machine, radio, store
from gateway.doctor.findings import Finding, Meaning, State
from gateway.language import LOCALE
from gateway.settings import Settings
from storage.devices import StoredDevice

MEANINGS = [each for each in vars(findings).values() if isinstance(each, Meaning)]
NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def met(found: Sequence[Finding]) -> list[Meaning]:
    return [each.meaning for each in found]


def meter(**known: object) -> StoredDevice:
    device = Device(DeviceIdentity("serial", "one"), "Maker", "Model", "1")
    usual = {"last_synced_at": NOW, "radio_address": "C0:FF:EE:00:00:01", "radio_name": "meter+1"}
    return StoredDevice(1, 1, device, **{**usual, **known})  # type: ignore[arg-type]


def test_every_finding_has_its_french_and_a_name_of_its_own() -> None:
    with (LOCALE / "fr.po").open("rb") as file:
        french = read_po(file, locale="fr", charset="utf-8")
    sentences = {text for each in MEANINGS for text in (each.means, each.then) if text}
    assert {text for text in sentences if not (french.get(text) and french.get(text).string)} == set()
    assert [code for code, count in Counter(each.code for each in MEANINGS).items() if count > 1] == []


def test_what_does_not_work_says_what_to_do_next() -> None:
    assert [each.code for each in MEANINGS if each.state is not State.OK and not each.then] == []


@pytest.mark.parametrize(
    ("python", "missing", "meaning"),
    [
        ((3, 11, 2), [], findings.PROGRAM),
        ((3, 10, 9), [], findings.PROGRAM_OLD_PYTHON),
        ((3, 11, 2), ["bleak"], findings.PARTS_MISSING),
    ],
)
def test_the_program_and_its_parts(python: tuple[int, ...], missing: list[str], meaning: Meaning) -> None:
    assert met(machine.of_program(python, missing)) == [meaning]


def test_this_environment_has_every_part_of_the_program() -> None:
    assert machine.missing_parts() == []


@pytest.mark.parametrize(
    ("free", "meaning"),
    [(10 << 30, findings.DISK), (1 << 30, findings.DISK_LOW), (100 << 20, findings.DISK_FULL)],
)
def test_the_disk(free: int, meaning: Meaning) -> None:
    assert met(machine.of_disk(free)) == [meaning]


@pytest.mark.parametrize(
    ("now", "newest", "by_network", "meaning"),
    [
        (NOW, NOW - timedelta(days=1), True, findings.CLOCK),
        (NOW, None, None, findings.CLOCK_UNKNOWN),
        (NOW, None, False, findings.CLOCK_BY_HAND),
        (datetime(2015, 1, 1, tzinfo=UTC), None, True, findings.CLOCK_BEHIND),
        (NOW, NOW + timedelta(days=2), True, findings.CLOCK_SET_BACK),
        (NOW, NOW + timedelta(minutes=5), True, findings.CLOCK),
    ],
)
def test_the_clock_of_the_computer(
    now: datetime, newest: datetime | None, by_network: bool | None, meaning: Meaning
) -> None:
    assert met(machine.of_clock(now, newest and newest.timestamp(), by_network)) == [meaning]


def test_a_file_of_the_home_tells_that_the_clock_was_set_back(tmp_path: Path) -> None:
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "server.log").touch()
    later = NOW + timedelta(days=30)
    os.utime(tmp_path / "postgresql" / "server.log", (later.timestamp(), later.timestamp()))
    assert machine.newest(tmp_path) == later.timestamp()
    assert machine.newest(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("make", "meaning"),
    [
        (lambda home: None, findings.HOME),
        (lambda home: home.chmod(0o755), findings.HOME_OPEN),
        (
            lambda home: (home / "shelf-token").write_text("x") and (home / "secret").unlink(),
            findings.SECRET_MISSING,
        ),
        (lambda home: (home / "secret").chmod(0o644), findings.FILE_OPEN),
        (lambda home: (home / "secret").unlink() or home.rmdir(), findings.HOME_NONE),
    ],
    ids=["in-order", "open", "secret-missing", "secret-open", "none"],
)
async def test_the_home(tmp_path: Path, make, meaning: Meaning) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "secret").touch(mode=0o600)
    (home / "secret").chmod(0o600)
    make(home)
    assert meaning in met(await machine.home(Settings(home=home)))


async def test_a_home_of_another_user_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(home, 65534, 65534)
    assert met(await machine.home(Settings(home=home))) == [findings.HOME_OF_ANOTHER]


@pytest.mark.parametrize(
    ("seen", "kept_silent", "meaning"),
    [
        (Standing(Service.ANSWERS, 1, 1), Blocked(), findings.RADIO),
        (Standing(Service.NO_BUS), Blocked(), findings.RADIO_NO_BUS),
        (Standing(Service.NOT_RUNNING), Blocked(), findings.RADIO_NO_SERVICE),
        (Standing(Service.NOT_ALLOWED), Blocked(), findings.RADIO_NOT_ALLOWED),
        (Standing(Service.ANSWERS), Blocked(), findings.RADIO_NONE),
        (Standing(Service.ANSWERS, 1, 0), Blocked(), findings.RADIO_OFF),
        (Standing(Service.ANSWERS, 1, 0), Blocked(soft=True), findings.RADIO_BLOCKED),
        (Standing(Service.ANSWERS, 1, 0), Blocked(hard=True), findings.RADIO_BLOCKED_HARD),
    ],
)
def test_the_radio(seen: Standing, kept_silent: Blocked, meaning: Meaning) -> None:
    assert radio.of_standing(seen, kept_silent).meaning is meaning


def test_the_kernel_says_which_radio_it_keeps_silent(tmp_path: Path) -> None:
    for number, (kind, soft) in enumerate((("wlan", "1"), ("bluetooth", "0"))):
        switch = tmp_path / f"rfkill{number}"
        switch.mkdir()
        for name, word in (("type", kind), ("soft", soft), ("hard", "0")):
            (switch / name).write_text(f"{word}\n")
    assert blocked(tmp_path) == Blocked()
    (tmp_path / "rfkill1" / "soft").write_text("1\n")
    assert blocked(tmp_path) == Blocked(soft=True)
    assert blocked(tmp_path / "none") == Blocked()


@pytest.mark.parametrize(
    ("release", "warned"),
    [
        ("6.1.192", True),
        ("6.1.176", False),
        ("6.1.170", False),
        ("6.12.117", False),
        ("6.1.200", False),
        ("odd", False),
    ],
)
def test_the_kernel_that_stops_bluetooth_is_warned_of(release: str, warned: bool) -> None:
    assert bool(radio.of_kernel(release)) is warned


def test_bluez_says_what_is_on_and_what_is_paired() -> None:
    class Said:
        def __init__(self, value: object) -> None:
            self.value = value

    objects = {
        "/org/bluez/hci0": {"org.bluez.Adapter1": {"Powered": Said(True)}},
        "/org/bluez/hci1": {"org.bluez.Adapter1": {"Powered": Said(False)}},
        "/org/bluez/hci0/dev_1": {
            "org.bluez.Device1": {"Paired": Said(True), "Address": Said("C0:FF:EE:00:00:01")}
        },
        "/org/bluez/hci0/dev_2": {
            "org.bluez.Device1": {"Paired": Said(False), "Address": Said("C0:FF:EE:00:00:02")}
        },
    }
    assert standing_of(objects) == Standing(Service.ANSWERS, 2, 1, frozenset({"C0:FF:EE:00:00:01"}))


@pytest.mark.parametrize(
    ("known", "paired", "meaning"),
    [
        ([], frozenset(), findings.BONDS_NONE),
        ([meter()], None, findings.BONDS_UNKNOWN),
        ([meter()], frozenset({"c0:ff:ee:00:00:01/P"}), findings.BONDS),
        ([meter()], frozenset({"C0:FF:EE:00:00:02"}), findings.BOND_GONE),
    ],
)
def test_a_known_meter_whose_bond_is_gone_is_named(
    known: list[StoredDevice], paired: frozenset[str] | None, meaning: Meaning
) -> None:
    (found,) = radio.of_bonds(known, paired)
    assert found.meaning is meaning
    assert ("meter+1" in str(found.shown)) is (meaning is findings.BOND_GONE)


@pytest.mark.parametrize(
    "content", ['{"a": {"C0:FF:EE:00:00:01/P": {}}}', "{}", None, "[1]", "{", '{"a": 1}']
)
def test_the_file_of_bonds_is_read_or_said_to_be_broken(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "bonds.json"
    if content is not None:
        path.write_text(content)
    whole = content is None or (content.startswith("{") and content.endswith("}}}")) or content == "{}"
    if whole:
        expected = {
            peer.partition("/")[0] for peers in json.loads(content or "{}").values() for peer in peers
        }
        assert radio.of_bond_file(path) == expected
    else:
        with pytest.raises(ValueError):  # noqa: PT011 - which of its kinds says nothing
            radio.of_bond_file(path)


@pytest.mark.parametrize(
    ("known", "meanings"),
    [
        ([], []),
        ([meter()], [findings.SYNC]),
        ([meter(last_synced_at=NOW - timedelta(days=15))], [findings.SYNC_LONG_AGO]),
        ([meter(last_synced_at=None)], [findings.SYNC_LONG_AGO]),
        ([meter(battery_percent=15)], [findings.BATTERY_LOW]),
        ([meter(clock_error_seconds=-601, battery_percent=3)], [findings.BATTERY_LOW, findings.METER_CLOCK]),
    ],
)
def test_what_the_meters_said_when_they_were_last_read(
    known: list[StoredDevice], meanings: list[Meaning]
) -> None:
    assert met(store.of_syncs(known, NOW)) == meanings


@pytest.mark.parametrize(
    ("answers", "needed", "own", "meaning"),
    [
        (True, 3, True, findings.SHELF),
        (False, 0, True, findings.SHELF_NONE),
        (False, 1, True, findings.SHELF_SILENT),
        (False, 0, False, findings.SHELF_SILENT),
    ],
)
def test_the_shelf(answers: bool, needed: int, own: bool, meaning: Meaning) -> None:
    assert met(store.of_shelf(answers=answers, needed=needed, own=own)) == [meaning]

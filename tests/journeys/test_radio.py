"""A meter in one process, a gateway in another: found, paired, read, as on a desk."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.journeys.conftest import CAPTURE, CommandLine


@dataclass
class VirtualMeter:
    """`passerelle virtual-meter` in a process of its own."""

    process: subprocess.Popen[str]
    output: IO[str]
    transport: str
    name: str

    def shown(self) -> str:
        """The passkey that the meter shows next."""
        for line in self.output:
            if found := re.search(r"passkey (\d{6})", line):
                return found[1]
        raise AssertionError("the meter showed no passkey")


@contextmanager
def virtual_meter(passerelle: CommandLine, *arguments: str) -> Iterator[VirtualMeter]:
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "virtual-meter", *arguments],
        env=passerelle.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        name = transport = ""
        for line in process.stdout:
            name = found[1] if (found := re.search(r"named (.+) holds", line)) else name
            if found := re.search(r"PASSERELLE_BLE=(\S+)", line):
                transport = found[1]
                break
        yield VirtualMeter(process, process.stdout, transport, name)
    finally:
        process.terminate()
        process.wait(timeout=20)


def pair(passerelle: CommandLine, meter: VirtualMeter, patient: str) -> None:
    """Pair for somebody who is new here."""
    passerelle.run("patients", "add", patient, "--timezone", "UTC")
    pair_another(passerelle, meter, patient)


def pair_another(passerelle: CommandLine, meter: VirtualMeter, patient: str) -> None:
    """Pair as a person does: the meter shows a passkey, which is then typed."""
    pairing = subprocess.Popen(
        [sys.executable, "-m", "gateway", "pair", meter.name, "--patient", patient],
        env=passerelle.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = pairing.communicate(meter.shown() + "\n", timeout=60)
    assert pairing.returncode == 0, said


def test_a_meter_is_found_paired_and_read_once(passerelle: CommandLine) -> None:
    with virtual_meter(passerelle, "--generate", "40", "--profile", "accu-chek-guide") as meter:
        gateway = passerelle.with_environment(PASSERELLE_BLE=meter.transport)
        (heard,) = gateway.json("scan", "--seconds", "1")
        assert (heard["name"], heard["profile"]) == (meter.name, "accu-chek-guide")
        pair(gateway, meter, "Patient 1")
        assert gateway.json("sync") == {"stored": 40, "known": 0, "refused": [], "missing": 0}
        assert gateway.json("sync", meter.name) == {"stored": 0, "known": 0, "refused": [], "missing": 0}
        assert gateway.json("sync", "--full") == {"stored": 0, "known": 40, "refused": [], "missing": 0}
        (device,) = gateway.json("devices")
        assert (device["patient"], device["name"]) == ("Patient 1", meter.name)
        assert abs(device["clock_error_seconds"]) <= 2


def test_the_captured_records_come_from_a_meter_too(passerelle: CommandLine) -> None:
    with virtual_meter(passerelle, "--records", str(CAPTURE)) as meter:
        gateway = passerelle.with_environment(PASSERELLE_BLE=meter.transport)
        pair(gateway, meter, "Patient 1")
        assert gateway.json("sync")["stored"] == 11


def test_a_wrong_passkey_is_refused_and_the_right_one_works_afterwards(passerelle: CommandLine) -> None:
    with virtual_meter(passerelle, "--generate", "3") as meter:
        gateway = passerelle.with_environment(PASSERELLE_BLE=meter.transport)
        gateway.run("patients", "add", "Patient 1", "--timezone", "UTC")
        arguments = ("pair", meter.name, "--patient", "Patient 1", "--passkey")
        ended = gateway.run(*arguments, "000001", status=1)
        assert "passkey" in ended.stderr
        meter.shown()
        assert "six digits" in gateway.run(*arguments, "12 34 what", status=1).stderr
        pairing = subprocess.Popen(
            [sys.executable, "-m", "gateway", *arguments[:-1]],
            env=gateway.environment,
            stdin=subprocess.PIPE,
            text=True,
        )
        pairing.communicate(meter.shown() + "\n", timeout=60)
        assert pairing.returncode == 0
        assert gateway.json("sync")["stored"] == 3


def test_a_meter_that_is_somebody_elses_is_not_read_for_two(passerelle: CommandLine) -> None:
    with virtual_meter(passerelle, "--generate", "3") as meter:
        gateway = passerelle.with_environment(PASSERELLE_BLE=meter.transport)
        pair(gateway, meter, "Patient 1")
        gateway.run("patients", "add", "Patient 2", "--timezone", "UTC")
        ended = gateway.run("pair", meter.name, "--patient", "Patient 2", "--passkey", "000000", status=1)
        assert "somebody else" in ended.stderr
        assert gateway.json("sync")["stored"] == 3


def test_a_forgotten_device_is_not_read_and_its_readings_stay(passerelle: CommandLine) -> None:
    with virtual_meter(passerelle, "--generate", "3") as meter:
        gateway = passerelle.with_environment(PASSERELLE_BLE=meter.transport)
        pair(gateway, meter, "Patient 1")
        gateway.json("sync")
        gateway.run("devices", "forget", meter.name)
        assert gateway.json("devices") == []
        assert "passerelle pair" in gateway.run("sync", status=1).stderr
        exported = gateway.run("export", "--patient", "Patient 1", "--format", "csv").stdout
        assert len(exported.splitlines()) == 4


def test_without_a_meter_or_a_radio_one_sentence_says_what_to_do(passerelle: CommandLine) -> None:
    nowhere = passerelle.with_environment(PASSERELLE_BLE="bumble:tcp-client:127.0.0.1:9")
    assert "Bluetooth" in nowhere.run("scan", status=1).stderr
    assert "passerelle pair" in passerelle.run("sync", status=1).stderr


def test_a_second_user_of_the_radio_is_told_to_wait(passerelle: CommandLine) -> None:
    with virtual_meter(passerelle, "--generate", "3") as meter:
        gateway = passerelle.with_environment(PASSERELLE_BLE=meter.transport)
        gateway.run("patients", "list")
        listening = subprocess.Popen(
            [sys.executable, "-m", "gateway", "scan", "--seconds", "30"], env=gateway.environment
        )
        try:
            wait_until_held(gateway, listening.pid)
            ended = gateway.run("scan", status=1)
        finally:
            listening.terminate()
            listening.wait(timeout=20)
        assert "in use by another Passerelle" in ended.stderr


def wait_until_held(gateway: CommandLine, pid: int) -> None:
    """Wait until that process has the radio's lock open."""
    lock = str(gateway.home / "radio.lock")
    for _ in range(100_000):
        try:
            held = {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()}
        except FileNotFoundError:
            held = set()
        if lock in held:
            return
    raise AssertionError("the radio was never opened")

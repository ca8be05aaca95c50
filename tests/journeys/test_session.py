"""`passerelle install` on a real systemd user manager, in a session and a network of its own.

Where such a session cannot be had (no root, no systemd) the first of these tests is not there; the files
themselves are judged in `tests/gateway/install`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.journeys.conftest import ROOT, CommandLine

SCRIPT = Path(__file__).with_name("session.sh")
STEPS = """
import fcntl, json, socket, struct, subprocess, sys, time, urllib.request
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as loopback:
    fcntl.ioctl(loopback, 0x8914, struct.pack("16sh", b"lo", 0x1))  # SIOCSIFFLAGS, IFF_UP

def passerelle(*words):
    return json.loads(subprocess.run([sys.executable, "-m", "gateway", *words, "--json"],
        capture_output=True, text=True).stdout)

def systemctl(*words):
    return subprocess.run(["systemctl", "--user", *words], capture_output=True, text=True).stdout.strip()

def answers(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2).status == 200
    except OSError:
        return False

told = {"installed": passerelle("install")}
end = time.monotonic() + 60
while not answers(8421) and time.monotonic() < end:
    time.sleep(0.05)
told["serves"] = answers(8421)
told["active"], told["enabled"] = systemctl("is-active", UNIT), systemctl("is-enabled", UNIT)
told["doctor"] = [each["code"] for each in passerelle("doctor")["checks"] if each["check"] == "service"]
told["again"] = passerelle("install")
told["uninstalled"] = passerelle("uninstall")
told["afterwards"] = [systemctl("is-active", UNIT), answers(8421)]
print(json.dumps(told))
"""


def has_session() -> bool:
    """Whether this machine lets us have a session of our own."""
    needed = ("unshare", "systemctl", "/lib/systemd/systemd")
    if os.geteuid() != 0 or not all(shutil.which(name) for name in needed):
        return False
    probe = ["unshare", "-mn", "/bin/sh", str(SCRIPT), "true"]
    folder = Path("/tmp") / f"passerelle-session-{os.getpid()}"
    try:
        environment = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
        return not subprocess.run(
            probe, env=environment, capture_output=True, timeout=15, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_session(passerelle: CommandLine, person: Path) -> dict[str, Any]:
    steps = STEPS.replace("UNIT", repr("passerelle.service"))
    environment = passerelle.environment | {
        "HOME": str(person),
        "XDG_RUNTIME_DIR": str(passerelle.home.parent / "run"),
        "PYTHONPATH": str(ROOT),
    }
    for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "PASSERELLE_SHELF_URL"):
        environment.pop(name, None)
    ended = subprocess.run(
        ["unshare", "-mn", "/bin/sh", str(SCRIPT), sys.executable, "-c", steps],
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


if has_session():

    def test_it_starts_with_a_real_session_and_leaves_nothing_behind(passerelle: CommandLine) -> None:
        person = passerelle.home.parent / "person"
        person.mkdir()
        told = in_session(passerelle, person)
        assert set(told["installed"]["files"].values()) == {"written"}
        assert told["installed"]["failed"] == told["uninstalled"]["failed"] == []
        assert (told["active"], told["enabled"], told["serves"]) == ("active", "enabled", True)
        assert told["doctor"] == ["service"]
        assert set(told["again"]["files"].values()) == {"there"}
        assert "removed" in told["uninstalled"]["files"].values()
        assert "kept" not in told["uninstalled"]["files"].values()
        assert told["afterwards"][1] is False
        assert [path for path in person.rglob("*") if path.is_file() or path.is_symlink()] == []


def test_without_a_session_it_is_the_desktop_that_starts_it(passerelle: CommandLine) -> None:
    person = passerelle.home.parent / "person"
    alone = passerelle.with_environment(
        HOME=str(person), XDG_RUNTIME_DIR=str(person), XDG_CONFIG_HOME="", XDG_DATA_HOME=""
    )
    shown = alone.run("install", "--dry-run").stdout
    assert "X-GNOME" not in shown
    assert "passerelle-serve.desktop" in shown
    assert not person.exists()
    french = alone.with_environment(LANG="fr_FR.UTF-8", LC_ALL="fr_FR.UTF-8")
    assert "Passerelle est dans votre menu" in french.run("install").stdout
    assert (person / ".config" / "autostart" / "passerelle-serve.desktop").is_file()
    said = french.run("uninstall").stdout
    assert str(passerelle.home) in said
    assert "passerelle erase" in said
    assert not person.exists()
    assert passerelle.home.exists()

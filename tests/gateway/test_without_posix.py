"""What Windows lacks is not loaded there, and what cannot be done there yet is said in a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(home: Path, *arguments: str, language: str = "C.UTF-8") -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PASSERELLE_")}
    environment |= {"PASSERELLE_HOME": str(home), "PYTHONPATH": str(ROOT), "LC_ALL": language}
    return subprocess.run(
        [sys.executable, str(Path(__file__).with_name("without_posix.py")), *arguments],
        env=environment,
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_module_is_loaded_without_what_windows_lacks(tmp_path: Path) -> None:
    ended = run(tmp_path / "home", "modules")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == []


def test_the_missing_database_is_said_in_a_sentence_with_the_next_step(tmp_path: Path) -> None:
    ended = run(tmp_path / "home", "patients", "add", "Patient 1", language="fr_FR.UTF-8")
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        "Sous Windows, Passerelle ne sait pas encore garder les mesures tout seul."
    )


def test_the_doctor_says_so_too_and_looks_at_the_rest(tmp_path: Path) -> None:
    ended = run(tmp_path / "home", "doctor", "--json")
    assert ended.returncode == 1, ended.stderr
    codes = {each["code"] for each in json.loads(ended.stdout)["checks"]}
    assert {"program", "disk", "home-none", "database-not-on-windows-yet"} <= codes


def test_what_would_be_installed_is_shown(tmp_path: Path) -> None:
    shown = run(tmp_path / "home", "install", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "<LogonTrigger>" in shown.stdout
    assert "schtasks /Create" in shown.stdout

"""A maker's package, made by the program itself, built, installed in a fresh environment, and used."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.conftest import ROOT

ANSWERS = (
    "--service",
    "glucose",
    "--name-pattern",
    "ACME-####",
    "--manufacturer",
    "Acme",
    "--source",
    "its manual",
)
BROKEN = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "broken"
version = "1"
[project.entry-points."passerelle.profiles"]
broken = "broken_profile:PROFILE"
[tool.hatch.build.targets.wheel]
include = ["broken_profile.py"]
"""


def run(*command: str | Path, cwd: Path, python_path: str = "") -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment = kept | ({"PYTHONPATH": python_path} if python_path else {}) | {"LC_ALL": "C.UTF-8"}
    ended = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the maker's package and one that fails to import; the rest is lent."""
    folder = tmp_path_factory.mktemp("maker")
    source = str(ROOT)
    run(
        sys.executable,
        "-m",
        "gateway",
        "profiles",
        "new",
        "Acme One",
        *ANSWERS,
        "--package",
        cwd=folder,
        python_path=source,
    )
    broken = folder / "broken"
    broken.mkdir()
    (broken / "pyproject.toml").write_text(BROKEN)
    (broken / "broken_profile.py").write_text("\n1 / 0\n")
    environment = folder / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=folder)
    inside = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    lent = [*site.getsitepackages(), source]
    for project in (folder / "passerelle-acme-one", broken):
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=project)
    options = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    for wheel in folder.glob("*.whl"):
        run(sys.executable, "-m", "pip", "--python", inside, "install", *options, wheel, cwd=folder)
    (packages / "lent.pth").write_text("".join(f"{path}\n" for path in lent))
    return inside


def test_an_installed_profile_is_listed_and_one_that_fails_to_import_is_named(python: Path) -> None:
    listed = run(python, "-m", "gateway", "profiles", cwd=python.parent)
    assert "acme-one" in listed
    assert "glucose-meter" in listed
    assert "broken was left out: ZeroDivisionError: division by zero (broken_profile.py, line 2)" in listed


def test_an_installed_profile_passes_its_check_as_the_more_specific_one(python: Path) -> None:
    answered = run(python, "-m", "gateway", "profiles", "check", "acme-one", "--json", cwd=python.parent)
    (checked,) = json.loads(answered)
    assert checked["passed"]
    seen = {each["check"]: each["seen"] for each in checked["findings"]}
    assert "it says more of it than glucose-meter" in seen["recognised"]

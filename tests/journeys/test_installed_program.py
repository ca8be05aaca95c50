"""The built wheel, installed into an environment of its own: everything it needs is in it, and it works."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from storage.embedded import erase
from tests.journeys.conftest import ROOT, free_port, wait_for

PACKAGES = ("device_profiles", "fhir_mapping", "gateway", "storage")
KINDS = {
    "gateway/locale/*.po": 1,
    "gateway/web/viewer/*.js": 10,
    "gateway/web/app/templates/*.html": 10,
    "gateway/web/app/static/*": 3,
    "gateway/install/passerelle.*": 2,
    "gateway/demonstration/*": 3,
    "storage/queries/*.sql": 20,
    "storage/migrations/*/*.sql": 10,
    "device_profiles/devices/*.py": 1,
}
"""What the program reads beside its modules, and how many of each there are at the least."""


@dataclass(frozen=True)
class Built:
    """The two files of a release."""

    wheel: Path
    source: Path

    @property
    def in_wheel(self) -> set[str]:
        return set(zipfile.ZipFile(self.wheel).namelist())

    @property
    def in_source(self) -> set[str]:
        with tarfile.open(self.source) as archive:
            return {member.name.partition("/")[2] for member in archive.getmembers()}


@dataclass(frozen=True)
class Installed:
    """The program as `pipx install` leaves it: in an environment that knows nothing of this folder."""

    environment: Path
    home: Path

    @property
    def program(self) -> Path:
        return self.environment / "bin" / "passerelle"

    @property
    def variables(self) -> dict[str, str]:
        """A person's, with a home of its own and no way back to the sources."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PASSERELLE", "PYTHON"))
        }
        return kept | {"PASSERELLE_HOME": str(self.home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self.variables,
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=100,
            check=True,
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Built from a copy, without the network: what is only on this machine is not needed for it."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, source)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The wheel itself is installed; what it depends on is lent by the environment of these tests.

    A path in a `.pth` file lends packages and runs no `.pth` file of theirs, so not the one that leads to
    these sources.
    """
    environment = tmp_path_factory.mktemp("environment")
    _python(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    _install(python, built.wheel)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text("".join(f"{path}\n" for path in site.getsitepackages()))
    home = tmp_path_factory.mktemp("person") / "home"
    yield Installed(environment, home)
    erase(home)
    shutil.rmtree(environment)


def test_every_file_of_the_packages_is_in_the_wheel(built: Built) -> None:
    assert _files_of_packages() - built.in_wheel == set()


def test_every_file_of_the_packages_is_in_the_source_and_no_leftover(built: Built) -> None:
    assert (_files_of_packages() | {"README.md", "LICENSE", "pyproject.toml"}) - built.in_source == set()
    assert [name for name in built.in_source if "node_modules" in name or ".venv" in name] == []


@pytest.mark.parametrize(("pattern", "least"), KINDS.items())
def test_what_the_program_reads_beside_its_modules_is_in_the_wheel(
    built: Built, pattern: str, least: int
) -> None:
    assert sum(Path(name).match(pattern) for name in built.in_wheel) >= least


def test_the_wheel_of_the_source_is_the_wheel(built: Built, tmp_path: Path) -> None:
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--wheel-dir", tmp_path)
    _python(sys.executable, "-m", "pip", "wheel", *options, built.source)
    (wheel,) = tmp_path.glob("*.whl")
    assert set(zipfile.ZipFile(wheel).namelist()) == built.in_wheel


def test_the_installed_program_knows_its_version_and_nothing_of_the_sources(installed: Installed) -> None:
    assert installed.run(installed.program, "--version").stdout == f"passerelle {version('passerelle')}\n"
    where = installed.run(
        installed.environment / "bin" / "python", "-c", "import gateway; print(gateway.__file__)"
    )
    assert Path(where.stdout).is_relative_to(installed.environment)


def test_the_installed_program_goes_the_whole_way_of_a_measurement(installed: Installed) -> None:
    outcome = json.loads(installed.run(installed.program, "demo", "--once", "--json").stdout)
    assert outcome["stored"] == outcome["records_on_meter"] == outcome["observations_shared"] == 300
    assert outcome["stored_again"] == 0


def test_the_installed_program_serves_its_page(installed: Installed) -> None:
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [installed.program, "serve", "--role", "shelf", "--port", str(port)]
    serving = subprocess.Popen(
        command, env=installed.variables, cwd=installed.home.parent, stdout=subprocess.DEVNULL
    )
    try:
        wait_for(f"{address}/health", serving)
        for name in ("viewer.css", "icon.svg", "strings/fr.json"):
            with urllib.request.urlopen(f"{address}/view/{name}", timeout=5) as answer:
                assert len(answer.read()) > 100
    finally:
        serving.terminate()
        serving.wait(timeout=30)


def _install(python: Path, wheel: Path) -> None:
    options = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    _python(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel)


def _python(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=100)


def _files_of_packages() -> set[str]:
    """What a checkout holds of the packages: by the index of git or, in an unpacked source, by the disk."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30
        ).stdout
        return {name for name in listed.splitlines() if (ROOT / name).exists()}
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}

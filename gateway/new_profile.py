"""A new profile, written for a maker: the profile, its vectors, a test of it, or a whole package."""

from __future__ import annotations

import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device_profiles import catalogue
from device_profiles.errors import PasserelleError
from device_profiles.profile import DeviceProfile
from device_profiles.text import one_line
from gateway.conformance.on_the_air import records_of
from gateway.conformance.vectors import MADE_UP, Vector, arrived, entry_of

SERVICES: Final[Mapping[str, str]] = {
    "glucose": "glucose_meter",
    "glucose-sensor": "glucose_sensor",
    "blood-pressure": "blood_pressure_cuff",
    "weight": "weight_scale",
    "body-composition": "body_composition_scale",
    "temperature": "thermometer",
    "oximeter": "pulse_oximeter",
    "heart-rate": "heart_rate_sensor",
}
"""What a device measures, and the module whose profile it starts from."""
_LONGEST_NAME: Final = 20
"""Of what is advertised: more does not fit into an advertisement beside two services."""
_RESERVED: Final = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{name}{number}" for name in ("com", "lpt") for number in range(10)),
}


class ProfileExists(PasserelleError):
    """A file or a profile of this name is there already; nothing was written."""

    sentence = "{name} exists already; nothing was written. Choose another name or folder."


@dataclass(frozen=True, slots=True)
class Answers:
    """What a maker says of a device. `name_pattern`: # for a digit, * for anything; empty: any name."""

    title: str
    service: str
    name_pattern: str
    manufacturer: str
    source: str


def module_name(title: str) -> str:
    """A name of a module for any text: letters and digits of ASCII, no word of Python or of a system."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    name = "_".join(re.findall("[a-z0-9]+", plain))[:40].strip("_")
    taken = keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in sys.stdlib_module_names
    if not name or name[0].isdigit() or taken or name in _RESERVED:
        name = f"device_{name}".strip("_")
    return name


def write_profile(answers: Answers, folder: Path, *, package: bool) -> list[Path]:
    """Write the files; the first is the profile. Raises ProfileExists, OSError; nothing is overwritten."""
    module = module_name(answers.title)
    name = module.replace("_", "-")
    if any(profile.name == name for profile in catalogue.profiles()):
        raise ProfileExists(name=name)
    files = _files(answers, module)
    if package:
        files = _package(answers, module, files)
    for path in files:
        if (folder / path).exists():
            raise ProfileExists(name=Path(path).name)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("x", encoding="utf-8") as file:
            file.write(text)
    return [folder / path for path in files]


def _base(answers: Answers) -> DeviceProfile:
    return catalogue.by_name(SERVICES[answers.service].replace("_", "-"))


def _files(answers: Answers, module: str) -> dict[str, str]:
    return {
        f"{module}.py": _profile(answers, module),
        f"{module}.json": _vectors(answers),
        f"test_{module}.py": _test(module, f'Path(__file__).with_name("{module}.py")'),
    }


def _package(answers: Answers, module: str, files: Mapping[str, str]) -> dict[str, str]:
    root, package = f"passerelle-{module.replace('_', '-')}", f"passerelle_{module}"
    project = f"""[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{root}"
version = "0.1.0"
description = {_text("A device profile for Passerelle: " + one_line(answers.title, 80))}
requires-python = ">=3.11"
dependencies = ["passerelle"]

[project.entry-points."passerelle.profiles"]
{module.replace("_", "-")} = "{package}.{module}:PROFILE"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""
    place = f'Path(__file__).parents[1] / "{package}" / "{module}.py"'
    return {
        f"{root}/{package}/{module}.py": files[f"{module}.py"],
        f"{root}/{package}/{module}.json": files[f"{module}.json"],
        f"{root}/{package}/__init__.py": '"""A device profile for Passerelle."""\n',
        f"{root}/tests/test_{module}.py": _test(module, place),
        f"{root}/pyproject.toml": project,
    }


def _profile(answers: Answers, module: str) -> str:
    base = SERVICES[answers.service]
    pattern = one_line(answers.name_pattern, _LONGEST_NAME)
    names = f"names=({_text(_expression(pattern))},), " if pattern else ""
    maker = one_line(answers.manufacturer, 80)
    shown = pattern.replace("#", "0").replace("*", "")[:_LONGEST_NAME] or one_line(
        answers.title, _LONGEST_NAME
    )
    return f'''{_docstring(one_line(answers.title, 80))}

from device_profiles.devices import {base}
from device_profiles.profile import Match

PROFILE = {base}.PROFILE.but(
    name="{module.replace("_", "-")}",
    title={_text(one_line(answers.title, 80))},
    manufacturer={_text(maker) if maker else None},
    known_by="data sheet",
    source={_text(one_line(answers.source, 300))},
    match=Match({names}services={base}.PROFILE.match.services),
    virtual_name={_text(shown)},
)
'''


def _vectors(answers: Answers) -> str:
    profile = _base(answers)
    entries = []
    for record in records_of(profile, 3):
        characteristic = record.characteristic or profile.measurement
        values = (record.measurement, *record.following)
        vector = Vector(characteristic, values, MADE_UP, record.context, {}, (), None)
        entries.append(
            entry_of(characteristic, values, record.context, arrived(profile, vector).readings, MADE_UP)
        )
    return "[\n" + ",\n".join(f" {json.dumps(entry)}" for entry in entries) + "\n]\n"


def _test(module: str, place: str) -> str:
    return f'''"""What `passerelle profiles check` proves of {module.replace("_", "-")}."""

from pathlib import Path

from gateway.conformance import check_file


def test_nothing_is_wrong_with_the_profile() -> None:
    assert check_file({place}) == ()
'''


def _expression(pattern: str) -> str:
    forms = {"#": r"\d", "*": ".*"}
    return "".join(forms.get(letter, re.escape(letter)) for letter in pattern)


def _text(text: str) -> str:
    """Python and TOML for a text, in double quotes; what prints stays."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _docstring(text: str) -> str:
    return '"""' + text.replace("\\", "\\\\").replace('"', "'") + '."""'

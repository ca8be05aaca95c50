"""Whatever a person reads at the terminal is in the catalogue: a sentence without French is an error here."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import device_profiles
import fhir_mapping
import gateway
import storage
from device_profiles.errors import PasserelleError
from gateway.commands.readings import FIGURES
from gateway.language import language_of, languages, translate
from gateway.terminal import UNEXPECTED
from storage.shelf import Outcome

ROOT = Path(__file__).parents[2]
SPOKEN = {"say", "note", "step", "tr", "progress", "narrate"}


def _sentences_of_errors() -> set[str]:
    for package in (device_profiles, fhir_mapping, gateway, storage):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found: set[str] = set()
    classes = [PasserelleError]
    while classes:
        kind = classes.pop()
        found.add(kind.sentence)
        classes += kind.__subclasses__()
    return found


def _spoken_sentences() -> set[str]:
    """The literal first arguments of what speaks at the terminal."""
    found: set[str] = set()
    for file in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = (
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                )
                if name in SPOKEN and isinstance(node.args[0].value, str):
                    found.add(node.args[0].value)
    return found


def _reasons_of_lines() -> set[str]:
    tree = ast.parse((ROOT / "gateway" / "files.py").read_text())
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "ValueError"
        and isinstance(node.args[0], ast.Constant)
    }


SAID_BY_NAME = {
    *("open", "waiting", "revoked", "expired"),
    *(outcome.name.lower().replace("_", "-") for outcome in Outcome),
    *(f"no glucose value in {unit} is so small or so large" for unit in ("mg/dL", "mmol/L")),
    *FIGURES,
    UNEXPECTED,
}
"""What is said through a variable."""

ALL = sorted(SAID_BY_NAME | _sentences_of_errors() | _spoken_sentences() | _reasons_of_lines())


@pytest.mark.parametrize("language", [one for one in languages() if one != "en"])
@pytest.mark.parametrize("sentence", ALL)
def test_every_sentence_is_translated_with_its_fields(sentence: str, language: str) -> None:
    translated = translate(sentence, language)
    assert translated != sentence
    assert set(re.findall(r"{(\w+)}", translated)) == set(re.findall(r"{(\w+)}", sentence))


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LC_MESSAGES": "fr_CA"}, "fr"),
        ({"LANG": "ja_JP.UTF-8"}, "en"),
    ],
)
def test_the_language_is_the_one_the_locale_asks_for(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language

"""One catalogue for what people read: every sentence has its French, and the French fits its English."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from typer.main import get_command

import device_profiles
import fhir_mapping
import gateway
import storage
from device_profiles import catalogue
from device_profiles.errors import PasserelleError
from gateway import usage
from gateway.api import auth, fhir, problems, shelf, uploads
from gateway.cli import app
from gateway.commands import audit, space
from gateway.commands.erasing import COUNTS
from gateway.commands.erasing import REASONS as ERASED_SINCE
from gateway.commands.reporting import EPISODES, FIGURES, RANGES, RANGES_IN_PREGNANCY
from gateway.file_errors import OTHER, REASONS
from gateway.language import LOCALE, accepted_language, language_of, translate, viewer_strings
from gateway.outbox.plan import REASONS as SET_ASIDE
from gateway.terminal import UNEXPECTED
from gateway.web import app as page
from gateway.web.viewer import FOLDER
from storage.shelf import Outcome

PAGE = Path(page.__file__).parent
FIELD = re.compile(r"\{\w*\}")
SAYING = dict.fromkeys(("tr", "say", "note", "step", "progress", "narrate", "translate", "BadParameter"))
SAID_BY_NAME = {
    *("open", "waiting", "revoked", "expired"),
    *(outcome.name.lower().replace("_", "-") for outcome in Outcome),
    *(f"no glucose value in {unit} is so small or so large" for unit in ("mg/dL", "mmol/L")),
    *FIGURES,
    *EPISODES.values(),
    *RANGES,
    *RANGES_IN_PREGNANCY,
    *COUNTS.values(),
    *ERASED_SINCE.values(),
    *(profile.title for profile in catalogue.BUILT_IN if profile.manufacturer is None),
    *("GB", "MB", "kB"),
    *audit.REASONS.values(),
    *space.CONDITIONS.values(),
    space.UNEXPLAINED,
    *SET_ASIDE,
    *("erased", "{count} readings: {kinds}", "devices: {count}", "who the person is"),
    *REASONS.values(),
    *(sentence for _, sentence in usage.SENTENCES + usage.REASONS),
    *usage.PANELS.values(),
    OTHER,
    UNEXPECTED,
}
"""What the command line says through a variable."""


@pytest.fixture(scope="module")
def french() -> Catalog:
    with (LOCALE / "fr.po").open("rb") as file:
        return read_po(file, locale="fr", charset="utf-8")


def errors() -> Iterator[type[PasserelleError]]:
    """Every error that a command may end with."""
    for package in (device_profiles, storage, fhir_mapping, gateway):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found = [PasserelleError]
    for error in found:
        found += error.__subclasses__()
    return iter(found)


def said(folder: Path, kind: str, pattern: str, keywords: dict[str, tuple[int, ...] | None]) -> set[str]:
    """What the source of a folder says through the catalogue, by its English; of a count, the singular."""
    messages = set()
    for path in folder.rglob(pattern):
        with path.open("rb") as file:
            for _, message, _, _ in extract(kind, file, keywords=keywords):
                messages.add(message if isinstance(message, str) else message[0])
    return messages


def test_every_error_has_its_french(french: Catalog) -> None:
    sentences = {error.sentence for error in errors()}
    assert {sentence for sentence in sentences if not _translated(french, sentence)} == set()


def test_every_sentence_of_the_command_line_has_its_french(french: Catalog) -> None:
    sentences = said(Path(gateway.__file__).parent, "python", "*.py", SAYING)
    assert {sentence for sentence in sentences if not _translated(french, sentence)} == set()


def test_what_is_said_by_name_has_its_french(french: Catalog) -> None:
    assert {sentence for sentence in SAID_BY_NAME if not _translated(french, sentence)} == set()


def test_every_text_of_help_has_its_french(french: Catalog) -> None:
    texts = {text for _, text in usage.texts(get_command(app))}
    assert len(texts) > 50
    assert {text for text in texts if not _translated(french, text)} == set()


def test_every_reason_to_refuse_a_line_has_its_french(french: Catalog) -> None:
    sentences = said(Path(gateway.__file__).parent, "python", "files.py", {"ValueError": None})
    assert len(sentences) >= 5
    assert {sentence for sentence in sentences if not _translated(french, sentence)} == set()


def test_every_problem_over_http_has_its_french(french: Catalog) -> None:
    sentences = [
        text
        for module in (problems, shelf, uploads, auth, fhir)
        for name, text in vars(module).items()
        if name.isupper() and isinstance(text, str) and text.endswith(".")
    ]
    assert len(sentences) >= 7
    assert [sentence for sentence in sentences if not _translated(french, sentence)] == []


def test_the_catalogue_holds_what_the_viewer_says_and_nothing_else() -> None:
    sentences = said(FOLDER, "javascript", "*.js", {"t": None, "tn": (1, 2)})
    assert viewer_strings("fr").keys() == sentences


def test_the_catalogue_holds_what_the_page_of_a_person_says_and_nothing_else(french: Catalog) -> None:
    counted = {"t": None, "tn": (1, 2)}
    sentences = said(PAGE, "python", "*.py", counted) | said(PAGE / "templates", "jinja2", "*.html", counted)
    kept = {_english(message) for message in french if message.context == "page" and message.string}
    assert {sentence for sentence in sentences - kept if not _translated(french, sentence)} == set()
    assert kept - sentences == set()


def test_a_translation_has_the_fields_of_its_english(french: Catalog) -> None:
    wrong = [message.id for message in french if message.id and not _same_fields(message)]
    assert wrong == []


def test_the_noscript_text_is_there_in_both_languages() -> None:
    page = (FOLDER / "index.html").read_text()
    assert "JavaScript" in page.partition('lang="fr"')[0]
    assert "JavaScript" in page.partition('lang="fr"')[2]


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr_CA"}, "fr"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_US", "LC_MESSAGES": "fr_FR"}, "fr"),
        ({"LANG": "fr_FR", "LC_ALL": "C"}, "en"),
        ({"LANG": "fr_FR", "LC_ALL": ""}, "fr"),
        ({}, "en"),
    ],
)
def test_the_environment_chooses_the_language(environ: dict[str, str], language: str) -> None:
    assert language_of(environ) == language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("en;q=0.5, fr;q=0.6", "fr"),
        ("de, fr;q=0.5, en;q=0.4", "fr"),
        ("de", "en"),
        ("", "en"),
        ("fr;q=nonsense", "en"),
    ],
)
def test_a_request_chooses_the_language(header: str, language: str) -> None:
    assert accepted_language(header) == language


def test_what_the_catalogue_lacks_is_said_in_english() -> None:
    assert translate("Never written down.", "fr") == "Never written down."
    assert translate(PasserelleError.sentence, "fr") != PasserelleError.sentence
    assert translate(PasserelleError.sentence, "en") == PasserelleError.sentence


def _translated(french: Catalog, sentence: str) -> bool:
    found = french.get(sentence)
    return found is not None and bool(found.string)


def _english(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _same_fields(message: Message) -> bool:
    english = message.id[1] if isinstance(message.id, tuple) else str(message.id)
    forms = [message.string] if isinstance(message.string, str) else list(message.string or ())
    return all(set(FIELD.findall(str(form))) == set(FIELD.findall(english)) for form in forms)

"""Wrong use of the command line is told in one sentence, in the person's language."""

from __future__ import annotations

import pytest

from gateway import usage
from gateway.cli import app


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of these arguments, which are wrong."""
    with pytest.raises(SystemExit) as ended:
        usage.run(app, arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sync", "--frob"], "There is no --frob here."),
        (["frob"], "There is no command frob here."),
        (["share", "frob"], "There is no command frob here."),
        (["import"], "FILE.csv is missing."),
        (["report"], "--patient is missing."),
        (["sync", "one", "two"], "two is too much here."),
        (["export", "--patient"], "--patient needs a value."),
        (["sync", "--json=yes"], "--json takes no value."),
        (["report", "--patient", "a", "--days", "x"], "--days cannot be used so: a whole number is needed."),
        (["report", "--patient", "a", "--days", "0"], "--days cannot be used so: at least 1 is needed."),
        (
            ["report", "--patient", "a", "--days", "9999"],
            "--days cannot be used so: at most 3660 is possible.",
        ),
        (["scan", "--seconds", "x"], "--seconds cannot be used so: a number is needed."),
        (
            ["report", "--patient", "a", "--from", "3"],
            "--from cannot be used so: a date such as 2026-03-31 is needed.",
        ),
        (
            ["export", "--patient", "a", "--format", "x"],
            "--format cannot be used so: it is one of 'fhir', 'csv'.",
        ),
        (
            ["report", "--patient", "a", "--from", "2026-01-01"],
            "--from cannot be used so: --from and --to go together.",
        ),
    ],
)
def test_wrong_use_is_one_sentence(
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert told(arguments, capsys).splitlines()[0] == sentence


def test_a_misspelt_option_is_named_with_the_nearest_and_the_way_to_the_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    assert told(["sync", "--jso"], capsys).splitlines() == [
        "Il n’y a pas de --jso ici.",
        "Vouliez-vous dire --json\u202f?",
        "Mode d’emploi\u00a0: passerelle sync --help",
    ]


def test_what_the_parser_says_in_words_we_do_not_know_is_said_as_it_is() -> None:
    assert usage.sentence_of("Something new.") == ("{said}", {"said": "Something new."})

"""What the environment sets: used as meant, or refused in words that repeat no secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway import settings
from gateway.serve import address_of
from gateway.settings import SettingUnusable


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PASSERELLE_"):
            monkeypatch.delenv(name)


def test_an_empty_variable_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    default = settings.load()
    monkeypatch.setenv("PASSERELLE_HOME", "")
    monkeypatch.setenv("PASSERELLE_SHELF_URL", "")
    assert settings.load() == default


def test_a_home_is_a_whole_path_wherever_it_is_asked_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERELLE_HOME", "here")
    assert settings.load().home == Path.cwd() / "here"


def test_a_web_address_loses_the_slash_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSERELLE_SHELF_URL", "https://shelf.example/")
    monkeypatch.setenv("PASSERELLE_PUBLIC_URL", "https://shelf.example/passerelle/")
    loaded = settings.load()
    assert (loaded.shelf_url, loaded.public_url) == (
        "https://shelf.example",
        "https://shelf.example/passerelle",
    )


@pytest.mark.parametrize("variable", ["PASSERELLE_SHELF_URL", "PASSERELLE_PUBLIC_URL"])
def test_what_is_no_web_address_is_refused_without_repeating_it(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "user:secret@nowhere")
    with pytest.raises(SettingUnusable) as refused:
        settings.load()
    assert variable in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("localhost", "http://localhost:80"),
        ("::1", "http://[::1]:80"),
        ("0.0.0.0", None),
        ("::", None),
    ],
)
def test_where_a_server_is_reached_that_listens_there(host: str, address: str | None) -> None:
    assert address_of(host, 80) == address

"""A link that carries an access and no readings says so, in words, and is never called unreadable."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from gateway.sealing import SMART_API_ACCESS, seal
from tests.gateway.api.serving import RunningShelf, share
from tests.gateway.web.conftest import Visit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("language", "title", "words"),
    [
        ("en", "This link is for software", "can read what it gives"),
        ("fr", "Ce lien est pour un logiciel", "peut lire ce qu’il donne"),
    ],
)
def test_a_link_for_software_says_what_it_is(
    shelf: RunningShelf, visit: Callable[..., Visit], language: str, title: str, words: str
) -> None:
    shared = share(shelf, b"{}")
    access = json.dumps({"access_token": "a", "token_type": "Bearer", "aud": "https://space.example/fhir"})
    sealed = seal(access.encode(), shared.link.key, SMART_API_ACCESS)
    shared.call(
        lambda client: client.put(
            shared.link_hash,
            [sealed],
            content_type=SMART_API_ACCESS,
            flags=shared.link.flags,
            expires_at=shared.link.expires_at,
        )
    )
    page = visit(shared.url, locale=language).page
    page.get_by_label("Your name" if language == "en" else "Votre nom").fill("A clinic")
    page.get_by_role("button", name="Open" if language == "en" else "Ouvrir").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.get_by_role("alert")).to_contain_text(words)

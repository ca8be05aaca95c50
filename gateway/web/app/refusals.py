"""What a form says when it cannot be done: one sentence in the person's language, beside what was typed."""

from __future__ import annotations

from device_profiles.errors import PasserelleError
from gateway.language import translate
from gateway.web.app.pages import Page


def refusal(page: Page, error: PasserelleError) -> str:
    """The sentence of an error."""
    return translate(error.sentence, page.language).format(**error.details)

"""Where the system asks by itself, there are words for what the person sees, in both languages."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from gateway.ble.errors import RadioAbsent, RadioNotAllowed
from gateway.ble.radio import Radio
from gateway.doctor.findings import of_error
from gateway.doctor.radio import _with_place
from gateway.language import translate
from gateway.platform_words import WORDS, of_system


def test_every_word_of_every_system_has_its_french() -> None:
    sentences = [sentence for words in WORDS.values() for sentence in astuple(words)]
    assert [sentence for sentence in sentences if translate(sentence, "fr") == sentence] == []


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_there_are_words_exactly_where_the_radio_does_not_ask_by_itself(
    monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert (of_system(platform) is None) is Radio(None).asks_for_passkey


def test_a_refusal_of_the_system_says_where_it_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.doctor.radio.of_system", lambda: WORDS["darwin"])
    refused, absent = RadioNotAllowed(), RadioAbsent()
    assert _with_place(of_error("radio", refused), refused).meaning.then == WORDS["darwin"].allow
    assert _with_place(of_error("radio", absent), absent).meaning.then == ""

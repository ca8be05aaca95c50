"""`passerelle profiles`: what is known of which device, and how well, in words and as JSON."""

from __future__ import annotations

import json

import pytest

from device_profiles import catalogue
from gateway.commands import profiles


def test_every_profile_is_listed_with_how_it_is_known_and_what_it_gives(
    capsys: pytest.CaptureFixture[str],
) -> None:
    profiles.list_all()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [each.name for each in catalogue.profiles()]
    assert all(each.kinds for each in catalogue.profiles())


def test_words_choose_and_the_json_names_the_source(capsys: pytest.CaptureFixture[str]) -> None:
    profiles.list_all(["ROCHE", "captured"], as_json=True)
    (guide,) = json.loads(capsys.readouterr().out)
    assert (guide["name"], guide["known_by"]) == ("accu-chek-guide", "captured")
    assert "btsnoop_hci.log" in guide["source"]


def test_one_that_is_not_known_ends_with_the_names_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        profiles.show("acme-two")
    assert ended.value.code == 2
    assert "blood-pressure-cuff" in capsys.readouterr().err
    profiles.show("glucose-sensor")
    assert "interstitial-glucose" in capsys.readouterr().out

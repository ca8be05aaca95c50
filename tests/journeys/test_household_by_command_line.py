"""A household at a terminal: how each reads, who acts for whom, and whose a reading is."""

from __future__ import annotations

from tests.journeys.conftest import CommandLine


def test_what_a_doctor_aims_at_is_kept_and_taken_back(passerelle: CommandLine) -> None:
    passerelle.run("patients", "add", "Eva")
    passerelle.run("patients", "settings", "Eva", "--unit", "g/L", "--situation", "older", "--high", "1.6")
    known = passerelle.json("patients", "settings", "Eva")
    assert (known["unit"], known["situation"], known["targets_in"]) == ("g/L", "older", "mg/dL")
    assert (known["low"], known["high"]) == (None, "160")
    passerelle.run("patients", "settings", "Eva", "--high", "")
    assert passerelle.json("patients", "settings", "Eva")["high"] is None
    refused = passerelle.run("patients", "settings", "Eva", "--high", "high", status=1)
    assert "A target is a number" in refused.stderr


def test_a_child_is_acted_for_until_they_act_for_themselves(passerelle: CommandLine) -> None:
    for name in ("Eva", "Lou"):
        passerelle.run("patients", "add", name)
    assert passerelle.json("patients", "guardian", "Lou", "--add", "Eva") == {"guardians": ["Eva"]}
    assert "Eva acts for Lou" in passerelle.run("patients", "guardian", "Lou").stdout
    assert passerelle.json("patients", "guardian", "Lou", "--end") == {"guardians": []}
    assert passerelle.json("patients", "questions") == []

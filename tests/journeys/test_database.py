"""Who runs a server: what is there, what is missing, and the next step."""

from __future__ import annotations

from tests.journeys.conftest import CommandLine


def test_an_operator_is_told_the_next_step_until_nothing_has_to_be_done(passerelle: CommandLine) -> None:
    before = passerelle.run("database", "check", status=1)
    assert "passerelle database migrate" in before.stdout
    done = passerelle.json("database", "migrate")
    assert "base/0001_people_and_devices.sql" in done["space"]
    french = passerelle.with_environment(LANG="fr_FR.UTF-8", LC_ALL="fr_FR.UTF-8")
    assert "Elle est à jour : il n’y avait rien à faire." in french.run("database", "migrate").stdout
    after = passerelle.json("database", "check")
    assert after["must"] == []
    assert after["space"]["pending"] == []
    assert after["holdings"]["patients"] == 0
    assert "Nothing has to be done." in passerelle.run("database", "check").stdout

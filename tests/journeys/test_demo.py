"""The demo is what it says, and leaves nothing behind."""

from __future__ import annotations

from tests.journeys.conftest import CommandLine


def test_the_demo_goes_the_whole_way_and_removes_itself(passerelle: CommandLine) -> None:
    outcome = passerelle.json("demo", "--once")
    assert outcome["records_on_meter"] == outcome["stored"] == outcome["observations_shared"] == 300
    assert outcome["stored_again"] == 0
    assert "#shlink:/" in outcome["share_url"]
    assert set(outcome["seconds"]) == {"setup", "scan", "pair", "read", "store", "share", "fetch"}
    assert list(passerelle.home.iterdir()) == []


def test_the_demo_leaves_a_persons_own_readings_alone(passerelle: CommandLine) -> None:
    passerelle.run("patients", "add", "Patient 1", "--timezone", "UTC")
    passerelle.json("demo", "--once")
    assert [patient["name"] for patient in passerelle.json("patients")] == ["Patient 1"]


def test_the_demo_says_nothing_of_how_it_ends(passerelle: CommandLine) -> None:
    told = passerelle.run("demo", "--once", "--json")
    assert all(line.startswith("✓ ") for line in told.stderr.splitlines())


def test_the_demo_needs_no_database_that_is_set_for_a_person(passerelle: CommandLine) -> None:
    set_elsewhere = passerelle.with_environment(
        PASSERELLE_DATABASE="postgresql://nobody@127.0.0.1:9/none",
        PASSERELLE_DATABASE_WRITER="postgresql://nobody@127.0.0.1:9/none",
        PASSERELLE_DATABASE_SHELF="postgresql://nobody@127.0.0.1:9/none",
        PASSERELLE_SHELF_TOKEN="of another shelf",
        PASSERELLE_PUBLIC_URL="https://shelf.example",
    )
    assert set_elsewhere.json("demo", "--once")["observations_shared"] == 300


def test_the_demo_speaks_french(passerelle: CommandLine) -> None:
    told = passerelle.with_environment(LC_ALL="fr_FR.UTF-8").run("demo", "--once")
    assert "Ouvrez ce lien" in told.stdout
    assert "Le lecteur affiche le code" in told.stderr

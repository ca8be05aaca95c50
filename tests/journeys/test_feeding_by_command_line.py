from __future__ import annotations

from pathlib import Path

from tests.gateway.outbox.hostile import HostileSpace
from tests.journeys.conftest import CommandLine


def test_the_command_line_connects_feeds_tells_and_disconnects(
    passerelle: CommandLine, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    server = HostileSpace(refuses=lambda resource: resource["valueQuantity"]["value"] == 101)
    with server.in_a_thread():
        passerelle.run("patients", "add", "Ada", "--timezone", "Europe/Paris")
        wanted = ("space", "connect", server.url, "--patient", "Ada")
        by_client = ("--token-url", f"http://127.0.0.1:{server.port}/token", "--client-id", "g")
        assert "--token" in passerelle.run(*wanted, status=2).stderr
        assert "--token" in passerelle.run(*wanted, "--code", "x", "--token", "y", status=2).stderr
        file = ("--client-secret-file", str(secret))
        assert "secret" in passerelle.run(*wanted, *by_client, *file, status=1).stderr
        secret.write_text("s3cret\n")
        weeks = tmp_path / "week.csv"
        weeks.write_text("time,mg_dl\n2026-03-02T08:00:00,100\n2026-03-02T08:05:00,101\n")
        passerelle.run("import", str(weeks), "--patient", "Ada", "--timezone", "Europe/Paris")
        assert passerelle.json(*wanted, *by_client, *file)["waiting"] == 2
        assert passerelle.json("space", "feed") == {"told": 1, "waiting": 0, "refused": 1}
        french = passerelle.with_environment(LC_ALL="fr_FR.UTF-8").run("space", "status").stdout
        assert "à jour" in french
        assert "This value is not possible" in french
        server.refuses = lambda _: False
        assert passerelle.json("space", "feed", "--retry-refused")["told"] == 1
        (said,) = passerelle.json("space", "status", "--patient", "Ada")
        assert (said["told"], said["refused"], said["state"]) == (2, 0, "current")
        assert "s3cret" not in passerelle.run("space", "status").stdout
        passerelle.run("space", "disconnect", server.url, "--patient", "Ada")
        assert passerelle.json("space", "status")[0]["state"] == "disconnected"
    assert len(server.observations()) == 2

"""Who runs a space: tenants, codes, HTTPS, a gateway turned away; by the real command line."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.journeys.conftest import CommandLine, free_port


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@contextmanager
def served(passerelle: CommandLine, *options: str) -> Iterator[str]:
    """A space, until the block ends; its port and what follows are in its address."""
    port = free_port()
    command = [sys.executable, "-m", "gateway", "serve", "--role", "space", "--port", str(port), *options]
    process = subprocess.Popen(
        command,
        env=passerelle.environment,
        cwd=passerelle.home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert str(port) in said, said
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def test_a_gateway_comes_in_over_https_and_is_turned_away(passerelle: CommandLine, tmp_path: Path) -> None:
    sql = "L'Hôpital; DROP TABLE passerelle.tenant; --"
    passerelle.json("tenants", "add", sql, "--patients", "2", "--readings", "100")
    code = passerelle.json("tenants", "code", sql, "--days", "1")
    assert code["tenant"] == sql
    chain, key = certificate(tmp_path)
    trusted = ssl.create_default_context(cafile=str(chain))
    with (
        served(passerelle, "--certificate", str(chain), "--key", str(key)) as address,
        httpx.Client(base_url=f"https://{address}", verify=trusted) as client,
    ):
        assert "max-age" in client.get("/health").headers["strict-transport-security"]
        asked = {"code": code["code"], "name": "a laptop", "software": "passerelle"}
        told = client.post("/gateways", json=asked).json()
        assert told["fhir_base"] == f"https://{address}/fhir"
        form = {"grant_type": "client_credentials"}
        basic = (told["client_id"], told["client_secret"])
        token = client.post("/token", data=form, auth=basic).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
        empty = b'{"resourceType":"Bundle","type":"transaction"}'
        assert client.post("/fhir", content=empty, headers=headers).status_code == 200
        passerelle.json("gateways", "revoke", told["client_id"])
        assert client.post("/fhir", content=empty, headers=headers).status_code == 401
        (listed,) = passerelle.json("gateways", "list")
        assert (listed["id"], listed["tenant"], listed["name"]) == (told["client_id"], sql, "a laptop")
        assert listed["revoked_at"]
        assert "tenants list" in passerelle.run("tenants", "code", "nobody", status=1).stderr
        assert [tenant["most_readings"] for tenant in passerelle.json("tenants", "list")] == [100]


def test_a_space_is_reached_in_clear_from_this_machine_only(passerelle: CommandLine, tmp_path: Path) -> None:
    serve = (
        "serve",
        "--role",
        "space",
        "--host",
        "0.0.0.0",
        "--port",
        str(free_port()),
    )
    assert "HTTPS" in passerelle.run(*serve, status=1).stderr
    (tmp_path / "other").mkdir()
    (chain, _), (_, key) = certificate(tmp_path), certificate(tmp_path / "other")
    mixed = passerelle.run(*serve, "--certificate", str(chain), "--key", str(key), status=1)
    assert "PEM" in mixed.stderr
    behind = passerelle.with_environment(PASSERELLE_PUBLIC_URL="http://space.example")
    assert "HTTPS" in behind.run(*serve, status=1).stderr
    for wrong in (("--key", str(chain)), ("--role", "shelf"), ("--role", "nonsense")):
        passerelle.run(*serve, *wrong, status=2)


def test_what_is_no_uuid_is_wrong_use(passerelle: CommandLine) -> None:
    passerelle.run("gateways", "revoke", "x' OR 1=1", status=2)
    passerelle.run("tenants", "code", "--patient", "nobody", status=2)

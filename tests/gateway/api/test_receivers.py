"""Receivers that were not written by us read our links."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.api.serving import RunningShelf, share

NODE = Path(__file__).parents[2] / "node"

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(
        shutil.which("node") is None or not (NODE / "node_modules" / "kill-the-clipboard").is_dir(),
        reason="Node.js is missing (Debian: apt install nodejs npm), or make test did not install its parts",
    ),
]

BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"resource": {"resourceType": "Patient"}}],
}
CONTENT = json.dumps(BUNDLE).encode()


def received(link: str, **asked: object) -> Any:
    """What npm kill-the-clipboard makes of a link."""
    done = subprocess.run(
        ["node", "receive.mjs"],
        cwd=NODE,
        input=json.dumps({"link": link, "recipient": "another receiver"} | asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def test_another_receiver_opens_our_link(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, label="Une semaine de glycémie", passcode="482913")
    assert shared.link.expires_at is not None
    assert received(shared.url, passcode="482913") == {
        "label": "Une semaine de glycémie",
        "flag": "LP",
        "exp": int(shared.link.expires_at.timestamp()),
        "files": ["embedded"],
        "resources": [BUNDLE],
    }


def test_another_receiver_fetches_files_that_have_an_address(shelf: RunningShelf) -> None:
    answer = received(share(shelf, CONTENT, CONTENT).link.shlink(), embeddedLengthMax=1)
    assert answer["files"] == ["location", "location"]
    assert answer["resources"] == [BUNDLE, BUNDLE]


def test_another_receiver_understands_our_refusals(shelf: RunningShelf) -> None:
    shared = share(shelf, CONTENT, passcode="482913")
    assert received(shared.url, passcode="0") == {"refused": "SHLInvalidPasscodeError"}
    shared.call(lambda client: client.revoke(shared.link_hash))
    assert received(shared.url, passcode="482913") == {"refused": "SHLManifestNotFoundError"}
    assert received(share(shelf, CONTENT, expires_in=timedelta(-1)).url) == {"refused": "SHLExpiredError"}

"""What a thief of the shelf's database has: nothing that reads."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import Iterator

from gateway.sealing import SealBroken, base64url, from_base64url, unseal
from gateway.shelf_client import open_link
from storage.binaries import find_binaries
from storage.database import Database
from tests.gateway.api.serving import RunningShelf, share

CLEAR = b'{"resourceType":"Bundle","note":"the-clear-reading-118"}'


def dump(shelf: RunningShelf) -> str:
    """The whole database of the shelf, as pg_dump writes it."""

    async def address(database: Database) -> str:
        return database._addresses.shelf_owner

    program = find_binaries().folder / "pg_dump"
    done = subprocess.run(
        [program, "--dbname", shelf.run(address)], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def values(dumped: str) -> Iterator[bytes]:
    """Every value of a dump, as it was stored: text as text, hexadecimal as octets."""
    for value in re.findall(r"[^\t\n]+", dumped):
        hexadecimal = re.fullmatch(r"\\\\x((?:[0-9a-f]{2})*)", value)
        yield bytes.fromhex(hexadecimal[1]) if hexadecimal else value.encode()


def keys_in(stored: list[bytes]) -> Iterator[bytes]:
    """Whatever in a dump has the form of a key: 32 octets, or 43 characters that are 32 octets."""
    for value in stored:
        if len(value) == 32:
            yield value
        for text in re.findall(rb"(?<![\w-])[\w-]{43}(?![\w-])", value):
            yield from_base64url(text.decode())


def test_a_dump_of_the_shelf_holds_no_key_and_no_reading_and_opens_nothing(shelf: RunningShelf) -> None:
    shared = share(shelf, CLEAR, label="the-label", passcode="482913")
    assert asyncio.run(open_link(shared.link, "a clinic", "482913")) == (CLEAR,)

    stored = list(values(dump(shelf)))
    everything = b"\n".join(stored)
    manifest_id = shared.link.manifest_url.rpartition("/")[2]
    for secret in (b"the-clear-reading-118", b"Bundle", b"the-label", b"482913", b"shlink:"):
        assert secret not in everything
    for secret in (manifest_id, shared.token, base64url(shared.link.key), shared.link.key.hex()):
        assert secret.encode() not in everything
    for octets in (shared.link.key, from_base64url(manifest_id), from_base64url(shared.token)):
        assert octets not in everything

    sealed = [value.decode() for value in stored if value.startswith(b"eyJ") and value.count(b".") == 4]
    assert [one for one in sealed if opens(one, shared.link.key)] != []
    keys = list(keys_in(stored))
    assert shared.link_hash in keys  # the search does find what has the form of a key
    assert [one for one in sealed for key in keys if opens(one, key)] == []


def opens(sealed: str, key: bytes) -> bool:
    try:
        unseal(sealed, key)
    except SealBroken:
        return False
    return True

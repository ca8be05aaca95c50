"""Opening the person's page: where it is served, proof that it is ours, and a code that begins a session.

A program that serves a page says so in a file of its home, which only its user can read: the address and a
secret of this start. Who wants a code proves that they know the secret, and is given a proof in return: so
nobody else is let in, and another user's program that listens on the port of one that has ended is found out
before anything is opened. The secret itself never goes over the network.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
import secrets
import subprocess
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

import httpx

from device_profiles.errors import PasserelleError
from gateway.serve import free_port
from gateway.settings import DEFAULT_SHELF_PORT, Settings, prepare_home

FILE: Final = "page.json"
"""The file of a home that says where its page is served now."""

SAID: Final = "serve.log"
"""The file of a home with what a program said that was started in the background."""

ANSWER_SECONDS: Final = 5.0
"""A program on this machine answers at once; one that is starved of the processor within this."""

START_SECONDS: Final = 120.0
"""The first start makes a database; on a slow disk, after a crash, its log is replayed before."""

LOOK_SECONDS: Final = 0.1


class PageNotStarted(PasserelleError):
    """The program ended, or did not come up in time."""

    sentence = (
        "Passerelle could not start in the background ({said}). "
        "See what is wrong with passerelle doctor, or start it here with passerelle serve."
    )


@dataclass(frozen=True, slots=True)
class Announcement:
    """Where a page is served, and the secret of that start."""

    address: str
    secret: str

    @classmethod
    def of(cls, home: Path) -> Self | None:
        """What the file of a home says; None where there is none that can be read."""
        try:
            told = json.loads((home / FILE).read_text())
            return cls(str(told["address"]), str(told["secret"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def proof(self, *said: str) -> str:
        """That who said this knows the secret."""
        return hmac.new(self.secret.encode(), "\0".join((self.address, *said)).encode(), sha256).hexdigest()

    def accepts(self, proof: str, *said: str) -> bool:
        """Whether that is the proof of who said this."""
        return hmac.compare_digest(self.proof(*said).encode(), proof.encode())


@contextmanager
def announced(home: Path, address: str) -> Iterator[Announcement]:
    """Say in a home, until the block ends, that its page is served at this address."""
    announcement = Announcement(address, secrets.token_urlsafe(32))
    written = json.dumps({"address": address, "secret": announcement.secret, "pid": os.getpid()})
    new = home / f"{FILE}.{os.getpid()}"
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(written)
    new.replace(home / FILE)
    try:
        yield announcement
    finally:
        if Announcement.of(home) == announcement:
            with suppress(OSError):
                (home / FILE).unlink()


async def address_to_open(home: Path) -> str | None:
    """The address of the page of this home, with a code good once; None where none is served by us now."""
    announcement = Announcement.of(home)
    if announcement is None:
        return None
    nonce = secrets.token_urlsafe(16)
    form = {"nonce": nonce, "proof": announcement.proof("ask", nonce)}
    try:
        # No proxy of the environment stands between two programs of one machine.
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as client:
            answer = await client.post(f"{announcement.address}/code", data=form)
        told = answer.json()
        code, proof = str(told["code"]), str(told["proof"])
    except (httpx.HTTPError, ValueError, TypeError, KeyError):
        return None
    if not announcement.accepts(proof, "code", nonce, code):
        return None
    return f"{announcement.address}/open?code={code}"


async def opened_address(settings: Settings) -> str:
    """The same, with a program started in the background where none runs. Raises PageNotStarted."""
    prepare_home(settings.home)
    address = await address_to_open(settings.home)
    if address is not None:
        return address
    process = await asyncio.to_thread(_start, settings.home)
    try:
        async with asyncio.timeout(START_SECONDS):
            while (address := await address_to_open(settings.home)) is None:
                if process.poll() is not None:
                    raise PageNotStarted(said=_last_said(settings.home))
                await asyncio.sleep(LOOK_SECONDS)  # another program's file: there is no event to wait for
    except TimeoutError:
        raise PageNotStarted(said=_last_said(settings.home)) from None
    return address


def _start(home: Path) -> subprocess.Popen[bytes]:
    """`passerelle serve`, which outlives this command and its terminal."""
    descriptor = os.open(home / SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    # A session of its own, where there are such: this terminal may be closed. On Windows no console.
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", "gateway", "serve", "--port", str(free_port(DEFAULT_SHELF_PORT))],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=home,
            start_new_session=True,
            creationflags=flags,
        )
    finally:
        os.close(descriptor)


def _last_said(home: Path) -> str:
    """The last line that a program said which was started in the background."""
    try:
        lines = (home / SAID).read_text(errors="replace").strip().splitlines()
    except OSError:
        return "?"
    return lines[-1] if lines else "?"


def show(address: str) -> bool:
    """Open an address in the person's browser; False where there is none to open it in."""
    on_a_screen = sys.platform in {"win32", "darwin"} or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    # Without a screen `webbrowser` may take a browser for terminals, which shows nothing of this page.
    return on_a_screen and webbrowser.open(address)

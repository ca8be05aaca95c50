"""Who holds the radio of a home: one process at a time, and how it is handed over.

Two files of the home. `radio.lock` is locked by who uses the radio; a lock ends with its process, however
that ends. `radio.queue` is locked by who waits for it. A holder that watches in the background has written
`yields` into `radio.lock`, looks now and then whether somebody waits (`Lease.wanted`), and makes room: so a
command in a terminal succeeds while `passerelle serve` runs. For a holder that does not yield, another
command, nobody waits: its person is told at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from gateway.ble.errors import RadioBusy

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

POLL_SECONDS: Final = 0.05
"""How often one who waits looks: less than a person notices, and a system call or two."""

_YIELDS: Final = b"yields"
_LOCKED_BYTE: Final = 4096
"""Windows locks bytes, and who locks some keeps others from reading them: not those that say who holds."""


class Lease:
    """The radio, held by this process."""

    def __init__(self, queue: int) -> None:
        self._queue = queue

    def wanted(self) -> bool:
        """Whether somebody in another process waits for it."""
        if not _try(self._queue):
            return True
        _release(self._queue)
        return False


@asynccontextmanager
async def held(home: Path, *, wait_seconds: float = 0.0, yields: bool = False) -> AsyncIterator[Lease]:
    """Hold the radio of this home until the block ends.

    `wait_seconds`: how long one that yields is waited for. `yields`: we make room for others when they wait,
    and do not step in before those who wait already. Raises RadioBusy.
    """
    with _opened(home / "radio.lock") as lock, _opened(home / "radio.queue") as queue:
        lease = Lease(queue)
        if yields and lease.wanted():
            raise RadioBusy
        if not _try(lock):
            await _in_turn(lock, queue, wait_seconds)
        _write(lock, _YIELDS if yields else b"")
        try:
            yield lease
        finally:
            _release(lock)


async def _in_turn(lock: int, queue: int, seconds: float) -> None:
    """Wait in the queue until the lock is ours. Raises RadioBusy."""
    queued = False
    try:
        async with asyncio.timeout(seconds):
            while _read(lock) == _YIELDS:
                queued = queued or _try(queue)
                if _try(lock):
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        pass
    finally:
        if queued:
            _release(queue)
    if not _try(lock):  # it may have been released since we looked
        raise RadioBusy


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    os.lseek(descriptor, 0, os.SEEK_SET)
    return os.read(descriptor, len(_YIELDS))


def _write(descriptor: int, word: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, word)


def _try(descriptor: int) -> bool:
    """Whether the file is now locked by us."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _release(descriptor: int) -> None:
    with suppress(OSError):
        if sys.platform == "win32":
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

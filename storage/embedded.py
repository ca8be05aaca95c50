"""A local PostgreSQL that the first command starts and the last one stops.

Three facts carry it. Each command holds a shared lock (`flock`) on `in-use` as long as it works: who can
have it exclusively at the end is the last one, and a killed command loses its lock with its life. Starting
and stopping happen under the exclusive lock `starting`. And the server is alive when it answers on its
socket: its pid is what the socket says, never what a file says, since pids are used again.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from psycopg import pq

from device_profiles.errors import StorageError
from storage import upgrade
from storage.binaries import OLDEST_MAJOR, Binaries, binaries_of, find_binaries, within_reach_of_all
from storage.cluster import (
    ENVIRONMENT,
    ROOT_PARENT,
    SETTINGS,
    SOCKET_NAME,
    Place,
    made_by,
    make_cluster,
    place_of,
    private,
    storage_error,
)
from storage.errors import HomeBusy, HomeInUse, ServerDidNotStart, ServerNewer, ServerOfAnotherMajor

if sys.platform != "win32":
    import fcntl

START_LIMIT = 60.0
"""Seconds that a start may take. After a crash the log is replayed first: 2.4 s when measured."""

ORPHANS_LIMIT = 10.0
"""Seconds that a killed server's processes may take to notice and let go of its memory."""

STOP_LIMIT = 30.0
"""Seconds that a stop may take: it writes all that is in memory."""

BUSY_LIMIT = START_LIMIT + STOP_LIMIT
"""Seconds to wait for another command that starts or stops the server."""

LARGEST_LOG = 1_000_000
"""Bytes of the server's log above which the next command begins a new one."""

_PAUSE = 0.01
_LONGEST_PAUSE = 0.1


class EmbeddedServer:
    """One command's hold on the local server of a home. Blocking: call it from a thread."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._in_use: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def hold(cls, home: Path, root_parent: Path = ROOT_PARENT) -> Self:
        """Starts or adopts the server of this home, and keeps it alive until `release`.

        Raises a StorageError that says why it cannot be.
        """
        server = cls(place_of(home, root_parent))
        with server._starting():
            try:
                server._in_use = server._open_lock("in-use")
                fcntl.flock(server._in_use, fcntl.LOCK_SH)
                server._start_unless_it_answers()
            except BaseException:
                server._let_go()
                raise
        return server

    def ensure(self) -> None:
        """Starts the server again if something ended it."""
        if not self._answers():
            with self._starting():
                self._start_unless_it_answers()

    def release(self) -> None:
        """Gives the server up; the last command to do so stops it. Idempotent."""
        if self._in_use is None:
            return
        with self._starting():
            try:
                fcntl.flock(self._in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                self._stop()
            finally:
                self._let_go()

    def address(self, role: str) -> str:
        """The connection string of a database role (`owner`, `writer`, `reader`, `shelf`)."""
        database = "shelf" if role == "shelf" else "passerelle"
        return self._address(role, database)

    def shelf_owner_address(self) -> str:
        """The connection string of the role that migrates the shelf's database."""
        return self._address("owner", "shelf")

    @property
    def pid(self) -> int:
        """The pid of the server that answers. Raises ConnectionError when none does."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(os.fspath(self._place.socket_folder / SOCKET_NAME))
            if hasattr(socket, "SO_PEERCRED"):
                credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                pid, uid, _ = struct.unpack("3i", credentials)
                if uid != self._place.account.user:
                    raise ConnectionRefusedError
                return int(pid)
            # macOS: LOCAL_PEERPID of SOL_LOCAL.
            return int.from_bytes(probe.getsockopt(0, 0x002, 4), "little")

    @property
    def place(self) -> Place:
        """Where the server lies."""
        return self._place

    def _address(self, role: str, database: str) -> str:
        folder, account = _worded(str(self._place.socket_folder)), _worded(self._place.account.name)
        # A socket in a folder for all (`socket.at`) may be another's once that folder was cleaned: nobody but
        # the account of our own server is spoken to.
        return f"host={folder} requirepeer={account} port=5432 user={role} dbname={database} sslmode=disable"

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Only one command at a time starts or stops the server."""
        limit = time.monotonic() + BUSY_LIMIT
        while (lock := self._lock_of("starting")) is None:
            if time.monotonic() > limit:
                raise HomeBusy
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            os.close(lock)

    def _lock_of(self, name: str) -> int | None:
        """The lock, held; None where another has it, or had it while it moved the home elsewhere."""
        lock = self._open_lock(name)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), (self._place.folder / name).stat()):
                return lock
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(lock)
        return None

    def _open_lock(self, name: str) -> int:
        try:
            return os.open(self._place.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as problem:
            raise storage_error(str(problem), self._place.folder) from problem

    def _let_go(self) -> None:
        if self._in_use is not None:
            os.close(self._in_use)
            self._in_use = None

    def _ping(self) -> pq.Ping:
        return pq.Ping(pq.PGconn.ping(self._address("owner", "passerelle").encode()))

    def _answers(self) -> bool:
        """Whether the server answers; one that is starting or stopping is waited for."""
        limit = time.monotonic() + START_LIMIT
        pauses = _pauses()
        while (answer := self._ping()) == pq.Ping.REJECT and time.monotonic() < limit:
            time.sleep(next(pauses))
        return answer == pq.Ping.OK

    def _start_unless_it_answers(self) -> None:
        self._bound_log()
        if self._answers():
            return
        binaries = self._within_reach(find_binaries())
        self._end_unreachable()
        EmbeddedServer(upgrade.target_of(self._place))._end_unreachable()  # noqa: SLF001 - its own class
        upgrade.finish(self._place)
        made = made_by(self._place)
        if made is None:
            make_cluster(self._place, binaries)
        elif made != str(binaries.major):
            self._upgrade(int(made), binaries)
        self._start(binaries)
        upgrade.forget_older(self._place)

    def _upgrade(self, made_by_major: int, binaries: Binaries) -> None:
        """Raises ServerNewer, ServerOfAnotherMajor, or what `storage.upgrade` raises."""
        if made_by_major > binaries.major:
            raise ServerNewer(made_by=made_by_major, found=binaries.major)
        older = binaries_of(made_by_major) if made_by_major >= OLDEST_MAJOR else None
        if older is None:
            raise ServerOfAnotherMajor(made_by=made_by_major, found=binaries.major)
        upgrade.upgrade(self._place, self._within_reach(older), binaries, _serving)

    def _within_reach(self, binaries: Binaries) -> Binaries:
        """Where the account that the server runs under can run them."""
        if self._place.account.uid is None:
            return binaries
        try:
            return within_reach_of_all(binaries, self._place.folder.parent)
        except OSError as problem:
            raise storage_error(str(problem), self._place.folder) from problem

    def _start(self, binaries: Binaries) -> None:
        """Starts the server; again as long as a killed one's processes hold its memory."""
        limit = time.monotonic() + ORPHANS_LIMIT
        while True:
            said = self._launch(binaries)
            if said is None:
                return
            if "is still in use" not in said or time.monotonic() > limit:
                raise storage_error(said, self._place.log)
            time.sleep(0.1)

    def _launch(self, binaries: Binaries) -> str | None:
        """One attempt; None when the server answers, else what it said before it ended."""
        try:
            folder = self._place.make_socket_folder()
            self._disarm_stale_pid()
            self._unlink_stale_socket(folder)
            self._process, said_from = self._spawn(binaries, folder)
        except OSError as problem:
            raise storage_error(str(problem), self._place.log) from problem
        limit = time.monotonic() + START_LIMIT
        pauses = _pauses()
        while time.monotonic() < limit:
            if self._ping() == pq.Ping.OK:
                return None
            if self._process.poll() is not None:
                with self._place.log.open("rb") as log:
                    log.seek(said_from)
                    return log.read().decode(errors="replace")
            time.sleep(next(pauses))
        self._process.kill()
        self._process.wait()
        raise ServerDidNotStart(log=self._place.log)

    def _spawn(self, binaries: Binaries, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
        settings = {**SETTINGS, "unix_socket_directories": _quoted(folder)}
        if binaries.major >= 18:
            # Three processes less; reads of a laptop's size gain nothing from them.
            settings["io_method"] = "sync"
        command = [binaries.postgres, "-D", str(self._place.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self._place.log, "ab", opener=private) as said:
            said_from = said.tell()
            process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd="/",
                env=ENVIRONMENT,
                # Ctrl-C in the terminal is for the command; the server ends by `release`.
                start_new_session=True,
                **self._place.account.options(),  # type: ignore[call-overload]
            )
        return process, said_from

    def _bound_log(self) -> None:
        """What is too long begins anew; a server that runs goes on at its end, wherever that is now."""
        with suppress(FileNotFoundError):
            if self._place.log.lstat().st_size > LARGEST_LOG:
                os.truncate(self._place.log, 0)

    def _disarm_stale_pid(self) -> None:
        """A crashed server's pid may be another process's by now, for which PostgreSQL would refuse to start.

        PostgreSQL passes over the pid of its own parent, so ours is written there. The rest of the file
        stays: it names the shared memory by which PostgreSQL sees whether a process of the old server lives.
        """
        with suppress(FileNotFoundError):
            path = self._place.data / "postmaster.pid"
            if path.is_symlink():
                path.unlink()
                return
            with open(path, "r+", opener=private) as file:
                _, _, rest = file.read().partition("\n")
                if rest:
                    file.seek(0)
                    file.truncate()
                    file.write(f"{os.getpid()}\n{rest}")
                else:
                    path.unlink()

    def _unlink_stale_socket(self, folder: Path) -> None:
        """The socket's own lock names a pid too: PostgreSQL does not start while a process has that number.

        Nothing is lost with it: no server of this home answers or lives, and the data have a better lock.
        """
        for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (folder / name).unlink(missing_ok=True)

    def _end_unreachable(self) -> None:
        """Ends a server of ours without a socket for us: a cleaner took it, or an upgrade was killed."""
        with suppress(OSError, ValueError):
            pid = int((self._place.data / "postmaster.pid").read_text().partition("\n")[0])
            if Path(f"/proc/{pid}/cwd").readlink() == self._place.data.resolve():
                self._end(pid)

    def _stop(self) -> None:
        with suppress(OSError):
            self._end(self.pid)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)

    def _end(self, pid: int) -> None:
        """Fast shutdown, immediate if that takes too long: either way nothing committed is lost."""
        for how in (signal.SIGINT, signal.SIGQUIT):
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            limit = time.monotonic() + STOP_LIMIT
            while time.monotonic() < limit:
                if not (self._place.data / "postmaster.pid").exists():
                    return
                if self._process is not None and self._process.poll() is not None:
                    return
                time.sleep(_PAUSE)


@contextmanager
def _serving(place: Place, binaries: Binaries) -> Iterator[Callable[[str, str], str]]:
    """A server for the block alone."""
    server = EmbeddedServer(place)
    server._start(binaries)  # noqa: SLF001 - its own class
    try:
        yield server._address  # noqa: SLF001
    finally:
        server._stop()  # noqa: SLF001


@contextmanager
def unused(home: Path, root_parent: Path = ROOT_PARENT) -> Iterator[None]:
    """Nobody uses the server of this home as long as the block lasts; an orphan is stopped.

    Raises HomeInUse.
    """
    server = EmbeddedServer(place_of(home, root_parent))
    with server._starting():  # noqa: SLF001 - its own class
        in_use = server._lock_of("in-use")  # noqa: SLF001
        if in_use is None:
            raise HomeInUse
        try:
            server._stop()  # noqa: SLF001
            yield
        finally:
            os.close(in_use)


def erase(home: Path, root_parent: Path = ROOT_PARENT) -> None:
    """Stops the server of a home, whoever uses it, and throws its data away."""
    place = place_of(home, root_parent)
    server = EmbeddedServer(place)
    with server._starting():  # noqa: SLF001 - its own class
        with suppress(StorageError):
            server._stop()  # noqa: SLF001
        place.erase()
    (home / "postgresql.at").unlink(missing_ok=True)


def _pauses() -> Iterator[float]:
    """Seconds between two looks at a server that starts: each is a line in its log."""
    pause = _PAUSE / 2
    while True:
        yield pause
        pause = min(1.3 * pause, _LONGEST_PAUSE)


def _worded(value: str) -> str:
    """A value as a connection string takes it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quoted(folder: Path) -> str:
    """A folder in PostgreSQL's list of folders."""
    return '"' + str(folder).replace('"', '""') + '"'

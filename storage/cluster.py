"""The local server's folder: where it lies, and how its first content is made.

As an ordinary user everything is inside the home. As root the server must run under another account, which
cannot enter a private home: its folder then lies under a root-owned parent, and a file in the home names it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from device_profiles.errors import StorageError
from storage.binaries import Binaries
from storage.errors import (
    AccountUnknown,
    DiskFull,
    DiskReadOnly,
    FolderNotWritable,
    HomeOfAnother,
    NotOnWindowsYet,
    ServerDidNotStart,
)

if sys.platform != "win32":
    import pwd

ROOT_PARENT = Path("/var/lib/passerelle")
"""Where the folders of root's servers lie."""

LONGEST_SOCKET = 100
"""Bytes of a socket's path that every platform accepts (Linux has 107, macOS 103)."""

SOCKET_NAME = ".s.PGSQL.5432"

ROLES = ("owner", "writer", "reader", "shelf")

ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}
"""All that the server's processes get of ours."""

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "40",
    # A laptop's memory is for its person; a patient's ten years of readings fit the system's own cache.
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    # Where /dev/shm is missing or tiny (a chroot, a container) memory is shared through files.
    "dynamic_shared_memory_type": "mmap",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "jit": "off",
    # A laptop's disk has no arm to move: an index in the order that is asked for beats a sort.
    "random_page_cost": "1.1",
    # What a killed command had begun, and holds locks for, ends with it.
    "client_connection_check_interval": "1s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A log has no patient in it: no statement, no value, no detail of a key.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
}
"""What the server is started with: for a laptop, whose person it must not disturb."""

_FIRST_STATEMENTS = """\
CREATE ROLE owner LOGIN
CREATE ROLE writer LOGIN
CREATE ROLE reader LOGIN
CREATE ROLE shelf LOGIN
REVOKE EXECUTE ON FUNCTION lo_creat(int4), lo_create(oid), lo_from_bytea(oid, bytea) FROM PUBLIC
DROP DATABASE postgres
CREATE DATABASE passerelle OWNER owner
CREATE DATABASE shelf OWNER owner
REVOKE ALL ON DATABASE passerelle, shelf, template1 FROM PUBLIC
GRANT CONNECT ON DATABASE passerelle TO writer, reader
GRANT CONNECT ON DATABASE shelf TO shelf
"""
"""Run once, before the server has ever listened: the superuser of the cluster can never log in.

They run in the template of the two databases: a role without a right on any table could otherwise fill the
disk with large objects, which everybody may make.
"""

_WHO_MAY_CONNECT = """\
# database  role                   by
local passerelle owner,writer,reader peer map=passerelle
local shelf      owner,shelf         peer map=passerelle
"""


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the server's processes run under; None as `uid` means the caller's own."""

    uid: int | None
    gid: int | None

    @property
    def user(self) -> int:
        """Its number."""
        return os.geteuid() if self.uid is None else self.uid

    @property
    def name(self) -> str:
        """Its name. Raises AccountUnknown."""
        return _name_of(self.user)

    def options(self) -> dict[str, object]:
        """For subprocess: become the account, with none of the caller's groups."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Makes the account the owner of a path."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one home's server lies. `folder` holds the rest."""

    folder: Path
    account: Account

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says: starts, stops, and why it could not. Never a statement or a value."""
        return self.folder / "server.log"

    @property
    def socket_folder(self) -> Path:
        """The private folder of the socket; a short one elsewhere when its path would be too long."""
        inside = self.folder / "socket"
        if len(os.fsencode(inside / SOCKET_NAME)) <= LONGEST_SOCKET:
            return inside
        with suppress(FileNotFoundError):
            return Path((self.folder / "socket.at").read_text())
        return inside

    def make_socket_folder(self) -> Path:
        """Makes it, mode 0700, the server's account's own: root and that account alone can enter."""
        inside = self.folder / "socket"
        if len(os.fsencode(inside / SOCKET_NAME)) <= LONGEST_SOCKET:
            inside.mkdir(mode=0o700, exist_ok=True)
            self.account.give(inside)
            return inside
        known = self.socket_folder
        if known != inside and self._is_private(known):
            return known
        short = Path(tempfile.mkdtemp(prefix="passerelle-", dir="/tmp"))
        self.account.give(short)
        _write(self.folder / "socket.at", str(short))
        return short

    def _is_private(self, folder: Path) -> bool:
        """Whether a folder elsewhere is still the one that was made: the account's, closed to others."""
        with suppress(FileNotFoundError):
            found = folder.lstat()
            own = found.st_uid == self.account.user and found.st_mode & 0o077 == 0
            return own and stat.S_ISDIR(found.st_mode)
        return False

    def make(self) -> None:
        """The folder itself, empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o711 if self.account.uid is not None else 0o700)

    def erase(self) -> None:
        """Throws the folder away, data included. The server must not run."""
        elsewhere = self.socket_folder
        shutil.rmtree(elsewhere, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def place_of(home: Path, root_parent: Path = ROOT_PARENT) -> Place:
    """Where the server of this home lies, its folder made if need be.

    Raises HomeOfAnother, FolderNotWritable, AccountUnknown, DiskFull, DiskReadOnly or NotOnWindowsYet.
    """
    if sys.platform == "win32":
        raise NotOnWindowsYet
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:
            return _place_of_root(home, root_parent)
        folder = home / "postgresql"
        if (home / "postgresql.at").exists():
            raise HomeOfAnother(folder=home)
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise HomeOfAnother(folder=home)
    except OSError as problem:
        raise storage_error(str(problem), home) from problem
    return Place(folder.resolve(), Account(None, None))


def _place_of_root(home: Path, parent: Path) -> Place:
    if (home / "postgresql").exists():
        raise HomeOfAnother(folder=home)
    _make_enterable(parent)
    named = home / "postgresql.at"
    if not named.exists():
        # The name is new with each home, even at the same path: who throws a home away starts afresh.
        name = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12] + "-" + secrets.token_hex(4)
        draft = home / f"postgresql.at.{os.getpid()}"
        _write(draft, str(parent.resolve() / name))
        with suppress(FileExistsError):
            os.link(draft, named)
        draft.unlink()
    folder = Path(named.read_text())
    _make_enterable(folder)
    return Place(folder, _account_of(folder / "data") or _server_account())


def _make_enterable(folder: Path) -> None:
    """Root's own, to be passed through by the server's account and listed by nobody, whatever the umask."""
    if not folder.is_dir():
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        folder.chmod(0o711)


def _account_of(data: Path) -> Account | None:
    """Whose the data are already: a PostgreSQL that is installed later brings an account of its own."""
    with suppress(FileNotFoundError):
        found = data.stat()
        return Account(found.st_uid, found.st_gid) if found.st_uid else None
    return None


def _server_account() -> Account:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise AccountUnknown


def make_cluster(place: Place, binaries: Binaries) -> None:
    """Makes the data folder, roles and databases; half a cluster never has the final name.

    Raises DiskFull, DiskReadOnly, AccountUnknown or ServerDidNotStart.
    """
    for left in place.folder.glob("data.half*"):
        shutil.rmtree(left, ignore_errors=True)
    # A name of its own: the initdb of a killed command may still be writing into the other.
    half = place.folder / f"data.half-{secrets.token_hex(4)}"
    try:
        half.mkdir(mode=0o700)
        place.account.give(half)
        options = ["--no-locale", "--encoding=UTF8", "--username=supervisor", "--auth=peer"]
        _run(place, [binaries.initdb, f"--pgdata={half}", *options, "--no-instructions"])
        _write(half / "pg_hba.conf", _WHO_MAY_CONNECT)
        _write(half / "pg_ident.conf", "".join(f"passerelle {_caller()} {role}\n" for role in ROLES))
        _run(place, [binaries.postgres, "--single", "-D", str(half), "template1"], _FIRST_STATEMENTS)
        half.rename(place.data)
    except OSError as problem:
        raise storage_error(str(problem), place.log) from problem
    finally:
        shutil.rmtree(half, ignore_errors=True)


def made_by(place: Place) -> str | None:
    """The major version that made the data folder; None where there is none yet."""
    with suppress(FileNotFoundError):
        return (place.data / "PG_VERSION").read_text().strip()
    return None


def storage_error(said: str, where: Path) -> StorageError:
    """The error that a sentence of the system or of the server means."""
    meanings: Mapping[str, StorageError] = {
        "No space left on device": DiskFull(),
        "Disk quota exceeded": DiskFull(),
        "File too large": DiskFull(),
        "Read-only file system": DiskReadOnly(),
        "could not look up effective user ID": AccountUnknown(),
        "could not look up local user ID": AccountUnknown(),
        "Permission denied": FolderNotWritable(folder=where),
        "Operation not permitted": AccountUnknown(),
    }
    for words, error in meanings.items():
        if words in said:
            return error
    return ServerDidNotStart(log=where)


def _run(place: Place, command: list[str], statements: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        command,
        input=statements,
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
        env=ENVIRONMENT,
        check=False,
        **place.account.options(),  # type: ignore[call-overload]
    )
    said = done.stdout + done.stderr
    if done.returncode != 0 or "ERROR:" in done.stderr:
        with suppress(OSError):
            _write(place.log, said)
        raise storage_error(said, place.log)


def private(path: str, flags: int) -> int:
    """For `open`: what it makes is its owner's alone whatever the umask, and no link leads root elsewhere."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _write(path: Path, text: str) -> None:
    """In place: a file that is there keeps its owner and its mode."""
    with open(path, "w", opener=private) as file:
        file.write(text)


def _caller() -> str:
    """The caller's name as the ident map writes it."""
    return '"' + _name_of(os.geteuid()).replace('"', '""') + '"'


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise AccountUnknown from None

"""The home's own server: one start, one stop, whoever is killed in between, and nobody else let in."""

from __future__ import annotations

import os
import pwd
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import pq

from device_profiles.errors import StorageError
from storage import cluster, embedded
from storage.cluster import Account, Place
from storage.embedded import EmbeddedServer, erase
from storage.errors import (
    DiskFull,
    DiskReadOnly,
    FolderNotWritable,
    HomeOfAnother,
    ServerDidNotStart,
    ServerNewer,
    ServerOfAnotherMajor,
)

pytestmark = pytest.mark.embedded

ROOT = os.geteuid() == 0

HOLDER = """
import sys
from pathlib import Path
from storage.embedded import EmbeddedServer
server = EmbeddedServer.hold(Path(sys.argv[1]))
print(server.pid, flush=True)
sys.stdin.readline()
server.release()
"""


IMPOSTOR = """
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
print("listening", flush=True)
while True:
    client, _ = listening.accept()
    if client.recv(1000):
        client.sendall(b"R\\0\\0\\0\\x08\\0\\0\\0\\0Z\\0\\0\\0\\x05I")
    client.close()
"""
"""Lets everybody in, as PostgreSQL does who is known."""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Shared by the tests that leave it as they found it: a first start takes most of their time."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "home"
        yield place
        erase(place)


@pytest.fixture
def fresh_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "home"
        yield place
        erase(place)


@contextmanager
def mounted(options: str) -> Iterator[Path | None]:
    """A small disk that root's server can enter; None where nobody may mount."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    command = ["mount", "-t", "tmpfs", "-o", f"mode=0711,{options}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, check=False) if ROOT else None
    try:
        yield folder if done is not None and done.returncode == 0 else None
    finally:
        if done is not None and done.returncode == 0:
            subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def holder(home: Path) -> subprocess.Popen[str]:
    """Another command that holds the server until it reads a line."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def says(command: subprocess.Popen[str]) -> str:
    assert command.stdout is not None
    return command.stdout.readline().strip()


def ends(command: subprocess.Popen[str]) -> None:
    command.communicate("\n", timeout=60)
    assert command.returncode == 0


def answers(server: EmbeddedServer) -> bool:
    return pq.PGconn.ping(server.address("owner").encode()) == pq.Ping.OK


def test_the_first_command_starts_the_server_and_the_last_one_stops_it(home: Path) -> None:
    first = EmbeddedServer.hold(home)
    second = EmbeddedServer.hold(home)
    assert second.pid == first.pid
    first.release()
    first.release()
    assert answers(second)
    second.release()
    assert not answers(second)


def test_commands_that_start_at_once_share_one_server(fresh_home: Path) -> None:
    commands = [holder(fresh_home) for _ in range(3)]
    assert len({says(command) for command in commands}) == 1
    for command in commands:
        ends(command)
    assert not answers(EmbeddedServer(cluster.place_of(fresh_home)))


def test_the_server_of_a_killed_command_is_adopted_and_stopped(home: Path) -> None:
    command = holder(home)
    pid = int(says(command))
    command.kill()
    command.communicate()
    server = EmbeddedServer.hold(home)
    assert server.pid == pid
    server.release()
    assert not answers(server)


def test_a_command_that_ends_leaves_the_server_to_one_that_works(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    command = holder(home)
    assert int(says(command)) == server.pid
    ends(command)
    assert answers(server)
    server.release()


def test_a_killed_server_is_started_again_with_all_that_was_committed(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    with psycopg.connect(server.address("owner")) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    killed = server.pid
    os.kill(killed, signal.SIGKILL)
    server.ensure()
    assert server.pid != killed
    with psycopg.connect(server.address("owner")) as conn:
        assert conn.execute("SELECT answer FROM kept").fetchone() == (42,)
    server.release()


def test_a_pid_that_another_process_has_by_now_does_not_stop_a_start(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    written = (server.place.data / "postmaster.pid").read_text()
    server.release()
    other = subprocess.Popen(["sleep", "60"], **server.place.account.options())
    try:
        _, _, rest = written.partition("\n")
        (server.place.data / "postmaster.pid").write_text(f"{other.pid}\n{rest}")
        (server.place.socket_folder / f"{cluster.SOCKET_NAME}.lock").write_text(f"{other.pid}\n{rest}")
        server = EmbeddedServer.hold(home)
        assert answers(server)
        server.release()
    finally:
        other.kill()
        other.wait()


def test_a_link_in_the_place_of_the_pid_file_leads_nowhere(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    server.release()
    elsewhere = home / "elsewhere"
    elsewhere.write_text("first line\nsecond line\n")
    (server.place.data / "postmaster.pid").symlink_to(elsewhere)
    server = EmbeddedServer.hold(home)
    assert answers(server)
    server.release()
    assert elsewhere.read_text() == "first line\nsecond line\n"
    elsewhere.unlink()


def test_what_lies_beside_the_data_is_its_owner_s_whatever_the_umask(fresh_home: Path) -> None:
    before = os.umask(0)
    try:
        server = EmbeddedServer.hold(fresh_home)
        server.release()
    finally:
        os.umask(before)
    files = [path for path in (*fresh_home.iterdir(), *server.place.folder.iterdir()) if path.is_file()]
    assert {path.name for path in files} >= {"server.log", "in-use", "starting"}
    assert [path.name for path in files if path.stat().st_mode & 0o077] == []


def test_an_empty_pid_file_does_not_stop_a_start(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    server.release()
    (server.place.data / "postmaster.pid").write_text("")
    server = EmbeddedServer.hold(home)
    assert answers(server)
    server.release()


def test_a_server_whose_socket_was_cleaned_away_is_replaced(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    lost = server.pid
    (server.place.socket_folder / cluster.SOCKET_NAME).unlink()
    server.ensure()
    assert server.pid != lost
    server.release()


def test_data_and_socket_are_closed_to_others(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    place = server.place
    for private in (place.data, place.socket_folder, home):
        assert private.stat().st_mode & 0o777 == 0o700
    assert (place.socket_folder / cluster.SOCKET_NAME).stat().st_mode & 0o777 == 0o700
    if ROOT:
        assert place.data.stat().st_uid == place.account.uid
        assert place.folder.stat().st_mode & 0o777 == 0o711
        assert place.folder.parent == cluster.ROOT_PARENT
    server.release()


def refusal_of(account: cluster.Account, address: str) -> str:
    """What a connection under another account is told. A fork: that account may not reach our Python."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            psycopg.connect(address)
            os.write(sending, b"let in")
        except psycopg.OperationalError as problem:
            os.write(sending, str(problem).encode())
        finally:
            os._exit(0)
    os.close(sending)
    os.waitpid(child, 0)
    with os.fdopen(receiving) as told:
        return told.read()


def test_only_the_caller_is_let_in_and_never_as_superuser(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    for role in cluster.ROLES:
        with psycopg.connect(server.address(role)) as conn:
            assert conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (
                False,
            )
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.address("supervisor"))
    for role, database in (("shelf", "passerelle"), ("writer", "shelf"), ("reader", "shelf")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.address(role), dbname=database)
    if ROOT:
        # The server's own account can reach the socket, and is refused by its name.
        assert "eer authentication failed" in refusal_of(server.place.account, server.address("owner"))
    server.release()


def test_a_stranger_s_server_in_the_place_of_ours_is_not_spoken_to() -> None:
    stranger = next(entry for entry in pwd.getpwall() if entry.pw_uid != os.geteuid())
    with tempfile.TemporaryDirectory() as folder:
        own, others = Account(None, None), Account(stranger.pw_uid, stranger.pw_gid)
        server, expecting_another = (EmbeddedServer(Place(Path(folder), who)) for who in (own, others))
        socket_path = server.place.socket_folder / cluster.SOCKET_NAME
        socket_path.parent.mkdir()
        command = [sys.executable, "-c", IMPOSTOR, str(socket_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as impostor:
            try:
                assert says(impostor) == "listening"
                assert server._answers()
                assert not expecting_another._answers()
                with pytest.raises(ConnectionError):
                    _ = expecting_another.pid
            finally:
                impostor.kill()


def test_the_server_listens_on_no_network(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    with psycopg.connect(server.address("owner")) as conn:
        assert conn.execute("SHOW listen_addresses").fetchone() == ("",)
        assert conn.execute("SHOW fsync").fetchone() == ("on",)
    server.release()


def test_a_long_path_moves_the_socket_to_a_short_private_folder() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / ("a" * 90)
        parent = Path(folder) / ("b" * 90)
        Path(folder).chmod(0o711)
        try:
            server = EmbeddedServer.hold(home, parent)
            short = server.place.socket_folder
            assert len(os.fsencode(short / cluster.SOCKET_NAME)) <= cluster.LONGEST_SOCKET
            assert short.stat().st_mode & 0o777 == 0o700
            again = EmbeddedServer.hold(home, parent)
            assert again.pid == server.pid
            again.release()
            server.release()
        finally:
            erase(home, parent)
        assert not short.exists()


def test_a_home_that_was_thrown_away_starts_afresh(fresh_home: Path) -> None:
    server = EmbeddedServer.hold(fresh_home)
    with psycopg.connect(server.address("owner")) as conn:
        conn.execute("CREATE TABLE old ()")
    server.release()
    old = server.place
    for path in sorted(fresh_home.rglob("*"), reverse=True):
        path.unlink() if not path.is_dir() or path.is_symlink() else path.rmdir()
    server = EmbeddedServer.hold(fresh_home)
    with psycopg.connect(server.address("owner")) as conn:
        assert conn.execute("SELECT to_regclass('old')").fetchone() == (None,)
    server.release()
    old.erase()


def test_a_full_disk_at_the_start_is_said(fresh_home: Path) -> None:
    with mounted("size=12m") as disk:
        if disk is not None:
            with pytest.raises(DiskFull):
                EmbeddedServer.hold(fresh_home, disk)
        else:
            with pytest.raises(DiskFull), smallest_files(100_000):
                EmbeddedServer.hold(fresh_home)


def test_a_disk_that_accepts_no_writing_is_said(fresh_home: Path) -> None:
    with mounted("ro") as disk:
        if disk is not None:
            with pytest.raises(DiskReadOnly):
                EmbeddedServer.hold(fresh_home, disk)
        else:
            fresh_home.mkdir()
            fresh_home.chmod(0o500)
            with pytest.raises(FolderNotWritable):
                EmbeddedServer.hold(fresh_home)
            fresh_home.chmod(0o700)


def test_half_a_cluster_is_made_again(fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_FIRST_STATEMENTS", "CREATE ROLE owner LOGIN\nNONSENSE\n")
    with pytest.raises(ServerDidNotStart):
        EmbeddedServer.hold(fresh_home)
    monkeypatch.undo()
    server = EmbeddedServer.hold(fresh_home)
    assert answers(server)
    server.release()


def test_a_command_killed_while_it_makes_the_cluster_or_starts_it_leaves_the_next_one_a_server(
    fresh_home: Path,
) -> None:
    for seconds in (0.3, 0.6, 0.9, 1.2):
        command = holder(fresh_home)
        time.sleep(seconds)  # anywhere in it
        command.kill()
        command.communicate()
    both = [holder(fresh_home) for _ in range(2)]  # at once, after a crash
    assert len({says(command) for command in both}) == 1
    for command in both:
        ends(command)


def test_the_home_of_another_account_is_refused(fresh_home: Path) -> None:
    fresh_home.mkdir()
    (fresh_home / ("postgresql" if ROOT else "postgresql.at")).touch()
    with pytest.raises(HomeOfAnother):
        EmbeddedServer.hold(fresh_home)
    (fresh_home / ("postgresql" if ROOT else "postgresql.at")).unlink()


@pytest.mark.parametrize(("made_by", "error"), [("14", ServerOfAnotherMajor), ("99", ServerNewer)])
def test_data_of_a_major_version_that_is_not_here_are_refused_in_words(
    home: Path, made_by: str, error: type[StorageError]
) -> None:
    server = EmbeddedServer.hold(home)
    server.release()
    version = server.place.data / "PG_VERSION"
    before = version.read_text()
    version.write_text(f"{made_by}\n")
    with pytest.raises(error) as refused:
        EmbeddedServer.hold(home)
    version.write_text(before)
    assert made_by in str(refused.value)


def test_an_upgrade_killed_between_its_two_renames_gets_its_name_at_the_next_start(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    with psycopg.connect(server.address("owner")) as conn:
        conn.execute("CREATE TABLE moved ()")
    server.release()
    server.place.data.rename(server.place.folder / "data.newer")
    server = EmbeddedServer.hold(home)
    with psycopg.connect(server.address("owner")) as conn:
        assert conn.execute("SELECT to_regclass('moved') IS NOT NULL").fetchone() == (True,)
    server.release()


def test_the_log_of_the_server_holds_no_statement_and_no_value(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    with psycopg.connect(server.address("owner"), autocommit=True) as conn:
        conn.execute("CREATE TABLE person (name text PRIMARY KEY)")
        conn.execute("INSERT INTO person VALUES (%s)", ("secret name",))
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("INSERT INTO person VALUES (%s)", ("secret name",))
    server.release()
    said = server.place.log.read_text()
    assert "secret name" not in said
    assert "INSERT" not in said


def test_no_failure_of_a_statement_tells_the_log_what_it_was_about(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    failing = (
        "SELECT 1 / (CASE WHEN 'Jean Secret' <> '' THEN 0 END)",
        "INSERT INTO kept_name VALUES ('Jean Secret')",
        "INSERT INTO kept_name VALUES ('x' || repeat('Jean Secret', 10))",
        "SELECT 'Jean Secret'::int4",
        "DO $$BEGIN RAISE EXCEPTION 'Jean Secret'; END$$",
        "DO $$BEGIN RAISE LOG 'not of ours' USING DETAIL = 'Jean Secret'; END$$",
        "SELECT Jean_Secret FROM kept_name",
    )
    with psycopg.connect(server.address("owner"), autocommit=True) as conn:
        conn.execute("CREATE TABLE kept_name (name text PRIMARY KEY CHECK (length(name) < 20))")
        conn.execute("INSERT INTO kept_name VALUES ('Jean Secret')")
        for statement in failing:
            try:
                conn.execute(statement)
            except psycopg.Error:
                continue
            assert "RAISE LOG" in statement
        with (
            pytest.raises(psycopg.Error),
            conn.cursor() as cursor,
            cursor.copy("COPY kept_name FROM STDIN") as copy,
        ):
            copy.write("Jean Secret\tJean Secret\n")
        with pytest.raises(psycopg.Error):
            conn.execute("SELECT pg_terminate_backend(pg_backend_pid()), 'Jean Secret'")
    with psycopg.connect(server.address("owner"), autocommit=True) as conn:
        conn.execute("DROP TABLE kept_name")
    server.release()
    said = server.place.log.read_text()
    assert "ready to accept connections" in said
    assert "Secret" not in said


def test_a_log_that_is_too_long_begins_anew_under_a_server_that_runs(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedServer.hold(home)
    monkeypatch.setattr(embedded, "LARGEST_LOG", 10)
    EmbeddedServer.hold(home).release()
    assert server.place.log.stat().st_size == 0
    server.release()
    said = server.place.log.read_bytes()
    assert b"shut down" in said
    assert b"\0" not in said


def test_the_server_fits_a_laptop(home: Path) -> None:
    server = EmbeddedServer.hold(home)
    with psycopg.connect(server.address("owner")) as conn:
        shared = conn.execute("SELECT pg_size_bytes(current_setting('shared_buffers'))").fetchone()
        wal = conn.execute("SELECT pg_size_bytes(current_setting('max_wal_size'))").fetchone()
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
    pids = [server.pid, *(int(child) for child in children.read_text().split())] if children.exists() else []
    proportional = 0
    for pid in pids:
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            proportional += int(re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)[1])  # type: ignore[index]
    server.release()
    assert shared == (32 << 20,)
    assert wal == (256 << 20,)
    assert proportional < 80_000  # kB


def test_starting_does_not_wait_for_ever(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = holder(home)
    says(command)
    monkeypatch.setattr(embedded, "BUSY_LIMIT", 0.05)
    waiting = EmbeddedServer(cluster.place_of(home))
    with waiting._starting(), pytest.raises(embedded.HomeBusy):
        EmbeddedServer.hold(home)
    ends(command)


@contextmanager
def smallest_files(limit: int) -> Iterator[None]:
    """No file of this process and its children may grow beyond the limit: a disk that is full for each."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

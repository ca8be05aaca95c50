"""A backup of a home at work, and the same rows in a fresh home; or one sentence, and nothing changed."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pyrage
import pytest
from pyrage import passphrase as under_passphrase
from pyrage import x25519

from storage import annotations, archive, backup, migrate, patients, restore, schema_description, shelf
from storage.annotations import AnnotationKind
from storage.archive import Archive
from storage.backup import Contents, Description, back_up, read
from storage.database import Database
from storage.embedded import EmbeddedServer, erase
from storage.errors import (
    BackupDamaged,
    BackupDiffers,
    BackupNewer,
    BackupOfAnotherEdition,
    HomeInUse,
    HomeNotEmpty,
    NoBackup,
    PassphraseTooShort,
    PassphraseWrong,
)
from storage.migrate import Migration
from storage.patients import Patient
from storage.schema_description import SCHEMAS, SchemaDescription
from storage.table_streams import Besides
from tests.storage.samples import START, glucose, meal, new_device, segment, store
from tests.storage.test_embedded import mounted, smallest_files

pytestmark = pytest.mark.embedded

PASSPHRASE = "cheval agrafe pile"
BATCH = 50

SYNCING = """
import asyncio, sys
from pathlib import Path
from storage import patients
from storage.database import Database
from tests.storage.samples import glucose, new_device, segment, store

async def main():
    async with Database.open(Path(sys.argv[1])) as database:
        async with database.writer() as conn:
            patient = await patients.find_or_add(conn, "At work", "Europe/Paris")
        device = await new_device(database, patient)
        first = 0
        while True:
            batch = [glucose(first + n) for n in range(50)]
            await store(database, device, batch, segment([glucose(0), *batch]))
            first += 50
            print(first, flush=True)

asyncio.run(main())
"""

BACKING_UP = """
import asyncio, sys
from pathlib import Path
from storage.backup import back_up
from storage.database import Database

async def main():
    home, file, passphrase = sys.argv[1:]
    async with Database.open(Path(home)) as database:
        print("begun", flush=True)
        await back_up(database, Path(home), Path(file), passphrase)

asyncio.run(main())
"""

RESTORING = """
import asyncio, sys
from pathlib import Path
from storage.restore import restore
print("begun", flush=True)
asyncio.run(restore(Path(sys.argv[1]), sys.argv[3], Path(sys.argv[2]), replace=True))
"""


async def fill(home: Path) -> None:
    """Something in most tables, of which nothing changes any more."""
    async with Database.open(home) as database:
        async with database.writer() as conn:
            patient = await patients.add(conn, "Somebody", "Europe/Paris")
        device = await new_device(database, patient)
        batch = [glucose(n, context=meal(1) if n % 3 == 0 else None) for n in range(200)]
        old = [glucose(9000 + n, at=START.replace(year=1970 + n * 30)) for n in range(3)]
        await store(database, device, batch + old)
        await store(database, device, [], segment(batch, shift_seconds=60))
        async with database.writer() as conn:
            key = annotations.ReadingKey(START, 0, device.device_id, 0)
            await annotations.add(conn, patient.patient_id, key, AnnotationKind.NOTE, "me", "before lunch")
        async with database.shelf() as conn:
            await shelf.enrol(conn, b"a token's hash", "a gateway", START)
    (home / "secret").write_bytes(bytes(range(32)))
    (home / "bonds.json").write_text('{"keys": 1}')
    (home / "radio.lock").touch()


@pytest.fixture(scope="module")
def filled() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        asyncio.run(fill(home))
        yield home
        erase(home)


@pytest.fixture(scope="module")
def saved(filled: Path) -> Path:
    """A backup of it."""
    file = filled.parent / "saved"
    saved_as(filled, file)
    return file


@pytest.fixture
def new_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "new"
        yield home
        for left in Path(folder).iterdir():
            if left.is_dir():
                erase(left)


def saved_as(home: Path, file: Path, passphrase: str = PASSPHRASE) -> Contents:
    async def made() -> Contents:
        async with Database.open(home) as database:
            return await back_up(database, home, file, passphrase)

    return asyncio.run(made())


def restored(file: Path, home: Path, *, replace: bool = False, passphrase: str = PASSPHRASE) -> Path | None:
    return asyncio.run(restore.restore(file, passphrase, home, replace=replace)).set_aside


def rows_of(home: Path) -> dict[str, list[Any]]:
    """Every row of every table, asked for in another way than the backup asks."""
    server = EmbeddedServer.hold(home)
    found: dict[str, list[Any]] = {}
    try:
        for schema, address in zip(
            SCHEMAS, (server.address("owner"), server.shelf_owner_address()), strict=True
        ):
            with psycopg.connect(address) as conn:
                names = conn.execute(
                    "SELECT table_name FROM information_schema.tables WHERE table_schema = %s "
                    "AND table_type = 'BASE TABLE' AND table_name <> 'migration'",
                    (schema,),
                ).fetchall()
                for (name,) in names:
                    rows = conn.execute(f"SELECT t::text FROM {schema}.{name} t").fetchall()
                    if rows or not name[-1].isdigit():  # a month of a table comes with its first row
                        found[f"{schema}.{name}"] = sorted(row for (row,) in rows)
    finally:
        server.release()
    return found


def says(command: subprocess.Popen[str]) -> str:
    assert command.stdout is not None
    return command.stdout.readline().strip()


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_backup_restored_on_a_fresh_home_is_the_same_row_for_row(
    filled: Path, saved: Path, new_home: Path
) -> None:
    new_home.mkdir()
    assert restored(saved, new_home) is None
    rows = rows_of(filled)
    assert rows_of(new_home) == rows
    assert len(rows["passerelle.reading"]) == 203
    assert rows["passerelle.reading_context"]
    assert rows["passerelle.annotation"]
    assert rows["shelf.uploader"]
    assert (new_home / "secret").read_bytes() == bytes(range(32))
    assert (new_home / "bonds.json").read_text() == '{"keys": 1}'
    assert not (new_home / "radio.lock").exists()
    assert (new_home / "secret").stat().st_mode & 0o777 == 0o600
    assert new_home.stat().st_mode & 0o777 == 0o700

    async def one_more() -> tuple[Patient, Patient]:
        async with Database.open(new_home) as database, database.writer() as conn:
            (known,) = await patients.list_all(conn)
            return known, await patients.add(conn, "Somebody else", "UTC")

    known, new = asyncio.run(one_more())
    assert new.patient_id > known.patient_id


def test_the_backup_holds_every_table_and_each_has_a_key(filled: Path, saved: Path) -> None:
    contents = read(Archive(saved, PASSPHRASE))
    parents = {name.replace("/", ".") for name in contents.tables}
    assert parents <= rows_of(filled).keys()
    server = EmbeddedServer.hold(filled)
    with psycopg.connect(server.address("owner")) as conn:
        without = conn.execute(
            "SELECT relname FROM pg_class c WHERE relnamespace = 'passerelle'::regnamespace AND "
            "relkind IN ('r', 'p') AND NOT EXISTS "
            "(SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)"
        ).fetchall()
        tables = conn.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'passerelle'::regnamespace AND "
            "relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'migration'"
        ).fetchone()
    server.release()
    assert without == []
    assert tables == (len([name for name in contents.tables if name.startswith("passerelle/")]),)


def test_a_backup_of_a_home_at_work_is_of_one_moment_and_nobody_waits_for_it(new_home: Path) -> None:
    home, file = new_home.with_name("home"), new_home.with_name("saved")
    syncing = started(SYNCING, str(home))
    try:
        before = int(says(syncing))
        saved_as(home, file)
        told = [int(says(syncing)) for _ in range(3)]
        assert told[-1] > before
    finally:
        syncing.kill()
        syncing.communicate()
    restored(file, new_home)
    rows = rows_of(new_home)
    stored = len(rows["passerelle.reading"])
    assert before <= stored
    assert stored % BATCH == 0
    server = EmbeddedServer.hold(new_home)
    with psycopg.connect(server.address("owner")) as conn:
        summed = conn.execute(
            "SELECT (SELECT sum(readings) FROM passerelle.daily_summary), "
            "(SELECT sum(readings) FROM passerelle.outbox)"
        ).fetchone()
    server.release()
    assert summed == (stored, stored)


def test_a_server_that_was_named_is_backed_up_and_restored_into_a_home_of_its_own(
    filled: Path, new_home: Path
) -> None:
    files, file = new_home.with_name("files"), new_home.with_name("saved")
    files.mkdir()
    (files / "secret").write_bytes(bytes(32))
    server = EmbeddedServer.hold(filled)

    async def made() -> Contents:
        async with Database.open(files, server.address("owner")) as database:
            return await back_up(database, files, file, PASSPHRASE)

    contents = asyncio.run(made())
    server.release()
    restored(file, new_home)
    assert contents.tables["passerelle/reading"].rows == 203
    kept = {name: rows for name, rows in rows_of(filled).items() if name.startswith("passerelle.")}
    assert {name: rows for name, rows in rows_of(new_home).items() if name in kept} == kept
    assert (new_home / "secret").read_bytes() == bytes(32)


def test_the_file_opens_with_tar_and_age_alone(saved: Path) -> None:
    with tarfile.open(saved) as outer:
        key_file, content = outer.extractfile("key.age"), outer.extractfile("content.age")
        assert key_file is not None
        assert content is not None
        key = x25519.Identity.from_str(under_passphrase.decrypt(key_file.read(), PASSPHRASE).decode())
        plain = gzip.decompress(pyrage.decrypt(content.read(), [key]))
    with tarfile.open(fileobj=io.BytesIO(plain)) as inner:
        names = inner.getnames()
    assert names[0] == "backup.json"
    assert names[-1] == "manifest.json"
    assert {"home/secret", "home/bonds.json", "tables/passerelle/reading/000000"} <= set(names)


def test_nothing_of_a_person_is_readable_in_the_file_and_it_is_its_owner_s(saved: Path) -> None:
    octets = saved.read_bytes()
    assert b"Somebody" not in octets
    assert bytes(range(32)) not in octets
    assert saved.stat().st_mode & 0o777 == 0o600


def test_a_backup_that_is_cut_off_anywhere_is_refused_and_nothing_is_changed(
    saved: Path, new_home: Path
) -> None:
    whole = saved.read_bytes()
    cut = new_home.with_name("cut")
    for size in (0, 7, 300, 511, 900, 1500, 2000, len(whole) // 2, len(whole) - 1025, len(whole) - 1):
        cut.write_bytes(whole[:size])
        with pytest.raises((NoBackup, BackupDamaged)):
            restored(cut, new_home)
    assert list(new_home.parent.iterdir()) == [cut]


@pytest.mark.parametrize("place", [0.02, 0.6, -1])
def test_a_backup_that_was_altered_anywhere_is_refused_and_nothing_is_changed(
    saved: Path, new_home: Path, place: float
) -> None:
    octets = bytearray(saved.read_bytes())
    octets[int(place * len(octets)) if place >= 0 else -1] ^= 1
    altered = new_home.with_name("altered")
    altered.write_bytes(octets)
    with pytest.raises((NoBackup, BackupDamaged, PassphraseWrong)):
        restored(altered, new_home)
    assert list(new_home.parent.iterdir()) == [altered]


def sparse() -> tarfile.TarInfo:
    """A member of a terabyte that takes no room in the file."""
    member = tarfile.TarInfo("home/secret")
    member.pax_headers = {"GNU.sparse.size": str(1 << 40), "GNU.sparse.map": f"{1 << 40},0"}
    return member


def larger() -> tarfile.TarInfo:
    member = tarfile.TarInfo("home/secret")
    member.size = archive.MEMBER_MAX + 1
    return member


def link() -> tarfile.TarInfo:
    member = tarfile.TarInfo("home/secret")
    member.type, member.linkname = tarfile.SYMTYPE, "backup.json"
    return member


@pytest.mark.parametrize("made", [sparse, larger, link])
def test_a_member_that_is_no_plain_one_of_bounded_size_is_refused_unread(
    tmp_path: Path, made: Callable[[], tarfile.TarInfo]
) -> None:
    octets = made().tobuf(tarfile.PAX_FORMAT) + bytes(2 * tarfile.BLOCKSIZE)
    with pytest.raises(BackupDamaged):
        list(archive._unpacked(io.BytesIO(gzip.compress(octets))))


def test_a_backup_that_says_of_itself_what_it_cannot_be_is_refused(tmp_path: Path) -> None:
    schemas = {name: SchemaDescription({}, {}, Besides({}, {})) for name in SCHEMAS}
    sound = Description("0", START, 16, "plain", schemas)
    odd = Description("0", START, 16, "plain", {**schemas, "another": schemas["shelf"]})
    extent = {"rows": 0, "octets": 0, "sha256": "", "more": 1}
    for number, (told, manifest) in enumerate(
        [
            (odd, "{}"),
            (sound, json.dumps({"shelf/file": extent})),
            (sound, "[1]"),
            (sound, "{"),
            (sound, "1"),
            (sound, "[" * 100_000),
        ]
    ):
        with (tmp_path / str(number)).open("w+b") as file, archive.written(file, PASSPHRASE) as draft:
            draft.add(backup.DESCRIPTION, told.to_json())
            draft.add(backup.MANIFEST, manifest.encode())
        with pytest.raises(BackupDamaged):
            read(Archive(tmp_path / str(number), PASSPHRASE))


def test_a_wrong_passphrase_another_file_and_a_short_passphrase_are_refused(
    filled: Path, saved: Path, new_home: Path
) -> None:
    with pytest.raises(PassphraseWrong):
        restored(saved, new_home, passphrase="cheval agrafe pole")
    with pytest.raises(NoBackup):
        restored(Path(__file__), new_home)
    with pytest.raises(PassphraseTooShort):
        saved_as(filled, new_home.with_name("file"), "short")
    assert list(new_home.parent.iterdir()) == []


def test_a_backup_of_a_newer_program_or_another_edition_is_refused(
    saved: Path, new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = migrate.migrations
    monkeypatch.setattr(schema_description, "migrations", lambda *folders: real(*folders)[:-3])
    with pytest.raises(BackupNewer):
        restored(saved, new_home)
    changed = [Migration(step.number, step.name, "other") for step in real("base")]
    monkeypatch.setattr(schema_description, "migrations", lambda *folders: (*changed, *real(*folders[1:])))
    with pytest.raises(BackupOfAnotherEdition):
        restored(saved, new_home)
    assert list(new_home.parent.iterdir()) == []


def test_a_backup_of_an_older_program_is_migrated_forward_after_it_was_compared(
    saved: Path, new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Migration(
        9000, "base/9000_later.sql", "CREATE TABLE passerelle.later (patient_id int4 PRIMARY KEY)"
    )
    real = migrate.migrations
    for place in (migrate, schema_description):
        monkeypatch.setattr(
            place, "migrations", lambda *folders: (*real(*folders), *((later,) if "base" in folders else ()))
        )
    restored(saved, new_home)
    assert rows_of(new_home)["passerelle.later"] == []


def test_a_home_that_is_not_new_is_refused_or_moved_aside(filled: Path, saved: Path, new_home: Path) -> None:
    asyncio.run(fill(new_home))
    with pytest.raises(HomeNotEmpty):
        restored(saved, new_home)
    held = EmbeddedServer.hold(new_home)
    with pytest.raises(HomeInUse):
        restored(saved, new_home, replace=True)
    held.release()
    (new_home / "secret").write_bytes(bytes(32))
    before = rows_of(new_home)
    aside = restored(saved, new_home, replace=True)
    assert aside is not None
    assert rows_of(aside) == before
    assert (aside / "secret").read_bytes() == bytes(32)
    assert rows_of(new_home) == rows_of(filled)


def test_a_restore_that_is_not_the_same_in_the_end_leaves_no_home(
    saved: Path, new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = restore.extent_of

    async def another(conn: Any, table: Any) -> Any:
        return None if table.name == "device" else await real(conn, table)

    monkeypatch.setattr(restore, "extent_of", another)
    with pytest.raises(BackupDiffers):
        restored(saved, new_home)
    assert list(new_home.parent.iterdir()) == []


def test_a_backup_that_reads_back_otherwise_is_not_kept(
    filled: Path, new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "read", lambda *_: None)
    with pytest.raises(BackupDiffers):
        saved_as(filled, new_home.with_name("file"))
    assert list(new_home.parent.iterdir()) == []


def test_a_killed_backup_leaves_no_file_of_that_name_and_the_next_one_is_whole(
    filled: Path, new_home: Path
) -> None:
    file = new_home.with_name("file")
    for seconds in (0.2, 0.8):
        command = started(BACKING_UP, str(filled), str(file), PASSPHRASE)
        assert says(command) == "begun"
        time.sleep(seconds)  # anywhere in it
        command.kill()
        command.communicate()
        assert not file.exists()
    saved_as(filled, file)
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_a_killed_restore_leaves_the_old_home_and_the_next_one_completes(
    filled: Path, saved: Path, new_home: Path
) -> None:
    asyncio.run(fill(new_home))
    before = rows_of(new_home)
    for seconds in (1.5, 3.0):
        command = started(RESTORING, str(saved), str(new_home), PASSPHRASE)
        assert says(command) == "begun"
        time.sleep(seconds)  # anywhere in it
        command.send_signal(signal.SIGKILL)
        command.communicate()
        if not list(new_home.parent.glob("new.before-*")):
            assert rows_of(new_home) == before
    assert restored(saved, new_home, replace=True) is not None
    assert rows_of(new_home) == rows_of(filled)
    assert not new_home.with_name("new.restoring").exists()


def test_a_disk_that_is_full_ends_a_backup_with_nothing_kept(filled: Path) -> None:
    with mounted("size=4k") as disk:
        if disk is not None:
            with pytest.raises(OSError, match="No space left"):
                saved_as(filled, disk / "file")
            assert list(disk.iterdir()) == []
        else:
            EmbeddedServer.hold(filled).release()
            with tempfile.TemporaryDirectory() as folder, smallest_files(4096), suppress(Exception):
                saved_as(filled, Path(folder) / "file")
                raise AssertionError

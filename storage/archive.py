"""The file of a backup: nothing of our own, so that it opens without us in twenty years.

It is a tar of two age files (age-encryption.org/v1). `key.age` is a key made for this one file, under the
passphrase (scrypt, about a second a try); `content.age`, under that key, is a tar.gz:

    tar xf FILE && age -d key.age > key && age -d -i key content.age | tar xz

age's own stream tells a file that was cut off, altered or rearranged. It needs no more than 64 KB of memory;
a passphrase alone would do too, but pyrage takes the whole plain text at once for that.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import threading
import unicodedata
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pyrage
from pyrage import passphrase as under_passphrase
from pyrage import x25519

from storage.errors import BackupDamaged, NoBackup, PassphraseTooShort, PassphraseWrong

PASSPHRASE_MIN = 8
"""Characters of a passphrase at least. scrypt makes each guess cost a second."""

MEMBER_MAX = 128 << 20
"""Bytes of a member: each is read whole. A table comes in parts of four megabytes and one row, and the
largest row is a file on the shelf, of 64 MB at most. What is larger or sparse is not ours."""

_KEY = "key.age"
_CONTENT = "content.age"
_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
_LARGEST_KEY = 10_000


class Source(Protocol):
    """What bytes are read from."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; none at the end."""
        ...


class Draft:
    """An archive that is being written: members in an order that the reader sees too."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def add(self, name: str, content: bytes) -> None:
        """One more member, private to its owner where somebody unpacks it."""
        member = tarfile.TarInfo(name)
        member.size = len(content)
        member.mode = 0o600
        self._tar.addfile(member, io.BytesIO(content))


@contextmanager
def written(file: BinaryIO, passphrase: str) -> Iterator[Draft]:
    """An archive into an empty file that can be sought; what the block raises leaves half of one.

    Raises PassphraseTooShort, or the OSError of the file.
    """
    if len(typed(passphrase)) < PASSPHRASE_MIN:
        raise PassphraseTooShort(shortest=PASSPHRASE_MIN)
    key = x25519.Identity.generate()
    _add(file, _KEY, under_passphrase.encrypt(str(key).encode(), typed(passphrase)))
    header = file.tell()
    file.write(bytes(_BLOCK))
    output = _Output(file)

    def encrypt(plain: BinaryIO) -> None:
        pyrage.encrypt_io(plain, output, [key.to_public()])

    with (
        _into(encrypt, output) as plain,
        # The first level: a fifth of the size for a tenth of what the best costs.
        gzip.GzipFile("", "wb", 1, plain, mtime=0) as deflated,
        tarfile.open(fileobj=deflated, mode="w|", format=tarfile.GNU_FORMAT) as tar,
    ):
        yield Draft(tar)
    size = file.tell() - header - _BLOCK
    file.write(_padding(size) + _END)
    file.seek(header)
    file.write(_header(_CONTENT, size))
    file.seek(0, os.SEEK_END)


class Archive:
    """A whole file, opened once: trying a passphrase takes a second."""

    def __init__(self, path: Path, passphrase: str) -> None:
        """Raises NoBackup, BackupDamaged, PassphraseWrong, or the OSError of the file."""
        self._path = path
        with path.open("rb") as file:
            sealed, _ = _key_and_content(file, path)
        self._key = _opened(sealed, passphrase)

    def members(self) -> Generator[tuple[str, bytes], None, None]:
        """The members, the first to the last, each by its name.

        Only who takes them all knows that the file is whole. Raises BackupDamaged or the OSError of the file.
        """
        with self._path.open("rb") as file:
            _, content = _key_and_content(file, self._path)
            try:
                with _out_of(lambda plain: pyrage.decrypt_io(content, plain, [self._key])) as plain:
                    yield from _unpacked(plain)
            except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile):
                raise BackupDamaged from None


def _unpacked(plain: Source) -> Iterator[tuple[str, bytes]]:
    deflated = gzip.GzipFile(fileobj=cast("BinaryIO", plain))
    with tarfile.open(fileobj=deflated, mode="r|") as tar:
        for member in tar:
            if not member.isreg() or member.issparse() or member.size > MEMBER_MAX:
                raise BackupDamaged
            found = tar.extractfile(member)
            if found is None:
                raise BackupDamaged
            yield member.name, found.read()
    for rest in (deflated, plain):
        while rest.read(1 << 16):
            pass


def is_one(path: Path) -> bool:
    """Whether a file begins as an archive does."""
    with path.open("rb") as file:
        return file.read(len(_KEY) + 1) == _KEY.encode() + b"\0"


def typed(passphrase: str) -> str:
    """As it is meant: accents composed or not, a space or a line's end behind, are the same passphrase."""
    return unicodedata.normalize("NFKC", passphrase).strip()


def _key_and_content(file: BinaryIO, path: Path) -> tuple[bytes, _Part]:
    size = os.fstat(file.fileno()).st_size
    with suppress(tarfile.TarError):
        first = _member(file)
        if first.name == _KEY and first.size <= _LARGEST_KEY:
            sealed = file.read(first.size)
            padding = _padding(first.size)
            if file.read(len(padding)) != padding:
                raise BackupDamaged
            with suppress(tarfile.TarError):
                second = _member(file)
                begin = file.tell()
                _check_end(file, begin + second.size, size)
                file.seek(begin)
                return sealed, _Part(file, second.size)
            raise BackupDamaged
    raise NoBackup(file=path)


def _member(file: BinaryIO) -> tarfile.TarInfo:
    return tarfile.TarInfo.frombuf(file.read(_BLOCK), "utf-8", "strict")


def _check_end(file: BinaryIO, end: int, size: int) -> None:
    """Behind the content comes what fills its last block, and the end of the tar: nothing else."""
    rest = _padding(end) + _END
    if size != end + len(rest):
        raise BackupDamaged
    file.seek(end)
    if file.read() != rest:
        raise BackupDamaged


def _opened(sealed: bytes, passphrase: str) -> x25519.Identity:
    try:
        return x25519.Identity.from_str(under_passphrase.decrypt(sealed, typed(passphrase)).decode())
    except pyrage.DecryptError as problem:
        # By far the most frequent reason. What else it may be is a header that is no header.
        if "ecryption failed" in str(problem):
            raise PassphraseWrong from None
        raise BackupDamaged from None


def _add(file: BinaryIO, name: str, content: bytes) -> None:
    file.write(_header(name, len(content)) + content + _padding(len(content)))


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


class _Part:
    """The next so many bytes of a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        part = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(part)
        return part


class _Output:
    """A file that remembers why it could not be written: pyrage passes on words only."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.problem: OSError | None = None

    def write(self, part: bytes) -> int:
        try:
            return self._file.write(part)
        except OSError as problem:
            self.problem = problem
            raise

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def _into(encrypt: Callable[[BinaryIO], None], output: _Output) -> Iterator[BinaryIO]:
    """A stream whose other end is read by `encrypt`, in a thread of its own. Raises what `output` met."""
    reading, writing = os.pipe()

    def work() -> None:
        with os.fdopen(reading, "rb", buffering=0) as plain, suppress(pyrage.EncryptError):
            encrypt(cast("BinaryIO", plain))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        with os.fdopen(writing, "wb", buffering=1 << 16) as stream:
            yield stream
    except BrokenPipeError:
        thread.join()
        if output.problem is None:
            raise
    finally:
        thread.join()
    if output.problem is not None:
        raise output.problem


@contextmanager
def _out_of(decrypt: Callable[[BinaryIO], None]) -> Iterator[Source]:
    """A stream whose other end `decrypt` writes. Raises BackupDamaged when that did not come to its end.

    Bytes that were read may be the part before the damage: nothing is done with them before the end.
    """
    reading, writing = os.pipe()
    problems: list[Exception] = []

    def work() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as plain:
            try:
                decrypt(cast("BinaryIO", plain))
            except (pyrage.DecryptError, OSError) as problem:
                problems.append(problem)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb", buffering=1 << 16) as stream:
            yield stream
    finally:
        thread.join()
    if problems:
        raise BackupDamaged

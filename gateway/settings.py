"""What an operator or a person sets through the environment: `PASSERELLE_*`.

A person's language, unit, zone and targets are not here: they live with the person, in the store.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import AfterValidator, AnyHttpUrl, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from device_profiles.errors import PasserelleError
from storage.errors import HomeOfAnother
from storage.pools import USUAL_LIMITS

DEFAULT_SHELF_PORT = 8421
DEFAULT_GATEWAY_PORT = 8420
DEFAULT_SPACE_PORT = 8422
SHELF_ADDRESS = "shelf-address"
"""The file of a home in which its shelf says where it is reached."""


class SettingUnusable(PasserelleError):
    """A `PASSERELLE_*` variable has a value that cannot be used."""

    sentence = (
        "The setting {variable} cannot be used: {why}. Correct it or unset it, and run the command again."
    )


class HomeUnusable(PasserelleError):
    """The folder that holds all state cannot be made or written."""

    sentence = (
        "The folder {folder} cannot be used for Passerelle's records. Choose another with PASSERELLE_HOME."
    )


def _web_address(text: str) -> str:
    """A web address without a slash behind it."""
    return str(TypeAdapter(AnyHttpUrl).validate_python(text)).rstrip("/")


def _whole_path(path: Path) -> Path:
    return path.expanduser().absolute()


WebAddress = Annotated[str, AfterValidator(_web_address)]


class Settings(BaseSettings):
    """All settings, with what holds where nothing is set."""

    model_config = SettingsConfigDict(env_prefix="PASSERELLE_", env_ignore_empty=True, frozen=True)

    home: Annotated[Path, AfterValidator(_whole_path)] = Field(
        default_factory=lambda: user_data_path("passerelle", appauthor=False)
    )
    database: SecretStr | None = None
    """DSN of the owner's connection; absent: the embedded PostgreSQL in `home`."""
    database_writer: SecretStr | None = None
    database_reader: SecretStr | None = None
    database_shelf: SecretStr | None = None
    ble: str | None = None
    """`bumble:<transport>`; absent: the platform's Bluetooth."""
    shelf_url: WebAddress | None = None
    """The shelf that links are put on; absent: the one of this home (`shelf_of`)."""
    public_url: WebAddress | None = None
    """Where the world reaches this shelf or space, if not at the address it listens on."""
    shelf_token: SecretStr | None = None
    """What the shelf's operator gave this gateway; absent: the token in `home`, for a shelf of this home."""
    backup_passphrase: SecretStr | None = None
    """What backups are encrypted with, for scripts; absent: it is asked for."""
    pool_size: Annotated[int, Field(ge=1, le=100)] = USUAL_LIMITS.size
    """Connections to the database of each role of this process, at most; docs/decisions/0043."""
    pool_waiting: Annotated[int, Field(ge=0, le=10_000)] = USUAL_LIMITS.waiting
    """Transactions that may wait for a connection; the next one is refused at once."""
    pool_wait: Annotated[float, Field(gt=0, le=60)] = USUAL_LIMITS.wait
    """Seconds that one waits for a connection before it is refused."""
    ingest_at_once: Annotated[int, Field(ge=1, le=1000)] = 3
    """Transactions that a space takes in at once: fewer than `pool_size`, to be able to look up tokens."""
    gateway_rate: Annotated[float, Field(gt=0, le=10_000)] = 20
    """Transactions a second that a space takes from one gateway, over a while."""
    stop_seconds: Annotated[int, Field(ge=1, le=600)] = 20
    """Seconds that what is under way has to finish when a server is stopped."""
    metrics_token: SecretStr | None = None
    """Who shows it may read `/metrics`; absent: only who asks from this machine."""
    log: Literal["json", "text"] | None = None
    """`json` or `text`: tell each event on standard error; absent: only what is wrong."""


def shelf_of(settings: Settings) -> str:
    """The address of the shelf to put links on: as set, else where the shelf of this home was last served."""
    if settings.shelf_url is not None:
        return settings.shelf_url
    try:
        return _web_address((settings.home / SHELF_ADDRESS).read_text())
    except (OSError, ValueError):
        return f"http://127.0.0.1:{DEFAULT_SHELF_PORT}"


def load() -> Settings:
    """The settings of this process.

    Raises `SettingUnusable` for a value that cannot be used, without repeating it: it may hold a password.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = f"PASSERELLE_{str(first['loc'][0]).upper()}"
        raise SettingUnusable(variable=variable, why=first["msg"]) from None


def prepare_home(home: Path) -> Path:
    """Make the folder that holds all state, for its owner only (0700).

    Raises `HomeOfAnother`: whoever owns a folder can replace what lies in it. Raises `HomeUnusable`, also for
    a folder that others use: it is not closed to them.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = home.stat()
        if sys.platform != "win32" and found.st_uid != os.geteuid():
            raise HomeOfAnother(folder=home)
        if (
            sys.platform != "win32" and found.st_mode & 0o077
        ):  # there a profile is its person's by inheritance
            if found.st_mode & stat.S_ISVTX or not _is_ours(home):
                raise HomeUnusable(folder=str(home))
            home.chmod(0o700)
        probe = home / ".writable"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError:
        raise HomeUnusable(folder=str(home)) from None
    return home


def _is_ours(folder: Path) -> bool:
    """Whether a folder is empty, or a home of before."""
    names = {path.name for path in folder.iterdir()}
    return not names or not names.isdisjoint({"secret", "shelf-token", "postgresql", "postgresql.at"})

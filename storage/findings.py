"""What a look at a database may find, in words for the operator: each says what to do next."""

from __future__ import annotations

from device_profiles.errors import StorageError


class Finding(StorageError):
    """Something that must be done before the database serves as it should."""

    sentence = "Something must be done: look at docs/engines.md."


class NothingThere(Finding):
    """No schema of ours."""

    sentence = "Nothing of Passerelle is in this database yet. Make it with: passerelle database migrate"


class StepsMissing(Finding):
    """The schema is older than the program. `first`: the next step's name."""

    sentence = "{count} steps are missing, the next is {first}. Take them with: passerelle database migrate"


class RightsNotGiven(Finding):
    """The roles' rights are not those of this program, or of other roles."""

    sentence = "The roles do not have their rights yet. Give them with: passerelle database migrate"


class RoleCannotConnect(Finding):
    """The server does not let a role in, or does not answer at its address."""

    sentence = (
        "The role {role} cannot connect. Check its address, its password, and that it may: GRANT CONNECT ON "
        "DATABASE {database} TO {role}"
    )


class ReaderMayTooMuch(Finding):
    """The role that serves HTTP could go round the functions that check tokens."""

    sentence = (
        "The role {role} that serves HTTP can touch tables itself. Name one in PASSERELLE_DATABASE_READER "
        "that owns nothing, is no superuser and no member of another, then: passerelle database migrate"
    )


class WriterMayTooMuch(Finding):
    """The role that stores readings could change or delete them."""

    sentence = (
        "The role {role} that stores readings could also change them. Name one in PASSERELLE_DATABASE_WRITER "
        "that is no superuser and no member of another, then: passerelle database migrate"
    )


class IndexInvalid(Finding):
    """An index that was begun and never ended."""

    sentence = "The index {index} is not complete. Run as the owner: REINDEX INDEX passerelle.{index}"


class PolicyMissing(Finding):
    """A hypertable whose old months stay in rows."""

    sentence = (
        "Nothing puts the old months of {table} into columns. Run as the owner: CALL "
        "add_columnstore_policy('passerelle.{table}', after => INTERVAL '60 days')"
    )


class JobFailed(Finding):
    """A job of TimescaleDB failed the last time it ran."""

    sentence = (
        "TimescaleDB's job {job} on {table} failed. See why in timescaledb_information.job_errors, mend it, "
        "and run as the owner: CALL run_job({job})"
    )


class JobsOverdue(Finding):
    """Jobs should have run and did not: no scheduler."""

    sentence = (
        "TimescaleDB's jobs do not run. Raise timescaledb.max_background_workers and max_worker_processes, "
        "and restart the server."
    )


class MonthsBehind(Finding):
    """Months that should be in columns by now are in rows."""

    sentence = (
        "{count} months should be in columns by now and are in rows. Run as the owner: CALL run_job({job})"
    )


class TableNotSpread(Finding):
    """A table of patients that lies on one machine, as after a restored dump."""

    sentence = (
        "The table {table} lies on one machine only, as after a dump was restored. Make a new database, run "
        "passerelle database migrate there, and bring the rows over as docs/engines.md shows."
    )


class CoordinatorUnnamed(Finding):
    """The machines do not know where the coordinator is: a month could not be made."""

    sentence = (
        "The cluster does not know where its coordinator is. Call there, as its superuser, the function "
        "citus_set_coordinator_host with the coordinator's name and port."
    )


class MachineSilent(Finding):
    """A machine of the cluster does not answer or is not up to date."""

    sentence = (
        "The machine {machine} of the cluster does not answer, or does not know all tables. Start it, or "
        "look at pg_dist_node."
    )


class OneRoleForAll(Finding):
    """Advice: storing and serving under the owner's name."""

    sentence = (
        "One role does everything here. Safer: name others in PASSERELLE_DATABASE_WRITER and "
        "PASSERELLE_DATABASE_READER, as docs/engines.md shows."
    )


class TemporaryTables(Finding):
    """Advice: the serving role can fill the disk."""

    sentence = (
        "The role {role} that serves HTTP may make temporary tables. Run as the owner: REVOKE TEMPORARY ON "
        "DATABASE {database} FROM PUBLIC"
    )

"""No SQL of ours has a form that Citus refuses, or answers wrongly: what was met on a real cluster, as rules.

They are rules of text: what they cannot see is for `make test-database` on a real Citus. Each stands with
what Citus says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files

import pytest

from storage.migrate import migrations
from storage.statements import one_by_one, statements

VOLATILE = r"\b(?:now|clock_timestamp|statement_timestamp|random|gen_random_uuid|nextval)\s*\("
SPREAD = {
    table: column
    for step in migrations("citus")
    for table, column in re.findall(r"create_distributed_table\('passerelle\.(\w+)', '(\w+)'", step.text)
}
"""Distributed table → the column by which its rows lie on machines."""

ASKS_ALL = {
    "devices.by_identity": "a meter on the radio: whose it is",
    "patients.labelled": "the command line's names",
    "patients.list_all": "the command line's list",
    "devices.on_the_air": "the gateway's own radio: a home has one person or a few",
    "moving.patient_of_uuid": "a person to whom a reading moves, by the command line",
    "shares.find": "the command line's share revoke",
    "shares.waiting": "the gateway's own job: a home has one person or a few",
    "erasure.receipts": "the command line's receipts, and the job that asks spaces",
    "retention.all": "the operator's job, once a day",
    "access_log.whose": "passerelle audit verify of everybody",
    "backup.months_of_reading": "a backup takes everything",
    "backup.months_of_reading_quantity": "a backup takes everything",
    "gateways.list_all": "the operator's list",
    "tenants.labelled": "the operator's names",
    "tenants.list_all": "the operator's list",
    "grants.live_of_gateway": "a gateway that leaves: its grants end",
}
"""Reads that ask every machine, and why they may."""

CHANGES_ALL = {
    (
        "base/0058_leave_tenant.sql",
        "registration_code",
    ): "who leaves a tenant: codes for them are gone; seldom",
    ("base/0058_leave_tenant.sql", "gateway"): "who leaves a tenant: gateways for them alone end; seldom",
    ("base/0061_looked_before.sql", "device"): "once, when this is kept for the first time",
    ("grants.revoke_of_gateway", "grant_"): "a gateway that leaves: its grants end",
}
"""Changes of rows on every machine at once, and why they may be."""


def without_comments(text: str) -> str:
    return re.sub(r"--[^\n]*", "", text)


def bare(statement: str) -> str:
    """Without comments and strings, in one line."""
    return " ".join(re.sub(r"'(?:[^']|'')*'", "''", without_comments(statement)).split())


def parts(text: str) -> Iterator[str]:
    """The statements of a text, and those within its functions."""
    for statement in one_by_one(text):
        body = re.search(r"\$\$(.*)\$\$", statement, re.DOTALL)
        yield statement if body is None else statement.replace(body.group(1), "")
        if body is not None:
            yield from one_by_one(body.group(1))


def everything() -> Iterator[tuple[str, str]]:
    """Every statement that runs on Citus: where it stands, and its text."""
    for step in migrations("base", "citus"):
        for number, statement in enumerate(parts(step.text)):
            yield f"{step.name}:{number}", bare(statement)
    for path in files("storage").joinpath("queries").iterdir():
        aggregate = path.name.removesuffix(".sql")
        if aggregate != "shelf" and path.name.endswith(".sql"):
            for name, statement in statements(aggregate).items():
                if not name.endswith(("_plain", "_timescale", "_shelf")):
                    yield f"{aggregate}.{name}", bare(statement)


STATEMENTS = dict(everything())


def having(pattern: str) -> dict[str, str]:
    return {where: said for where, said in STATEMENTS.items() if re.search(pattern, said, re.IGNORECASE)}


def test_no_function_of_ours_stands_within_a_query_of_rows() -> None:
    """`cannot execute a distributed query from a query on a shard`: it would be run where the rows are."""
    ours = r"passerelle\.(?:devices_measuring|windows|stretches|page_rows|something_beside|bearer)\("
    for where, said in having(ours).items():
        for one in said.split(" LOOP "):
            rows = re.search(r"(?:FROM|JOIN) passerelle\.\w+ \w+ (?:WHERE|JOIN|ON)", one)
            assert not rows or not re.search(ours, one), where


@pytest.mark.parametrize(
    "form",
    [
        r"\bTRIGGER\b",  # triggers are not supported on distributed tables
        r"\bREFERENCES\b|\bFOREIGN KEY\b",  # nor is a COPY fast under one
        r"ROW LEVEL SECURITY|SECURITY_BARRIER",  # shield nothing there
        r"\bSKIP LOCKED\b",  # only within one shard: pick without a lock, then change with a condition
        r"\bMERGE\b",
        r"\bCONCURRENTLY\b",
        r"\bNOTIFY\b",  # per node
        r"\bSET ROLE\b",
        r"ADD COLUMN .*\bIDENTITY\b",
        r"ALTER COLUMN \w+ (?:SET DATA )?TYPE",
        r"\bUSING columnar\b",  # erasing one person took 14.5 s
        r"\bTABLESAMPLE\b|\bGROUPING SETS\b|\bWITH RECURSIVE\b",
    ],
)
def test_no_statement_has_the_form(form: str) -> None:
    assert having(form) == {}


def test_an_alter_table_has_one_subcommand() -> None:
    """`cannot execute ALTER TABLE command with multiple subcommands`, for some of them."""
    for where, said in having(r"^ALTER TABLE").items():
        assert "," not in re.sub(r"\([^()]*\)", "", said), where


def test_a_column_that_comes_later_may_be_empty_or_has_a_constant() -> None:
    for where, said in having(r"ADD COLUMN").items():
        assert not re.search(r"NOT NULL", said) or re.search(r"DEFAULT (?:\d+|''|true|false)", said), where


def test_every_table_of_ours_is_spread() -> None:
    made = {
        name
        for said in having(r"^CREATE TABLE passerelle\.").values()
        for name in re.findall(r"CREATE TABLE passerelle\.(\w+) \(", said)
    }
    assert made - {"migration"} <= SPREAD.keys()


def test_what_is_unique_is_so_within_one_machine() -> None:
    """`cannot create constraint on "…"`: a unique key has the distribution column, ours as its first."""
    for where, said in having(r"^CREATE TABLE passerelle\.\w+ \(").items():
        table = re.findall(r"CREATE TABLE passerelle\.(\w+)", said)[0]
        keys = re.findall(r"(?:PRIMARY KEY|UNIQUE) \((\w+)", said)
        keys += re.findall(r"(\w+) \w+ (?:PRIMARY KEY|UNIQUE)\b(?! \()", said)
        assert keys, where
        assert set(keys) == {SPREAD[table]}, where
    for where, said in having(r"^CREATE UNIQUE INDEX").items():
        ((table, first),) = re.findall(r"ON passerelle\.(\w+) \((\w+)", said)
        assert first == SPREAD[table], where


def test_no_volatile_function_decides_in_an_update() -> None:
    """`functions used in UPDATE queries on distributed tables must not be VOLATILE`; and of a stable one:
    `non-IMMUTABLE functions are not allowed in CASE or COALESCE statements`. `least(…, now())` may stand.
    """
    for where, said in having(r"\bUPDATE passerelle\.|\bDO UPDATE SET\b").items():
        assert not re.search(r"\b(?:clock_timestamp|random|gen_random_uuid|nextval)\s*\(", said), where
        assert not re.search(rf"\bcoalesce\s*\([^()]*{VOLATILE}", said, re.IGNORECASE), where
        assert not re.search(rf"\bCASE\b(?:(?!\bEND\b).)*{VOLATILE}", said), where


def test_what_an_insert_from_a_query_returns_has_a_name_of_its_own() -> None:
    """`missing FROM-clause entry for table "…"`: on a machine the table has another name."""
    for where, said in having(r"^INSERT INTO passerelle\.\w+.*\bFROM passerelle\.\w+.*\bRETURNING\b").items():
        assert re.search(r"^INSERT INTO passerelle\.\w+ AS \w+", said), where


def test_who_writes_or_locks_names_one_machine() -> None:
    """A change of all shards is slow and not isolated; a lock over several machines is refused."""
    changing = r"^(?:UPDATE|DELETE FROM) passerelle\.(\w+)|FROM passerelle\.(\w+)\b.*\bFOR UPDATE"
    found = set()
    for where, said in having(changing).items():
        table = next(name for name in re.findall(changing, said)[0] if name)
        column = SPREAD.get(table)
        if column and not re.search(rf"\b{column} (?:=|IN|BETWEEN)", said):
            found.add((where.partition(":")[0], table))
    assert found <= CHANGES_ALL.keys()


def test_no_reading_is_locked() -> None:
    assert having(r"FROM passerelle\.reading\b.*\bFOR UPDATE") == {}


def test_who_reads_names_one_machine_or_is_told_of_here() -> None:
    asking = {}
    for where, said in having(r"^SELECT .* FROM passerelle\.(\w+)\b(?! ?\()").items():
        table = re.findall(r"FROM passerelle\.(\w+)\b(?! ?\()", said)[0]
        column = SPREAD.get(table)
        if column and not re.search(rf"\b{column} (?:=|IN\b|BETWEEN)", said):
            asking[where] = table
    assert asking.keys() <= ASKS_ALL.keys(), asking

-- name: extensions
-- What makes the engine, and its version.
SELECT extname, extversion FROM pg_extension

-- name: licence
-- Of TimescaleDB; its columnstore comes with one of the two.
SELECT current_setting('timescaledb.license', true)

-- name: one_connection_a_node
-- A step that makes tables, distributes them and makes functions needs one connection to each machine.
SELECT set_config('citus.multi_shard_modify_mode', 'sequential', true)

-- name: lock
-- One program at a time migrates; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(%(key)s)

-- name: has_record
-- Whether anything was ever applied here. By the catalogue's rows: to_regclass may remember, from before the
-- lock was waited for, that the table is not there.
SELECT EXISTS (
    SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = %(schema)s AND relname = 'migration'
)

-- name: create_passerelle
-- Where the steps applied to the main database are recorded.
CREATE SCHEMA IF NOT EXISTS passerelle;
CREATE TABLE passerelle.migration (
    number     int4 PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL
)

-- name: create_shelf
-- Where the steps applied to the shelf's database are recorded.
CREATE SCHEMA IF NOT EXISTS shelf;
CREATE TABLE shelf.migration (
    number     int4 PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL
)

-- name: close_passerelle
-- A new function is for all to call, unless this is said with it.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA passerelle FROM PUBLIC

-- name: close_shelf
-- The same, on the shelf.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA shelf FROM PUBLIC

-- name: applied_passerelle
-- The steps that the main database has.
SELECT number, checksum FROM passerelle.migration

-- name: applied_shelf
-- The steps that the shelf's database has.
SELECT number, checksum FROM shelf.migration

-- name: record_passerelle
-- A step was applied; the rights are step 0 and change.
INSERT INTO passerelle.migration (number, name, checksum, applied_at)
VALUES (%(number)s, %(name)s, %(checksum)s, now())
ON CONFLICT (number) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at

-- name: record_shelf
-- The same, on the shelf.
INSERT INTO shelf.migration (number, name, checksum, applied_at)
VALUES (%(number)s, %(name)s, %(checksum)s, now())
ON CONFLICT (number) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at

-- name: name_role
-- Tells the rights a role's name, for this transaction.
SELECT set_config(%(setting)s, %(role)s, true)

-- name: damaged_blocks
-- How many blocks the disk gave back otherwise than they were written; null where the server does not check.
SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()

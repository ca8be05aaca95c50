-- name: about_role
-- What a role may do: whether it is above all rights, whether it can take the owner's place, how many tables it
-- can touch itself, whether it stores readings, whether it can delete one, and what lets it fill a disk.
SELECT rolsuper, pg_has_role(rolname, (SELECT nspowner FROM pg_namespace WHERE nspname = 'passerelle'), 'MEMBER'),
    (SELECT count(*) FROM pg_class WHERE relnamespace = 'passerelle'::regnamespace AND relkind IN ('r', 'p', 'v')
        AND has_table_privilege(rolname, oid, 'SELECT, INSERT, UPDATE, DELETE')),
    has_table_privilege(rolname, 'passerelle.reading', 'INSERT'),
    has_table_privilege(rolname, 'passerelle.reading', 'DELETE'),
    has_database_privilege(rolname, current_database(), 'TEMPORARY')
FROM pg_roles WHERE rolname = %(role)s

-- name: invalid_indexes
-- Indexes that were begun and never ended.
SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relnamespace = 'passerelle'::regnamespace AND NOT indisvalid AND relkind = 'i'

-- name: sizes_plain
-- Bytes of each table with its indexes; of a partitioned one, of all its months.
SELECT relname, coalesce((SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(pg_class.oid)),
    pg_total_relation_size(oid))::int8
FROM pg_class WHERE relnamespace = 'passerelle'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY 2 DESC, 1

-- name: sizes_timescale
-- The same; of a hypertable, of all its chunks, in rows or columns.
SELECT relname, CASE WHEN EXISTS (
        SELECT FROM timescaledb_information.hypertables WHERE hypertable_schema = 'passerelle' AND hypertable_name = relname)
    THEN hypertable_size(pg_class.oid) ELSE pg_total_relation_size(oid) END
FROM pg_class WHERE relnamespace = 'passerelle'::regnamespace AND relkind = 'r'
ORDER BY 2 DESC, 1

-- name: sizes_citus
-- The same, over all machines.
SELECT relname, CASE WHEN partmethod IS NULL THEN pg_total_relation_size(pg_class.oid)
    ELSE coalesce((SELECT sum(citus_total_relation_size(relid, fail_on_error => false))
        FROM pg_partition_tree(pg_class.oid) WHERE isleaf),
        citus_total_relation_size(pg_class.oid, fail_on_error => false)) END::int8
FROM pg_class LEFT JOIN pg_dist_partition ON logicalrelid = pg_class.oid
WHERE relnamespace = 'passerelle'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
ORDER BY 2 DESC, 1

-- name: rows_plain
-- How many patients and readings there are, as the server last counted; what it never did, by its statistics.
SELECT sum(CASE WHEN reltuples <= 0 THEN n_live_tup ELSE reltuples END) FILTER (WHERE relname = 'patient')::int8,
    sum(CASE WHEN reltuples <= 0 THEN n_live_tup ELSE reltuples END) FILTER (WHERE relname LIKE 'reading\_%%' AND relispartition
        AND relname NOT LIKE 'reading\_quantity%%')::int8
FROM pg_class JOIN pg_stat_user_tables USING (relname) WHERE relnamespace = 'passerelle'::regnamespace AND relkind = 'r'
    AND schemaname = 'passerelle'

-- name: rows_timescale
-- The same; of months in columns by their batches.
SELECT greatest(approximate_row_count('passerelle.patient'), 0), approximate_row_count('passerelle.reading')

-- name: rows_citus
-- The same, over all machines.
SELECT sum(split_part(result, ',', 1)::int8)::int8, sum(split_part(result, ',', 2)::int8)::int8
FROM run_command_on_all_nodes($$
    SELECT coalesce(sum(CASE WHEN reltuples <= 0 THEN n_live_tup ELSE reltuples END) FILTER (WHERE relname ~ '^patient_[0-9]+$'), 0)::int8 || ',' ||
        coalesce(sum(CASE WHEN reltuples <= 0 THEN n_live_tup ELSE reltuples END) FILTER (
            WHERE relname ~ '^reading_([0-9]{4}_[0-9]{2}|before_2000|from_2100)_[0-9]+$'), 0)::int8
    FROM pg_class JOIN pg_stat_user_tables USING (relname)
    WHERE relnamespace = 'passerelle'::regnamespace AND schemaname = 'passerelle' AND relkind = 'r' $$)

-- name: months_plain
-- The months of readings: how many, none of them in columns, the first and the last.
SELECT count(*), 0::int8, min(substring(relname FROM '[0-9]{4}_[0-9]{2}$')), max(substring(relname FROM '[0-9]{4}_[0-9]{2}$'))
FROM pg_class WHERE relnamespace = 'passerelle'::regnamespace AND relname ~ '^reading_[0-9]{4}_[0-9]{2}$'

-- name: months_timescale
-- The same; how many of them are in columns.
SELECT count(*), count(*) FILTER (WHERE is_compressed), to_char(min(range_start), 'YYYY_MM'), to_char(max(range_start), 'YYYY_MM')
FROM timescaledb_information.chunks WHERE hypertable_schema = 'passerelle' AND hypertable_name = 'reading'

-- name: columnstore
-- What months in columns take, and took in rows; null where there are none.
SELECT sum(before_compression_total_bytes)::int8, sum(after_compression_total_bytes)::int8
FROM hypertable_columnstore_stats('passerelle.reading')

-- name: behind
-- Months that should be in columns by now, with a day's grace: the job ran well since they were made, and left them.
SELECT count(*) FROM timescaledb_information.chunks
WHERE hypertable_schema = 'passerelle' AND NOT is_compressed AND range_end < now() - INTERVAL '61 days'
    AND chunk_creation_time < (SELECT max(last_successful_finish) FROM timescaledb_information.jobs
        JOIN timescaledb_information.job_stats USING (job_id)
        WHERE proc_name = 'policy_compression' AND jobs.hypertable_name = chunks.hypertable_name)

-- name: policies
-- What TimescaleDB does by itself: with which table, how it went, and whether it should have run and did not.
SELECT job_id, proc_name, jobs.hypertable_name, coalesce(last_run_status, '') = 'Failed',
    scheduled AND coalesce(jobs.next_start < now() - INTERVAL '1 hour', false)
        AND coalesce(job_status, '') <> 'Running'
FROM timescaledb_information.jobs LEFT JOIN timescaledb_information.job_stats USING (job_id)
WHERE jobs.hypertable_schema = 'passerelle' ORDER BY job_id

-- name: not_spread
-- Tables that lie on one machine only, beside the record of the steps.
SELECT relname FROM pg_class LEFT JOIN pg_dist_partition ON logicalrelid = pg_class.oid
WHERE relnamespace = 'passerelle'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'migration' AND partmethod IS NULL

-- name: nodes
-- The machines of the cluster: number 0 is the coordinator.
SELECT groupid, nodename, nodeport, isactive AND metadatasynced
FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid

-- name: silent_nodes
-- Machines that do not answer.
SELECT nodename || ':' || nodeport FROM run_command_on_all_nodes('SELECT 1')
JOIN pg_dist_node USING (nodeid) WHERE NOT success

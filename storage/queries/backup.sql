-- name: begin
-- All that follows sees one moment, however long it takes and whoever writes meanwhile.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- name: tables
-- What a schema holds, but for the record of its steps: columns and types, and how each table is read in the
-- order of its key, written, and emptied. Asked of the catalogue, so that no table can be forgotten. Text is
-- ordered by its bytes, whatever the database's own order is: the same rows give the same stream everywhere.
SELECT c.relname::text,
    array_agg(a.attname::text ORDER BY a.attnum),
    array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum),
    format('COPY (SELECT %%s FROM %%I.%%I ORDER BY %%s) TO STDOUT (FORMAT binary)',
        string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), n.nspname, c.relname,
        coalesce(key.columns, string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum))),
    format('COPY %%I.%%I (%%s) FROM STDIN (FORMAT binary)', n.nspname, c.relname,
        string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)),
    format('DELETE FROM %%I.%%I', n.nspname, c.relname)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
LEFT JOIN LATERAL (
    SELECT string_agg(quote_ident(k.attname) || CASE WHEN k.attcollation <> 0 THEN ' COLLATE "C"' ELSE '' END,
        ', ' ORDER BY place.number) AS columns
    FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS place (attnum, number)
    JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = place.attnum
    WHERE i.indrelid = c.oid AND i.indisprimary AND place.number <= i.indnkeyatts
) key ON true
WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'migration'
GROUP BY n.nspname, c.relname, key.columns
ORDER BY c.relname

-- name: sequences
-- Where the counters of a schema stand; null where nothing was counted yet.
SELECT sequencename::text, last_value FROM pg_sequences WHERE schemaname = %(schema)s ORDER BY sequencename

-- name: set_sequence
-- Counts on from where the other database stood.
SELECT setval(format('%%I.%%I', %(schema)s::text, %(name)s::text)::regclass, %(value)s)

-- name: months_of_reading
-- The months that have readings.
SELECT DISTINCT date_trunc('month', recorded_at AT TIME ZONE 'UTC')::date FROM passerelle.reading ORDER BY 1

-- name: months_of_reading_quantity
-- The months that have readings of several quantities.
SELECT DISTINCT date_trunc('month', recorded_at AT TIME ZONE 'UTC')::date FROM passerelle.reading_quantity
ORDER BY 1

-- name: ensure_months
-- The months of what is written have their partitions.
SELECT passerelle.ensure_months(%(parent)s, %(months)s)

-- name: settle
-- What was written at once is known to the planner and can be read from the index alone.
VACUUM (ANALYZE)

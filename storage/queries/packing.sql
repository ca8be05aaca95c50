-- name: loose_months
-- Statements that build anew the indexes of months that are over, where half of each page is empty. A table's month
-- is in its name. On an engine without such tables there is nothing to build.
SELECT format('REINDEX INDEX CONCURRENTLY passerelle.%%I', of_index.relname)
FROM pg_index
JOIN pg_class AS of_index ON of_index.oid = indexrelid
JOIN pg_class AS month ON month.oid = indrelid
WHERE month.relnamespace = 'passerelle'::regnamespace
  AND month.relname ~ '^reading(_quantity)?_\d{4}_\d{2}$'
  AND right(month.relname, 7) < to_char(%(today)s::date, 'YYYY_MM')
  AND of_index.reltuples >= %(rows)s
  AND of_index.relpages * current_setting('block_size')::int4 / of_index.reltuples > %(bytes)s
ORDER BY of_index.relname

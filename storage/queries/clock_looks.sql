-- name: before
-- The last look at a device that read everything.
SELECT clock_read_at, clock_read_error, clock_read_sequence
FROM passerelle.device WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: keep
-- Another look that read everything. One that could not read the clock takes the place of none that could: what
-- came since is placed anew once the clock is read again.
UPDATE passerelle.device SET clock_read_at = %(at)s, clock_read_error = %(error_seconds)s,
    clock_read_sequence = coalesce(%(sequence)s, clock_read_sequence)
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s
  AND (%(error_seconds)s::int4 IS NOT NULL OR clock_read_error IS NULL)

-- name: forget
-- With a person's readings goes what was known of the clocks that placed them.
UPDATE passerelle.device SET clock_read_at = NULL, clock_read_error = NULL, clock_read_sequence = NULL,
    clock_policy = NULL, clock_set_asked_at = NULL, gaps = NULL
WHERE patient_id = %(patient_id)s

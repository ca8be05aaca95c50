-- name: lock_device
-- One writer per device: its row is locked until the transaction ends. The person's zone comes with it, whether
-- anything of the device was ever erased, whether anything was ever stored, and where its numbers stand.
SELECT (SELECT timezone FROM passerelle.patient WHERE patient_id = %(patient_id)s), erased_salt,
    last_synced_at IS NULL, last_sequence
FROM passerelle.device WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s FOR UPDATE

-- name: segments
-- The segments of a device, those in force and those before. A statement of its own, after the lock: one that
-- waits for a lock sees the other tables as they were before it waited.
SELECT segment_id, superseded_at IS NULL, first_sequence, last_sequence, first_recorded_at, last_recorded_at,
    shift_seconds, utc_offset_minutes, source
FROM passerelle.clock_segment WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s
ORDER BY first_sequence, first_recorded_at

-- name: ensure_months
-- The months of these records have their partitions.
SELECT passerelle.ensure_months(%(parent)s, %(months)s)

-- name: records
-- All records of a device, as columns.
SELECT array_agg(sequence), array_agg(recorded_at), array_agg(offset_minutes)
FROM passerelle.reading WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: known
-- The records of a device in a stretch of time, as columns; small numbers share an int8, as in `readings_of_patient`.
SELECT array_agg(recorded_at), array_agg(sequence * 4294967296 + mantissa),
    array_agg(kind * 1099511627776 + (exponent + 128) * 4294967296 + unit * 16777216::int8 + absent * 65536 + ordinal),
    array_agg(raw)
FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at BETWEEN %(first)s AND %(last)s

-- name: save
-- Storing that meets a key that is there, or a month that is not, ends its transaction; this is where to go back
-- to. It ends with the transaction.
SAVEPOINT before_copy

-- name: go_back
-- Nothing was stored.
ROLLBACK TO before_copy

-- name: copy
-- A batch of readings, columns in the table's order.
COPY passerelle.reading (recorded_at, patient_id, sequence, mantissa, flags, device_id, ordinal, kind, exponent,
    unit, absent, sample, offset_minutes, raw) FROM STDIN (FORMAT binary)

-- name: copy_sparse
-- The same for readings that have the defaults in all other columns, as a sensor's do.
COPY passerelle.reading (recorded_at, patient_id, sequence, mantissa, device_id, kind, unit, raw)
FROM STDIN (FORMAT binary)

-- name: insert
-- A few readings, or any that may be there already; counted by what is returned.
INSERT INTO passerelle.reading (recorded_at, patient_id, sequence, mantissa, flags, device_id, ordinal, kind,
    exponent, unit, absent, sample, offset_minutes, raw)
SELECT timestamptz 'epoch' + at * interval '1 microsecond', %(patient_id)s, sequence, mantissa, flags,
    %(device_id)s, ordinal, kind, exponent, unit, absent, sample, offset_minutes, raw
FROM unnest(%(recorded_at)s::int8[], %(sequence)s::int4[], %(mantissa)s::int4[], %(flags)s::int4[],
    %(ordinal)s::int2[], %(kind)s::int2[], %(exponent)s::int2[], %(unit)s::int2[], %(absent)s::int2[],
    %(sample)s::int2[], %(offset_minutes)s::int2[], %(raw)s::bytea[])
    AS rows (at, sequence, mantissa, flags, ordinal, kind, exponent, unit, absent, sample, offset_minutes, raw)
ON CONFLICT DO NOTHING
RETURNING sequence

-- name: move_cursor
-- Where the next sync begins, and what was learned of the clock.
UPDATE passerelle.device SET
    last_sequence = coalesce(%(last_sequence)s, last_sequence),
    clock_error_seconds = coalesce(%(clock_error_seconds)s, clock_error_seconds),
    last_synced_at = now()
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: keep_refused
-- A frame that could not be read, once.
INSERT INTO passerelle.refused_frame (patient_id, device_id, digest, characteristic, raw, reason, received_at)
VALUES (%(patient_id)s, %(device_id)s, %(digest)s, %(characteristic)s, %(raw)s, %(reason)s, now())
ON CONFLICT (patient_id, device_id, digest) DO NOTHING

-- name: refused
-- The frames of a device that could not be read, the oldest first.
SELECT characteristic, raw, reason FROM passerelle.refused_frame
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s ORDER BY received_at, digest

-- name: left_out
-- The readings that a person excluded, or said are another's.
SELECT DISTINCT recorded_at, sequence, ordinal FROM passerelle.annotation
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at BETWEEN %(first)s AND %(last)s
  AND kind IN (2, 3, 4) AND withdrawn_at IS NULL

-- name: holds_within
-- Whether a record of a device is stored within the bounds of a segment.
SELECT 1 FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s
  AND recorded_at BETWEEN %(first_recorded_at)s AND %(last_recorded_at)s
  AND sequence BETWEEN %(first_sequence)s AND %(last_sequence)s
LIMIT 1

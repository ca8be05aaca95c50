-- name: of_range
-- The versions above 1 of a device's readings in a stretch of time.
SELECT recorded_at, sequence, ordinal, version, changed_at FROM passerelle.observation_version
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at BETWEEN %(first)s AND %(last)s

-- name: next
-- The next version of these readings.
INSERT INTO passerelle.observation_version AS known (recorded_at, patient_id, sequence, device_id, ordinal, version,
    changed_at)
SELECT at, %(patient_id)s, sequence, %(device_id)s, ordinal, 2, %(now)s
FROM unnest(%(recorded_at)s::timestamptz[], %(sequence)s::int4[], %(ordinal)s::int2[]) AS rows (at, sequence, ordinal)
ON CONFLICT (patient_id, recorded_at, sequence, device_id, ordinal)
DO UPDATE SET version = known.version + 1, changed_at = excluded.changed_at

-- name: add
-- Something said of a reading that exists. The table has another name here, since Citus cannot return columns
-- of an INSERT … SELECT otherwise.
INSERT INTO passerelle.annotation AS said (recorded_at, patient_id, sequence, device_id, ordinal, kind, annotation_id, value,
    author, made_at)
SELECT recorded_at, patient_id, sequence, device_id, ordinal, %(kind)s, %(annotation_id)s, %(value)s, %(author)s, now()
FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND recorded_at = %(recorded_at)s AND sequence = %(sequence)s
  AND device_id = %(device_id)s AND ordinal = %(ordinal)s
RETURNING said.annotation_id, said.made_at

-- name: withdraw
-- Taken back.
UPDATE passerelle.annotation SET withdrawn_at = least(withdrawn_at, now())
WHERE patient_id = %(patient_id)s AND recorded_at = %(recorded_at)s AND sequence = %(sequence)s
  AND device_id = %(device_id)s AND ordinal = %(ordinal)s AND annotation_id = %(annotation_id)s
RETURNING annotation_id

-- name: of_reading
-- All that was said of a reading.
SELECT annotation_id, kind, value, author, made_at, withdrawn_at FROM passerelle.annotation
WHERE patient_id = %(patient_id)s AND recorded_at = %(recorded_at)s AND sequence = %(sequence)s
  AND device_id = %(device_id)s AND ordinal = %(ordinal)s
ORDER BY made_at, annotation_id

-- name: in_force
-- What is said of a patient's readings in a stretch of time, and by whom.
SELECT recorded_at, sequence, device_id, ordinal, annotation_id, kind, value, author, made_at
FROM passerelle.annotation
WHERE patient_id = %(patient_id)s AND recorded_at BETWEEN %(first)s AND %(last)s AND withdrawn_at IS NULL
ORDER BY made_at, annotation_id

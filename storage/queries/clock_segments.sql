-- name: of_patient
-- The segments in force of all devices of a patient.
SELECT device_id, first_sequence, last_sequence, first_recorded_at, last_recorded_at, shift_seconds,
    utc_offset_minutes, source
FROM passerelle.clock_segment WHERE patient_id = %(patient_id)s AND superseded_at IS NULL
ORDER BY device_id, first_sequence, first_recorded_at

-- name: by_token
-- The same, of the patient of a token.
SELECT * FROM passerelle.segments_by_token(%(token)s)

-- name: superseded
-- What was believed before, the oldest first.
SELECT first_sequence, last_sequence, first_recorded_at, last_recorded_at, shift_seconds, utc_offset_minutes,
    source, superseded_at
FROM passerelle.clock_segment
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND superseded_at IS NOT NULL
ORDER BY superseded_at, segment_id

-- name: extend
-- A segment reaches further: more records, no record's time changed.
UPDATE passerelle.clock_segment SET first_sequence = %(first_sequence)s, last_sequence = %(last_sequence)s,
    first_recorded_at = %(first_recorded_at)s, last_recorded_at = %(last_recorded_at)s
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND segment_id = %(segment_id)s

-- name: supersede
-- A better estimate is there; the old one stays as a trace.
UPDATE passerelle.clock_segment SET superseded_at = now()
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND segment_id = ANY (%(segment_ids)s)

-- name: add
-- A new segment. What a person said stays theirs where only the zone's name of the time changed.
INSERT INTO passerelle.clock_segment (patient_id, device_id, segment_id, first_sequence, last_sequence,
    first_recorded_at, last_recorded_at, shift_seconds, utc_offset_minutes, source, placed_at, said_by)
VALUES (%(patient_id)s, %(device_id)s, %(segment_id)s, %(first_sequence)s, %(last_sequence)s,
    %(first_recorded_at)s, %(last_recorded_at)s, %(shift_seconds)s, %(utc_offset_minutes)s, %(source)s, now(),
    CASE WHEN %(said)s THEN coalesce(%(said_by)s::text, (
        SELECT s.said_by FROM passerelle.clock_segment s
        WHERE s.patient_id = %(patient_id)s AND s.device_id = %(device_id)s AND s.said_by IS NOT NULL
          AND s.first_sequence <= %(first_sequence)s AND s.last_sequence >= %(last_sequence)s
          AND s.first_recorded_at <= %(first_recorded_at)s AND s.last_recorded_at >= %(last_recorded_at)s
        ORDER BY s.segment_id DESC LIMIT 1)) END)

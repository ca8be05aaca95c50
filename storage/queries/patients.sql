-- name: lock_label
-- Who makes a patient of a name makes it alone; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended(%(label)s, 0))

-- name: labelled
-- The patient of a name.
SELECT patient_id, uuid, name, timezone, language, unit FROM passerelle.patient
WHERE label = %(label)s ORDER BY patient_id LIMIT 1

-- name: get
-- A patient by number.
SELECT patient_id, uuid, name, timezone, language, unit FROM passerelle.patient WHERE patient_id = %(patient_id)s

-- name: by_token
-- The patient of a token.
SELECT patient_id, uuid, name, timezone, language, unit FROM passerelle.patient_by_token(%(token)s)

-- name: list_all
-- All patients by name. One without was erased, and waits for the spaces that have yet to be told.
SELECT patient_id, uuid, name, timezone, language, unit FROM passerelle.patient WHERE label <> ''
ORDER BY label, patient_id

-- name: next_number
-- A number for a new patient.
SELECT nextval('passerelle.patient_number')

-- name: insert
-- A new patient.
INSERT INTO passerelle.patient (patient_id, uuid, name, label, timezone, language, unit, created_at)
VALUES (%(patient_id)s, %(uuid)s, %(name)s, %(label)s, %(timezone)s, %(language)s, %(unit)s, now())

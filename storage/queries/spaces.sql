-- name: connect
-- A space that this person feeds from now on; one of before goes on, from the start.
INSERT INTO passerelle.space AS known (patient_id, space_id, url, dialect, sealed_secret, connected_at)
VALUES (%(patient_id)s, %(space_id)s, %(url)s, %(dialect)s, %(sealed_secret)s, %(now)s)
ON CONFLICT (patient_id, space_id) DO UPDATE SET url = excluded.url, dialect = excluded.dialect,
    sealed_secret = excluded.sealed_secret, connected_at = excluded.connected_at, disconnected_at = NULL,
    told_entry_id = 0, not_before = NULL, attempts = 0, problem = NULL, problem_words = NULL, batch = NULL
RETURNING space_id

-- name: lock_patient
-- One connection at a time is made for a person.
SELECT patient_id FROM passerelle.patient WHERE patient_id = %(patient_id)s FOR UPDATE

-- name: of_patient
-- The spaces of one person, those of before too.
SELECT s.patient_id, s.space_id, p.uuid, p.name, p.timezone, s.url, s.dialect, s.sealed_secret, s.told_entry_id,
    s.not_before, s.attempts, s.connected_at, s.disconnected_at, s.last_told_at, s.problem, s.problem_words, s.batch
FROM passerelle.space s JOIN passerelle.patient p ON p.patient_id = s.patient_id
WHERE s.patient_id = %(patient_id)s ORDER BY s.connected_at, s.space_id

-- name: every
-- The spaces of everybody.
SELECT s.patient_id, s.space_id, p.uuid, p.name, p.timezone, s.url, s.dialect, s.sealed_secret, s.told_entry_id,
    s.not_before, s.attempts, s.connected_at, s.disconnected_at, s.last_told_at, s.problem, s.problem_words, s.batch
FROM passerelle.space s JOIN passerelle.patient p ON p.patient_id = s.patient_id
ORDER BY s.patient_id, s.connected_at, s.space_id

-- name: get
-- One space of a person.
SELECT s.patient_id, s.space_id, p.uuid, p.name, p.timezone, s.url, s.dialect, s.sealed_secret, s.told_entry_id,
    s.not_before, s.attempts, s.connected_at, s.disconnected_at, s.last_told_at, s.problem, s.problem_words, s.batch
FROM passerelle.space s JOIN passerelle.patient p ON p.patient_id = s.patient_id
WHERE s.patient_id = %(patient_id)s AND s.space_id = %(space_id)s

-- name: due
-- The spaces that are to be told something, and may be asked again. No wait is so long as to reach beyond
-- `beyond`: one that does was reckoned before the clock was set back.
SELECT s.patient_id, s.space_id, p.uuid, p.name, p.timezone, s.url, s.dialect, s.sealed_secret, s.told_entry_id,
    s.not_before, s.attempts, s.connected_at, s.disconnected_at, s.last_told_at, s.problem, s.problem_words, s.batch
FROM passerelle.space s JOIN passerelle.patient p ON p.patient_id = s.patient_id
WHERE s.disconnected_at IS NULL AND (s.not_before IS NULL OR s.not_before <= %(now)s OR s.not_before > %(beyond)s)
  AND EXISTS (
    SELECT 1 FROM passerelle.outbox o WHERE o.patient_id = s.patient_id AND o.entry_id > s.told_entry_id)
ORDER BY s.patient_id, s.connected_at, s.space_id

-- name: disconnect
-- Fed no more; what it was told stays known.
UPDATE passerelle.space SET disconnected_at = %(now)s, sealed_secret = NULL, not_before = NULL, attempts = 0,
    problem = NULL, problem_words = NULL
WHERE patient_id = %(patient_id)s AND space_id = %(space_id)s

-- name: failed
-- A try failed; the next one is not before this.
UPDATE passerelle.space SET attempts = attempts + 1, not_before = %(not_before)s, problem = %(problem)s,
    problem_words = %(words)s, batch = coalesce(%(batch)s, batch)
WHERE patient_id = %(patient_id)s AND space_id = %(space_id)s

-- name: answered
-- The space took something.
UPDATE passerelle.space SET attempts = 0, not_before = NULL, problem = NULL, problem_words = NULL,
    last_told_at = %(now)s, batch = %(batch)s
WHERE patient_id = %(patient_id)s AND space_id = %(space_id)s

-- name: advance
-- All entries up to this one are told. Never back, and not after a new connection that begins from the start.
UPDATE passerelle.space SET told_entry_id = %(entry_id)s, attempts = 0, not_before = NULL, problem = NULL,
    problem_words = NULL
WHERE patient_id = %(patient_id)s AND space_id = %(space_id)s AND told_entry_id = %(from_entry_id)s
    AND connected_at = %(connected_at)s AND disconnected_at IS NULL

-- name: hold_devices
-- Nobody stores while the end of the outbox is read.
SELECT device_id FROM passerelle.device WHERE patient_id = %(patient_id)s ORDER BY device_id FOR SHARE

-- name: last_entry
-- The end of the outbox.
SELECT coalesce(max(entry_id), 0) FROM passerelle.outbox WHERE patient_id = %(patient_id)s

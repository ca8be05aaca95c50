-- name: users
-- Who measures with a person's devices besides them.
SELECT u.device_id, u.user_uuid FROM passerelle.device_user u
JOIN passerelle.device d ON d.patient_id = u.patient_id AND d.device_id = u.device_id
WHERE u.patient_id = %(patient_id)s AND d.patient_id = %(patient_id)s AND d.forgotten_at IS NULL
ORDER BY u.device_id, u.since, u.user_uuid

-- name: lock_device
-- Who says with whom a device is shared says it alone, and nobody stores meanwhile.
SELECT device_id FROM passerelle.device WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s FOR UPDATE

-- name: add_user
-- Somebody measures with a device too.
INSERT INTO passerelle.device_user (patient_id, device_id, user_uuid, since)
VALUES (%(patient_id)s, %(device_id)s, %(user)s, %(now)s)
ON CONFLICT (patient_id, device_id, user_uuid) DO NOTHING

-- name: remove_users
-- Nobody but these measures with a device besides its keeper.
DELETE FROM passerelle.device_user
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND NOT user_uuid = ANY (%(users)s::uuid[])

-- name: forget_user
-- A person who was erased measures with nothing.
DELETE FROM passerelle.device_user WHERE patient_id = %(patient_id)s AND user_uuid = %(user)s

-- name: erase_users
-- A person who goes leaves nobody who measured with their devices.
DELETE FROM passerelle.device_user WHERE patient_id = %(patient_id)s

-- name: settle_all
-- Whose the readings are that are there already, is no question. The table has another name here, as in
-- annotations.sql.
INSERT INTO passerelle.question AS seen (recorded_at, patient_id, sequence, device_id, ordinal, state)
SELECT recorded_at, patient_id, sequence, device_id, ordinal, 0 FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s
ON CONFLICT (patient_id, recorded_at, sequence, device_id, ordinal) DO NOTHING

-- name: forget_device
-- A device that is not shared has no questions.
DELETE FROM passerelle.question WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: not_seen
-- The readings of a device that nobody has looked at yet.
SELECT r.recorded_at, r.sequence, r.ordinal, r.kind, r.mantissa, r.exponent, r.unit, r.absent
FROM passerelle.reading r
WHERE r.patient_id = %(patient_id)s AND r.device_id = %(device_id)s AND NOT EXISTS (
    SELECT 1 FROM passerelle.question q
    WHERE q.patient_id = %(patient_id)s AND q.device_id = %(device_id)s AND q.recorded_at = r.recorded_at
      AND q.sequence = r.sequence AND q.ordinal = r.ordinal)
ORDER BY r.recorded_at, r.sequence, r.ordinal

-- name: see
-- A reading was looked at.
INSERT INTO passerelle.question (recorded_at, patient_id, sequence, device_id, ordinal, state, asked_at)
VALUES (%(recorded_at)s, %(patient_id)s, %(sequence)s, %(device_id)s, %(ordinal)s, %(state)s, %(asked_at)s)
ON CONFLICT (patient_id, recorded_at, sequence, device_id, ordinal) DO NOTHING

-- name: open
-- What is asked and not answered, the newest first; nothing is asked of a reading that was said to be another's.
SELECT q.recorded_at, q.sequence, q.device_id, q.ordinal, q.asked_at FROM passerelle.question q
WHERE q.patient_id = %(patient_id)s AND q.state = 1 AND NOT EXISTS (
    SELECT 1 FROM passerelle.annotation a
    WHERE a.patient_id = %(patient_id)s AND a.recorded_at = q.recorded_at AND a.sequence = q.sequence
      AND a.device_id = q.device_id AND a.ordinal = q.ordinal AND a.kind IN (3, 4) AND a.withdrawn_at IS NULL)
ORDER BY q.recorded_at DESC, q.sequence DESC, q.device_id, q.ordinal

-- name: answer
-- Answered; once.
UPDATE passerelle.question SET state = 2, answered_at = %(now)s, answered_by = %(author)s
WHERE patient_id = %(patient_id)s AND recorded_at = %(recorded_at)s AND sequence = %(sequence)s
  AND device_id = %(device_id)s AND ordinal = %(ordinal)s AND state = 1
RETURNING state

-- name: erase
-- Nothing is asked of readings that are not there any more.
DELETE FROM passerelle.question q WHERE q.patient_id = %(patient_id)s AND NOT EXISTS (
    SELECT 1 FROM passerelle.reading r
    WHERE r.patient_id = %(patient_id)s AND r.patient_id = q.patient_id AND r.recorded_at = q.recorded_at
      AND r.sequence = q.sequence AND r.device_id = q.device_id AND r.ordinal = q.ordinal)

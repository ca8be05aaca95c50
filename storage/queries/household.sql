-- name: settings
-- What a person has chosen.
SELECT relation, situation, unit, low, high, before_low, before_high, after_high
FROM passerelle.person_setting WHERE patient_id = %(patient_id)s

-- name: set_settings
-- What a person chooses takes the place of what they chose before.
INSERT INTO passerelle.person_setting (patient_id, relation, situation, unit, low, high, before_low, before_high,
    after_high)
VALUES (%(patient_id)s, %(relation)s, %(situation)s, %(unit)s, %(low)s, %(high)s, %(before_low)s, %(before_high)s,
    %(after_high)s)
ON CONFLICT (patient_id) DO UPDATE SET relation = excluded.relation, situation = excluded.situation,
    unit = excluded.unit, low = excluded.low, high = excluded.high, before_low = excluded.before_low,
    before_high = excluded.before_high, after_high = excluded.after_high

-- name: guardians
-- Who acts, and who acted, for a person.
SELECT guardian_uuid, since, ended_at FROM passerelle.guardian
WHERE patient_id = %(patient_id)s ORDER BY since, guardian_uuid

-- name: add_guardian
-- Somebody acts for a person from now on.
INSERT INTO passerelle.guardian (patient_id, guardian_uuid, since)
VALUES (%(patient_id)s, %(guardian)s, %(now)s)

-- name: end_guardian
-- From now on they do not; all of them where none is named. It stays, with its end.
UPDATE passerelle.guardian SET ended_at = %(now)s
WHERE patient_id = %(patient_id)s AND ended_at IS NULL
  AND (%(guardian)s::uuid IS NULL OR guardian_uuid = %(guardian)s::uuid)
RETURNING guardian_uuid

-- name: forget_guardian
-- A person who was erased acts for nobody, and has never done.
DELETE FROM passerelle.guardian WHERE patient_id = %(patient_id)s AND guardian_uuid = %(guardian)s

-- name: erase_settings
-- A person who goes leaves no choices.
DELETE FROM passerelle.person_setting WHERE patient_id = %(patient_id)s

-- name: erase_guardians
-- Nor who acted for them.
DELETE FROM passerelle.guardian WHERE patient_id = %(patient_id)s

-- name: set_zone
-- A person lives by another clock.
UPDATE passerelle.patient SET timezone = %(timezone)s WHERE patient_id = %(patient_id)s RETURNING patient_id

-- name: set_language_and_unit
-- How a person reads.
UPDATE passerelle.patient SET language = %(language)s, unit = %(unit)s
WHERE patient_id = %(patient_id)s RETURNING patient_id

-- name: lock_patient
-- Nobody else changes or erases the person meanwhile.
SELECT timezone FROM passerelle.patient WHERE patient_id = %(patient_id)s FOR UPDATE

-- name: lock_devices
-- Nobody stores anything of a person meanwhile.
SELECT device_id FROM passerelle.device WHERE patient_id = %(patient_id)s ORDER BY device_id FOR UPDATE

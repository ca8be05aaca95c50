-- name: one_moment
-- The first statement of a transaction that reads one moment throughout.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- name: measurements
-- Every measurement as it was received, in the order of the keys.
SELECT r.device_id, r.recorded_at, r.sequence, r.ordinal, r.kind, r.mantissa, r.exponent, r.unit, r.absent, r.sample,
    r.offset_minutes, r.flags, encode(r.raw, 'hex') AS raw
FROM passerelle.reading r WHERE r.patient_id = %(patient_id)s ORDER BY r.recorded_at, r.sequence, r.device_id, r.ordinal

-- name: quantities
-- The quantities after the first.
SELECT device_id, recorded_at, sequence, ordinal, place, measurand, mantissa, exponent, unit, absent
FROM passerelle.reading_quantity WHERE patient_id = %(patient_id)s
ORDER BY recorded_at, sequence, device_id, ordinal, place

-- name: contexts
-- Every context as it was received.
SELECT device_id, recorded_at, sequence, ordinal, '2a34' AS characteristic, carbohydrate, carbohydrate_kg, meal, tester,
    health, exercise_seconds, exercise_intensity_percent, medication, medication_value, medication_unit, hba1c_percent,
    encode(raw, 'hex') AS raw
FROM passerelle.reading_context WHERE patient_id = %(patient_id)s ORDER BY recorded_at, sequence, device_id, ordinal

-- name: refused_frames
-- What could not be read, as it was received.
SELECT device_id, received_at, characteristic, reason, encode(raw, 'hex') AS raw
FROM passerelle.refused_frame WHERE patient_id = %(patient_id)s ORDER BY received_at, device_id, digest

-- name: devices
-- Every device, forgotten ones too.
SELECT device_id, scheme, identity, manufacturer, model, serial, firmware, profile, last_sequence,
    clock_error_seconds, battery_percent, radio_address, radio_name, added_at, last_synced_at, forgotten_at,
    clock_policy, clock_set_asked_at, clock_read_at, clock_read_sequence, clock_read_error, gaps
FROM passerelle.device WHERE patient_id = %(patient_id)s ORDER BY device_id

-- name: clock_segments
-- What places the readings in time, and what was believed before.
SELECT device_id, segment_id, first_sequence, last_sequence, first_recorded_at, last_recorded_at, shift_seconds,
    utc_offset_minutes, source, said_by, placed_at, superseded_at
FROM passerelle.clock_segment WHERE patient_id = %(patient_id)s ORDER BY device_id, segment_id

-- name: annotations
-- All that was said of readings, and taken back, by whom.
SELECT device_id, recorded_at, sequence, ordinal, annotation_id, kind, value, author, made_at, withdrawn_at
FROM passerelle.annotation WHERE patient_id = %(patient_id)s ORDER BY made_at, annotation_id

-- name: shares
-- Every share; the keys of links are nobody's to read.
SELECT share_id, shelf_url, label, kinds, period_start, period_end, live, expires_at, has_passcode, created_at,
    uploaded_at, data_until, revoked_at, revocation_told_at
FROM passerelle.share WHERE patient_id = %(patient_id)s ORDER BY created_at, share_id

-- name: grants
-- Every grant.
SELECT grant_id, grantee, organisation, purpose, kinds, period_start, period_end, ends_at, made_at, revoked_at
FROM passerelle.grant_ WHERE patient_id = %(patient_id)s ORDER BY made_at, grant_id

-- name: spaces
-- Every space that was ever fed.
SELECT space_id, url, dialect, connected_at, disconnected_at
FROM passerelle.space WHERE patient_id = %(patient_id)s ORDER BY connected_at, space_id

-- name: settings
-- What the person has chosen.
SELECT relation, situation, unit, low, high, before_low, before_high, after_high
FROM passerelle.person_setting WHERE patient_id = %(patient_id)s

-- name: guardians
-- Who acts, and acted, for the person.
SELECT guardian_uuid, since, ended_at FROM passerelle.guardian
WHERE patient_id = %(patient_id)s ORDER BY since, guardian_uuid

-- name: device_users
-- Who measures with the person's devices besides them.
SELECT device_id, user_uuid, since FROM passerelle.device_user
WHERE patient_id = %(patient_id)s ORDER BY device_id, user_uuid

-- name: questions
-- Of which readings it was asked whose they are.
SELECT device_id, recorded_at, sequence, ordinal, state, asked_at, answered_at, answered_by
FROM passerelle.question WHERE patient_id = %(patient_id)s AND state > 0
ORDER BY recorded_at, sequence, device_id, ordinal

-- name: retention
-- What is kept for how long.
SELECT kind, days, made_at FROM passerelle.retention_rule WHERE patient_id = %(patient_id)s ORDER BY kind

-- name: access_log
-- Who looked, with what proves each entry.
SELECT entry_id, at, way, outcome, share_id, grant_id, opening, who, organisation, purpose, what, files,
    encode(salt, 'hex') AS salt, encode(digest, 'hex') AS digest, encode(chain, 'hex') AS chain
FROM passerelle.access_log WHERE patient_id = %(patient_id)s ORDER BY entry_id

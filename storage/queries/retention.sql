-- name: set
-- A rule for a kind; another one takes the place of the one before.
INSERT INTO passerelle.retention_rule (patient_id, kind, days, made_at)
VALUES (%(patient_id)s, %(kind)s, %(days)s, %(now)s)
ON CONFLICT (patient_id, kind) DO UPDATE SET days = excluded.days, made_at = excluded.made_at

-- name: remove
-- A kind is kept for good again.
DELETE FROM passerelle.retention_rule WHERE patient_id = %(patient_id)s AND kind = %(kind)s RETURNING kind

-- name: of_patient
-- A patient's rules.
SELECT patient_id, kind, days, made_at FROM passerelle.retention_rule WHERE patient_id = %(patient_id)s ORDER BY kind

-- name: all
-- Everybody's rules.
SELECT patient_id, kind, days, made_at FROM passerelle.retention_rule ORDER BY patient_id, kind

-- name: drop_empty_months
-- Months that nobody has a reading in any more.
SELECT passerelle.drop_empty_months(%(before)s)

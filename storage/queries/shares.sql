-- name: create
-- A new share, stale until its files are on the shelf.
INSERT INTO passerelle.share (patient_id, share_id, link_hash, sealed_secret, shelf_url, label, kinds,
    period_start, period_end, live, expires_at, has_passcode, created_at, stale)
VALUES (%(patient_id)s, %(share_id)s, %(link_hash)s, %(sealed_secret)s, %(shelf_url)s, %(label)s, %(kinds)s,
    %(period_start)s, %(period_end)s, %(live)s, %(expires_at)s, %(has_passcode)s, %(now)s, true)
RETURNING *

-- name: find
-- A share by its id alone.
SELECT * FROM passerelle.share WHERE share_id = %(share_id)s

-- name: of_patient
-- A patient's shares, the newest first.
SELECT * FROM passerelle.share WHERE patient_id = %(patient_id)s ORDER BY created_at DESC, share_id

-- name: waiting
-- What the shelf has to be told of.
SELECT * FROM passerelle.share
WHERE (revoked_at IS NULL AND stale AND (expires_at IS NULL OR expires_at > %(now)s))
   OR (revoked_at IS NOT NULL AND revocation_told_at IS NULL)
ORDER BY created_at, share_id

-- name: mark_stale
-- New readings: live shares are sealed again.
UPDATE passerelle.share SET stale = true
WHERE patient_id = %(patient_id)s AND live AND revoked_at IS NULL AND NOT stale

-- name: uploaded
-- The files of a share are on the shelf.
UPDATE passerelle.share SET uploaded_at = %(now)s, data_until = %(data_until)s, stale = false
WHERE patient_id = %(patient_id)s AND share_id = %(share_id)s
RETURNING *

-- name: revoke
-- The patient ends a share.
UPDATE passerelle.share SET revoked_at = coalesce(revoked_at, %(now)s)
WHERE patient_id = %(patient_id)s AND share_id = %(share_id)s
RETURNING *

-- name: revocation_told
-- The shelf knows of the end.
UPDATE passerelle.share SET revocation_told_at = coalesce(revocation_told_at, %(now)s)
WHERE patient_id = %(patient_id)s AND share_id = %(share_id)s
RETURNING *

-- name: pulled
-- Openings up to this number are in the access log.
UPDATE passerelle.share SET openings_cursor = greatest(openings_cursor, %(cursor)s)
WHERE patient_id = %(patient_id)s AND share_id = %(share_id)s
RETURNING *

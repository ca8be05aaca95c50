-- name: append
-- One more entry; null for an opening that is there already.
SELECT passerelle.append_access(%(patient_id)s, %(at)s, %(way)s::int2, %(outcome)s::int2, %(share_id)s::uuid,
    %(opening)s::int8, NULL, %(who)s, NULL, NULL, NULL, %(files)s::int2)

-- name: of_patient
-- A patient's entries, the newest first.
SELECT entry_id, at, way, outcome, share_id, grant_id, who, organisation, purpose, what, files
FROM passerelle.access_log WHERE patient_id = %(patient_id)s AND entry_id < %(before)s
ORDER BY entry_id DESC LIMIT %(limit)s

-- name: of_share
-- The entries of one share, the newest first.
SELECT entry_id, at, way, outcome, share_id, grant_id, who, organisation, purpose, what, files
FROM passerelle.access_log WHERE patient_id = %(patient_id)s AND share_id = %(share_id)s
ORDER BY entry_id DESC LIMIT %(limit)s

-- name: by_token
-- The entries of the person whose session this is.
SELECT entry_id, at, way, outcome, share_id, grant_id, who, organisation, purpose, what, files
FROM passerelle.access_log_by_token(%(token)s, %(before)s, %(limit)s)
ORDER BY entry_id DESC

-- name: record_by_token
-- The bearer of a grant looked.
SELECT passerelle.record_access_by_token(%(token)s, %(outcome)s::int2, %(what)s)

-- name: broken_at
-- The first entry that is missing, changed, or does not follow from the one before it. An erased entry keeps its
-- digest and has no salt: its content cannot be proven and need not be.
SELECT entry_id FROM (
    SELECT entry_id, chain, digest, salt,
        lag(chain, 1, ''::bytea) OVER following AS before,
        lag(entry_id, 1, 0::int8) OVER following AS previous,
        sha256(salt || convert_to(jsonb_build_array(entry_id, extract(epoch FROM at), way, outcome, share_id,
            opening, grant_id, who, organisation, purpose, what, files)::text, 'UTF8')) AS told
    FROM passerelle.access_log WHERE patient_id = %(patient_id)s
    WINDOW following AS (ORDER BY entry_id)
) AS entries
WHERE chain <> sha256(before || digest) OR (salt IS NOT NULL AND digest <> told) OR entry_id <> previous + 1
ORDER BY entry_id LIMIT 1

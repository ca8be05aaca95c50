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

-- name: verify
-- How many entries there are, how many have no content any more, the chain's last value, and the first entry that
-- is wrong with why. An entry without a salt proves no content, so it may have none, and a receipt must say that it
-- was erased; the receipt's own head must be in the chain.
WITH entries AS (
    SELECT entry_id, chain, digest, salt, way = 0 AND outcome = 0 AND share_id IS NULL AND opening IS NULL
            AND grant_id IS NULL AND who IS NULL AND organisation IS NULL AND purpose IS NULL AND what IS NULL
            AND files IS NULL AND at = 'epoch' AS empty,
        lag(chain, 1, ''::bytea) OVER following AS before,
        lag(entry_id, 1, 0::int8) OVER following AS previous,
        sha256(salt || convert_to(jsonb_build_array(entry_id, extract(epoch FROM at), way, outcome, share_id,
            opening, grant_id, who, organisation, purpose, what, files)::text, 'UTF8')) AS told
    FROM passerelle.access_log WHERE patient_id = %(patient_id)s
    WINDOW following AS (ORDER BY entry_id)
), receipts AS (
    SELECT log_until, log_head FROM passerelle.erasure WHERE patient_id = %(patient_id)s AND log_until IS NOT NULL
), wrong AS (
    SELECT CASE WHEN entry_id <> previous + 1 THEN previous + 1 ELSE entry_id END AS entry_id, CASE
        WHEN entry_id <> previous + 1 THEN 'missing'
        WHEN chain <> sha256(before || digest) THEN 'does not follow'
        WHEN salt IS NOT NULL AND digest <> told THEN 'changed'
        WHEN salt IS NULL AND NOT (empty AND entry_id <= (SELECT coalesce(max(log_until), 0) FROM receipts))
            THEN 'emptied'
        END AS why
    FROM entries
    UNION ALL
    SELECT r.log_until, CASE WHEN e.entry_id IS NULL THEN 'missing' ELSE 'does not follow' END
    FROM receipts r LEFT JOIN entries e ON e.entry_id = r.log_until
    WHERE e.chain IS DISTINCT FROM r.log_head
), first_wrong AS (
    SELECT entry_id, why FROM wrong WHERE why IS NOT NULL ORDER BY entry_id LIMIT 1
)
SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM entries WHERE salt IS NULL),
    (SELECT max(entry_id) FROM entries), (SELECT chain FROM entries ORDER BY entry_id DESC LIMIT 1),
    (SELECT entry_id FROM first_wrong), (SELECT why FROM first_wrong)

-- name: chain_at
-- The chain's value at an entry.
SELECT chain FROM passerelle.access_log WHERE patient_id = %(patient_id)s AND entry_id = %(entry_id)s

-- name: whose
-- Whose entries there are, of people too who are not here any more.
SELECT patient_id FROM passerelle.access_log UNION SELECT patient_id FROM passerelle.erasure
    WHERE log_until IS NOT NULL ORDER BY patient_id

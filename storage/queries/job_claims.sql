-- name: claim
-- A job that is due is taken by whoever comes first, or after a holder's time is over. What lies beyond any time
-- that a right clock can have written was written before this clock was set back: it holds nothing up.
INSERT INTO passerelle.job_claim AS held (patient_id, job, claimed_by, claimed_until)
VALUES (%(patient_id)s, %(job)s, %(by)s, %(until)s)
ON CONFLICT (patient_id, job) DO UPDATE
SET claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until
WHERE (held.claimed_until <= %(now)s OR held.claimed_until > %(beyond)s OR held.claimed_by = excluded.claimed_by)
    AND (held.done_at IS NULL OR held.done_at <= %(due)s OR held.done_at > %(beyond)s)
RETURNING job

-- name: renew
-- A holder keeps its job a while longer, if nobody took it meanwhile.
UPDATE passerelle.job_claim SET claimed_until = %(until)s
WHERE patient_id = %(patient_id)s AND job = %(job)s AND claimed_by = %(by)s AND claimed_until > %(now)s
RETURNING job

-- name: release
-- A job is done.
UPDATE passerelle.job_claim SET claimed_until = %(now)s, done_at = %(now)s
WHERE patient_id = %(patient_id)s AND job = %(job)s AND claimed_by = %(by)s

-- name: give_up
-- A job was not done: whoever comes next may take it.
UPDATE passerelle.job_claim SET claimed_until = %(now)s
WHERE patient_id = %(patient_id)s AND job = %(job)s AND claimed_by = %(by)s

-- name: holder
-- Who took a job last.
SELECT claimed_by FROM passerelle.job_claim WHERE patient_id = %(patient_id)s AND job = %(job)s

-- name: create
-- A new grant.
INSERT INTO passerelle.grant_ (patient_id, grant_id, grantee, organisation, purpose, kinds, period_start,
    period_end, ends_at, made_at, revoked_at, gateway_id)
VALUES (%(patient_id)s, %(grant_id)s, %(grantee)s, %(organisation)s, %(purpose)s, %(kinds)s, %(period_start)s,
    %(period_end)s, %(ends_at)s, %(made_at)s, %(revoked_at)s, %(gateway_id)s)

-- name: live_of_gateway
-- How many grants of a gateway open something.
SELECT count(*) FROM passerelle.grant_ WHERE gateway_id = %(gateway_id)s AND revoked_at IS NULL AND ends_at > %(now)s

-- name: revoke_of_gateway
-- The grants of a gateway end.
UPDATE passerelle.grant_ SET revoked_at = %(now)s WHERE gateway_id = %(gateway_id)s AND revoked_at IS NULL

-- name: of_patient
-- A patient's grants, the newest first.
SELECT patient_id, grant_id, grantee, organisation, purpose, kinds, period_start, period_end, ends_at, made_at,
    revoked_at, gateway_id
FROM passerelle.grant_ WHERE patient_id = %(patient_id)s ORDER BY made_at DESC, grant_id

-- name: revoke
-- A grant ends.
UPDATE passerelle.grant_ SET revoked_at = coalesce(revoked_at, %(now)s)
WHERE patient_id = %(patient_id)s AND grant_id = %(grant_id)s
RETURNING grant_id

-- name: of_uuid
-- The patients whom tenants of this space know by a UUID.
SELECT patient_id FROM passerelle.space_patient WHERE uuid = %(uuid)s

-- name: lock
-- A grant that is about to be narrowed.
SELECT kinds, revoked_at IS NOT NULL OR ends_at <= %(now)s
FROM passerelle.grant_ WHERE patient_id = %(patient_id)s AND grant_id = %(grant_id)s FOR UPDATE

-- name: narrow
-- A grant opens less from now on; a bound that is null stays.
UPDATE passerelle.grant_ SET kinds = %(kinds)s::int2[], period_start = greatest(period_start, %(period_start)s),
    period_end = least(period_end, %(period_end)s), ends_at = least(ends_at, %(ends_at)s)
WHERE patient_id = %(patient_id)s AND grant_id = %(grant_id)s

-- name: of_token
-- What a token was handed out as.
SELECT grant_id FROM passerelle.token
WHERE token_hash = %(token_hash)s AND patient_id = %(patient_id)s AND grant_id IS NOT NULL

-- name: add_token
-- A token, by its hash.
INSERT INTO passerelle.token (token_hash, patient_id, grant_id, made_at, ends_at)
VALUES (%(token_hash)s, %(patient_id)s, %(grant_id)s, %(now)s, %(ends_at)s)

-- name: revoke_token
-- A token ends.
UPDATE passerelle.token SET revoked_at = coalesce(revoked_at, %(now)s) WHERE token_hash = %(token_hash)s

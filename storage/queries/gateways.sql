-- name: insert
-- A gateway that registered.
INSERT INTO passerelle.gateway (gateway_id, tenant_id, patient_uuid, secret_hash, name, software, registered_at)
VALUES (%(gateway_id)s, %(tenant_id)s, %(patient)s, %(secret_hash)s, %(name)s, %(software)s, %(now)s)

-- name: secret_hash
-- What a gateway's secret is compared with.
SELECT secret_hash FROM passerelle.gateway WHERE gateway_id = %(gateway_id)s AND revoked_at IS NULL

-- name: add_token
-- An access token, by its hash.
INSERT INTO passerelle.gateway_token (token_hash, gateway_id, ends_at) VALUES (%(token_hash)s, %(gateway_id)s, %(ends_at)s)

-- name: by_token
-- Who holds a token.
SELECT gateway_id, tenant_id, patient_uuid FROM passerelle.gateway_of_token(%(token)s)

-- name: revoke
-- A gateway's registration ends, and with it all its tokens.
UPDATE passerelle.gateway SET revoked_at = coalesce(revoked_at, %(now)s) WHERE gateway_id = %(gateway_id)s
RETURNING gateway_id

-- name: list_all
-- All gateways, the newest first.
SELECT gateway_id, tenant_id, name, software, registered_at, revoked_at, patient_uuid
FROM passerelle.gateway ORDER BY registered_at DESC, gateway_id

-- name: sweep_tokens
-- Tokens that are over, some at a time.
DELETE FROM passerelle.gateway_token WHERE token_hash IN (
    SELECT token_hash FROM passerelle.gateway_token WHERE ends_at <= %(now)s LIMIT 1000)
RETURNING token_hash

-- name: sweep_codes
-- Codes that were used, or were over before a moment, some at a time: they may name a person.
DELETE FROM passerelle.registration_code WHERE code_hash IN (
    SELECT code_hash FROM passerelle.registration_code WHERE used_at IS NOT NULL OR ends_at <= %(before)s LIMIT 1000)

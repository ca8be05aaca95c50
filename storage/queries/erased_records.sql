-- name: digests
-- What tells the erased records of a device again, in one piece.
SELECT string_agg(digests, ''::bytea) FROM passerelle.erased_record
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: salt
-- There since something of this device was erased.
SELECT erased_salt FROM passerelle.device WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s

-- name: reading
-- One reading, as it was measured.
SELECT kind, mantissa, exponent, unit, absent, sample, offset_minutes, flags, raw FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND recorded_at = %(recorded_at)s AND sequence = %(sequence)s
  AND device_id = %(device_id)s AND ordinal = %(ordinal)s

-- name: ordinal
-- Under which ordinal a device has this very measurement.
SELECT ordinal FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND recorded_at = %(recorded_at)s AND sequence = %(sequence)s
  AND device_id = %(device_id)s AND raw = %(raw)s

-- name: device
-- A person's row of a device, a forgotten one too.
SELECT device_id, forgotten_at FROM passerelle.device
WHERE patient_id = %(patient_id)s AND scheme = %(scheme)s AND identity = %(identity)s

-- name: moved
-- The readings of a patient that were moved to somebody.
SELECT recorded_at, sequence, device_id, ordinal, value, made_at FROM passerelle.annotation
WHERE patient_id = %(patient_id)s AND kind = 4 AND withdrawn_at IS NULL
ORDER BY made_at, annotation_id

-- name: patient_of_uuid
-- The person of this home whom a UUID names.
SELECT patient_id FROM passerelle.patient WHERE uuid = %(uuid)s AND label <> ''

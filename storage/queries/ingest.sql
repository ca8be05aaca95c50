-- name: readings
-- Readings of a device at these times.
SELECT recorded_at, sequence, ordinal, kind, mantissa, exponent, unit, absent, sample, flags
FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at = ANY (%(recorded_at)s)

-- name: contexts
-- The contexts of readings at these times.
SELECT recorded_at, sequence, device_id, ordinal, raw, carbohydrate, carbohydrate_kg, meal, tester, health,
    exercise_seconds, exercise_intensity_percent, medication, medication_value, medication_unit, hba1c_percent
FROM passerelle.reading_context
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at = ANY (%(recorded_at)s)

-- name: quantities
-- The quantities after the first, in order.
SELECT recorded_at, sequence, device_id, ordinal, measurand, mantissa, exponent, unit, absent
FROM passerelle.reading_quantity
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at = ANY (%(recorded_at)s)
ORDER BY recorded_at, sequence, ordinal, place

-- name: annotations
-- What is said of readings at these times, and not taken back.
SELECT recorded_at, sequence, ordinal, kind, annotation_id, value, author, made_at
FROM passerelle.annotation
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at = ANY (%(recorded_at)s)
  AND withdrawn_at IS NULL
ORDER BY made_at, annotation_id

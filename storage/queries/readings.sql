-- name: devices_of_patient
-- All devices of a patient, forgotten ones too: their readings are there.
SELECT device_id, scheme, identity, manufacturer, model, serial, firmware, profile
FROM passerelle.device WHERE patient_id = %(patient_id)s ORDER BY device_id

-- name: devices_by_token
-- The same, of the patient of a token.
SELECT device_id, scheme, identity, manufacturer, model, serial, firmware, profile
FROM passerelle.devices_by_token(%(token)s)

-- name: readings_of_patient
-- One stretch of a patient's readings, as columns of one length. Small numbers share an int8: an element of an
-- array costs four bytes and a call however small it is, so four arrays arrive in half the time of eleven. What
-- may be negative there (exponent, sample) is counted from its least value.
SELECT array_agg(recorded_at),
    array_agg(sequence * 4294967296 + mantissa),
    array_agg(flags * 4294967296 + device_id * 65536 + ordinal),
    array_agg(kind * 1099511627776 + (exponent + 128) * 4294967296 + unit * 16777216::int8
        + absent * 65536 + sample + 1)
FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND recorded_at BETWEEN %(first)s AND %(last)s

-- name: kinds_of_patient
-- The same, of some kinds. A statement of its own, since to look at each row's kind costs a sixth of the time.
SELECT array_agg(recorded_at),
    array_agg(sequence * 4294967296 + mantissa),
    array_agg(flags * 4294967296 + device_id * 65536 + ordinal),
    array_agg(kind * 1099511627776 + (exponent + 128) * 4294967296 + unit * 16777216::int8
        + absent * 65536 + sample + 1)
FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND recorded_at BETWEEN %(first)s AND %(last)s
  AND kind = ANY (%(kinds)s::int2[])

-- name: readings_by_token
-- The same, as far as a token goes.
SELECT recorded_at, numbers, marks, codes
FROM passerelle.readings_by_token(%(token)s, %(kinds)s::int2[], %(first)s, %(last)s)

-- name: beside_of_patient
-- Whether anything lies beside the readings of a stretch: mostly nothing does, and one question is asked for three.
SELECT EXISTS (SELECT 1 FROM passerelle.reading_context
        WHERE patient_id = %(patient_id)s AND recorded_at BETWEEN %(first)s AND %(last)s)
    OR EXISTS (SELECT 1 FROM passerelle.annotation
        WHERE patient_id = %(patient_id)s AND recorded_at BETWEEN %(first)s AND %(last)s)
    OR EXISTS (SELECT 1 FROM passerelle.reading_quantity
        WHERE patient_id = %(patient_id)s AND recorded_at BETWEEN %(first)s AND %(last)s)

-- name: contexts_of_patient
-- The contexts of a stretch.
SELECT recorded_at, sequence, device_id, ordinal, raw, carbohydrate, carbohydrate_kg, meal, tester, health,
    exercise_seconds, exercise_intensity_percent, medication, medication_value, medication_unit, hba1c_percent
FROM passerelle.reading_context
WHERE patient_id = %(patient_id)s AND recorded_at BETWEEN %(first)s AND %(last)s

-- name: contexts_by_token
-- The same, as far as a token goes.
SELECT recorded_at, sequence, device_id, ordinal, raw, carbohydrate, carbohydrate_kg, meal, tester, health,
    exercise_seconds, exercise_intensity_percent, medication, medication_value, medication_unit, hba1c_percent
FROM passerelle.contexts_by_token(%(token)s, %(first)s, %(last)s)

-- name: quantities_of_patient
-- The quantities after the first of a stretch, in order.
SELECT recorded_at, sequence, device_id, ordinal, measurand, mantissa, exponent, unit, absent
FROM passerelle.reading_quantity
WHERE patient_id = %(patient_id)s AND recorded_at BETWEEN %(first)s AND %(last)s
ORDER BY recorded_at, sequence, device_id, ordinal, place

-- name: quantities_by_token
-- The same, as far as a token goes.
SELECT recorded_at, sequence, device_id, ordinal, measurand, mantissa, exponent, unit, absent
FROM passerelle.quantities_by_token(%(token)s, %(first)s, %(last)s)
ORDER BY recorded_at, sequence, device_id, ordinal, place

-- name: annotations_of_patient
-- What is said of the readings of a stretch.
SELECT recorded_at, sequence, device_id, ordinal, kind, value
FROM passerelle.annotation
WHERE patient_id = %(patient_id)s AND recorded_at BETWEEN %(first)s AND %(last)s AND withdrawn_at IS NULL
ORDER BY made_at, annotation_id

-- name: annotations_by_token
-- The same, as far as a token goes.
SELECT recorded_at, sequence, device_id, ordinal, kind, value
FROM passerelle.annotations_by_token(%(token)s, %(first)s, %(last)s)

-- name: segments
-- The segments of a patient that place records, by where they end in effective time, the latest first.
SELECT device_id, last_recorded_at + shift_seconds * interval '1 second', shift_seconds,
    first_sequence, last_sequence, first_recorded_at, last_recorded_at
FROM passerelle.clock_segment
WHERE patient_id = %(patient_id)s AND superseded_at IS NULL AND shift_seconds IS NOT NULL
ORDER BY 2 DESC

-- name: last_of_segment
-- The last reading of these kinds in a segment, in effective time.
SELECT recorded_at + %(shift)s * interval '1 second' FROM passerelle.reading
WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s
  AND recorded_at BETWEEN %(first_recorded_at)s AND %(last_recorded_at)s
  AND sequence BETWEEN %(first_sequence)s AND %(last_sequence)s
  AND (%(kinds)s::int2[] IS NULL OR kind = ANY (%(kinds)s::int2[]))
ORDER BY recorded_at DESC LIMIT 1

-- name: page_of_device
-- Some of a device's readings in the order of their keys, after one: what feeding a space walks through.
SELECT array_agg(recorded_at),
    array_agg(sequence * 4294967296 + mantissa),
    array_agg(flags * 4294967296 + device_id * 65536 + ordinal),
    array_agg(kind * 1099511627776 + (exponent + 128) * 4294967296 + unit * 16777216::int8
        + absent * 65536 + sample + 1)
FROM (
    SELECT * FROM passerelle.reading
    WHERE patient_id = %(patient_id)s AND device_id = %(device_id)s AND recorded_at BETWEEN %(first)s AND %(last)s
      AND (recorded_at, sequence, ordinal) > (%(first)s, %(after_sequence)s, %(after_ordinal)s)
    ORDER BY recorded_at, sequence, ordinal LIMIT %(limit)s
) AS page
